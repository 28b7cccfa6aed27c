/**
 * Membership: the threads of a pool, and how they learn of each other's end.
 *
 * The thread that made the pool is its home. It holds both halves of a socket pair; each other
 * member holds a second descriptor of one of them, and so sees when the home has gone. Each member in
 * turn has a pair with its seat (seats.ts), whose other half the home watches. Sockets of a thread are
 * closed with it, however it ends.
 *
 * Members tell each other to look at the tables by raising a word and notifying it, which wakes a
 * thread that waits for the word on its event loop.
 */
import { AnnulusError } from '../sys/errors.ts';
import { closeOwned, duplicate, own, poll, POLL, socketpair } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { Watcher } from '../sys/watch.ts';
import { claimSocket, leaveSeat, socketOf } from './seats.ts';
import type { Seat } from './seats.ts';
import { HOME, memberOf } from './tables.ts';
import type { Tables } from './tables.ts';
import { MEMBER, MEMBERS } from './words.ts';

/** What a thread's membership tells its pool. */
export interface MembershipEvents {
  /** The tables hold something new for this thread. */
  readonly onSignal: () => void;
  /** A member has ended: take back what it holds. Only the home is told. */
  readonly onMemberEnd: (member: number) => void;
  /** The home has ended. */
  readonly onHomeEnd: () => void;
}

/** What other threads are given of the home. */
export interface HomeDescriptors {
  readonly memfd: number;
  /** The socket that ends with the home. */
  readonly socket: number;
}

/** The error of a thread whose pool has lost its home. */
export function homeEnded(): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_DIED',
    'The thread that made the buffer pool has ended without closing it.',
  );
}

/** Whether a descriptor's other half is closed. */
function hasEnded(fd: number): boolean {
  const [events] = poll([{ fd, events: POLL.IN | POLL.RDHUP }], 0);
  return events !== 0;
}

/** One thread's part in a pool. */
export class Membership {
  readonly serial: number;
  readonly #tables: Tables;
  readonly #seat: Seat;
  readonly #member: number;
  readonly #events: MembershipEvents;
  /** Descriptors that end with this thread. */
  readonly #own: number[] = [];
  /** Watches of others' sockets: of all members at the home, of the home elsewhere. */
  readonly #watches = new Map<number, Watcher>();
  /** The socket that tells of the home's end. */
  #homeSocket = -1;
  #listening = false;
  #kept = false;
  #closed = false;

  constructor(tables: Tables, seat: Seat, events: MembershipEvents) {
    this.#tables = tables;
    this.#seat = seat;
    this.serial = seat.serial;
    this.#member = memberOf(seat.serial);
    this.#events = events;
    if (seat.socket >= 0) this.#own.push(seat.socket);
  }

  get #isHome(): boolean {
    return this.serial === HOME;
  }

  /** At the home: makes what others need, and listens to them from now on. */
  open(): number {
    const [mine, theirs] = socketpair();
    this.#hold(mine);
    this.#hold(theirs);
    this.listen();
    return theirs;
  }

  /** Elsewhere: joins. The home learns of it, and from then on of this thread's end. */
  join(home: HomeDescriptors): void {
    this.#homeSocket = duplicate(home.socket);
    this.#hold(this.#homeSocket);
    this.#watches.set(
      this.#homeSocket,
      new Watcher(this.#homeSocket, WATCH.READABLE | WATCH.DISCONNECT, () => {
        this.#unwatch(this.#homeSocket);
        this.#events.onHomeEnd();
      }),
    );
    this.#tables.signal(memberOf(HOME));
  }

  /**
   * Whether the thread of a member has ended. Throws `ERR_ANNULUS_PEER_DIED` if nobody can know any
   * more, because the home has.
   */
  isDead(serial: number): boolean {
    const orphaned = this.#homeSocket >= 0 && hasEnded(this.#homeSocket);
    if (serial === HOME || !orphaned) return orphaned || this.#isMemberDead(serial);
    throw homeEnded();
  }

  #isMemberDead(serial: number): boolean {
    if (serial === HOME) return false;
    const member = memberOf(serial);
    const socket = socketOf(this.#tables, member);
    const at = this.#tables.memberAt(member) + MEMBER.SERIAL;
    // The home closes it, and vacates the index, under the lock: while the serial stands it is open.
    return Atomics.load(this.#tables.words, at) === serial && socket >= 0 && hasEnded(socket);
  }

  /** Looks at the tables now and whenever this member is signalled, until `wanted` says no. */
  listen(wanted: () => boolean = () => true): void {
    if (this.#listening || this.#closed) return;
    this.#listening = true;
    const { words } = this.#tables;
    const at = this.#tables.memberAt(this.#member) + MEMBER.SIGNAL;
    const look = (): void => {
      for (;;) {
        // SYNC POINT: read before looking; if it is raised meanwhile the wait below does not begin.
        const seen = Atomics.load(words, at);
        if (!this.#closed) this.#attend();
        if (this.#closed || !wanted()) {
          this.#listening = false;
          return;
        }
        const wait = Atomics.waitAsync(words, at, seen);
        if (!wait.async) continue;
        void wait.value.then(look);
        return;
      }
    };
    look();
  }

  /** Keeps the process alive while another thread could end a wait of this one; or lets it go. */
  keepAlive(keep: boolean): void {
    if (this.#kept === keep) return;
    this.#kept = keep;
    for (const watch of this.#watches.values()) {
      if (keep) watch.ref();
      else watch.unref();
    }
  }

  /** Ends this thread's part: others see it as ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#isHome) this.#vacateAll();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    for (const fd of this.#own.splice(0)) closeOwned(fd);
    this.#tables.signal(this.#member); // ends the wait of listen()
  }

  /** Ends the part of a thread that could not join. */
  abandon(): void {
    leaveSeat(this.#tables, this.#seat);
    this.close();
  }

  #hold(fd: number): void {
    own(fd);
    this.#own.push(fd);
  }

  #attend(): void {
    if (this.#isHome) this.#welcome();
    this.#events.onSignal();
  }

  /** Watches the sockets of members that have joined. */
  #welcome(): void {
    for (let member = 1; member < MEMBERS; member++) {
      const fd = claimSocket(this.#tables, member);
      if (fd < 0) continue;
      this.#hold(fd);
      const watch = new Watcher(fd, WATCH.READABLE | WATCH.DISCONNECT, () => {
        this.#events.onMemberEnd(member);
        this.#vacate(member);
      });
      if (this.#kept) watch.ref();
      this.#watches.set(fd, watch);
    }
  }

  /** Frees the index of a member that has ended and holds nothing any more. */
  #vacate(member: number): void {
    const fd = socketOf(this.#tables, member);
    if (fd < 0) return;
    const { words } = this.#tables;
    const at = this.#tables.memberAt(member);
    Atomics.store(words, at + MEMBER.SOCKET, 0);
    this.#unwatch(fd);
    this.#own.splice(this.#own.indexOf(fd), 1);
    closeOwned(fd);
    Atomics.store(words, at + MEMBER.SERIAL, 0);
  }

  #vacateAll(): void {
    this.#welcome();
    for (let member = 1; member < MEMBERS; member++) this.#vacate(member);
  }

  #unwatch(fd: number): void {
    this.#watches.get(fd)?.close();
    this.#watches.delete(fd);
  }
}
