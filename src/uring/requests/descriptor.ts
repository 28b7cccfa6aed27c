/**
 * Requests that make, move and register descriptors, and those that move bytes between two.
 *
 * A direct descriptor is made straight in a slot of the registered files (`ring.register.files()`)
 * and never appears in the process's own table.
 */
import { FILE_INDEX, FIXED_FD, SPLICE, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, outOfRange } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import { FixedFile } from '../descriptors.ts';
import type { Fd, Memory } from '../descriptors.ts';
import { YIELDS_FD } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { PIPE_BYTES } from '../pipes.ts';
import { FileRequests, startOf } from './file.ts';

const O_CLOEXEC = 0o2000000;
const MAX_SLOT = 32767;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

/** In place of a slot's number: the kernel chooses a free one and says which. */
export const FILE_INDEX_ALLOC: 0xffffffff = FILE_INDEX.ALLOC;

/** Descriptor requests; each returns the key that `cancel()` wants beside the token. */
export abstract class DescriptorRequests extends FileRequests {
  /**
   * Gives a registered file a descriptor of the process, close-on-exec unless `cloexec` is false;
   * completes with it. Linux 6.8.
   */
  installFd(token: number, file: FixedFile, options?: { readonly cloexec?: boolean }): number {
    this.requireOpcode(OP.FIXED_FD_INSTALL);
    this.checkToken(token);
    if (!(file instanceof FixedFile)) throw invalidArgType('file', 'a FixedFile', file);
    const flags = options?.cloexec === false ? FIXED_FD.NO_CLOEXEC : 0;
    const head = this.headFor(OP.FIXED_FD_INSTALL, file);
    this.put(head, this.descriptor(file), 0, 0, 0, flags, token, YIELDS_FD);
    return YIELDS_FD;
  }

  /**
   * Registers descriptors: `register.updateFiles()` as a request. Completes with the number of them.
   * Linux 5.6; `FILE_INDEX_ALLOC` wants 6.0.
   *
   * @param slot - The first slot, or `FILE_INDEX_ALLOC`: the chosen slots then replace the
   *   descriptors in memory.
   * @param memory - The descriptors, 4 bytes each in the machine's order; -1 empties a slot.
   */
  filesUpdate(token: number, slot: number, memory: Memory): number {
    this.checkToken(token);
    checkSlot(slot);
    const region = requireRegion('memory', memory);
    const count = memory.byteLength >>> 2;
    if (count === 0 || memory.byteLength % 4 !== 0) {
      throw outOfRange('memory.byteLength', 'a multiple of 4, not 0', memory.byteLength);
    }
    const address = region.address + startOf(memory);
    this.pinning(OP.FILES_UPDATE, -1, slot, address, count, 0, token, region);
    if (slot !== FILE_INDEX_ALLOC) {
      for (let index = slot; index < slot + count; index++) this.files.replace(index);
    }
    return region.slot;
  }

  /**
   * `pipe2(2)` with `O_CLOEXEC`; completes with 0. When its completion is reaped, both descriptors
   * are in memory, where `decodePipe()` reads them. A ring that is closed before closes them.
   * Linux 6.16.
   *
   * @param memory - At least 8 bytes of a Region.
   * @param flags - `O_NONBLOCK`, `O_DIRECT`.
   */
  pipe(token: number, memory: Memory, flags: number = 0): number {
    this.requireOpcode(OP.PIPE);
    this.checkToken(token);
    const region = requirePipeMemory(memory);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    this.requireSpace();
    const { pipes } = this.holds;
    const hold = pipes.take(this.control, region, startOf(memory));
    this.put(OP.PIPE, 0, 0, pipes.addressOf(hold), 0, flags | O_CLOEXEC, token, hold);
    return hold;
  }

  /**
   * `pipe()` into two slots, the reading end first; their numbers are written to memory.
   * Linux 6.16.
   *
   * @param slot - The first of two adjacent empty slots, or `FILE_INDEX_ALLOC`.
   */
  pipeDirect(token: number, slot: number, memory: Memory, flags: number = 0): number {
    this.requireOpcode(OP.PIPE);
    this.checkToken(token);
    const region = requirePipeMemory(memory);
    checkSlot(slot);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    const address = region.address + startOf(memory);
    this.setSlot(this.pinning(OP.PIPE, 0, 0, address, 0, flags, token, region), slot);
    if (slot !== FILE_INDEX_ALLOC) this.files.replace(slot + 1);
    return region.slot;
  }

  /**
   * `splice(2)`: moves bytes between a pipe and another descriptor; completes with their number.
   * Linux 5.7.
   *
   * @param fromPosition - Byte position in `from`; -1 is its current one, and must be for a pipe.
   * @param toPosition - The same for `to`.
   * @param length - Bytes, below 2^32.
   * @param flags - `SPLICE` bits; `FD_IN_FIXED` is set where `from` is a registered file.
   */
  splice(
    token: number,
    from: Fd,
    fromPosition: number,
    to: Fd,
    toPosition: number,
    length: number,
    flags: number = 0,
  ): number {
    checkInteger('fromPosition', fromPosition, -1, Number.MAX_SAFE_INTEGER);
    checkInteger('toPosition', toPosition, -1, Number.MAX_SAFE_INTEGER);
    const at = this.putSplice(OP.SPLICE, token, from, to, toPosition, length, flags);
    this.setWord(at, W.ADDR_LOW, fromPosition | 0);
    this.setWord(at, W.ADDR_HIGH, fromPosition < 0 ? -1 : (fromPosition / TWO_32) | 0);
    return 0;
  }

  /**
   * `tee(2)`: copies bytes from one pipe to another and leaves them in the first; completes with
   * their number. Linux 5.8.
   */
  tee(token: number, from: Fd, to: Fd, length: number, flags: number = 0): number {
    this.requireOpcode(OP.TEE);
    this.putSplice(OP.TEE, token, from, to, 0, length, flags);
    return 0;
  }

  /** @internal Has a request's result put into a slot; earlier handles of it are out of date. */
  protected setSlot(at: number, slot: number): void {
    // Slots count from 1 here. The number that means "any" is itself.
    this.setRare(at, W.FILE_INDEX, slot === FILE_INDEX_ALLOC ? -1 : slot + 1);
    if (slot !== FILE_INDEX_ALLOC) this.files.replace(slot);
  }

  private putSplice(
    op: number,
    token: number,
    from: Fd,
    to: Fd,
    position: number,
    length: number,
    flags: number,
  ): number {
    this.requireOpcode(op);
    this.checkToken(token);
    checkInteger('length', length, 0, TWO_32 - 1);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    const source = this.descriptor(from);
    const target = this.descriptor(to);
    const bits = typeof from === 'number' ? flags : flags | SPLICE.FD_IN_FIXED;
    const at = this.put(this.headFor(op, to), target, position, 0, length, bits, token, 0);
    this.setRare(at, W.FILE_INDEX, source);
    return at;
  }
}

/** @internal Checks the number of a slot, or that it stands for any. */
export function checkSlot(slot: number): void {
  if (slot !== FILE_INDEX_ALLOC) checkInteger('slot', slot, 0, MAX_SLOT);
}

function requirePipeMemory(memory: Memory): ReturnType<typeof requireRegion> {
  const region = requireRegion('memory', memory);
  if (memory.byteLength < PIPE_BYTES) {
    throw outOfRange('memory.byteLength', `>= ${PIPE_BYTES}`, memory.byteLength);
  }
  return region;
}
