/**
 * Requests on extended attributes. Their names look like `user.note`.
 */
import { SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Region } from '../../memory/region.ts';
import type { Fd, Memory } from '../descriptors.ts';
import { OP } from '../opcodes.ts';
import { startOf } from './file.ts';
import { checkPath, PATH_MAX, PathRequests } from './path.ts';

/** Longest name the kernel takes, in bytes. */
const NAME_MAX = 255;

/** Attribute requests; each returns the key that `cancel()` wants beside the token. */
export abstract class AttributeRequests extends PathRequests {
  /**
   * `setxattr(2)`: sets an attribute of a file to bytes; completes with 0. Symbolic links are
   * followed. Linux 5.19.
   *
   * @param flags - `XATTR.CREATE` or `XATTR.REPLACE`; 0 does either.
   */
  setxattr(token: number, path: string, name: string, value: Memory, flags: number = 0): number {
    checkInteger('flags', flags, 0, 2 ** 31 - 1);
    return this.onAttribute(OP.SETXATTR, token, path, name, value, flags);
  }

  /** `fsetxattr(2)`: {@link AttributeRequests.setxattr} of an open file. Linux 5.19. */
  fsetxattr(token: number, fd: Fd, name: string, value: Memory, flags: number = 0): number {
    checkInteger('flags', flags, 0, 2 ** 31 - 1);
    return this.onAttribute(OP.FSETXATTR, token, fd, name, value, flags);
  }

  /**
   * `getxattr(2)`: fills memory with an attribute of a file; completes with its bytes, -`ENODATA` if
   * there is none, -`ERANGE` if the memory is too small. Without memory it completes with the bytes
   * needed. Linux 5.19.
   */
  getxattr(token: number, path: string, name: string, memory?: Memory): number {
    return this.onAttribute(OP.GETXATTR, token, path, name, memory, 0);
  }

  /** `fgetxattr(2)`: {@link AttributeRequests.getxattr} of an open file. Linux 5.19. */
  fgetxattr(token: number, fd: Fd, name: string, memory?: Memory): number {
    return this.onAttribute(OP.FGETXATTR, token, fd, name, memory, 0);
  }

  private onAttribute(
    op: number,
    token: number,
    file: string | Fd,
    name: string,
    memory: Memory | undefined,
    flags: number,
  ): number {
    this.requireOpcode(op);
    this.checkToken(token);
    checkName(name);
    const region: Region | undefined =
      memory === undefined ? undefined : requireRegion('memory', memory);
    const address = region === undefined ? 0 : region.address + startOf(memory!);
    const length = memory?.byteLength ?? 0;
    const path = op === OP.SETXATTR || op === OP.GETXATTR ? (file as string) : undefined;
    if (path !== undefined) checkPath('path', path);
    const number = path === undefined ? this.descriptor(file as Fd) : 0;
    this.requireSpace();
    const bytes = NAME_MAX + 1 + (path === undefined ? 0 : PATH_MAX);
    const cell = this.holds.cell(bytes);
    if (region !== undefined) cell.keep(region);
    const named = cell.setString(0, name);
    const head = path === undefined ? this.headFor(op, file as Fd) : op;
    const at = this.put(head, number, address, named, length, flags, token, cell.hold);
    if (path !== undefined) {
      const stored = cell.setString(NAME_MAX + 1, path);
      this.setRare(at, W.ADDR3_LOW, stored | 0);
      this.setRare(at, W.ADDR3_HIGH, (stored / 2 ** 32) | 0);
    }
    return cell.hold;
  }
}

function checkName(name: string): void {
  if (typeof name !== 'string') throw invalidArgType('name', 'a string', name);
  const bytes = Buffer.byteLength(name);
  if (name.includes('\0') || bytes > NAME_MAX) {
    throw invalidArgValue('name', `must have at most ${NAME_MAX} bytes and no NUL`, name);
  }
}
