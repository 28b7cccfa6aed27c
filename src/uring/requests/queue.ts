/**
 * The submission queue: claiming entries and filling the words every request has.
 *
 * Entries are filled with plain stores and become visible to the kernel when the tail is published,
 * once a batch. Everything that can throw happens before an entry is claimed.
 */
import { CONTROL } from '../../sys/native.ts';
import { FEATURE, SETUP, SQE, SQE_WORD as W } from '../../sys/abi.ts';
import { AnnulusError, checkInteger } from '../../sys/errors.ts';
import { invalidState, outOfRange } from '../../sys/errors.ts';
import { pins } from '../../memory/pins.ts';
import { regionOf, Region, requireRegion } from '../../memory/region.ts';
import type { Fd, FixedBuffer, Memory, MemoryRange } from '../descriptors.ts';
import { FileTable } from '../file-table.ts';
import { Holds, SKIPPED } from '../holds.ts';
import { OPCODES } from '../opcodes.ts';
import type { Cell } from '../holds.ts';
import type { RingMemory } from '../setup.ts';
import { supportedOpcodes, unsupported } from '../supported.ts';

/** A multiplication: exact for a power of two, and several times faster than a division. */
const PER_TWO_32 = 2 ** -32;

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const PREPARED: number = CONTROL.PREPARED;
const FIXED_FILE: number = SQE.FIXED_FILE << 8;
const LINKED: number = (SQE.IO_LINK | SQE.IO_HARDLINK) << 8;
const FD: number = W.FD;
const OFF_LOW: number = W.OFF_LOW;
const OFF_HIGH: number = W.OFF_HIGH;
const ADDR_LOW: number = W.ADDR_LOW;
const ADDR_HIGH: number = W.ADDR_HIGH;
const LEN: number = W.LEN;
const OP_FLAGS: number = W.OP_FLAGS;
const USER_DATA_LOW: number = W.USER_DATA_LOW;
const USER_DATA_HIGH: number = W.USER_DATA_HIGH;
const BUF_INDEX: number = W.BUF_INDEX;

const { isSafeInteger } = Number;

/** Largest `token`: stays a small integer in V8, so passing it around allocates nothing. */
export const MAX_TOKEN: number = 2 ** 31 - 1;

/** What options that are not given are taken from: an object made at every call would be garbage. */
export const NOTHING: { readonly [name: string]: undefined } = {};

const MAX_PERSONALITY = 65535;
const MAX_SQE_FLAGS = 0x7f;

/** Prepares entries; the request families add the methods. */
export abstract class RequestQueue {
  /** @internal */
  protected memory: RingMemory;
  /** @internal */
  protected readonly holds: Holds = new Holds();
  /** @internal Tells current handles of registered files from outdated ones. */
  protected readonly files: FileTable = new FileTable();
  /** @internal The ring mapping as words. */
  protected ringWords!: Int32Array;
  /** @internal The control block shared with the shim. */
  protected readonly control: Int32Array;
  /** @internal Tail up to which entries are filled; modulo 2^32. */
  protected tail: number;
  /** Tail at which the queue is full, as far as the kernel's head was last seen; modulo 2^32. */
  private limit!: number;
  /** Where the tail is stored: the control block, or words the pump does not look at. */
  private tailWords: Int32Array;
  private readonly supported: Uint8Array;
  private words!: Int32Array;
  private readonly pinWords: Int32Array;
  private stride!: number;
  /** Words of an entry, as a power of two. */
  private shift!: number;
  private capacity!: number;
  private mask!: number;
  private headIndex!: number;
  private tailIndex!: number;
  /** The word up to which entries are the kernel's. */
  private takenIndex!: number;
  private dirty!: Uint8Array;
  private dirtyCount = 0;
  /** @internal Whether the memory of the queues is gone. */
  protected retired = false;
  /** @internal Hold bit of requests that complete more than once; 0 where nobody needs to know. */
  protected manyBit = 0;

  /** @internal */
  protected constructor(memory: RingMemory) {
    this.memory = memory;
    this.control = new Int32Array(memory.control.buffer);
    this.tailWords = this.control;
    this.pinWords = pins();
    this.supported = supportedOpcodes(memory.name);
    this.mapQueue(memory);
    this.tail = Atomics.load(this.ringWords, memory.offsets.sqTail >> 2);
    this.headSeen = this.tail;
    this.control[CONTROL.PREPARED] = this.tail;
    this.control[CONTROL.ENDED] = this.tail;
  }

  /** @internal Goes on in queues of another size, with the requests prepared but not submitted. */
  protected moveQueue(memory: RingMemory): void {
    const { words: from, mask, stride } = this;
    const head = Atomics.load(this.ringWords, this.headIndex);
    this.memory = memory;
    this.mapQueue(memory);
    for (let i = head; i !== this.tail; i = (i + 1) | 0) {
      const at = (i & mask) * stride;
      this.words.set(from.subarray(at, at + stride), (i & this.mask) * stride);
      this.dirty[i & this.mask] = 1;
      this.dirtyCount++;
    }
    this.headSeen = head;
  }

  private mapQueue(memory: RingMemory): void {
    this.ringWords = new Int32Array(memory.rings.buffer, 0, memory.rings.byteLength >> 2);
    this.stride = (memory.flags & SETUP.SQE128) === 0 ? 16 : 32;
    const count = memory.sqEntries * this.stride;
    this.words = new Int32Array(memory.sqes.buffer, memory.sqesAt, count);
    this.shift = this.stride === 16 ? 4 : 5;
    this.capacity = memory.sqEntries;
    this.mask = memory.sqEntries - 1;
    this.headIndex = memory.offsets.sqHead >> 2;
    this.tailIndex = memory.offsets.sqTail >> 2;
    // A poller takes what it is shown whenever it likes, and moves the head when it has run a batch.
    this.takenIndex = (memory.flags & SETUP.SQPOLL) === 0 ? this.headIndex : this.tailIndex;
    this.dirty = new Uint8Array(memory.sqEntries);
    this.dirtyCount = 0;
    if ((memory.flags & SETUP.NO_SQARRAY) === 0) this.fillIndexArray();
  }

  /** @internal The kernel's head as last seen. */
  protected get headSeen(): number {
    return (this.limit - this.capacity) | 0;
  }

  /** @internal */
  protected set headSeen(head: number) {
    this.limit = (head + this.capacity) | 0;
  }

  /** @internal First word of the entry claimed last. */
  protected get lastEntry(): number {
    return ((this.tail - 1) & this.mask) << this.shift;
  }

  /** Entries that can be prepared before the next `submit()`. */
  get space(): number {
    if (this.retired) return 0;
    this.headSeen = Atomics.load(this.ringWords, this.headIndex);
    return this.memory.sqEntries - ((this.tail - this.headSeen) | 0);
  }

  /** Prepared requests the kernel has not consumed yet. */
  get unsubmitted(): number {
    return this.retired ? 0 : this.memory.sqEntries - this.space;
  }

  /**
   * Adds `SQE` flags (link, drain, async, ...) to the request prepared last, before `submit()`.
   *
   * `BUFFER_SELECT` is refused: requests that select a buffer set it themselves. `CQE_SKIP_SUCCESS`
   * (5.17), with which a request completes only if it fails, is for requests that hold no memory and
   * yield no descriptor, because nothing would tell when they end; and for the last of a chain,
   * because the kernel cancels without a completion what follows such a failure. The request does
   * not count as in flight.
   *
   * @returns The request's key, which `CQE_SKIP_SUCCESS` has changed.
   */
  flagLast(flags: number): number {
    checkInteger('flags', flags, 0, MAX_SQE_FLAGS);
    if ((flags & SQE.BUFFER_SELECT) !== 0) {
      throw outOfRange('flags', 'without BUFFER_SELECT', flags);
    }
    const at = this.lastPrepared();
    const all = flags | ((this.words[at]! >> 8) & MAX_SQE_FLAGS);
    const key = this.words[at + W.USER_DATA_HIGH]!;
    if ((all & SQE.CQE_SKIP_SUCCESS) !== 0) {
      this.checkSkip(all, key);
      if (key === 0) this.skip(at);
    }
    this.words[at] = this.words[at]! | (flags << 8);
    return this.words[at + W.USER_DATA_HIGH]!;
  }

  private checkSkip(flags: number, key: number): void {
    if ((this.memory.features & FEATURE.CQE_SKIP) === 0) {
      throw unsupported('IOSQE_CQE_SKIP_SUCCESS', '5.17');
    }
    if (key !== 0 && key !== SKIPPED) {
      const expected = 'without CQE_SKIP_SUCCESS on a request that holds memory or a descriptor';
      throw outOfRange('flags', expected, flags);
    }
    if ((flags & (SQE.IO_LINK | SQE.IO_HARDLINK)) !== 0) {
      throw outOfRange('flags', 'without CQE_SKIP_SUCCESS before the last of a chain', flags);
    }
  }

  /** Counts a request as ended, and tells the shim how many such the kernel may not have seen. */
  private skip(at: number): void {
    this.words[at + W.USER_DATA_HIGH] = SKIPPED;
    this.countSkipped(1);
    const count = this.control[CONTROL.SKIPPED]! + 1;
    this.control[CONTROL.SKIPPED] = Math.min(count, this.unsubmitted);
    this.control[CONTROL.SKIPPED_END] = this.tail;
  }

  /** @internal One request more, or less, that ends without a completion. */
  protected abstract countSkipped(count: 1 | -1): void;

  /** First word of the request prepared last, which the kernel must not have seen yet. */
  private lastPrepared(): number {
    if (((this.tail - this.ringWords[this.tailIndex]!) | 0) > 0) return this.lastEntry;
    if (this.retired) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
    throw invalidState('No request was prepared since the last submit().');
  }

  /**
   * Runs the request prepared last with the credentials that `ring.register.personality()` has
   * remembered. Linux 5.6.
   */
  personalityLast(personality: number): void {
    checkInteger('personality', personality, 1, MAX_PERSONALITY);
    const at = this.lastPrepared() + W.BUF_INDEX;
    this.words[at] = (this.words[at]! & 0xffff) | (personality << 16);
  }

  /** @internal Fills one entry; returns the index of its first word. */
  protected put(
    head: number,
    fd: number,
    position: number,
    address: number,
    length: number,
    opFlags: number,
    token: number,
    hold: number,
  ): number {
    const at = this.claim();
    const words = this.words;
    words[at] = head;
    words[at | FD] = fd;
    words[at | OFF_LOW] = position | 0;
    words[at | OFF_HIGH] = position < 0 ? -1 : (position * PER_TWO_32) | 0;
    words[at | ADDR_LOW] = address | 0;
    words[at | ADDR_HIGH] = (address * PER_TWO_32) | 0;
    words[at | LEN] = length | 0;
    words[at | OP_FLAGS] = opFlags;
    words[at | USER_DATA_LOW] = token;
    words[at | USER_DATA_HIGH] = hold;
    words[at | BUF_INDEX] = 0;
    return at;
  }

  /** @internal The words a NOP needs, and no more. */
  protected putNop(token: number): void {
    this.checkToken(token);
    const at = this.claim();
    const words = this.words;
    words[at] = 0;
    words[at | OP_FLAGS] = 0;
    words[at | USER_DATA_LOW] = token;
    words[at | USER_DATA_HIGH] = 0;
    words[at | BUF_INDEX] = 0;
  }

  /**
   * @internal A request that moves bytes between a descriptor and a Region.
   *
   * @param noPosition - The offset field when no position is given: -1 on files, 0 on sockets.
   */
  protected transfer(
    op: number,
    token: number,
    fd: Fd,
    memory: Memory,
    range: MemoryRange | undefined,
    opFlags: number,
    noPosition: number,
  ): number {
    this.checkToken(token);
    let region: Region;
    let start = 0;
    let length: number;
    if (memory instanceof Region) {
      region = memory;
      length = memory.bytes.length;
    } else {
      region = regionOf(memory) ?? requireRegion('memory', memory);
      start = memory.byteOffset;
      length = memory.length;
    }
    // Its view is empty, and so the result would be 0, as at the end of a file.
    if (length === 0) refuseClosed(region);
    let position = noPosition;
    if (range !== undefined) {
      const offset = range.offset ?? 0;
      const wanted = range.length ?? length - offset;
      position = range.position ?? noPosition;
      checkRange(offset, wanted, length, position);
      start += offset;
      length = wanted;
    }
    return this.putTransfer(op, fd, position, region, start, length, opFlags, token, 0);
  }

  /** @internal A request on registered memory. */
  protected transferFixed(
    op: number,
    token: number,
    fd: Fd,
    buffer: FixedBuffer,
    range: MemoryRange | undefined,
    opFlags: number,
  ): number {
    this.checkToken(token);
    let start = buffer.byteOffset;
    let length = buffer.byteLength;
    let position = -1;
    if (range !== undefined) {
      const offset = range.offset ?? 0;
      const wanted = range.length ?? length - offset;
      position = range.position ?? -1;
      checkRange(offset, wanted, length, position);
      start += offset;
      length = wanted;
    }
    const { region, index } = buffer;
    return this.putTransfer(op, fd, position, region, start, length, opFlags, token, index);
  }

  /** Fills one entry that moves `length` bytes of a region, from `start` on, and pins the region. */
  private putTransfer(
    op: number,
    fd: Fd,
    position: number,
    region: Region,
    start: number,
    length: number,
    opFlags: number,
    token: number,
    bufferIndex: number,
  ): number {
    const head = typeof fd === 'number' ? op : op | FIXED_FILE;
    const descriptor = this.descriptor(fd);
    const slot = region.slot;
    const at = this.claim();
    const words = this.words;
    // Computed here: where V8 does not inline a function, an address for an argument costs 16 bytes of heap.
    const address = region.address + start;
    // `| 0` of what is an integer already tells V8 so: it would take it for a double, and convert it.
    const low = position | 0;
    words[at] = head | 0;
    words[at | FD] = descriptor;
    words[at | OFF_LOW] = low;
    words[at | OFF_HIGH] = low === position ? low >> 31 : (position * PER_TWO_32) | 0;
    words[at | ADDR_LOW] = address | 0;
    words[at | ADDR_HIGH] = (address * PER_TWO_32) | 0;
    words[at | LEN] = length | 0;
    words[at | OP_FLAGS] = opFlags | 0;
    words[at | USER_DATA_LOW] = token | 0;
    words[at | USER_DATA_HIGH] = slot;
    words[at | BUF_INDEX] = bufferIndex;
    const { pinWords } = this;
    pinWords[slot] = pinWords[slot]! + 1;
    return slot;
  }

  /**
   * @internal Sets a word that most requests leave zero. The entry is wiped before its next use.
   */
  protected setRare(at: number, word: number, value: number): void {
    this.words[at + word] = value;
    const index = (at / this.stride) | 0;
    if (this.dirty[index] === 0) {
      this.dirty[index] = 1;
      this.dirtyCount++;
    }
  }

  /**
   * @internal Gives a zero-copy send just prepared another hold if it follows a link: notices.ts.
   * Returns its key.
   */
  protected countOnce(): number {
    const at = (this.lastEntry + USER_DATA_HIGH) | 0;
    const hold = this.words[at]!;
    if (!this.followsLink()) return hold;
    const notice = this.holds.notices.take(hold);
    this.words[at] = notice;
    return notice;
  }

  /** Whether the request prepared last may be in a chain, and not its first. */
  private followsLink(): boolean {
    if (this.unsubmitted < 2) return false;
    const before = ((this.tail - 2) & this.mask) * this.stride;
    return (this.words[before]! & LINKED) !== 0;
  }

  /** @internal The request prepared last may complete more than once; returns its key. */
  protected markMany(hold: number): number {
    if (this.manyBit === 0) return hold;
    const key = hold | this.manyBit;
    this.words[this.lastEntry + W.USER_DATA_HIGH] = key;
    return key;
  }

  /** @internal A key as the kernel has it, in the high word of the request's user_data. */
  protected keyInKernel(key: number): number {
    return key;
  }

  /** @internal One more use of a region by a request whose hold is its slot. */
  protected pinSlot(slot: number): void {
    this.pinWords[slot] = this.pinWords[slot]! + 1;
  }

  /** @internal Overwrites one of the words `put()` has filled. */
  protected setWord(at: number, word: number, value: number): void {
    this.words[at + word] = value;
  }

  /** @internal Has a request point to a cell; a number for an argument could cost heap. */
  protected pointTo(at: number, cell: Cell): void {
    const { address } = cell;
    this.words[at | ADDR_LOW] = address | 0;
    this.words[at | ADDR_HIGH] = (address * PER_TWO_32) | 0;
  }

  /** @internal ORs the I/O priority half-word, which some requests use for flags. */
  protected setIoprio(at: number, value: number): void {
    this.words[at] = this.words[at]! | (value << 16);
  }

  /** @internal */
  protected checkToken(token: number): void {
    // A BigInt has no bits in common with numbers: it must not meet `|`.
    if (typeof token !== 'number' || (token | 0) !== token || token < 0) refuseToken(token);
  }

  /**
   * @internal Refuses a request that the running kernel lacks. Reads, writes and others as old as
   * Linux 5.6 do not ask: without them there is no ring.
   */
  protected requireOpcode(op: number): void {
    if (this.supported[op] === 1) return;
    const { name, since } = OPCODES[op]!;
    throw unsupported(`IORING_OP_${name}`, since);
  }

  /** @internal The number of a descriptor for the entry's fd word. */
  protected descriptor(fd: Fd): number {
    if (typeof fd === 'number') {
      if ((fd | 0) !== fd || fd < 0) refuseFd(fd);
      return fd;
    }
    return this.files.slotOf(fd);
  }

  /** @internal Opcode word for a descriptor of either kind. */
  protected headFor(op: number, fd: Fd): number {
    return typeof fd === 'number' ? op : op | (SQE.FIXED_FILE << 8);
  }

  /** @internal From now on the pump submits prepared entries only when `publish()` says so. */
  holdBack(): void {
    this.tailWords = new Int32Array(PREPARED + 1);
  }

  /** @internal Has the pump submit, when it runs next, all that is prepared. */
  publish(): void {
    this.control[PREPARED] = this.tail;
  }

  /** @internal Makes every further request find a full queue, and so the error that names the close. */
  protected retire(): void {
    this.headSeen = (this.tail - this.memory.sqEntries) | 0;
    this.retired = true;
  }

  /**
   * @internal Forgets the prepared entries that are not the kernel's yet; returns their tokens.
   *
   * @param head - The first that can be taken back.
   */
  protected forgetUnsubmitted(
    head: number = Atomics.load(this.ringWords, this.takenIndex),
  ): number[] {
    const tokens: number[] = [];
    for (let i = head; i !== this.tail; i = (i + 1) | 0) {
      const at = (i & this.mask) * this.stride;
      const hold = this.words[at + W.USER_DATA_HIGH]!;
      if (hold === SKIPPED) this.countSkipped(-1);
      else this.holds.release(hold);
      tokens.push(this.words[at + W.USER_DATA_LOW]!);
    }
    this.tail = head;
    this.control[PREPARED] = head;
    // A failed enter had published them: what is prepared next must lie behind the tail again.
    Atomics.store(this.ringWords, this.tailIndex, head);
    this.control[CONTROL.SKIPPED] = 0;
    return tokens;
  }

  /** Whether `count` more requests can be prepared before the next `submit()`. */
  hasSpace(count: number): boolean {
    return (
      ((this.tail - this.headSeen) | 0) + count <= this.memory.sqEntries || count <= this.space
    );
  }

  /**
   * Checks that `count` more requests fit before a batch is prepared, so that a chain of linked
   * requests is never split by a full queue.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_SQ_FULL`.
   */
  requireSpace(count: number = 1): void {
    if (this.hasSpace(count)) return;
    if (this.retired) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
    throw new AnnulusError(
      'ERR_ANNULUS_SQ_FULL',
      `${this.unsubmitted} of ${this.memory.sqEntries} submission queue entries are prepared and ` +
        `${count} more are needed; call submit() first, or make the ring with more entries.`,
    );
  }

  private claim(): number {
    const tail = this.tail;
    if (tail === this.limit) this.requireSpace();
    const index = tail & this.mask;
    const at = index << this.shift;
    const next = (tail + 1) | 0;
    this.tail = next;
    this.tailWords[PREPARED] = next;
    if (this.dirtyCount !== 0) this.wipe(index);
    return at;
  }

  private wipe(index: number): void {
    if (this.dirty[index] === 0) return;
    this.dirty[index] = 0;
    this.dirtyCount--;
    const at = index * this.stride;
    this.words.fill(0, at, at + this.stride);
  }

  /** Entry i is always submitted through index i, so the array is written once. */
  private fillIndexArray(): void {
    const at = this.memory.offsets.sqArray >> 2;
    for (let i = 0; i < this.memory.sqEntries; i++) this.ringWords[at + i] = i;
  }
}

// V8 inlines small functions only, and counts the text: so what is rare is a function of its own.

function checkRange(offset: number, length: number, available: number, position: number): void {
  const right = offset >= 0 && length >= 0 && offset + length <= available && position >= -1;
  if (!right || !isSafeInteger(offset) || !isSafeInteger(length) || !isSafeInteger(position)) {
    throw badRange(offset, length, available, position);
  }
}

function badRange(offset: number, length: number, available: number, position: number): Error {
  if (isSafeInteger(offset) && isSafeInteger(length) && offset >= 0 && length >= 0) {
    if (offset + length <= available) return outOfRange('position', 'an integer >= -1', position);
  }
  return outOfRange(
    'range',
    `inside the ${available} bytes of the memory`,
    `offset ${offset}, length ${length}`,
  );
}

function refuseClosed(region: Region): void {
  if (region.closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The memory is closed.');
}

function refuseToken(token: number): void {
  checkInteger('token', token, 0, MAX_TOKEN);
}

function refuseFd(fd: number): void {
  checkInteger('fd', fd, 0, MAX_TOKEN);
}
