/**
 * Requests on paths. The path is copied into a cell that lives until the request completes.
 */
import { OPEN_HOW, SIZEOF } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Memory } from '../descriptors.ts';
import { YIELDS_FD } from '../holds.ts';
import type { Cell } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { AT, STATX_MASK } from '../statx.ts';
import { checkSlot, DescriptorRequests } from './descriptor.ts';

const O_CLOEXEC = 0o2000000;
const O_CREAT = 0o100;
const O_TMPFILE = 0o20000000;

/** @internal Bytes of a path with its final zero. */
export const PATH_MAX = 4096;

/** A path of so many characters surely fits into a small cell, with room for `open_how` behind it. */
const SHORT_PATH = 72;
const BEHIND_SHORT_PATH = 224;

/** Where a relative path starts: a directory's descriptor, or `AT.FDCWD` (default). */
export interface PathOptions {
  readonly directory?: number;
}

/** How `openat2` opens a file. */
export interface OpenHow extends PathOptions {
  /** `O_*` of `node:fs` constants. Unlike `openat`, unknown ones are refused. Default `O_RDONLY`. */
  readonly flags?: number;
  /** Permission bits of a created file. Default 0o666 if one may be created. */
  readonly mode?: number;
  /** `RESOLVE` bits: what looking the path up may not do. */
  readonly resolve?: number;
}

/** Where each of two relative paths starts. */
export interface TwoPathOptions extends PathOptions {
  readonly toDirectory?: number;
}

/** Path requests; each returns the key that `cancel()` wants beside the token. */
export abstract class PathRequests extends DescriptorRequests {
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
   * `openat()` straight into a slot of the registered files; completes with 0, or with
   * `FILE_INDEX_ALLOC` with the slot's number. Linux 5.15; to let the kernel choose, 5.19.
   *
   * Requests linked behind it name the file by `ring.register.fixedFile(slot)`.
   *
   * @param slot - Its number, or `FILE_INDEX_ALLOC`. A file it has is replaced.
   */
  openatDirect(
    token: number,
    slot: number,
    path: string,
    flags: number,
    mode: number = 0o666,
    options?: PathOptions,
  ): number {
    checkSlot(slot);
    checkInteger('flags', flags, 0, 2 ** 31 - 1);
    checkInteger('mode', mode, 0, 0o7777);
    const hold = this.onPath(OP.OPENAT, token, path, options, 0, mode, flags, undefined, false);
    this.setSlot(this.lastEntry, slot);
    return hold;
  }

  /**
   * `openat2(2)`, always with `O_CLOEXEC`; completes with the descriptor. With `how.resolve` it can
   * refuse to leave a directory or to follow links: -`EXDEV`, -`ELOOP`. Linux 5.6.
   */
  openat2(token: number, path: string, how: OpenHow = {}): number {
    return this.putOpen(token, path, how, O_CLOEXEC);
  }

  /** `openat2()` straight into a slot of the registered files, as `openatDirect()`. Linux 5.15. */
  openat2Direct(token: number, slot: number, path: string, how: OpenHow = {}): number {
    checkSlot(slot);
    const hold = this.putOpen(token, path, how, 0);
    this.setSlot(this.lastEntry, slot);
    return hold;
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
    this.requireOpcode(OP.MKDIRAT);
    checkInteger('mode', mode, 0, 0o7777);
    return this.onPath(OP.MKDIRAT, token, path, options, 0, mode, 0);
  }

  /** `unlinkat(2)`: removes a file, or with `directory: true` an empty directory. Linux 5.11. */
  unlinkat(
    token: number,
    path: string,
    options?: PathOptions & { readonly removeDirectory?: boolean },
  ): number {
    this.requireOpcode(OP.UNLINKAT);
    const flags = options?.removeDirectory === true ? AT.REMOVEDIR : 0;
    return this.onPath(OP.UNLINKAT, token, path, options, 0, 0, flags);
  }

  /** `renameat2(2)`: `flags` as in linux/fs.h. Linux 5.11. */
  renameat(
    token: number,
    from: string,
    to: string,
    options?: TwoPathOptions & { readonly flags?: number },
  ): number {
    this.requireOpcode(OP.RENAMEAT);
    checkPath('to', to);
    const toDirectory = directoryOf(options?.toDirectory);
    const flags = options?.flags ?? 0;
    return this.onPath(OP.RENAMEAT, token, from, options, 0, toDirectory, flags, (cell) =>
      cell.setString(PATH_MAX, to),
    );
  }

  /**
   * `symlinkat(2)`: makes `path` a symbolic link to `target`, which need not exist. Linux 5.15.
   *
   * @param options - `directory`: where a relative `path` starts.
   */
  symlinkat(token: number, target: string, path: string, options?: PathOptions): number {
    this.requireOpcode(OP.SYMLINKAT);
    checkPath('target', target);
    checkPath('path', path);
    return this.onPath(OP.SYMLINKAT, token, target, options, 0, 0, 0, (cell) =>
      cell.setString(PATH_MAX, path),
    );
  }

  /**
   * `linkat(2)`: gives a file a second name. Linux 5.15.
   *
   * @param options - `flags`: `AT.SYMLINK_FOLLOW` links what a symbolic link points to.
   */
  linkat(
    token: number,
    from: string,
    to: string,
    options?: TwoPathOptions & { readonly flags?: number },
  ): number {
    this.requireOpcode(OP.LINKAT);
    checkPath('to', to);
    const toDirectory = directoryOf(options?.toDirectory);
    const flags = options?.flags ?? 0;
    checkInteger('flags', flags, 0, 2 ** 31 - 1);
    return this.onPath(OP.LINKAT, token, from, options, 0, toDirectory, flags, (cell) =>
      cell.setString(PATH_MAX, to),
    );
  }

  private putOpen(token: number, path: string, how: OpenHow, cloexec: number): number {
    const { flags = 0, mode, resolve = 0 } = how;
    checkInteger('how.flags', flags, 0, 2 ** 31 - 1);
    checkInteger('how.resolve', resolve, 0, 2 ** 31 - 1);
    // The kernel refuses a mode where no file can be created.
    const creates = (flags & (O_CREAT | O_TMPFILE)) !== 0;
    const bits = mode ?? (creates ? 0o666 : 0);
    checkInteger('how.mode', bits, 0, 0o7777);
    const { BYTES } = OPEN_HOW;
    const encode = (cell: Cell): number => {
      const at = path.length < SHORT_PATH ? BEHIND_SHORT_PATH : PATH_MAX;
      cell.setU64(at + OPEN_HOW.FLAGS, flags | cloexec);
      cell.setU64(at + OPEN_HOW.MODE, bits);
      cell.setU64(at + OPEN_HOW.RESOLVE, resolve);
      return cell.address + at;
    };
    return this.onPath(OP.OPENAT2, token, path, how, 0, BYTES, 0, encode, cloexec !== 0);
  }

  /**
   * @param extra - Adds to the cell; a returned address goes into the entry's offset field.
   * @param yields - Whether the result is a new descriptor of the process.
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
    yields: boolean = op === OP.OPENAT,
  ): number {
    this.checkToken(token);
    checkPath('path', path);
    const directory = directoryOf(options?.directory);
    this.requireSpace();
    const cell = this.holds.cell(cellBytes(op, path));
    const address = cell.setString(0, path);
    const position = extra?.(cell) ?? offset;
    const hold = yields ? cell.hold | YIELDS_FD : cell.hold;
    this.put(op, directory, position, address, length, opFlags, token, hold);
    return hold;
  }
}

/** What a request's paths and structures take. */
function cellBytes(op: number, path: string): number {
  if (op === OP.RENAMEAT || op === OP.LINKAT || op === OP.SYMLINKAT) return 2 * PATH_MAX;
  return path.length < SHORT_PATH ? 256 : PATH_MAX + OPEN_HOW.BYTES;
}

function directoryOf(directory: number | undefined): number {
  if (directory === undefined) return AT.FDCWD;
  if (directory !== AT.FDCWD) checkInteger('directory', directory, 0, 2 ** 31 - 1);
  return directory;
}

/** @internal Throws if a path cannot be given to the kernel. */
export function checkPath(name: string, path: string): void {
  if (typeof path !== 'string') throw invalidArgType(name, 'a string', path);
  if (path.includes('\0')) {
    throw invalidArgValue(name, 'must not contain NUL', JSON.stringify(path));
  }
  const bytes = Buffer.byteLength(path);
  if (bytes >= PATH_MAX) {
    throw invalidArgValue(name, `must be shorter than ${PATH_MAX} bytes`, `${bytes} bytes`);
  }
}
