/**
 * Membership: the threads of a pool, and how they learn of each other's end.
 *
 * The thread that made the pool is its home. It holds both halves of a socket pair; each other
 * member holds a second descriptor of one of them, and so sees when the home has gone. Each member in
 * turn makes a pair, keeps one half, and leaves the other to the home, which watches it. Sockets of
 * a thread are closed with it, however it ends.
 *
 * Members tell each other to look at the tables by raising a word and notifying it, which wakes a
 * thread that waits for the word on its event loop.
 */
import { AnnulusError } from '../sys/errors.ts';
import { closeOwned, duplicate, own, poll, POLL, socketpair } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { Watcher } from '../sys/watch.ts';
import { HOME, memberOf } from './tables.ts';
import type { Tables } from './tables.ts';
import { HEAD, MEMBER, MEMBERS } from './words.ts';

/** Serials stay below the lock word's mark. */
const SERIALS_MAX = 2 ** 30 / MEMBERS - 1;

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

/** Claims a member's index for this thread; its serial. */
export function claimSerial(tables: Tables): number {
  const { words } = tables;
  // SYNC POINT: each attach has a number of its own, so a serial is never used twice.
  const number = Atomics.add(words, HEAD.NEXT_SERIAL, 1) + 2;
  for (let member = 1; member < MEMBERS && number <= SERIALS_MAX; member++) {
    const serial = number * MEMBERS + member;
    const at = tables.memberAt(member) + MEMBER.SERIAL;
    // SYNC POINT: of several threads one gets the index.
    if (Atomics.compareExchange(words, at, 0, serial) === 0) return serial;
  }
  throw new AnnulusError(
    'ERR_ANNULUS_LIMIT',
    `The pool has ${MEMBERS - 1} other threads attached already, or was attached to ${SERIALS_MAX} times.`,
  );
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

  constructor(tables: Tables, serial: number, events: MembershipEvents) {
    this.#tables = tables;
    this.serial = serial;
    this.#member = memberOf(serial);
    this.#events = events;
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
    const [mine, theirs] = socketpair();
    this.#hold(mine);
    Atomics.store(this.#tables.words, this.#socketAt(this.#member), theirs + 1);
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
    const { words } = this.#tables;
    const at = this.#tables.memberAt(memberOf(serial));
    const socket = Atomics.load(words, at + MEMBER.SOCKET) - 1;
    // The home closes it, and vacates the index, under the lock: while the serial stands it is open.
    return Atomics.load(words, at + MEMBER.SERIAL) === serial && socket >= 0 && hasEnded(socket);
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
    else this.#abandonUnjoined();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    for (const fd of this.#own.splice(0)) closeOwned(fd);
    this.#tables.signal(this.#member); // ends the wait of listen()
  }

  #hold(fd: number): void {
    own(fd);
    this.#own.push(fd);
  }

  #socketAt(member: number): number {
    return this.#tables.memberAt(member) + MEMBER.SOCKET;
  }

  #attend(): void {
    if (this.#isHome) this.#welcome();
    this.#events.onSignal();
  }

  /** Watches the sockets of members that have joined. */
  #welcome(): void {
    const { words } = this.#tables;
    for (let member = 1; member < MEMBERS; member++) {
      const fd = Atomics.load(words, this.#socketAt(member)) - 1;
      if (fd < 0 || this.#watches.has(fd)) continue;
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
    const { words } = this.#tables;
    const at = this.#socketAt(member);
    const fd = Atomics.load(words, at) - 1;
    if (fd < 0) return;
    Atomics.store(words, at, 0);
    this.#unwatch(fd);
    this.#own.splice(this.#own.indexOf(fd), 1);
    closeOwned(fd);
    Atomics.store(words, this.#tables.memberAt(member) + MEMBER.SERIAL, 0);
  }

  #vacateAll(): void {
    this.#welcome();
    for (let member = 1; member < MEMBERS; member++) this.#vacate(member);
  }

  /** Frees the index of a thread that could not join: the home does not know of it. */
  #abandonUnjoined(): void {
    const { words } = this.#tables;
    if (Atomics.load(words, this.#socketAt(this.#member)) !== 0) return;
    Atomics.store(words, this.#tables.memberAt(this.#member) + MEMBER.SERIAL, 0);
  }

  #unwatch(fd: number): void {
    this.#watches.get(fd)?.close();
    this.#watches.delete(fd);
  }
}
