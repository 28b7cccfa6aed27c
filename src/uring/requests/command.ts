/**
 * Requests that concern rings themselves: messages to another ring, commands a file's driver defines,
 * and trial requests that do nothing in particular.
 */
import { CQE, FILE_INDEX, MSG, MSG_RING, NOP, SETUP, SQE_WORD as W } from '../../sys/abi.ts';
import { URING_CMD } from '../../sys/abi.ts';
import {
  AnnulusError,
  checkInteger,
  invalidArgType,
  invalidArgValue,
  outOfRange,
} from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import { FixedBuffer } from '../descriptors.ts';
import type { Fd, FixedFile, Memory } from '../descriptors.ts';
import type { FileTable } from '../file-table.ts';
import { OP } from '../opcodes.ts';
import { FOREIGN } from '../tags.ts';
import { MAX_TOKEN } from './queue.ts';
import { ProcessRequests } from './process.ts';

const MAX_U32 = 2 ** 32 - 1;

/** Bytes of a command's own data in an entry of 64 bytes, and in one of 128. */
const [COMMAND_BYTES, WIDE_COMMAND_BYTES] = [16, 80];

/** First word of those bytes. */
const COMMAND_WORD = W.ADDR3_LOW;

/** A ring to send to: one of this thread, or the descriptor of any. */
export type RingTarget = number | { readonly fd: number; readonly closed: boolean };

/** How a message arrives. */
export interface MessageOptions {
  /** `CQE` flags of the completion there. Default 0. Linux 6.3. */
  readonly flags?: number;
}

/** How a registered file arrives at another ring. */
export interface FileMessageOptions {
  /** Token of the completion there. Default 0. */
  readonly targetToken?: number;
  /** Slot to put it into. Default: one the kernel chooses, the result on both sides. */
  readonly slot?: number;
  /** Whether the other ring gets no completion. Default false. */
  readonly silent?: boolean;
}

/** What a trial request does besides completing. */
export interface NopOptions {
  /** What it completes with. Default 0. Linux 6.10. */
  readonly result?: number;
  /** Looks a descriptor up, `EBADF` if there is none. Linux 6.13. */
  readonly file?: Fd;
  /** Looks registered memory up, `EFAULT` if there is none. Linux 6.13. */
  readonly buffer?: FixedBuffer;
  /** Completes from the task's work list instead of at once. Linux 6.14. */
  readonly taskWork?: boolean;
  /** Completes with an entry of 32 bytes, and these two numbers in it. Linux 6.18. */
  readonly extra?: readonly [number, number];
}

/** What a command carries. */
export interface CommandOptions {
  /** Data in the entry itself: to 16 bytes, or 80 in a ring with `SETUP.SQE128`. */
  readonly payload?: Uint8Array;
  /**
   * Must be true with a payload. Drivers take some of it for addresses, which nobody checks: a wrong
   * one has the kernel read or write memory that is not the request's. Nothing else in Annulus can.
   */
  readonly trustPayload?: boolean;
  /** Memory whose address and length the command gets; pinned until it completes. */
  readonly memory?: Memory | FixedBuffer;
}

/** Requests that concern rings themselves. */
export abstract class CommandRequests extends ProcessRequests {
  /**
   * Posts a completion to another ring: there, `targetToken` completes with `result`. Here it
   * completes with 0, or `-EBADFD` if the target is no ring or is disabled. Linux 5.18.
   *
   * @param target - Another ring, of any thread or process that has its descriptor.
   * @param result - A 32-bit integer.
   */
  messageRing(
    token: number,
    target: RingTarget,
    targetToken: number,
    result: number,
    options?: MessageOptions,
  ): number {
    this.requireOpcode(OP.MSG_RING);
    this.checkToken(token);
    checkMessage(targetToken, result);
    const flags = options?.flags;
    if (flags !== undefined) checkMessageFlags(flags);
    const fd = ringOf(target);
    const passes = flags === undefined ? 0 : MSG_RING.FLAGS_PASS;
    const at = this.put(OP.MSG_RING, fd, 0, MSG.DATA, result, passes, token, 0);
    this.setWord(at, W.OFF_LOW, targetToken);
    this.setWord(at, W.OFF_HIGH, FOREIGN);
    if (flags !== undefined) this.setRare(at, W.FILE_INDEX, flags);
    return 0;
  }

  /**
   * Puts a registered file of this ring into a slot of another ring, where `targetToken` completes
   * with 0 or with the slot the kernel chose; so does this request. The receiver gets its handle by
   * `ring.register.arrivedFile(slot)`. Linux 6.0.
   */
  messageFile(
    token: number,
    target: RingTarget,
    file: FixedFile,
    options: FileMessageOptions = {},
  ): number {
    this.requireOpcode(OP.MSG_RING);
    this.checkToken(token);
    const { targetToken = 0, slot, silent = false } = options;
    this.checkToken(targetToken);
    if (slot !== undefined) checkInteger('slot', slot, 0, MAX_TOKEN);
    const source = this.files.slotOf(file);
    const flags = silent ? MSG_RING.CQE_SKIP : 0;
    const at = this.put(OP.MSG_RING, ringOf(target), 0, MSG.SEND_FD, 0, flags, token, 0);
    this.setWord(at, W.OFF_LOW, targetToken);
    this.setWord(at, W.OFF_HIGH, FOREIGN);
    this.setRare(at, W.ADDR3_LOW, source);
    this.setRare(at, W.FILE_INDEX, slot === undefined ? FILE_INDEX.ALLOC | 0 : slot + 1);
    // A handle of the slot's earlier file must not reach the new one.
    if (slot !== undefined && target instanceof CommandRequests) target.fileTable.replace(slot);
    return 0;
  }

  /**
   * A request that does nothing but what the options say, to try out a ring or a program. A kernel
   * that lacks an option completes it with `-EINVAL`.
   */
  nopWith(token: number, options: NopOptions): number {
    this.checkToken(token);
    const { result, file, buffer, taskWork = false, extra } = options;
    if (result !== undefined) checkResult(result);
    let flags = (result === undefined ? 0 : NOP.INJECT_RESULT) | (taskWork ? NOP.TW : 0);
    if (extra !== undefined) {
      for (const number of extra) checkInteger('extra', number, 0, Number.MAX_SAFE_INTEGER);
      this.requireWideCompletions();
      flags |= NOP.CQE32;
    }
    let fd = 0;
    if (file !== undefined) {
      fd = this.descriptor(file);
      flags |= NOP.FILE | (typeof file === 'number' ? 0 : NOP.FIXED_FILE);
    }
    if (buffer !== undefined) flags |= NOP.FIXED_BUFFER;
    const [position, address] = extra ?? [0, 0];
    const at = this.put(OP.NOP, fd, position, address, result ?? 0, flags, token, 0);
    if (buffer !== undefined) this.setWord(at, W.BUF_INDEX, buffer.index);
    return 0;
  }

  /**
   * A command that the driver of a file defines, such as a socket's or a block device's. What it
   * means and completes with is the driver's. Linux 5.19.
   */
  uringCommand(token: number, fd: Fd, command: number, options: CommandOptions = {}): number {
    return this.putDriverCommand(OP.URING_CMD, token, fd, command, options);
  }

  /** `nop()` in an entry of 128 bytes. Linux 6.19. */
  nop128(token: number): number {
    this.requireOpcode(OP.NOP128);
    this.checkToken(token);
    this.requireWideEntries();
    this.put(OP.NOP128, 0, 0, 0, 0, 0, token, 0);
    return 0;
  }

  /** `uringCommand()` in an entry of 128 bytes, with up to 80 bytes of data in it. Linux 6.19. */
  uringCommand128(token: number, fd: Fd, command: number, options: CommandOptions = {}): number {
    this.requireOpcode(OP.URING_CMD128);
    this.requireWideEntries();
    return this.putDriverCommand(OP.URING_CMD128, token, fd, command, options);
  }

  /** @internal For messages of files from rings of the same thread. */
  get fileTable(): FileTable {
    return this.files;
  }

  private putDriverCommand(
    op: number,
    token: number,
    fd: Fd,
    command: number,
    { payload, trustPayload, memory }: CommandOptions,
  ): number {
    this.requireOpcode(op);
    this.checkToken(token);
    checkInteger('command', command, 0, MAX_U32);
    const wide = (this.memory.flags & SETUP.SQE128) !== 0;
    const room = wide ? WIDE_COMMAND_BYTES : COMMAND_BYTES;
    if (payload !== undefined) checkPayload(payload, room, trustPayload);
    const fixed = memory instanceof FixedBuffer;
    const region = memory === undefined ? undefined : fixed ? memory.region : toRegion(memory);
    const start =
      memory instanceof FixedBuffer || memory instanceof Uint8Array ? memory.byteOffset : 0;
    const address = region === undefined ? 0 : region.address + start;
    const length = memory?.byteLength ?? 0;
    const number = this.descriptor(fd);
    const hold = region?.slot ?? 0;
    const flags = fixed ? URING_CMD.FIXED : 0;
    const at = this.put(this.headFor(op, fd), number, 0, address, length, flags, token, hold);
    this.pinSlot(hold);
    this.setWord(at, W.OFF_LOW, command | 0);
    if (fixed) this.setWord(at, W.BUF_INDEX, memory.index);
    if (payload === undefined) return hold;
    const words = new Int32Array(Math.ceil(payload.length / 4));
    new Uint8Array(words.buffer).set(payload);
    words.forEach((word, index) => this.setRare(at, COMMAND_WORD + index, word));
    return hold;
  }

  private requireWideCompletions(): void {
    const { flags } = this.memory;
    if ((flags & (SETUP.CQE32 | SETUP.CQE_MIXED)) !== 0) return;
    throw invalidArgValue('extra', 'needs a ring with SETUP.CQE32 or SETUP.CQE_MIXED', flags);
  }

  private requireWideEntries(): void {
    if ((this.memory.flags & SETUP.SQE128) !== 0) return;
    throw outOfRange('flags', 'with SETUP.SQE128 for a request of 128 bytes', this.memory.flags);
  }
}

function checkPayload(payload: Uint8Array, room: number, trusted: boolean | undefined): void {
  if (trusted !== true) {
    throw invalidArgValue(
      'options.trustPayload',
      'must be true with a payload, in which drivers see addresses that nobody checks',
      trusted,
    );
  }
  if (payload.length > room) {
    throw invalidArgValue('payload', `must have at most ${room} bytes`, payload.length);
  }
}

function toRegion(memory: Memory): ReturnType<typeof requireRegion> {
  return requireRegion('memory', memory);
}

/** @internal */
export function checkMessage(targetToken: number, result: number): void {
  checkInteger('targetToken', targetToken, 0, MAX_TOKEN);
  checkResult(result);
}

/** @internal Flags a message can pass on: not those that change how completions are counted. */
export function checkMessageFlags(flags: number): void {
  checkInteger('flags', flags, 0, MAX_U32);
  if ((flags & (CQE.F_SKIP | CQE.F_32)) !== 0) {
    throw outOfRange('flags', 'without F_SKIP and F_32', flags);
  }
}

/** @internal The descriptor of the ring a message goes to. */
export function ringOf(target: RingTarget): number {
  if (typeof target === 'number') {
    checkInteger('target', target, 0, MAX_TOKEN);
    return target;
  }
  if (typeof target !== 'object' || target === null) {
    throw invalidArgType('target', 'a ring or a descriptor', target);
  }
  if (target.closed) {
    throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring the message is for is closed.');
  }
  checkInteger('target.fd', target.fd, 0, MAX_TOKEN);
  return target.fd;
}

function checkResult(result: number): void {
  checkInteger('result', result, -(2 ** 31), 2 ** 31 - 1);
}
