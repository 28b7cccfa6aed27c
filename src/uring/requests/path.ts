/**
 * Requests on paths. The path is copied into a cell that lives until the request completes.
 */
import { SIZEOF } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Memory } from '../descriptors.ts';
import { YIELDS_FD } from '../holds.ts';
import type { Cell } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { AT, STATX_MASK } from '../statx.ts';
import { FileRequests } from './file.ts';

const O_CLOEXEC = 0o2000000;
const PATH_MAX = 4096;

/** Where a relative path starts: a directory's descriptor, or `AT.FDCWD` (default). */
export interface PathOptions {
  readonly directory?: number;
}

/** Path requests; each returns the key that `cancel()` wants beside the token. */
export abstract class PathRequests extends FileRequests {
  /**
   * `openat(2)`, always with `O_CLOEXEC`; completes with the descriptor. Linux 5.6.
   *
   * @param flags - `O_*` of `node:fs` constants.
   * @param mode - Permission bits of a created file.
   */
  openat(
    token: number,
    path: string,
    flags: number,
    mode: number = 0o666,
    options?: PathOptions,
  ): number {
    checkInteger('flags', flags, 0, 2 ** 31 - 1);
    checkInteger('mode', mode, 0, 0o7777);
    return this.onPath(OP.OPENAT, token, path, options, 0, mode, flags | O_CLOEXEC);
  }

  /**
   * `statx(2)`: fills 256 bytes of memory, which `decodeStatx()` reads. Linux 5.6.
   *
   * @param memory - At least 256 bytes of a Region.
   */
  statx(
    token: number,
    path: string,
    memory: Memory,
    options?: PathOptions & { readonly flags?: number },
  ): number {
    const region = requireRegion('memory', memory);
    if (memory.byteLength < SIZEOF.STATX) {
      throw outOfRange('memory.byteLength', `>= ${SIZEOF.STATX}`, memory.byteLength);
    }
    const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
    const flags = options?.flags ?? 0;
    const answer = region.address + start;
    return this.onPath(OP.STATX, token, path, options, answer, STATX_MASK, flags, (cell) =>
      cell.keep(region),
    );
  }

  /** `mkdirat(2)`. Linux 5.15. */
  mkdirat(token: number, path: string, mode: number = 0o777, options?: PathOptions): number {
    checkInteger('mode', mode, 0, 0o7777);
    return this.onPath(OP.MKDIRAT, token, path, options, 0, mode, 0);
  }

  /** `unlinkat(2)`: removes a file, or with `directory: true` an empty directory. Linux 5.11. */
  unlinkat(
    token: number,
    path: string,
    options?: PathOptions & { readonly removeDirectory?: boolean },
  ): number {
    const flags = options?.removeDirectory === true ? AT.REMOVEDIR : 0;
    return this.onPath(OP.UNLINKAT, token, path, options, 0, 0, flags);
  }

  /** `renameat2(2)`: `flags` as in linux/fs.h. Linux 5.11. */
  renameat(
    token: number,
    from: string,
    to: string,
    options?: PathOptions & { readonly toDirectory?: number; readonly flags?: number },
  ): number {
    checkPath('to', to);
    const toDirectory = directoryOf(options?.toDirectory);
    const flags = options?.flags ?? 0;
    return this.onPath(OP.RENAMEAT, token, from, options, 0, toDirectory, flags, (cell) =>
      cell.setString(PATH_MAX, to),
    );
  }

  /**
   * @param extra - Adds to the cell; a returned address goes into the entry's offset field.
   */
  private onPath(
    op: number,
    token: number,
    path: string,
    options: PathOptions | undefined,
    offset: number,
    length: number,
    opFlags: number,
    extra?: (cell: Cell) => number | void,
  ): number {
    this.checkToken(token);
    checkPath('path', path);
    const directory = directoryOf(options?.directory);
    this.requireSpace();
    const cell = this.holds.cell(
      op === OP.RENAMEAT ? 2 * PATH_MAX : path.length < 80 ? 256 : PATH_MAX,
    );
    const address = cell.setString(0, path);
    const position = extra?.(cell) ?? offset;
    const hold = op === OP.OPENAT ? cell.hold | YIELDS_FD : cell.hold;
    this.put(op, directory, position, address, length, opFlags, token, hold);
    return hold;
  }
}

function directoryOf(directory: number | undefined): number {
  if (directory === undefined) return AT.FDCWD;
  if (directory !== AT.FDCWD) checkInteger('directory', directory, 0, 2 ** 31 - 1);
  return directory;
}

function checkPath(name: string, path: string): void {
  if (typeof path !== 'string') throw invalidArgType(name, 'a string', path);
  if (path.includes('\0')) {
    throw invalidArgValue(name, 'must not contain NUL', JSON.stringify(path));
  }
  const bytes = Buffer.byteLength(path);
  if (bytes >= PATH_MAX) {
    throw invalidArgValue(name, `must be shorter than ${PATH_MAX} bytes`, `${bytes} bytes`);
  }
}
