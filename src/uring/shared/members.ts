/**
 * Members: the threads of a shared ring, how they wake each other, and what becomes of what a thread
 * had under way when it ends.
 *
 * The thread that made the ring is its home, member 0. Each member makes a pair of sockets, keeps one
 * half, which is closed with the thread however that ends, and leaves the other to the home, which
 * watches it. Of the home's own pair each member holds a second descriptor of one half.
 *
 * The shim takes a member for a ring whose completion queue, `GONE`, has one entry that is none. When
 * the thread has ended it discards that, and so sets `GONE` before the half of the pair is closed.
 * Somebody then *recovers* the member: sends what it had claimed for others, discards what was for
 * itself, and cancels what the kernel has of it. Its index is free again once all its requests have
 * completed, so that a completion is never taken for one of a later member. Of several threads one
 * recovers, by exchange of `STATE`; if it ends before it is done, another one takes over from it.
 *
 * **Waking.** A member that is going to sleep stores 0 into `NOTIFIED`, then looks into its inbox. Who
 * has put something into an inbox exchanges `NOTIFIED` for 1 and, if it was 0, writes to the member's
 * eventfd. All of this is sequentially consistent: either the member sees the entry, or the other
 * one the 0. If it is terminated before it writes, whoever recovers it wakes everybody.
 */
import { AnnulusError } from '../../sys/errors.ts';
import { close, closeOwned, duplicate, own, read } from '../../sys/linux.ts';
import { F_DUPFD_CLOEXEC, syscall, write } from '../../sys/linux.ts';
import { native, WATCH } from '../../sys/native.ts';
import { Watcher } from '../../sys/watch.ts';
import { closeYielded } from '../holds.ts';
import { endsRequest } from './claims.ts';
import type { Claims } from './claims.ts';
import type { SharedRingHandle } from './handle.ts';
import { CLAIM_WORDS, HEAD, MEMBER } from './layout.ts';
import type { Layout } from './layout.ts';
import type { SharedMemory } from './memory.ts';
import { closeUnwatched, KIND, newSerial, SEAT, stateOf, vacate } from './seats.ts';
import type { Seat } from './seats.ts';
import type { Submission } from './submission.ts';

/** The member that made the ring. */
export const HOME = 0;

const ONE: Uint8Array = new Uint8Array(BigUint64Array.of(1n).buffer);
const COUNT: Uint8Array = new Uint8Array(8);

/** What a thread's membership tells its ring. */
export interface MemberEvents {
  /** The home has ended. */
  readonly onHomeEnd: () => void;
  /** A member has ended: what it has handed over may not have been submitted. */
  readonly onMemberEnd: () => void;
  /** A member has ended, and the kernel has requests of it, which nobody will be told of. */
  readonly onLeftOver: (member: number) => void;
}

/** What a member is made of. */
export interface MemberParts {
  readonly memory: SharedMemory;
  readonly layout: Layout;
  readonly seat: Seat;
  readonly submission: Submission;
  readonly claims: Claims;
}

/** The error of who comes too late. */
export function ringEnded(): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CLOSED',
    'The shared ring was closed, or the thread that made it has ended.',
  );
}

/** One thread's part in a shared ring. */
export class Members {
  readonly member: number;
  /** The socket whose other half is the home's to watch, or at the home others'. */
  readonly socket: number;
  /** The eventfd that wakes this thread. */
  readonly wakeFd: number;
  readonly #seat: Seat;
  readonly #words: Int32Array;
  readonly #layout: Layout;
  readonly #submission: Submission;
  readonly #claims: Claims;
  readonly #events: MemberEvents;
  /** Descriptors of others' eventfds, by member, and whose they are. */
  readonly #wakers = new Map<number, { readonly serial: number; readonly fd: number }>();
  /** Members that could not be woken, for want of a descriptor. */
  readonly #unwoken = new Set<number>();
  /** Watches of others' sockets. */
  readonly #watches = new Map<number, Watcher>();
  /** The other half of the home's pair. */
  #homeSocket = -1;
  #entered = false;

  constructor({ memory, layout, seat, submission, claims }: MemberParts, on: MemberEvents) {
    this.member = seat.member;
    this.#seat = seat;
    this.#layout = layout;
    this.#words = new Int32Array(memory.tables.buffer, 0, layout.words);
    this.#submission = submission;
    this.#claims = claims;
    this.#events = on;
    this.socket = seat.otherSocket;
    this.wakeFd = seat.wakeFd;
    this.#discardInbox(this.member);
  }

  /** Whether this thread takes part, or did: else nobody looks after what it claims. */
  get entered(): boolean {
    return this.#entered;
  }

  get #at(): number {
    return this.#layout.memberAt(this.member);
  }

  /** At the home: listens to those who join. */
  open(): void {
    const { socket } = this.#seat;
    this.#watch(socket, () => {
      while (read(socket, COUNT) > 0);
      this.#welcome();
    });
    this.#enter();
  }

  /** Elsewhere: has the home watch this thread, and watches the home. */
  join(handle: SharedRingHandle): void {
    this.#homeSocket = duplicate(handle.socket);
    own(this.#homeSocket);
    // SYNC POINT: as of the ring's descriptor: if the home is there now, this is its socket.
    if (this.isGone(HOME)) throw ringEnded();
    this.#watch(this.#homeSocket, () => {
      this.#unwatch(this.#homeSocket);
      closeOwned(this.#homeSocket);
      this.#homeSocket = -1;
      this.recover(HOME);
      this.#events.onHomeEnd();
    });
    const shim = native();
    shim.disownFd(this.socket, 0);
    // Plain, and so one with the call (layout.ts): the socket is always somebody's.
    this.#words[this.#at + MEMBER.SOCKET] = this.socket + 1;
    write(this.#homeSocket, ONE);
    this.#enter();
  }

  /** Whether the thread of a member has ended, or it never had one. */
  isGone(member: number): boolean {
    return Atomics.load(this.#words, this.#layout.memberAt(member) + MEMBER.GONE) !== 0;
  }

  /** Says that this thread is going to sleep, unless it finds something from now on. */
  arm(): void {
    // SYNC POINT: the inbox is looked at after this; see above.
    Atomics.store(this.#words, this.#at + MEMBER.NOTIFIED, 0);
  }

  /** This thread is awake: nobody needs to wake it. */
  disarm(): void {
    Atomics.store(this.#words, this.#at + MEMBER.NOTIFIED, 1);
  }

  /** This thread was woken by its eventfd: resets that. */
  clearWake(): void {
    read(this.wakeFd, COUNT);
  }

  /** Has a member look into its inbox, if it may be asleep. */
  readonly wake = (member: number): void => {
    if (this.isGone(member)) {
      this.recover(member);
      return;
    }
    const at = this.#layout.memberAt(member);
    // SYNC POINT: the inbox was filled before this; see above.
    if (Atomics.exchange(this.#words, at + MEMBER.NOTIFIED, 1) === 0) this.#rouse(member);
  };

  /** Says that this thread waits for `DELIVERED` to move on, or does not any more. */
  waitForOrder(waits: boolean): void {
    const at = this.#at;
    if ((this.#words[at + MEMBER.COUNTED] === 1) === waits) return;
    // SYNC POINT: counted before the thread looks at DELIVERED again; who moves that loads this after.
    this.#count(at, waits);
  }

  /** `DELIVERED` has moved: wakes who waits for that. */
  wakeForOrder(): void {
    const words = this.#words;
    if (Atomics.load(words, HEAD.ORDER_WAITERS) === 0) return;
    for (let member = 0; member < this.#layout.threads; member++) {
      const at = this.#layout.memberAt(member) + MEMBER.WAITS_FOR_ORDER;
      if (member !== this.member && Atomics.load(words, at) === 1) this.wake(member);
    }
  }

  /** Recovers every member whose thread has ended. */
  recoverAll(): void {
    for (let member = 0; member < this.#layout.threads; member++) {
      if (this.isGone(member)) this.recover(member);
    }
  }

  /** Looks after a member whose thread has ended, unless another thread does. */
  recover(member: number): void {
    const words = this.#words;
    const at = this.#layout.memberAt(member);
    const state = Atomics.load(words, at + MEMBER.STATE);
    const kind = state & KIND;
    const recoverer = kind - SEAT.RECOVERED_BY;
    const dead = this.isGone(recoverer >= 0 ? recoverer : member);
    if (!dead || kind === SEAT.TAKEN || kind === SEAT.JOINING) return;
    // Of one that has left there may be something in its inbox: what ends no request.
    if (kind === SEAT.FREE && this.#claims.inboxes.peek(member) < 0) return;
    const serial = newSerial(words);
    const mine = stateOf(serial, SEAT.RECOVERED_BY + this.member);
    // SYNC POINT: of several threads one recovers it. The number is new each time: who has loaded
    // STATE before an earlier recovery, and that it was not finished, does not take this one for it.
    if (Atomics.compareExchange(words, at + MEMBER.STATE, state, mine) !== state) return;
    const moved = this.#finish(member);
    const isFirst = kind === SEAT.LIVE || recoverer >= 0;
    // Before the index can be another's, whose requests could have the same tokens.
    if (isFirst && words[at + MEMBER.SQ_TAIL] !== words[at + MEMBER.RECEIVED]) {
      this.#events.onLeftOver(member);
    }
    const settled = this.#isSettled(at);
    Atomics.store(words, at + MEMBER.STATE, stateOf(serial, settled ? SEAT.FREE : SEAT.ENDED));
    if (moved) this.wakeForOrder();
    // SYNC POINT: who has put something in meanwhile, delivered the last of it, or seen its thread end,
    // has found it being recovered, and does not look again.
    const isFilled = this.#claims.inboxes.peek(member) >= 0;
    if (isFilled || (!settled && this.#canSettle(at))) this.recover(member);
    if (isFirst) this.#tellAll(member);
  }

  /** Finishes what a member had begun when it ended; whether `DELIVERED` has moved. */
  #finish(member: number): boolean {
    const words = this.#words;
    const at = this.#layout.memberAt(member);
    this.#submission.finish(member);
    this.#claims.send(member, this.wake);
    this.#discardClaim(member);
    const moved = this.#claims.markDelivered(member);
    words[at + MEMBER.CLAIM_COUNT] = 0;
    this.#discardInbox(member);
    this.#takeOver(member);
    // Kept for a thread that goes on after its part: the home is to see when that ends.
    if (words[at + MEMBER.HELD] === 0) closeUnwatched(words, at);
    return moved;
  }

  /**
   * A member has ended. It may have put something into an inbox and not told, or said that it has and
   * not done so; or handed something over and not entered.
   */
  #tellAll(member: number): void {
    this.#events.onMemberEnd();
    for (let other = 0; other < this.#layout.threads; other++) {
      if (other === member) continue;
      if (this.isGone(other)) this.recover(other);
      else this.#rouse(other);
    }
  }

  /** Goes on with those that a member was recovering when it ended. */
  #takeOver(member: number): void {
    for (let other = 0; other < this.#layout.threads; other++) {
      const state = Atomics.load(this.#words, this.#layout.memberAt(other) + MEMBER.STATE);
      if ((state & KIND) === SEAT.RECOVERED_BY + member) this.recover(other);
    }
  }

  /**
   * Whether the index of a member that has ended can be another's: all its requests have ended, and
   * no completion of theirs is still to be delivered to it. Whoever delivers that looks again.
   */
  #isSettled(at: number): boolean {
    const words = this.#words;
    this.#count(at, false);
    if (words[at + MEMBER.SQ_TAIL] !== Atomics.load(words, at + MEMBER.RECEIVED)) return false;
    if (words[at + MEMBER.SETTLED] === 0) {
      words[at + MEMBER.SETTLED_AT] = this.#claims.claimed;
      words[at + MEMBER.SETTLED] = 1;
    }
    if (this.#canSettle(at)) return true;
    // SYNC POINT: counted before it is looked at once more; see waitForOrder().
    this.#count(at, true);
    if (!this.#canSettle(at)) return false;
    this.#count(at, false);
    return true;
  }

  /** Whether nothing is left that the index of a member that has ended waits for. */
  #canSettle(at: number): boolean {
    const words = this.#words;
    const isDelivered = ((this.#claims.delivered - words[at + MEMBER.SETTLED_AT]!) | 0) >= 0;
    return (
      words[at + MEMBER.SETTLED] === 1 && isDelivered && Atomics.load(words, at + MEMBER.HELD) === 0
    );
  }

  /** Whether the kernel has requests of members that have ended. */
  get hasLeftOver(): boolean {
    const words = this.#words;
    for (let member = 0; member < this.#layout.threads; member++) {
      const at = this.#layout.memberAt(member);
      if ((Atomics.load(words, at + MEMBER.STATE) & KIND) !== SEAT.ENDED) continue;
      if (words[at + MEMBER.SQ_TAIL] !== Atomics.load(words, at + MEMBER.RECEIVED)) return true;
    }
    return false;
  }

  /** Counts a member among those that wait for `DELIVERED`, or no more. */
  #count(at: number, waits: boolean): void {
    const words = this.#words;
    if (!waits) Atomics.store(words, at + MEMBER.WAITS_FOR_ORDER, 0);
    if ((words[at + MEMBER.COUNTED] === 1) !== waits) {
      // The plain store goes with it: whoever recovers this member takes back what was counted.
      Atomics.add(words, HEAD.ORDER_WAITERS, waits ? 1 : -1);
      words[at + MEMBER.COUNTED] = waits ? 1 : 0;
    }
    if (waits) Atomics.store(words, at + MEMBER.WAITS_FOR_ORDER, 1);
  }

  /**
   * Ends this thread's part.
   *
   * @param settled - Whether the kernel has none of its requests any more, and all is delivered.
   */
  leave(settled: boolean): void {
    const words = this.#words;
    const at = this.#at;
    this.waitForOrder(false);
    // A notification that is nobody's may come yet.
    if (settled && words[at + MEMBER.SQ_TAIL] === words[at + MEMBER.RECEIVED]) {
      closeUnwatched(words, at);
      vacate(words, at, this.#seat);
    } else {
      // The shim must go on knowing of it: it leaks the memory of requests in flight at the end. The
      // index is nobody's until then, since the shim will set GONE.
      words[at + MEMBER.HELD] = this.socket + 1;
      // SYNC POINT: before the descriptors are closed; see #wakerOf().
      Atomics.store(words, at + MEMBER.STATE, stateOf(this.#seat.serial, SEAT.ENDED));
      Atomics.store(words, at + MEMBER.GONE, 1);
    }
    // The shim has closed the thread's own half, or keeps it. The other half is the thread's if it is
    // the home, or could not join; then the home's socket may not be among those watched, either.
    const sockets = new Set([this.#homeSocket, ...this.#watches.keys()]);
    if (this.member === HOME || !this.#entered) sockets.add(this.socket);
    sockets.delete(this.#seat.socket);
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    for (const fd of sockets) closeOwned(fd);
    for (const { fd } of this.#wakers.values()) closeOwned(fd);
    closeOwned(this.wakeFd);
  }

  /** From here on others may ask for this thread. */
  #enter(): void {
    this.#entered = true;
    // SYNC POINT: release, whoever sees the member live sees its words.
    Atomics.store(this.#words, this.#at + MEMBER.STATE, stateOf(this.#seat.serial, SEAT.LIVE));
  }

  /** Wakes a member, if it is asleep. */
  #rouse(member: number): void {
    const fd = this.#wakerOf(member);
    if (fd >= 0) write(fd, ONE);
  }

  /** Tries again to wake those that could not be woken, for want of a descriptor. */
  wakeAgain(): void {
    if (this.#unwoken.size === 0) return;
    const members = [...this.#unwoken];
    this.#unwoken.clear();
    for (const member of members) this.#rouse(member);
  }

  /** A descriptor of this thread's for the eventfd of a member, or -1 if that has ended. */
  #wakerOf(member: number): number {
    const words = this.#words;
    const at = this.#layout.memberAt(member);
    const state = Atomics.load(words, at + MEMBER.STATE);
    const known = this.#wakers.get(member);
    if (known?.serial === state) return known.fd;
    if (known !== undefined) closeOwned(known.fd);
    this.#wakers.delete(member);
    if ((state & KIND) !== SEAT.LIVE) return -1;
    const fd = syscall('fcntl', Atomics.load(words, at + MEMBER.WAKE_FD) - 1, F_DUPFD_CLOEXEC, 3);
    // SYNC POINT: a member is gone, or not live, before its descriptor is closed. If it is neither
    // after the copy was made, the copy is of the right one.
    const right = !this.isGone(member) && Atomics.load(words, at + MEMBER.STATE) === state;
    if (fd < 0 || !right) {
      if (fd >= 0) close(fd);
      else if (right) this.#unwoken.add(member);
      return -1;
    }
    own(fd);
    this.#wakers.set(member, { serial: state, fd });
    return fd;
  }

  /** At the home: watches the sockets of those who have joined. */
  #welcome(): void {
    for (let member = 1; member < this.#layout.threads; member++) {
      const at = this.#layout.memberAt(member) + MEMBER.SOCKET;
      // SYNC POINT: the socket is the home's from here on, or the member has taken it back.
      const fd = Atomics.exchange(this.#words, at, 0) - 1;
      if (fd < 0) continue;
      own(fd);
      this.#watch(fd, () => {
        // Its thread has ended, and the shim has done with it. Else the word is a later member's.
        Atomics.compareExchange(
          this.#words,
          this.#layout.memberAt(member) + MEMBER.HELD,
          fd + 1,
          0,
        );
        this.#unwatch(fd);
        closeOwned(fd);
        this.recover(member);
      });
    }
  }

  #watch(fd: number, onEvent: () => void): void {
    this.#watches.set(fd, new Watcher(fd, WATCH.READABLE | WATCH.DISCONNECT, onEvent));
  }

  #unwatch(fd: number): void {
    this.#watches.get(fd)?.close();
    this.#watches.delete(fd);
  }

  #discardClaim(member: number): void {
    const words = this.#words;
    const at = this.#layout.memberAt(member);
    const count = words[at + MEMBER.CLAIM_COUNT]!;
    for (let i = words[at + MEMBER.CLAIM_KEPT]!; i < count; i++) {
      const from = at + MEMBER.CLAIM + i * CLAIM_WORDS;
      const [hold, result, flags] = [words[from + 1]!, words[from + 2]!, words[from + 3]!];
      const ours = this.#claims.isOf(member, hold);
      this.#claims.pass(member, ours ? endsRequest(hold, flags) : 0);
      if (ours) closeYielded(hold, result);
    }
  }

  #discardInbox(member: number): void {
    const { inboxes } = this.#claims;
    const words = this.#words;
    for (let at = inboxes.peek(member); at >= 0; at = inboxes.peek(member)) {
      const [hold, result, flags] = [words[at + 2]!, words[at + 3]!, words[at + 4]!];
      inboxes.pass(member, endsRequest(hold, flags));
      closeYielded(hold, result);
    }
  }
}
