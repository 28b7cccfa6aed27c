/**
 * Seats: how a thread gets an index in the tables of a pool.
 *
 * With the index goes a pair of sockets. One half is closed with the thread, however that ends; the
 * other is the home's to watch. V8 does not end a thread between an atomic operation and the calls of the
 * shim and plain stores behind it (test/concurrency/termination.test.ts), so there is no index whose
 * thread's end nobody could see.
 */
import { AnnulusError } from '../sys/errors.ts';
import { close, closeOwned, own, socketpair } from '../sys/linux.ts';
import { native } from '../sys/native.ts';
import { HOME, memberOf } from './tables.ts';
import type { Tables } from './tables.ts';
import { HEAD, MEMBER, MEMBERS } from './words.ts';

/** Serials stay below the lock word's mark. */
const SERIALS_MAX = 2 ** 30 / MEMBERS - 1;

/** A member's index in its serial, and what ends with its thread. */
export interface Seat {
  readonly serial: number;
  /** Closed with the thread; -1 at the home, which makes its own when others may join. */
  readonly socket: number;
}

/** The seat of the thread that makes a pool. */
export const HOME_SEAT: Seat = { serial: HOME, socket: -1 };

/**
 * Takes a member's index for this thread.
 *
 * @throws {AnnulusError} `ERR_ANNULUS_LIMIT` if all are taken.
 */
export function takeSeat(tables: Tables): Seat {
  // SYNC POINT: each attach has a number of its own, so a serial is never used twice.
  const number = Atomics.add(tables.words, HEAD.NEXT_SERIAL, 1) + 2;
  const [socket, watched] = socketpair();
  own(socket);
  own(watched);
  for (let member = 1; member < MEMBERS && number <= SERIALS_MAX; member++) {
    const serial = number * MEMBERS + member;
    if (sit(tables, serial, watched)) return { serial, socket };
  }
  closeOwned(socket);
  closeOwned(watched);
  // A thread that ended before it told the home of itself is not watched.
  tables.signal(memberOf(HOME));
  throw new AnnulusError(
    'ERR_ANNULUS_LIMIT',
    `The pool has ${MEMBERS - 1} other threads attached already, or was attached to ${SERIALS_MAX} times.`,
  );
}

/** Gives an index back if the home does not watch its thread: nothing is held in its name. */
export function leaveSeat(tables: Tables, { serial }: Seat): void {
  const { words } = tables;
  const at = tables.memberAt(memberOf(serial));
  const word = Atomics.load(words, at + MEMBER.SOCKET);
  // SYNC POINT: the socket is either the home's, which then sees its other half closed, or ours.
  if (word <= 0 || Atomics.compareExchange(words, at + MEMBER.SOCKET, word, 0) !== word) return;
  close(word - 1);
  Atomics.store(words, at + MEMBER.SERIAL, 0);
}

/** At the home: the socket of a member that it does not watch yet, or -1. It is the home's from then on. */
export function claimSocket(tables: Tables, member: number): number {
  const { words } = tables;
  const at = tables.memberAt(member) + MEMBER.SOCKET;
  const word = Atomics.load(words, at);
  // SYNC POINT: as above. The sign says whose it is.
  if (word <= 0 || Atomics.compareExchange(words, at, word, -word) !== word) return -1;
  return word - 1;
}

/** The socket that tells of a member's end, or -1. */
export function socketOf(tables: Tables, member: number): number {
  const word = Atomics.load(tables.words, tables.memberAt(member) + MEMBER.SOCKET);
  return Math.abs(word) - 1;
}

/** Takes an index if nobody has it. */
function sit(tables: Tables, serial: number, watched: number): boolean {
  const { words } = tables;
  const at = tables.memberAt(memberOf(serial));
  const shim = native();
  // SYNC POINT: of several threads one gets the index. What follows goes with it.
  if (Atomics.compareExchange(words, at + MEMBER.SERIAL, 0, serial) !== 0) return false;
  shim.disownFd(watched, 0);
  words[at + MEMBER.SOCKET] = watched + 1;
  return true;
}
