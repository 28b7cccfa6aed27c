/**
 * The completion queue: reaping completions in place.
 */
import { CONTROL, DOOMED } from '../sys/native.ts';
import { CQE, SETUP, SQ } from '../sys/abi.ts';
import { pins } from '../memory/pins.ts';
import { SKIPPED } from './holds.ts';
import type { Holds } from './holds.ts';
import { NOTICE } from './notices.ts';
import type { RingMemory } from './setup.ts';

/** Gets one completion: the request's token, its result (or -errno), and `CQE` flags. */
export type CompletionCallback = (token: number, result: number, flags: number) => void;

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const ENDED: number = CONTROL.ENDED;
const F_MORE: number = CQE.F_MORE;
const NOTHING: number = SKIPPED;
const UNSURE: number = NOTICE;
const F_SKIP: number = CQE.F_SKIP;
const F_32: number = CQE.F_32;
const LAST_USE: number = DOOMED;
/** Below this a hold is a region slot without any mark: holds.ts. */
const LOWEST_MARK = 1 << 26;

/** Where the flags of a completion are, and the further words of a wide one. */
const FLAGS = 3;
const EXTRA = 4;

const NO_WORDS = new Int32Array(0);

/** Reaps completions and ends their requests' holds. */
export class CompletionQueue {
  /** Completions reaped so far. */
  completed = 0;
  /** Requests whose terminal completion is reaped, counted on from the first tail; modulo 2^32. */
  ended: number;
  /** Whether nobody hears of completions that end no request of the ring: see tags.ts. */
  deaf = false;
  private readonly control: Int32Array;
  private readonly holds: Holds;
  private readonly pinWords: Int32Array;
  private words!: Int32Array;
  private mask!: number;
  private shift!: number;
  /** `CQE` flags after which more than one entry is passed over; none where all have one size. */
  private special!: number;
  /** The head behind the last wide completion among narrow ones, and its further words. */
  private wideEnd = -1;
  private readonly extra: Int32Array = new Int32Array(4);
  private entriesAt!: number;
  private headIndex!: number;
  private tailIndex!: number;
  private flagsIndex!: number;
  private overflowIndex!: number;
  private head: number;

  constructor(memory: RingMemory, words: Int32Array, control: Int32Array, holds: Holds) {
    this.control = control;
    this.holds = holds;
    this.pinWords = pins();
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
    this.special = (memory.flags & SETUP.CQE_MIXED) === 0 ? 0 : F_SKIP | F_32;
    this.entriesAt = offsets.cqes >> 2;
    this.headIndex = offsets.cqHead >> 2;
    this.tailIndex = offsets.cqTail >> 2;
    this.flagsIndex = offsets.sqFlags >> 2;
    this.overflowIndex = offsets.cqOverflow >> 2;
    if (this.special !== 0) this.skipAll();
  }

  /** Makes every entry that holds no completion one to be skipped. */
  private skipAll(): void {
    const ready = (Atomics.load(this.words, this.tailIndex) - this.words[this.headIndex]!) | 0;
    const first = this.words[this.headIndex]! + ready;
    for (let i = ready; i <= this.mask; i++) {
      const at = this.entriesAt + (((first + i - ready) & this.mask) << this.shift);
      this.words[at + FLAGS] = F_SKIP;
    }
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
    const { words, holds, pinWords } = this;
    // As integers, which V8 then keeps in registers.
    const entriesAt = this.entriesAt | 0;
    const mask = this.mask | 0;
    const shift = this.shift | 0;
    const special = this.special | 0;
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
        if (special !== 0 && this.passOver(at, flags)) {
          head = this.head;
          continue;
        }
        reaped = (reaped + 1) | 0;
        if (hold < 0) {
          holds.tags.release(hold); // of a registration or another ring: it ends no request
          if (this.deaf) {
            head = this.head;
            continue;
          }
        } else if ((flags & F_MORE) === 0) {
          if (hold === 0) {
            this.ended = (this.ended + 1) | 0;
          } else if (hold < LOWEST_MARK) {
            this.ended = (this.ended + 1) | 0;
            // What `release()` would do for a plain region, which nearly every hold is.
            const left = (pinWords[hold]! - 1) | 0;
            if (left === LAST_USE) holds.release(hold);
            else pinWords[hold] = left;
          } else if ((hold & UNSURE) !== 0) {
            if (this.endUnsure(hold, flags)) {
              reaped = (reaped - 1) | 0;
              head = this.head;
              continue;
            }
          } else if (hold !== NOTHING) {
            this.ended = (this.ended + 1) | 0;
            holds.release(hold);
          }
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

  /**
   * Where narrow and wide completions are mixed: a wide one takes two entries, and the kernel fills
   * the last entry of the queue with one to be skipped where a wide one would not fit.
   *
   * Every entry becomes one to be skipped once it is read: if such a filling leaves no room for the
   * wide one, Linux 6.18 counts an entry that it does not write, and what was there is read again.
   *
   * @returns Whether the entry is no completion.
   */
  private passOver(at: number, flags: number): boolean {
    const words = this.words;
    words[at + FLAGS] = F_SKIP;
    if ((flags & F_SKIP) !== 0) return true;
    if ((flags & F_32) === 0) return false;
    this.head = (this.head + 1) | 0;
    this.wideEnd = this.head;
    for (let i = 0; i < 4; i++) this.extra[i] = words[at + EXTRA + i]!;
    words[at + EXTRA + FLAGS] = F_SKIP;
    return false;
  }

  /**
   * Ends a request that may complete once more than it says: notices.ts.
   *
   * @returns Whether it had ended before, so that nobody is to hear of this completion.
   */
  private endUnsure(hold: number, flags: number): boolean {
    const { notices } = this.holds;
    const notified = (flags & CQE.F_NOTIF) !== 0;
    if (notified && notices.isLate(hold, this.control)) return true;
    this.ended = (this.ended + 1) | 0;
    this.holds.release(notified ? hold : notices.end(hold, this.control));
    return false;
  }

  /** A further word of the completion called back for last, 0 if it is not a wide one. */
  extraWord(index: number): number {
    if (this.special !== 0) {
      return this.wideEnd === this.head ? this.extra[index]! >>> 0 : 0;
    }
    if (this.shift === 2) return 0;
    const at = this.entriesAt + (((this.head - 1) & this.mask) << this.shift);
    return this.words[at + EXTRA + index]! >>> 0;
  }

  /** One request more, or less, that ends without a completion. */
  countSkipped(count: 1 | -1): void {
    this.ended = (this.ended + count) | 0;
    // By itself: inside a callback of `drain()` the count is published later.
    this.control[ENDED] = (this.control[ENDED]! + count) | 0;
  }

  /** Reaps what is ready for nobody: descriptors that arrived are closed. */
  discard(): void {
    const ready = Math.min(this.ready, this.mask + 1);
    for (let i = 0; i < ready; i++) {
      const at = this.entriesAt + (((this.head + i) & this.mask) << this.shift);
      const hold = this.words[at + 1]!;
      const result = this.words[at + 2]!;
      const flags = this.words[at + 3]! & this.special;
      if ((flags & F_32) !== 0) i++;
      if ((flags & F_SKIP) === 0) this.holds.discard(hold, result);
    }
    this.drain(() => {});
  }
}
