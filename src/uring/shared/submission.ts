/**
 * Submission: how the entries of many threads come into the one queue of the kernel.
 *
 * Each thread fills entries of a range of its own. The kernel reads them through its index array,
 * whose positions go round; a run is what a thread hands over at a time. To hand a run over, a thread
 *
 * 1. fills its entries and reserves as many positions: `Atomics.add(RESERVED, n)`;
 * 2. writes the indices of its entries into those positions of the index array;
 * 3. marks the run: `marks[first] = end`;
 * 4. moves the kernel's tail on as long as a marked run begins there, by compare-and-exchange:
 *    its own run, those before that are ready, and those behind that waited for it;
 * 5. enters the kernel, for all there is.
 *
 * **Nothing is overwritten.** Positions are reserved for entries that are free, and an entry is free
 * once the kernel's head is behind its position. So there are never more positions between the head
 * and `RESERVED` than entries, which are as many as the array has slots: no thread needs to look for
 * room in the array.
 *
 * **The kernel sees no slot before it is written.** Its tail passes a run only after somebody has
 * loaded the run's mark, which was stored after the slots and entries; both are sequentially
 * consistent, and the kernel loads the tail with acquire.
 *
 * **No run is forgotten.** A thread stores its mark, then looks at the tail. If the tail has not come to
 * its run, some run before it is not marked yet, or whoever marked that is still at step 4 and has not
 * looked at the mark of this one: it stores its own mark before it loads ours, as we do, so at least
 * one of the two sees the other's, and goes on over both. It then enters the kernel for both, even if
 * its own run was consumed meanwhile.
 *
 * **A mark is never mistaken.** It is valid where `0 < mark - tail <= size`. Every slot of a run gets a
 * mark, the inner ones `first`, which is valid nowhere in this lap or the next; so every slot was
 * written in the last lap, and what it had then is not above the tail. Comparisons are modulo
 * 2^32: a thread would have to be stopped for as many requests between two instructions of step 4.
 *
 * **Chains stay whole.** The tail moves by whole runs and each enter takes all up to the tail, so no
 * enter ends within a run; and the last entry of a run is never linked to what follows, which may be
 * another thread's.
 *
 * **A thread that is terminated leaves no gap.** With the reservation it notes the run in its own words
 * (layout.ts). If it does not come to mark it, whoever recovers it does steps 2 to 4.
 */
import { CONTROL } from '../../sys/native.ts';
import { SQE, SQE_WORD } from '../../sys/abi.ts';
import { HEAD, MEMBER } from './layout.ts';
import type { Layout } from './layout.ts';
import type { SharedMemory } from './memory.ts';

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const RESERVED: number = HEAD.RESERVED;
const USER_DATA_HIGH: number = SQE_WORD.USER_DATA_HIGH;
const LINKS: number = (SQE.IO_LINK | SQE.IO_HARDLINK) << 8;
const PREPARED: number = CONTROL.PREPARED;
const SQ_HEAD: number = MEMBER.SQ_HEAD;
const SQ_TAIL: number = MEMBER.SQ_TAIL;
const RUN_FIRST: number = MEMBER.RUN_FIRST;
const RUN_COUNT: number = MEMBER.RUN_COUNT;

/** One thread's side of the submission queue. */
export class Submission {
  /** Entries handed over; modulo 2^32. */
  handed = 0;
  private readonly tables: Int32Array;
  private readonly control: Int32Array;
  private readonly words: Int32Array;
  private readonly ring: Int32Array;
  private readonly array: Int32Array;
  private readonly marks: Int32Array;
  private readonly arrayMask: number;
  private readonly mask: number;
  /** First of the entries of this thread, among all. */
  private readonly first: number;
  private readonly ownerBits: number;
  private readonly headIndex: number;
  private readonly tailIndex: number;
  /** First of the words of this thread. */
  private readonly at: number;
  private readonly layout: Layout;
  /** The indices of a run, and views of the first so many of them. */
  private readonly indices: Int32Array;
  private readonly views: (Int32Array | undefined)[] = [];
  /** Runs the kernel has not consumed: the end of each, in positions and in own entries. */
  private readonly runs: Int32Array;
  private runHead = 0;
  private runTail = 0;
  /** How far this thread has moved the kernel's tail: it enters for that, whoever's runs it has. */
  private movedTo = 0;

  constructor(memory: SharedMemory, layout: Layout, member: number, ownerBits: number) {
    const { offsets, rings, sqes, tables, control } = memory;
    const at = layout.memberAt(member);
    const { entries, sqEntries, submitMarksAt } = layout;
    this.tables = new Int32Array(tables.buffer, 0, layout.words);
    this.control = new Int32Array(control.buffer);
    this.words = new Int32Array(sqes.buffer, layout.sqesAt(member), entries * 16);
    this.ring = new Int32Array(rings.buffer, 0, rings.byteLength >> 2);
    this.array = new Int32Array(rings.buffer, offsets.sqArray, sqEntries);
    this.marks = this.tables.subarray(submitMarksAt, submitMarksAt + sqEntries);
    this.arrayMask = sqEntries - 1;
    this.mask = entries - 1;
    this.first = member * entries;
    this.ownerBits = ownerBits;
    this.headIndex = offsets.sqHead >> 2;
    this.tailIndex = offsets.sqTail >> 2;
    this.at = at;
    this.layout = layout;
    this.indices = new Int32Array(entries);
    this.runs = new Int32Array(entries * 2);
  }

  /**
   * Hands over the entries below `tail`; the kernel is not entered.
   *
   * @returns How many.
   */
  handOver(tail: number): number {
    const count = (tail - this.handed) | 0;
    if (count === 0) return 0;
    this.fill(count, tail);
    const { tables, array, marks, indices, views, at } = this;
    const size = array.length | 0;
    // SYNC POINT: of all threads each gets positions of its own. The plain stores go with it.
    const first = Atomics.add(tables, RESERVED, count) | 0;
    tables[at + SQ_TAIL] = tail;
    tables[at + RUN_FIRST] = first;
    tables[at + RUN_COUNT] = count;
    const slot = first & this.arrayMask;
    const view = count === 1 ? indices : (views[count] ??= indices.subarray(0, count));
    const room = size - slot;
    if (count === 1) {
      array[slot] = indices[0]!;
    } else if (count <= room) {
      array.set(view, slot);
      marks.fill(first, slot + 1, slot + count);
    } else {
      array.set((views[room] ??= indices.subarray(0, room)), slot);
      indices.copyWithin(0, room, count);
      array.set((views[count - room] ??= indices.subarray(0, count - room)), 0);
      marks.fill(first, slot + 1, size);
      marks.fill(first, 0, count - room);
    }
    const end = (first + count) | 0;
    // SYNC POINT: release, everything above is seen by whoever loads the mark.
    Atomics.store(marks, slot, end);
    tables[at + RUN_COUNT] = 0;
    this.handed = tail;
    this.remember(end, tail);
    this.moveTail();
    return count;
  }

  /** Whether all that was handed over is consumed. Gives the entries back. */
  reclaim(): boolean {
    const { runs, mask } = this;
    // SYNC POINT: acquire, pairs with the kernel's release: it has read the entries before its head.
    const head = Atomics.load(this.ring, this.headIndex);
    while (this.runHead !== this.runTail) {
      const at = (this.runHead & mask) * 2;
      if (((head - runs[at]!) | 0) < 0) return false;
      this.tables[this.at + SQ_HEAD] = runs[at + 1]!;
      this.runHead = (this.runHead + 1) | 0;
    }
    return true;
  }

  /** Whether this thread is to enter the kernel: for own runs, or others it moved the tail over. */
  get isDue(): boolean {
    if (this.pending <= 0) return false;
    if (!this.reclaim()) return true;
    return ((Atomics.load(this.ring, this.headIndex) - this.movedTo) | 0) < 0;
  }

  /** Positions the kernel may consume now and has not. */
  get pending(): number {
    return (Atomics.load(this.ring, this.tailIndex) - Atomics.load(this.ring, this.headIndex)) | 0;
  }

  /** What an enter has to be told so that it takes everything. */
  get everything(): number {
    return this.arrayMask + 1;
  }

  /** Moves the kernel's tail on over all runs that are marked. */
  moveTail(): void {
    const { ring, marks, arrayMask, tailIndex } = this;
    let tail = Atomics.load(ring, tailIndex);
    for (;;) {
      const end = Atomics.load(marks, tail & arrayMask);
      const ahead = (end - tail) | 0;
      if (ahead <= 0 || ahead > arrayMask + 1) return;
      // SYNC POINT: release. Fails if another thread has moved it, which then looks further itself.
      const seen = Atomics.compareExchange(ring, tailIndex, tail, end);
      if (seen === tail) this.movedTo = end;
      tail = seen === tail ? end : seen;
    }
  }

  /** Marks the run that a terminated member has reserved and not marked; the kernel is not entered. */
  finish(member: number): void {
    const { tables, array, marks, arrayMask, mask } = this;
    const at = this.layout.memberAt(member);
    const count = tables[at + RUN_COUNT]!;
    if (count === 0) return;
    const first = tables[at + RUN_FIRST]!;
    const from = (tables[at + SQ_TAIL]! - count) | 0;
    for (let i = 0; i < count; i++) {
      const slot = (first + i) & arrayMask;
      array[slot] = member * (mask + 1) + ((from + i) & mask);
      if (i > 0) marks[slot] = first;
    }
    // SYNC POINT: release, as in handOver().
    Atomics.store(marks, first & arrayMask, (first + count) | 0);
    tables[at + RUN_COUNT] = 0;
  }

  /** Says in the entries whose they are, and lists their indices. */
  private fill(count: number, tail: number): void {
    const { words, indices, mask, first, ownerBits, handed } = this;
    for (let i = 0; i < count; i++) {
      const index = (handed + i) & mask;
      const at = ((index << 4) + USER_DATA_HIGH) | 0;
      words[at] = words[at]! | ownerBits;
      indices[i] = first + index;
    }
    const last = ((tail - 1) & mask) << 4;
    if ((words[last]! & LINKS) !== 0) words[last] = words[last]! & ~LINKS;
  }

  private remember(end: number, tail: number): void {
    const at = (this.runTail & this.mask) * 2;
    this.runs[at] = end;
    this.runs[at + 1] = tail;
    this.runTail = (this.runTail + 1) | 0;
    this.control[PREPARED] = tail;
  }
}
