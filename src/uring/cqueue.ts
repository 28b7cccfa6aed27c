/**
 * The completion queue: reaping completions in place.
 */
import { CONTROL } from '../sys/native.ts';
import { CQE, SETUP, SQ } from '../sys/abi.ts';
import { syscall } from '../sys/linux.ts';
import { YIELDS_FD } from './holds.ts';
import type { Holds } from './holds.ts';
import { PIPE } from './pipes.ts';
import type { RingMemory } from './setup.ts';

/** Gets one completion: the request's token, its result (or -errno), and `CQE` flags. */
export type CompletionCallback = (token: number, result: number, flags: number) => void;

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const ENDED: number = CONTROL.ENDED;
const F_MORE: number = CQE.F_MORE;

const NO_WORDS = new Int32Array(0);

/** Reaps completions and ends their requests' holds. */
export class CompletionQueue {
  /** Completions reaped so far. */
  completed = 0;
  /** Requests whose terminal completion is reaped, counted on from the first tail; modulo 2^32. */
  ended: number;
  private readonly control: Int32Array;
  private readonly holds: Holds;
  private words!: Int32Array;
  private mask!: number;
  private shift!: number;
  private entriesAt!: number;
  private headIndex!: number;
  private tailIndex!: number;
  private flagsIndex!: number;
  private overflowIndex!: number;
  private head: number;

  constructor(memory: RingMemory, words: Int32Array, control: Int32Array, holds: Holds) {
    this.control = control;
    this.holds = holds;
    this.map(memory, words);
    this.head = Atomics.load(words, this.headIndex);
    this.ended = control[ENDED]!;
  }

  /**
   * Goes on in queues of another size, with the completions that are not reaped. The kernel has
   * moved those, too, but not wide ones.
   */
  move(memory: RingMemory, words: Int32Array): void {
    const { words: from, mask, entriesAt, head } = this;
    const tail = Atomics.load(from, this.tailIndex);
    this.map(memory, words);
    const count = 1 << this.shift;
    for (let i = head; i !== tail; i = (i + 1) | 0) {
      const at = entriesAt + ((i & mask) << this.shift);
      words.set(from.subarray(at, at + count), this.entriesAt + ((i & this.mask) << this.shift));
    }
    // Inside a callback of `drain()` the shim's count and the kernel's head are behind.
    this.control[ENDED] = this.ended;
    Atomics.store(words, this.headIndex, head);
  }

  private map(memory: RingMemory, words: Int32Array): void {
    const { offsets } = memory;
    this.words = words;
    this.mask = memory.cqEntries - 1;
    this.shift = (memory.flags & SETUP.CQE32) === 0 ? 2 : 3;
    this.entriesAt = offsets.cqes >> 2;
    this.headIndex = offsets.cqHead >> 2;
    this.tailIndex = offsets.cqTail >> 2;
    this.flagsIndex = offsets.sqFlags >> 2;
    this.overflowIndex = offsets.cqOverflow >> 2;
  }

  /** Lets go of memory that is about to be unmapped: a `drain()` under way ends. */
  retire(): void {
    this.control[ENDED] = this.ended;
    this.words = NO_WORDS;
  }

  /** Completions ready to be reaped. */
  get ready(): number {
    // SYNC POINT: pairs with the kernel's release store of the tail.
    return (Atomics.load(this.words, this.tailIndex) - this.head) | 0;
  }

  /** Whether the kernel holds completions back, or has work to finish on the next enter. */
  get needsEnter(): boolean {
    // A plain load: a stale value is seen by the next call, and nothing is lost meanwhile.
    return (this.words[this.flagsIndex]! & (SQ.CQ_OVERFLOW | SQ.TASKRUN)) !== 0;
  }

  /** Completions the kernel dropped for lack of memory; 0 in a healthy program. */
  get dropped(): number {
    return Atomics.load(this.words, this.overflowIndex);
  }

  /** Whether completions overflowed into the kernel's backlog. */
  get overflowing(): boolean {
    return (this.words[this.flagsIndex]! & SQ.CQ_OVERFLOW) !== 0;
  }

  /**
   * Calls back for every completion that is ready. A completion is gone once its callback is
   * entered: if that throws, the ones before it and itself are consumed, and the error passes on.
   */
  drain(callback: CompletionCallback): number {
    const { words, holds } = this;
    // As integers, which V8 then keeps in registers.
    const entriesAt = this.entriesAt | 0;
    const mask = this.mask | 0;
    const shift = this.shift | 0;
    // SYNC POINT: acquire, pairs with the kernel's release store of the tail; one a batch.
    const tail = Atomics.load(words, this.tailIndex) | 0;
    let head = this.head;
    if (tail === head) return 0;
    let reaped = 0;
    try {
      while (((tail - head) | 0) > 0) {
        const at = (entriesAt + ((head & mask) << shift)) | 0;
        const token = words[at]!;
        const hold = words[(at + 1) | 0]!;
        const result = words[(at + 2) | 0]!;
        const flags = words[(at + 3) | 0]!;
        this.head = (head + 1) | 0;
        reaped = (reaped + 1) | 0;
        if (hold < 0) {
          holds.tags.release(hold); // of a registration or another ring: it ends no request
        } else if ((flags & F_MORE) === 0) {
          this.ended = (this.ended + 1) | 0;
          if (hold !== 0) holds.release(hold);
        }
        callback(token, result, flags);
        head = this.head; // the callback may have drained, too
        if (this.words !== words) break; // or closed or resized the ring
      }
    } finally {
      this.completed += reaped;
      if (this.words === words) {
        this.control[ENDED] = this.ended;
        // SYNC POINT: release, the kernel may reuse the entries only now that they were read.
        Atomics.store(words, this.headIndex, this.head);
      }
    }
    return reaped;
  }

  /** Reaps what is ready for nobody: descriptors that arrived are closed. */
  discard(): void {
    for (let i = 0; i < this.ready; i++) {
      const at = this.entriesAt + (((this.head + i) & this.mask) << this.shift);
      const hold = this.words[at + 1]!;
      const result = this.words[at + 2]!;
      if (hold < 0 || result < 0) continue;
      if ((hold & YIELDS_FD) !== 0) syscall('close', result);
      if ((hold & PIPE) !== 0) this.holds.pipes.discard(hold);
    }
    this.drain(() => {});
  }
}
