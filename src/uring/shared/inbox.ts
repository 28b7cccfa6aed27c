/**
 * Inboxes: completions that one thread has claimed and another one has asked for.
 *
 * An inbox is a queue of many writers and one reader. A writer takes a ticket, `Atomics.add(TAIL, 1)`,
 * fills the entry of that number, and marks it with the number behind: the entry's mark is the next
 * ticket only in the lap in which it was filled, so the reader takes entries as long as the mark of the
 * next one is right.
 *
 * **No entry is written before it was read.** Writers do not look: claim.ts claims no completion for
 * an inbox that is filled beyond a limit, and leaves room for what all other threads may have claimed
 * before they saw that.
 *
 * **A thread that is terminated leaves no gap**: with its ticket a writer fills the entry and notes that
 * in its own words (layout.ts). If it does not come to mark it, whoever recovers it does.
 */
import { INBOX_WORDS, MEMBER } from './layout.ts';
import type { Layout } from './layout.ts';

/** Where the parts of an entry are. */
const [TOKEN, HOLD, RESULT, FLAGS, POSITION] = [1, 2, 3, 4, 5];

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const SENT: number = MEMBER.CLAIM_SENT;
const PUT_AT: number = MEMBER.PUT_AT;
const PUT_MARK: number = MEMBER.PUT_MARK;

/** A shift instead of a product. */
const INBOX_SHIFT: number = Math.log2(INBOX_WORDS);

/** The inboxes of all threads, as one of them sees them. */
export class Inboxes {
  private readonly words: Int32Array;
  private readonly mask: number;
  /** First words of members and of their inboxes. */
  private readonly members: Int32Array;
  private readonly inboxes: Int32Array;
  private readonly full: number;

  constructor(tables: Int32Array, layout: Layout) {
    this.words = tables;
    this.mask = layout.inboxEntries - 1;
    this.full = layout.inboxFull;
    const all = Array.from({ length: layout.threads }, (_, member) => member);
    this.members = Int32Array.from(all, (member) => layout.memberAt(member));
    this.inboxes = Int32Array.from(all, (member) => layout.inboxAt(member));
  }

  /** Whether completions may be claimed for a member. */
  hasRoom(member: number): boolean {
    const at = this.members[member]!;
    // SYNC POINT: the tail is loaded last, so the fill is never taken for less than it was.
    const head = Atomics.load(this.words, at + MEMBER.INBOX_HEAD);
    const tail = Atomics.load(this.words, at + MEMBER.INBOX_TAIL);
    return ((tail - head) | 0) <= this.full;
  }

  /**
   * Copies a claimed completion into a member's inbox, and counts it as sent.
   *
   * @param of - First word of the member that has claimed it.
   * @param from - First word of the completion.
   * @param position - Its position in the completion queue.
   * @param count - How many of the claim are sent with it.
   */
  put(member: number, of: number, from: number, position: number, count: number): void {
    const { words } = this;
    const start = this.inboxes[member]!;
    const tailAt = this.members[member]! + MEMBER.INBOX_TAIL;
    const mask = this.mask;
    // SYNC POINT: of all writers each gets an entry of its own. The plain stores go with it.
    const ticket = Atomics.add(words, tailAt, 1);
    const at = start + ((ticket & mask) << INBOX_SHIFT);
    words[at + TOKEN] = words[from]!;
    words[at + HOLD] = words[from + 1]!;
    words[at + RESULT] = words[from + 2]!;
    words[at + FLAGS] = words[from + 3]!;
    words[at + POSITION] = position;
    words[of + PUT_AT] = at;
    words[of + PUT_MARK] = (ticket + 1) | 0;
    words[of + SENT] = count;
    // SYNC POINT: release, the entry is filled when its mark is seen.
    Atomics.store(words, at, (ticket + 1) | 0);
    words[of + PUT_AT] = 0;
  }

  /** Marks the entry that a terminated member, or who recovered it, has filled and not marked. */
  finishPut(of: number): void {
    const { words } = this;
    const at = words[of + PUT_AT]!;
    if (at === 0) return;
    // SYNC POINT: release, as above.
    Atomics.store(words, at, words[of + PUT_MARK]!);
    words[of + PUT_AT] = 0;
  }

  /** First word of a member's next entry if there is one, else -1. */
  peek(member: number): number {
    const { words } = this;
    const head = words[this.members[member]! + MEMBER.INBOX_HEAD]!;
    const at = this.inboxes[member]! + ((head & this.mask) << INBOX_SHIFT);
    // SYNC POINT: acquire, pairs with the writer's store.
    return Atomics.load(words, at) === ((head + 1) | 0) ? at : -1;
  }

  /**
   * The next entry was copied: writers may have it. For the inbox's one reader.
   *
   * @param ended - How many requests it ends, 0 or 1: counted as received in one with it.
   */
  pass(member: number, ended: number): void {
    const { words } = this;
    const first = this.members[member]!;
    const at = first + MEMBER.INBOX_HEAD;
    const received = (words[first + MEMBER.RECEIVED]! + ended) | 0;
    // SYNC POINT: release, the entry was read before anybody fills it again. The plain store goes with it.
    Atomics.store(words, at, (words[at]! + 1) | 0);
    words[first + MEMBER.RECEIVED] = received;
  }

  /** Entries taken out of a member's inbox so far, and tickets of it given out. */
  taken(member: number): number {
    return this.words[this.members[member]! + MEMBER.INBOX_HEAD]!;
  }

  tickets(member: number): number {
    return Atomics.load(this.words, this.members[member]! + MEMBER.INBOX_TAIL);
  }
}
