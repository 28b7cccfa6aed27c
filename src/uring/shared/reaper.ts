/**
 * Reaper: what one thread of a shared ring does with completions. Those of others it passes on; its
 * own end the holds of their requests and are told, those of requests that have several in order.
 *
 * A request counts as received when its last completion leaves the tables, not when it is told: between
 * the two the thread may be terminated, and with it goes what it has kept to itself.
 */
import { CONTROL } from '../../sys/native.ts';
import { CQE } from '../../sys/abi.ts';
import type { CompletionCallback } from '../cqueue.ts';
import type { Holds } from '../holds.ts';
import { NOTICE } from '../notices.ts';
import { BLOCKED, endsRequest } from './claims.ts';
import type { Claims } from './claims.ts';
import { MANY, MEMBER, OWNER_BITS } from './layout.ts';
import type { Layout } from './layout.ts';
import type { Members } from './members.ts';
import type { SharedMemory } from './memory.ts';
import { Ordered } from './order.ts';

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const F_MORE: number = CQE.F_MORE;
const ENDED: number = CONTROL.ENDED;
const HOLD: number = ~OWNER_BITS & ~MANY;
const SEVERAL: number = MANY;
const UNSURE: number = NOTICE;
const COUNT: number = MEMBER.CLAIM_COUNT;
const KEPT: number = MEMBER.CLAIM_KEPT;
const FROM: number = MEMBER.CLAIM_FROM;
const RECEIVED: number = MEMBER.RECEIVED;

/** Times to drain in vain before a look at whether other threads have ended; a power of two. */
const LOOK_EVERY = 1024;

/** What a reaper is made of. */
export interface ReaperParts {
  readonly memory: SharedMemory;
  readonly layout: Layout;
  readonly claims: Claims;
  readonly members: Members;
  readonly holds: Holds;
  /** Has the kernel put what it holds back into the queue; whether there may be more now. */
  readonly flush: () => boolean;
}

/** Reaps for one thread. */
export class Reaper {
  /** Completions told so far, and completions passed on. */
  completed = 0;
  forwarded = 0;
  /** Requests whose last completion was told; modulo 2^32. */
  ended = 0;
  /** Whether the tables are gone: whatever is under way ends. */
  closed = false;
  readonly #words: Int32Array;
  readonly #control: Int32Array;
  readonly #claims: Claims;
  readonly #members: Members;
  readonly #member: number;
  readonly #holds: Holds;
  readonly #flush: () => boolean;
  readonly #at: number;
  readonly #most: number;
  /** Completions taken while waiting, to be told by `drain()`; and those to be told in order. */
  readonly #taken = new Ordered();
  readonly #ordered = new Ordered();
  #takenCount = 0;
  /** Times in a row that there was nothing to tell. */
  #idle = 0;

  constructor({ memory, layout, claims, members, holds, flush }: ReaperParts) {
    this.#words = new Int32Array(memory.tables.buffer, 0, layout.words);
    this.#control = new Int32Array(memory.control.buffer);
    this.#claims = claims;
    this.#members = members;
    this.#member = members.member;
    this.#holds = holds;
    this.#flush = flush;
    this.#at = layout.memberAt(members.member);
    this.#most = layout.cqEntries;
  }

  /** Completions that `drain()` would tell of what `gather()` has found. */
  get ready(): number {
    const left = this.#taken.length;
    if (this.#ordered.length === 0) return left;
    const { inboxes, delivered } = this.#claims;
    // As in #tellOrdered(). What is in the inbox, or coming, has the thread woken if it sleeps.
    if (inboxes.tickets(this.#member) !== inboxes.taken(this.#member)) return left;
    return left + this.#ordered.countBefore(delivered);
  }

  /** Whether completions wait for others to be delivered. */
  get waitsForOrder(): boolean {
    return this.#ordered.length > 0;
  }

  /** Ends every request of this thread that has completed, and tells nobody: see `close()`. */
  discard(): void {
    this.drain(nobody);
  }

  /** Calls back for every completion of this thread that is there; how many. */
  drain(callback: CompletionCallback): number {
    const before = this.completed;
    this.#members.wakeAgain();
    // Not for ever, while other threads go on making completions.
    for (let left = this.#most; left > 0; left--) {
      if (this.#taken.length > 0) this.#tellTaken(callback);
      this.#tellInbox(callback);
      this.#tellClaim(callback);
      if (this.closed) break;
      const claimed = this.#claim();
      if (claimed > 0) this.#tellClaim(callback);
      if (this.#ordered.length > 0) this.#tellOrdered(callback);
      if (this.closed || claimed === BLOCKED || (claimed === 0 && !this.#flush())) break;
    }
    const told = this.completed - before;
    // Another thread may have ended with what this one waits for.
    if (told > 0) this.#idle = 0;
    else if ((++this.#idle & (LOOK_EVERY - 1)) === 0) this.#members.recoverAll();
    return told;
  }

  /** Takes all completions there are, without telling them. */
  gather(): void {
    let claimed: number;
    do {
      this.#takeInbox();
      this.#takeClaim();
      claimed = this.#claim();
    } while (claimed > 0 || (claimed === 0 && this.#flush()));
  }

  /** Claims completions, and passes on those of other threads. */
  #claim(): number {
    const claims = this.#claims;
    const member = this.#member;
    let count = claims.claim();
    if (count === BLOCKED && claims.blocker >= 0 && this.#members.isGone(claims.blocker)) {
      this.#members.recover(claims.blocker);
      count = claims.claim();
    }
    if (count <= 0) return count;
    if (claims.hasForeign) {
      this.forwarded += count - claims.own;
      claims.send(member, this.#members.wake);
    }
    if (claims.markDelivered(member)) this.#members.wakeForOrder();
    return count;
  }

  #tellTaken(callback: CompletionCallback): void {
    const taken = this.#taken;
    while (!this.closed && taken.take(this.#takenCount)) {
      this.#tell(taken.token, taken.hold, taken.result, taken.flags, callback);
    }
  }

  #tellInbox(callback: CompletionCallback): void {
    const { inboxes } = this.#claims;
    const member = this.#member;
    const words = this.#words;
    while (!this.closed) {
      const at = inboxes.peek(member);
      if (at < 0) return;
      const token = words[at + 1]!;
      const hold = words[at + 2]!;
      const result = words[at + 3]!;
      const flags = words[at + 4]!;
      const position = words[at + 5]!;
      inboxes.pass(member, endsRequest(hold, flags));
      this.#control[ENDED] = words[this.#at + RECEIVED]!;
      if ((hold & SEVERAL) === 0) this.#tell(token, hold, result, flags, callback);
      else this.#ordered.add(position, token, hold, result, flags);
    }
  }

  /** Tells what is this thread's of its claim. What the callback drains is told by then. */
  #tellClaim(callback: CompletionCallback): void {
    const words = this.#words;
    const at = this.#at;
    const claimAt = at + MEMBER.CLAIM;
    const member = this.#member;
    while (!this.closed && words[at + KEPT]! < words[at + COUNT]!) {
      const index = words[at + KEPT]!;
      const from = (claimAt + (index << 2)) | 0;
      const token = words[from]!;
      const hold = words[(from + 1) | 0]!;
      const result = words[(from + 2) | 0]!;
      const flags = words[(from + 3) | 0]!;
      const own = this.#claims.ownerOf(hold) === member;
      this.#control[ENDED] = this.#claims.pass(member, own ? endsRequest(hold, flags) : 0);
      if (!own) continue;
      if ((hold & SEVERAL) === 0) {
        this.#tell(token, hold, result, flags, callback);
      } else {
        const position = (words[at + FROM]! + index) | 0;
        this.#ordered.add(position, token, hold, result, flags);
      }
    }
  }

  /** Tells completions of requests that have several, as far as all before them were delivered. */
  #tellOrdered(callback: CompletionCallback): void {
    const { inboxes, delivered } = this.#claims;
    const member = this.#member;
    // SYNC POINT: loaded after DELIVERED. What lies before that has a ticket of the inbox by now.
    const tickets = inboxes.tickets(member);
    this.#tellInbox(callback);
    // An entry that is just being filled: the others may be behind it.
    if (this.closed || ((tickets - inboxes.taken(member)) | 0) > 0) return;
    const ordered = this.#ordered;
    while (!this.closed && ordered.take(delivered)) {
      this.#tell(ordered.token, ordered.hold, ordered.result, ordered.flags, callback);
    }
    if (!this.closed && ordered.length === 0) this.#members.waitForOrder(false);
  }

  /** Ends the request's hold if this is its last completion, and calls back. */
  #tell(
    token: number,
    marked: number,
    result: number,
    flags: number,
    callback: CompletionCallback,
  ): void {
    if (marked < 0) {
      const { tags } = this.#holds;
      if (!tags.isOurs(marked)) return;
      tags.release(marked); // of a registration or another ring: it ends no request
    } else {
      const hold = marked & HOLD;
      if (callback === nobody) this.#holds.discard(hold, result);
      if ((hold & UNSURE) !== 0) {
        if (!this.#endUnsure(hold, flags)) return;
      } else if ((flags & F_MORE) === 0) {
        if (hold !== 0) this.#holds.release(hold);
        this.ended = (this.ended + 1) | 0;
      }
    }
    this.completed++;
    callback(token, result, flags);
  }

  /** Ends a request that may complete once more than it says: notices.ts. Whether it is told. */
  #endUnsure(hold: number, flags: number): boolean {
    const { notices } = this.#holds;
    const notified = (flags & CQE.F_NOTIF) !== 0;
    if (notified && notices.isLate(hold, this.#control)) return false;
    if ((flags & F_MORE) !== 0) return true;
    this.#holds.release(notified ? hold : notices.end(hold, this.#control));
    this.ended = (this.ended + 1) | 0;
    return true;
  }

  #takeInbox(): void {
    const { inboxes } = this.#claims;
    const member = this.#member;
    const words = this.#words;
    for (let at = inboxes.peek(member); at >= 0; at = inboxes.peek(member)) {
      this.#keep(at + 1, words[at + 5]!);
      inboxes.pass(member, endsRequest(words[at + 2]!, words[at + 4]!));
      this.#control[ENDED] = words[this.#at + RECEIVED]!;
    }
  }

  #takeClaim(): void {
    const words = this.#words;
    const at = this.#at;
    const member = this.#member;
    const count = words[at + COUNT]!;
    for (let i = words[at + KEPT]!; i < count; i++) {
      const from = at + MEMBER.CLAIM + (i << 2);
      const own = this.#claims.ownerOf(words[from + 1]!) === member;
      if (own) this.#keep(from, (words[at + FROM]! + i) | 0);
      const ended = own ? endsRequest(words[from + 1]!, words[from + 3]!) : 0;
      this.#control[ENDED] = this.#claims.pass(member, ended);
    }
  }

  #keep(at: number, position: number): void {
    const words = this.#words;
    const several = (words[at + 1]! & SEVERAL) !== 0;
    const list = several ? this.#ordered : this.#taken;
    const order = several ? position : this.#takenCount++;
    list.add(order, words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  }
}

/** Nobody is told: what a completion has brought is closed. */
function nobody(): void {}
