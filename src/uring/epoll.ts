/**
 * Sets of watched descriptors, and their events, encoded and decoded.
 */
import { EPOLL_EVENT as E } from '../sys/abi.ts';
import { check, checkInteger, outOfRange } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import type { Cell } from './holds.ts';

const TWO_32 = 2 ** 32;
const EPOLL_CLOEXEC = 0o2000000;

/** What a descriptor is watched for, or what became of it. */
export interface EpollEvent {
  /** Bits of `EPOLL`. */
  readonly events: number;
  /** What the program wants to be told with the events: 0 to 2^53 - 1. */
  readonly data: number;
}

/** `epoll_create1(2)`: the descriptor of an empty set, for `ring.epollCtl()`. The caller closes it. */
export function createEpoll(): number {
  return check(syscall('epoll_create1', EPOLL_CLOEXEC), 'epoll_create1');
}

/** Throws if an event cannot be encoded. */
export function checkEpollEvent(event: EpollEvent): void {
  // JavaScript's operators make a negative number of bits with EPOLL.ET.
  checkInteger('event.events', event.events, -(2 ** 31), TWO_32 - 1);
  checkInteger('event.data', event.data, 0, Number.MAX_SAFE_INTEGER);
}

/** Writes an event at the start of a cell. */
export function encodeEpollEvent(cell: Cell, event: EpollEvent): void {
  cell.view.setUint32(E.EVENTS, event.events, true);
  cell.setU64(E.DATA, event.data);
}

/** Bytes that `count` events take. */
export function epollBytes(count: number): number {
  return count * E.BYTES;
}

/**
 * Decodes what an `epollWait` request filled.
 *
 * @param count - The request's result.
 * @throws {RangeError} `ERR_OUT_OF_RANGE` if the bytes do not hold so many events.
 */
export function decodeEpollEvents(bytes: Uint8Array, count: number): EpollEvent[] {
  checkInteger('count', count, 0, 2 ** 31 - 1);
  if (bytes.byteLength < epollBytes(count)) {
    throw outOfRange('bytes.byteLength', `>= ${epollBytes(count)}`, bytes.byteLength);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, index) => {
    const at = index * E.BYTES;
    const low = view.getUint32(at + E.DATA, true);
    const high = view.getUint32(at + E.DATA + 4, true);
    return { events: view.getUint32(at + E.EVENTS, true), data: high * TWO_32 + low };
  });
}
