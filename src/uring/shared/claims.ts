/**
 * Claims: how many threads reap the one completion queue of the kernel.
 *
 * A thread copies completions from the head on, and then moves the head over them by
 * compare-and-exchange. If that succeeds they are its claim; if not, another thread was faster, and
 * the copy is thrown away. It sends what other threads have asked for to their inboxes, and marks the
 * claim as delivered.
 *
 * **What was copied is what the kernel has told.** The kernel writes entries between the tail and the
 * head only. As long as the head stands it does not touch those that were copied, and the exchange
 * succeeds only if it still stood. (Modulo 2^32: the thread would have to be stopped for as many
 * completions between the copy and the exchange.)
 *
 * **Each completion is told once.** The head moves over each position by one exchange, of one thread.
 *
 * **Order.** Completions of one request can be claimed by different threads; a receive's would then
 * be out of order. So each claim that was delivered is marked, `marks[first] = end`, and whoever
 * has marked one moves `DELIVERED` on over all marked claims behind it, as submission.ts moves the
 * kernel's tail, by the same argument. What lies before `DELIVERED` is in the inboxes, or with the
 * thread that asked; completions of requests that have several are told only then, by position. A claim
 * is not begun more than one queue's length before `DELIVERED`, so that marks are never mistaken.
 *
 * **A thread that is terminated loses nothing.** Its claim is in the tables with what it has sent of it,
 * and members.ts has another thread send the rest. The count of the claim goes with the exchange
 * (layout.ts).
 */
import { CQE, SQ } from '../../sys/abi.ts';
import { NOTICE } from '../notices.ts';
import { Inboxes } from './inbox.ts';
import { CLAIM_MAX, CLAIM_WORDS, HEAD, MEMBER, OWNER_SHIFT, THREADS_MAX } from './layout.ts';
import type { Layout } from './layout.ts';
import type { SharedMemory } from './memory.ts';

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const F_MORE: number = CQE.F_MORE;
const F_NOTIF: number = CQE.F_NOTIF;
const UNSURE: number = NOTICE;
const DELIVERED: number = HEAD.DELIVERED;
const SHIFT: number = OWNER_SHIFT;
const OWNER_MASK: number = THREADS_MAX - 1;
const CLAIM_SHIFT: number = Math.log2(CLAIM_WORDS);
const MOST: number = CLAIM_MAX;
const COUNT: number = MEMBER.CLAIM_COUNT;
const FROM: number = MEMBER.CLAIM_FROM;
const SENT: number = MEMBER.CLAIM_SENT;
const KEPT: number = MEMBER.CLAIM_KEPT;
const RECEIVED: number = MEMBER.RECEIVED;
const MARKED: number = MEMBER.CLAIM_MARKED;

/** `claim()` could not claim anything, although there are completions. */
export const BLOCKED = -1;

/**
 * Whether a completion is the last of a request: 0 or 1. A request that may complete once more than it
 * says (notices.ts) ends with its notification: without one its member's index is rather never free.
 */
export function endsRequest(hold: number, flags: number): number {
  if (hold < 0 || (flags & F_MORE) !== 0) return 0;
  return (hold & UNSURE) === 0 || (flags & F_NOTIF) !== 0 ? 1 : 0;
}

/** One thread's way to the completions of all. */
export class Claims {
  readonly inboxes: Inboxes;
  private readonly member: number;
  private readonly threads: number;
  private readonly words: Int32Array;
  private readonly ring: Int32Array;
  private readonly marks: Int32Array;
  private readonly mask: number;
  private readonly entriesAt: number;
  private readonly headIndex: number;
  private readonly tailIndex: number;
  private readonly flagsIndex: number;
  private readonly at: number;
  private readonly claimAt: number;
  private readonly layout: Layout;
  /** Members whose inboxes had room when this claim looked. */
  private readonly checked: Uint8Array;
  /** Other threads with completions in this claim. */
  private foreign = 0;
  /** Completions of this thread in the claim, as it was made. */
  own = 0;
  /** The member whose full inbox stops claims. */
  private stopper = -1;

  constructor(memory: SharedMemory, layout: Layout, member: number) {
    const { offsets, rings, tables } = memory;
    this.member = member;
    this.threads = layout.threads;
    this.layout = layout;
    this.words = new Int32Array(tables.buffer, 0, layout.words);
    this.inboxes = new Inboxes(this.words, layout);
    this.ring = new Int32Array(rings.buffer, 0, rings.byteLength >> 2);
    const { deliverMarksAt, cqEntries } = layout;
    this.marks = this.words.subarray(deliverMarksAt, deliverMarksAt + cqEntries);
    this.mask = cqEntries - 1;
    this.entriesAt = offsets.cqes >> 2;
    this.headIndex = offsets.cqHead >> 2;
    this.tailIndex = offsets.cqTail >> 2;
    this.flagsIndex = offsets.sqFlags >> 2;
    this.at = layout.memberAt(member);
    this.claimAt = this.at + MEMBER.CLAIM;
    this.checked = new Uint8Array(THREADS_MAX);
  }

  /** Completions in the queue that nobody has claimed. */
  get unclaimed(): number {
    const tail = Atomics.load(this.ring, this.tailIndex);
    return (tail - Atomics.load(this.ring, this.headIndex)) | 0;
  }

  /** Whether the kernel holds completions back because the queue is full. */
  get overflowing(): boolean {
    return (Atomics.load(this.ring, this.flagsIndex) & SQ.CQ_OVERFLOW) !== 0;
  }

  /** The member whose full inbox keeps completions in the queue, or -1. */
  get blocker(): number {
    return this.stopper;
  }

  /** Position up to which every completion was delivered. */
  get delivered(): number {
    return Atomics.load(this.words, DELIVERED);
  }

  /** Position up to which every completion was claimed. */
  get claimed(): number {
    return Atomics.load(this.ring, this.headIndex);
  }

  /**
   * Claims completions. The last claim must have been sent, marked and kept.
   *
   * @returns How many; 0 if there are none, `BLOCKED` if an inbox is full or others are behind.
   */
  claim(): number {
    const { words, ring, mask, at } = this;
    // The last claim is over before its words are another's: whoever recovers this member, when it has
    // ended or left, takes what is copied for the kernel's until the exchange has succeeded.
    words[at + COUNT] = 0;
    for (;;) {
      this.stopper = -1;
      const head = Atomics.load(ring, this.headIndex);
      // SYNC POINT: acquire, pairs with the kernel's release store of the tail.
      const ready = (Atomics.load(ring, this.tailIndex) - head) | 0;
      if (ready <= 0) return 0;
      // A claim of another thread that is long under way: its mark must not be overwritten.
      const ahead = (head - Atomics.load(words, DELIVERED)) | 0;
      const count = this.copy(head, Math.min(ready, MOST, mask + 1 - ahead));
      if (count <= 0) {
        if (Atomics.load(ring, this.headIndex) !== head) continue;
        return BLOCKED;
      }
      words[at + FROM] = head;
      words[at + SENT] = 0;
      words[at + KEPT] = 0;
      words[at + MARKED] = 0;
      const next = (head + count) | 0;
      // SYNC POINT: release, the entries are read; and of all threads one takes them. The plain store
      // of the count goes with it.
      if (Atomics.compareExchange(ring, this.headIndex, head, next) === head) {
        words[at + COUNT] = count;
        return count;
      }
    }
  }

  /** Copies completions; how many there is room for where they belong. */
  private copy(head: number, most: number): number {
    const { words, ring, mask, entriesAt, claimAt, checked, member } = this;
    checked.fill(0, 0, this.threads);
    checked[member] = 1;
    this.foreign = 0;
    this.own = 0;
    for (let i = 0; i < most; i++) {
      const from = entriesAt + (((head + i) & mask) << CLAIM_SHIFT);
      const to = claimAt + (i << CLAIM_SHIFT);
      const hold = ring[(from + 1) | 0]!;
      words[to] = ring[from]!;
      words[(to + 1) | 0] = hold;
      words[(to + 2) | 0] = ring[(from + 2) | 0]!;
      words[(to + 3) | 0] = ring[(from + 3) | 0]!;
      const owner = this.ownerOf(hold);
      if (owner === member) this.own++;
      if (checked[owner] === 1) continue;
      if (!this.inboxes.hasRoom(owner)) {
        this.stopper = owner;
        return i;
      }
      checked[owner] = 1;
      this.foreign++;
    }
    return most;
  }

  /** Whose completion it is; one of nobody's is the reaper's. */
  ownerOf(hold: number): number {
    const owner = (hold >>> SHIFT) & OWNER_MASK;
    return owner < this.threads ? owner : this.member;
  }

  /** Whether a completion is a member's own. */
  isOf(member: number, hold: number): boolean {
    const owner = (hold >>> SHIFT) & OWNER_MASK;
    return owner === member || owner >= this.threads;
  }

  /** Whether the claim has completions of other threads. */
  get hasForeign(): boolean {
    return this.foreign > 0;
  }

  /**
   * Puts what is left of a member's claim to send into inboxes.
   *
   * @param told - Told whose inbox got something, once for each.
   */
  send(of: number, told: (member: number) => void): void {
    const { words } = this;
    const at = this.layout.memberAt(of);
    const claimAt = at + MEMBER.CLAIM;
    const count = words[at + COUNT]!;
    const from = words[at + FROM]!;
    // Members, a bit each. Not a field: whoever is told may recover a member, and send its claim.
    let [low, high] = [0, 0];
    this.inboxes.finishPut(at);
    for (let i = words[at + SENT]!; i < count; i++) {
      const entry = claimAt + (i << CLAIM_SHIFT);
      const owner = (words[entry + 1]! >>> SHIFT) & OWNER_MASK;
      if (owner === of || owner >= this.threads) continue;
      this.inboxes.put(owner, at, entry, (from + i) | 0, i + 1);
      if (owner < 32) low |= 1 << owner;
      else high |= 1 << owner;
    }
    for (let member = 0; member < this.threads; member++) {
      if ((((member < 32 ? low : high) >>> member) & 1) === 1) told(member);
    }
  }

  /**
   * The next completion of a member's claim is done with: another thread's, or copied.
   *
   * @param ended - How many requests of the member it ends, 0 or 1: counted as received in one with it.
   * @returns How many have been received by now; modulo 2^32.
   */
  pass(of: number, ended: number): number {
    const { words } = this;
    const at = this.layout.memberAt(of);
    const received = (words[at + RECEIVED]! + ended) | 0;
    // Plain stores that go together (layout.ts).
    words[at + KEPT] = words[at + KEPT]! + 1;
    words[at + RECEIVED] = received;
    return received;
  }

  /**
   * Marks a member's claim as delivered.
   *
   * @returns Whether `DELIVERED` has moved.
   */
  markDelivered(of: number): boolean {
    const { words, marks, mask } = this;
    const at = this.layout.memberAt(of);
    const count = words[at + COUNT]!;
    if (count === 0) return false;
    if (words[at + MARKED] !== 1) {
      const first = words[at + FROM]!;
      for (let i = 1; i < count; i++) marks[(first + i) & mask] = first;
      // SYNC POINT: release, what is sent is in the inboxes when the mark is seen.
      Atomics.store(marks, first & mask, (first + count) | 0);
      words[at + MARKED] = 1;
    }
    // Of a member that has ended, the mark may be there and DELIVERED not moved.
    return this.moveDelivered();
  }

  /** Moves `DELIVERED` on over all claims that are marked; whether it has moved. */
  private moveDelivered(): boolean {
    const { words, marks, mask } = this;
    let moved = false;
    let position = Atomics.load(words, DELIVERED);
    for (;;) {
      const end = Atomics.load(marks, position & mask);
      const ahead = (end - position) | 0;
      if (ahead <= 0 || ahead > mask + 1) return moved;
      // SYNC POINT: fails if another thread has moved it, which then looks further itself.
      const seen = Atomics.compareExchange(words, DELIVERED, position, end);
      moved ||= seen === position;
      position = seen === position ? end : seen;
    }
  }
}
