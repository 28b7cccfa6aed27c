/**
 * Provided buffers: memory the kernel picks from when data arrives, not when a request is prepared.
 *
 * A group is `count` buffers of one `size`, in one Region. It stays pinned as long as the kernel has
 * the group, and a request that selects from it pins it once more until its last completion.
 */
import { BUF, CQE, OFF, PBUF } from '../sys/abi.ts';
import { AnnulusError, checkInteger, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { pin, unpin } from '../memory/pins.ts';
import { Region, requireRegion } from '../memory/region.ts';
import type { Memory } from './descriptors.ts';

const MAX_GROUP = 65535;
const MAX_RING = 32768;
const MAX_LEGACY = 65536;
const MAX_SIZE = 2 ** 31 - 1;
const TWO_32 = 2 ** 32;
const CQE_BUFFER_SHIFT = 16;

/** The buffer a completion names in its flags; -1 if it names none. */
export function bufferIdOf(flags: number): number {
  return (flags & CQE.F_BUFFER) === 0 ? -1 : flags >>> CQE_BUFFER_SHIFT;
}

/** What a group of buffers is made of. */
export interface BufferOptions {
  /** Number of buffers. A power of two to 32768 in a {@link BufferRing}. */
  readonly count: number;
  /** Bytes of each. */
  readonly size: number;
  /** The group's number, 0 to 65535. Default: a free one. */
  readonly group?: number;
  /** Where the buffers lie, at least `count * size` bytes of a Region. Default: new memory. */
  readonly memory?: Memory;
}

/** What a {@link BufferRing} is made of. */
export interface BufferRingOptions extends BufferOptions {
  /**
   * The kernel uses up a buffer piece by piece, several completions a buffer: `CQE.F_BUF_MORE` says
   * that there is something left. For experts: the kernels that have it (6.12 on) still differ in
   * where a buffer ends, so test what you rely on.
   */
  readonly incremental?: boolean;
  /** With `incremental`: the kernel is done with a buffer that has fewer bytes left. After Linux 6.18. */
  readonly minLeft?: number;
  /** The kernel allocates the ring's own memory (not that of the buffers). Linux 6.4. */
  readonly kernelMemory?: boolean;
  /** Whether the kernel gets all buffers at once. Default true. */
  readonly filled?: boolean;
}

/** What the kernel says of a buffer ring. */
export interface BufferRingStatus {
  /** The position the kernel takes the next buffer from, modulo 2^16. */
  readonly head: number;
  /** Buffers the kernel has. */
  readonly available: number;
}

/** What a group needs to know of its ring. */
export interface GroupOwner {
  /** Descriptor of the ring. */
  readonly fd: number;
  registerRing(address: number, entries: number, group: number, flags: number, left: number): void;
  unregisterRing(group: number): void;
  headOf(group: number): number;
}

/** A group of buffers of one size. */
export abstract class ProvidedBuffers {
  readonly group: number;
  readonly count: number;
  /** Bytes of each buffer. */
  readonly size: number;
  /** The memory of the buffers. */
  readonly region: Region;
  /** @internal */
  readonly owner: GroupOwner;
  /** @internal Byte position of the first buffer. */
  protected readonly start: number;
  readonly #views: (Uint8Array | undefined)[] = [];
  #pinned = false;
  #closed = false;

  /** @internal */
  protected constructor(owner: GroupOwner, group: number, options: BufferOptions) {
    const { count, size, memory } = options;
    checkInteger('options.size', size, 1, MAX_SIZE);
    const bytes = count * size;
    if (memory !== undefined && memory.byteLength < bytes) {
      throw outOfRange('options.memory.byteLength', `>= ${bytes}`, memory.byteLength);
    }
    this.owner = owner;
    this.group = group;
    this.count = count;
    this.size = size;
    this.region =
      memory === undefined ? Region.allocate(bytes) : requireRegion('options.memory', memory);
    this.start = memory instanceof Uint8Array ? memory.byteOffset : 0;
  }

  /** Whether the kernel does not have the group any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Byte position of a buffer inside `region.bytes`. */
  offsetOf(id: number): number {
    this.checkId(id);
    return this.start + id * this.size;
  }

  /**
   * The first `length` bytes of a buffer. The view of a whole buffer is made once and kept; a
   * shorter one is a new object each time, which `offsetOf()` spares.
   */
  view(id: number, length: number = this.size): Uint8Array {
    const start = this.offsetOf(id);
    if (length !== this.size) return this.part(start, length);
    return (this.#views[id] ??= this.part(start, length));
  }

  /** @internal Refuses use after the end, and on another ring than the group's own. */
  checkUsable(owner: GroupOwner): void {
    if (this.#closed) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', `Buffer group ${this.group} is closed.`);
    }
    if (this.owner !== owner) {
      throw invalidArgValue('buffers', 'must belong to the same ring', `group ${this.group}`);
    }
  }

  /** @internal Keeps the memory as long as the kernel has addresses in it. */
  acquire(): void {
    if (this.#pinned) return;
    this.#pinned = true;
    pin(this.region.slot);
  }

  /** @internal The kernel selects from this group no more. */
  retire(): void {
    this.#closed = true;
    if (!this.#pinned) return;
    this.#pinned = false;
    unpin(this.region.slot);
  }

  /** @internal */
  protected checkId(id: number): void {
    if (id >>> 0 !== id || id >= this.count) checkInteger('id', id, 0, this.count - 1);
  }

  /** @internal */
  protected part(start: number, length: number): Uint8Array {
    if (length >>> 0 !== length || length > this.size) {
      checkInteger('length', length, 0, this.size);
    }
    return this.region.bytes.subarray(start, start + length);
  }
}

/**
 * Buffers in a ring that program and kernel share: giving one back is a store to memory, no request.
 * Made by `ring.register.bufferRing()`.
 *
 * A buffer is the kernel's until a completion brings it, and the program's from {@link
 * BufferRing.take} (or `received()`, `bundle()`) until {@link BufferRing.recycle}.
 */
export class BufferRing extends ProvidedBuffers {
  readonly incremental: boolean;
  readonly #entries: Region;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #mask: number;
  /** 1 for each buffer the program has. */
  readonly #taken: Uint8Array;
  /** Where in the ring each buffer was given last; modulo 2^16. */
  readonly #positions: Uint16Array;
  /** Bytes used up of each buffer of an incremental ring. */
  readonly #used: Uint32Array;
  #tail = 0;

  /** @internal Made by the registrar. */
  constructor(owner: GroupOwner, group: number, options: BufferRingOptions) {
    const { count, minLeft = 0 } = options;
    checkInteger('options.count', count, 1, MAX_RING);
    if ((count & (count - 1)) !== 0) throw outOfRange('options.count', 'a power of two', count);
    checkInteger('options.minLeft', minLeft, 0, MAX_SIZE);
    super(owner, group, options);
    this.incremental = options.incremental === true;
    this.#entries = register(this, options, minLeft);
    this.#words = new Int32Array(this.#entries.buffer);
    this.#halves = new Uint16Array(this.#entries.buffer);
    this.#mask = count - 1;
    this.#taken = new Uint8Array(count).fill(1);
    this.#positions = new Uint16Array(count);
    this.#used = new Uint32Array(this.incremental ? count : 0);
    this.acquire();
    if (options.filled === false) return;
    for (let id = 0; id < count; id++) this.#give(id, this.size);
    this.#publish();
  }

  /**
   * The buffer a completion brings, the program's from now on; with `CQE.F_BUF_MORE` the kernel
   * keeps it, too.
   *
   * @param flags - The completion's flags, with `CQE.F_BUFFER`.
   */
  take(flags: number): number {
    const id = bufferIdOf(flags);
    if (id < 0) throw invalidArgValue('flags', 'must have CQE.F_BUFFER', flags);
    this.checkId(id);
    if ((flags & CQE.F_BUF_MORE) === 0) this.#taken[id] = 1;
    return id;
  }

  /**
   * Takes the buffer of a completion; what arrived in it. Of an incremental ring that is what this
   * completion added.
   *
   * @param length - The completion's result.
   */
  received(flags: number, length: number): Uint8Array {
    const id = this.take(flags);
    if (!this.incremental) return this.view(id, length);
    const used = this.#used[id]!;
    checkInteger('length', length, 0, this.size - used);
    this.#used[id] = (flags & CQE.F_BUF_MORE) === 0 ? 0 : used + length;
    return this.part(this.offsetOf(id) + used, length);
  }

  /**
   * Takes every buffer of a completion that filled several (`bundle`), in the order of their bytes.
   *
   * @param length - The completion's result: bytes in all buffers together.
   * @param visit - Gets what lies in each buffer, and its id.
   */
  bundle(flags: number, length: number, visit: (bytes: Uint8Array, id: number) => void): void {
    checkInteger('length', length, 0, this.size * this.count);
    const first = this.take(flags);
    let position = this.#positions[first]!;
    let left = length;
    do {
      // Nothing is put over the entries of a bundle before its buffers are recycled.
      const at = position & this.#mask;
      const id = this.#halves[(at * BUF.BYTES + BUF.BID) >> 1]!;
      const here = Math.min(left, this.#words[(at * BUF.BYTES + BUF.LEN) >> 2]!, this.size);
      this.#taken[id] = 1;
      visit(this.view(id, here), id);
      left -= here;
      position = (position + 1) & 0xffff;
    } while (left > 0 && ((position - this.#tail) & 0xffff) !== 0);
  }

  /**
   * Gives a buffer back to the kernel.
   *
   * @param length - How much of it the kernel may use; to send from it, how much there is in it.
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a buffer the kernel has already.
   */
  recycle(id: number, length: number = this.size): void {
    this.#checkTaken(id);
    if (length !== this.size) checkInteger('length', length, 1, this.size);
    this.#give(id, length);
    this.#publish();
  }

  /** Gives several buffers back at once. An id that is refused leaves all where they were. */
  recycleMany(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) this.#checkTaken(ids[i]!);
    for (let i = 0; i < ids.length; i++) {
      // Twice the same: the second is left out.
      if (this.#taken[ids[i]!] === 1) this.#give(ids[i]!, this.size);
    }
    this.#publish();
  }

  /** Asks the kernel where it is. Linux 6.8. */
  status(): BufferRingStatus {
    this.checkUsable(this.owner);
    const head = this.owner.headOf(this.group);
    return { head, available: (this.#tail - head) & 0xffff };
  }

  /**
   * Takes the group back from the kernel. Requests in flight that would select from it complete
   * with -`ENOBUFS`; those that have selected keep the memory until they complete.
   */
  close(): void {
    if (this.closed) return;
    this.owner.unregisterRing(this.group);
    this.retire();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  override retire(): void {
    super.retire();
    // The kernel has its own reference to these pages.
    this.#entries.close();
  }

  #checkTaken(id: number): void {
    if (this.closed) this.checkUsable(this.owner);
    this.checkId(id);
    if (this.#taken[id] !== 1) {
      throw invalidArgValue('id', 'must be of a buffer the program has taken', id);
    }
  }

  /** Fills the next entry with plain stores; the kernel looks only at entries below the tail. */
  #give(id: number, length: number): void {
    const position = this.#tail;
    const at = (position & this.#mask) * BUF.BYTES;
    const address = this.region.address + this.start + id * this.size;
    this.#words[(at + BUF.ADDR) >> 2] = address | 0;
    this.#words[(at + BUF.ADDR + 4) >> 2] = (address / TWO_32) | 0;
    this.#words[(at + BUF.LEN) >> 2] = length;
    // A half-word: the other half is the ring's tail in the first entry.
    this.#halves[(at + BUF.BID) >> 1] = id;
    this.#positions[id] = position;
    this.#taken[id] = 0;
    if (this.incremental) this.#used[id] = 0;
    this.#tail = (position + 1) & 0xffff;
  }

  /**
   * SYNC POINT: release. The entries were filled with plain stores, and the kernel, which loads the
   * tail with acquire, must see them once it sees the tail. Nothing flows back through this memory:
   * that an entry is free again follows from a completion, which was acquired with the CQ tail.
   */
  #publish(): void {
    Atomics.store(this.#halves, BUF.TAIL >> 1, this.#tail);
  }
}

/** Registers the ring; the memory of its entries. */
function register(ring: BufferRing, options: BufferRingOptions, minLeft: number): Region {
  const { owner, group, count } = ring;
  const bytes = count * BUF.BYTES;
  const flags = ring.incremental ? PBUF.INC : 0;
  if (options.kernelMemory !== true) {
    const entries = Region.allocate(bytes);
    owner.registerRing(entries.address, count, group, flags, minLeft);
    return entries;
  }
  owner.registerRing(0, count, group, flags | PBUF.MMAP, minLeft);
  const offset = OFF.PBUF_RING + group * 2 ** OFF.PBUF_SHIFT;
  try {
    return Region.map(bytes, [{ at: 0, length: bytes, fd: owner.fd, offset }]);
  } catch (error) {
    owner.unregisterRing(group);
    throw error;
  }
}

/**
 * Buffers of the older kind, given to the kernel by requests: `ring.provideBuffers()`. Made by
 * `ring.bufferGroup()`. Use a {@link BufferRing} where there is one.
 */
export class BufferGroup extends ProvidedBuffers {
  /** @internal Made by the ring. */
  constructor(owner: GroupOwner, group: number, options: BufferOptions) {
    checkInteger('options.count', options.count, 1, MAX_LEGACY);
    super(owner, group, options);
  }

  /** @internal The kernel's address of a buffer. */
  addressOf(id: number): number {
    if (this.region.byteLength === 0) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', `The memory of group ${this.group} is closed.`);
    }
    return this.region.address + this.offsetOf(id);
  }
}

/** The groups of one ring, by their numbers. */
export class BufferGroups {
  readonly #owner: GroupOwner;
  readonly #groups = new Map<number, ProvidedBuffers>();
  #first = 0;
  #last = MAX_GROUP;

  constructor(owner: GroupOwner) {
    this.#owner = owner;
  }

  /** Leaves other numbers to the other threads of a shared ring. */
  limit(first: number, last: number): void {
    this.#first = first;
    this.#last = last;
  }

  /** Registers a ring of buffers. */
  ring(options: BufferRingOptions): BufferRing {
    const ring = new BufferRing(this.#owner, this.#numberFor(options.group), options);
    this.#groups.set(ring.group, ring);
    return ring;
  }

  /** Takes every ring of buffers back from the kernel, which goes on without this thread. */
  withdraw(): void {
    for (const buffers of this.#groups.values()) {
      if (buffers instanceof BufferRing) buffers.close();
    }
  }

  /** Reserves a number for buffers that requests will provide. */
  group(options: BufferOptions): BufferGroup {
    const group = new BufferGroup(this.#owner, this.#numberFor(options.group), options);
    this.#groups.set(group.group, group);
    return group;
  }

  /** The ring has ended, and with it every group. */
  retire(): void {
    for (const buffers of this.#groups.values()) {
      if (!buffers.closed) buffers.retire();
    }
    this.#groups.clear();
  }

  #numberFor(wanted: number | undefined): number {
    if (wanted !== undefined) {
      checkInteger('options.group', wanted, this.#first, this.#last);
      if (this.#isFree(wanted)) return wanted;
      throw invalidArgValue('options.group', 'must not be in use', wanted);
    }
    for (let group = this.#first; group <= this.#last; group++) {
      if (this.#isFree(group)) return group;
    }
    const count = this.#last - this.#first + 1;
    throw invalidArgValue('options.group', 'must be free', `none of ${count} is`);
  }

  /**
   * A request names its group by number alone. While one is in flight that pins the memory of an
   * earlier group, a new group must not have that number: it would not pin the new one's.
   */
  #isFree(group: number): boolean {
    const before = this.#groups.get(group);
    return before === undefined || (before.closed && !before.region.busy);
  }
}
