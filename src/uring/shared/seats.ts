/**
 * Seats: how a thread gets an index in the tables of a shared ring.
 *
 * An index is taken by exchange of `STATE`, and with that, where V8 cannot end the thread (layout.ts), the
 * shim is told of it: it sets `GONE` when the thread ends. So an index whose thread was terminated
 * before it took part is known by `JOINING` and `GONE`, and the next who joins takes it over.
 *
 * An index is given back in the other order: `FREE`, then the shim forgets it, and then `GONE`, without
 * which nobody takes it. So the shim sets `GONE` of no later member. (It does so at once when the
 * thread ends, and looks at the member no more: native/ring.c.)
 */
import { AnnulusError, check } from '../../sys/errors.ts';
import { close, closeOwned, eventfd, own, socketpair } from '../../sys/linux.ts';
import { native, RING_KIND } from '../../sys/native.ts';
import { adoptionOf } from '../setup.ts';
import type { RingMemory } from '../setup.ts';
import { HEAD, MEMBER } from './layout.ts';
import type { Layout } from './layout.ts';
import type { SharedMemory } from './memory.ts';

/** Kinds of `MEMBER.STATE`, below a serial that tells it from all earlier ones. */
export const SEAT = {
  /** The thread that had it last may be about to say that it is gone. */
  FREE: 0,
  /** Being taken: for the length of a few instructions. */
  TAKEN: 1,
  /** Its thread does not take part yet, and has asked for nothing. */
  JOINING: 2,
  LIVE: 3,
  /** Its thread has ended, and the kernel has requests of it. */
  ENDED: 4,
  /** Plus the member that recovers it. */
  RECOVERED_BY: 64,
} as const;

const KIND_BITS = 8;
const SERIALS_MAX = 2 ** (31 - KIND_BITS) - 1;

/** The kind of a `STATE`. */
export const KIND: number = (1 << KIND_BITS) - 1;

/** What the shim is told a member's queue is like: one entry of 16 bytes. */
const ENTRY = { cqEntries: 1, flags: 0 } as const;

/** The descriptors of a member; all are closed with its thread. */
interface Descriptors {
  /** The half of a pair of sockets that is closed with the thread, however that ends. */
  readonly socket: number;
  /** The other half. */
  readonly otherSocket: number;
  /** The eventfd that wakes the thread. */
  readonly wakeFd: number;
}

/** A member's index, what tells it from earlier ones, and its descriptors. */
export interface Seat extends Descriptors {
  readonly member: number;
  readonly serial: number;
}

/** The `STATE` of the seat with this serial. */
export function stateOf(serial: number, kind: number): number {
  return (serial << KIND_BITS) | kind;
}

/** A number that no `STATE` has had yet. They go round after eight million. */
export function newSerial(words: Int32Array): number {
  // SYNC POINT: each that asks has a number of its own.
  return (Atomics.add(words, HEAD.SERIALS, 1) + 1) & SERIALS_MAX;
}

/**
 * Takes an index of the tables for this thread, which must then become a `Members`.
 *
 * @param first - The first that may be taken.
 * @throws {AnnulusError} `ERR_ANNULUS_LIMIT` if all are taken.
 */
export function takeSeat(memory: SharedMemory, layout: Layout, first: number): Seat {
  const words = new Int32Array(memory.tables.buffer, 0, layout.words);
  const descriptors = openDescriptors();
  for (let member = first; member < layout.threads; member++) {
    const state = vacantState(words, layout.memberAt(member));
    if (state < 0) continue;
    const seat = { member, serial: newSerial(words), ...descriptors };
    if (!sit(memory, layout, words, state, seat)) continue;
    clear(words, layout.memberAt(member), descriptors);
    return seat;
  }
  closeDescriptors(descriptors);
  throw new AnnulusError(
    'ERR_ANNULUS_LIMIT',
    `All ${layout.threads} threads of the shared ring take part already; ` +
      'close it in one of them, or make it for more.',
  );
}

/** Gives an index back that no `Members` was made of. */
export function leaveSeat(memory: SharedMemory, layout: Layout, seat: Seat): void {
  const words = new Int32Array(memory.tables.buffer, 0, layout.words);
  vacate(words, layout.memberAt(seat.member), seat);
  closeDescriptors(seat);
}

/** Makes the index of this thread free: nothing is under way in its name. */
export function vacate(words: Int32Array, at: number, { serial, socket }: Seat): void {
  const shim = native();
  // SYNC POINT: nobody takes it, or recovers it, before GONE is set; by then the shim has forgotten
  // it. It locks and unlocks mutexes, so GONE is not seen before that. The plain store goes with it.
  Atomics.store(words, at + MEMBER.STATE, stateOf(serial, SEAT.FREE));
  shim.closeRing(socket);
  words[at + MEMBER.GONE] = 1;
}

function openDescriptors(): Descriptors {
  const [socket, otherSocket] = socketpair();
  own(socket);
  own(otherSocket);
  try {
    const wakeFd = eventfd();
    own(wakeFd);
    return { socket, otherSocket, wakeFd };
  } catch (error) {
    closeOwned(socket);
    closeOwned(otherSocket);
    throw error;
  }
}

/** Closes those that are still owned. */
function closeDescriptors({ socket, otherSocket, wakeFd }: Descriptors): void {
  for (const fd of [socket, otherSocket, wakeFd]) closeOwned(fd);
}

/** The `STATE` of an index if nobody has it, else -1. */
function vacantState(words: Int32Array, at: number): number {
  const state = Atomics.load(words, at + MEMBER.STATE);
  const kind = state & KIND;
  if (kind !== SEAT.FREE && kind !== SEAT.JOINING) return -1;
  // SYNC POINT: loaded after STATE, which is another one as soon as somebody takes the index.
  return Atomics.load(words, at + MEMBER.GONE) === 1 ? state : -1;
}

/** Takes an index if its `STATE` is still this one. */
function sit(
  memory: SharedMemory,
  layout: Layout,
  words: Int32Array,
  state: number,
  seat: Seat,
): boolean {
  const at = layout.memberAt(seat.member);
  const { rings, control, queue } = adoptionOf(asRing(memory, at, seat.socket), RING_KIND.MEMBER);
  const [taken, joining] = [stateOf(seat.serial, SEAT.TAKEN), stateOf(seat.serial, SEAT.JOINING)];
  const shim = native();
  // SYNC POINT: of several threads one gets the index. From here to JOINING there must be plain
  // stores and calls of the shim only.
  if (Atomics.compareExchange(words, at + MEMBER.STATE, state, taken) !== state) return false;
  words[at + MEMBER.GONE] = 0;
  words[at + MEMBER.GONE_TAIL] = 1;
  words[at + MEMBER.GONE_FLAGS] = 0;
  words[at + MEMBER.GONE_ENTRY] = 0;
  words[at + MEMBER.GONE_ENTRY + 1] = -1;
  const result = shim.adoptRing(seat.socket, rings, control, queue);
  if (result === 0) shim.disownFd(seat.socket, 0);
  else words[at + MEMBER.GONE] = 1;
  // SYNC POINT: the shim has locked and unlocked a mutex, so this is not seen before the words above:
  // who loads it loads GONE after it, which is 1 only when this thread has ended.
  words[at + MEMBER.STATE] = result === 0 ? joining : stateOf(seat.serial, SEAT.FREE);
  check(result, 'io_uring_setup');
  return true;
}

/** What is left of the last member says from now on that nobody is there yet. */
function clear(words: Int32Array, at: number, { wakeFd }: Descriptors): void {
  closeUnwatched(words, at);
  words.fill(0, at + MEMBER.SQ_HEAD, at + MEMBER.SETTLED_AT + 1);
  words.fill(0, at + MEMBER.CLAIM_COUNT, at + MEMBER.CLAIM);
  words[at + MEMBER.HELD] = 0;
  words[at + MEMBER.NOTIFIED] = 1;
  words[at + MEMBER.WAKE_FD] = wakeFd + 1;
}

/** Closes the socket that a member has left to the home, if that has not taken it. */
export function closeUnwatched(words: Int32Array, at: number): void {
  // SYNC POINT: it is either the home's, or ours to close.
  const socket = Atomics.exchange(words, at + MEMBER.SOCKET, 0) - 1;
  if (socket >= 0) close(socket);
}

/** A member as the shim takes it: for a ring with a completion queue of one entry, `GONE`. */
function asRing(memory: SharedMemory, at: number, name: number): RingMemory {
  const offsets = {
    ...memory.offsets,
    sqHead: (at + MEMBER.SQ_TAIL) * 4,
    sqTail: (at + MEMBER.SQ_TAIL) * 4,
    sqFlags: (at + MEMBER.GONE_FLAGS) * 4,
    cqHead: (at + MEMBER.GONE) * 4,
    cqTail: (at + MEMBER.GONE_TAIL) * 4,
    cqFlags: (at + MEMBER.GONE_FLAGS) * 4,
    cqes: (at + MEMBER.GONE_ENTRY) * 4,
  };
  return { ...memory, ...ENTRY, name, rings: memory.tables, offsets };
}
