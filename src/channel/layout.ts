/**
 * The layout of a channel's shared memory, version 1.
 *
 * ```text
 *   memfd, and its mapping
 *   +----------------------+------------------+- - - - - - - - - +
 *   | header, whole pages  | data: capacity   | data once more   |  the mirror, mapped only
 *   +----------------------+------------------+- - - - - - - - - +
 *
 *   header, in bytes; words are 32 bits, little-endian
 *      0  magic, version, header bytes, capacity         written once, before the memory is shared
 *    128  tail                                           stored by the sender only
 *    256  head                                           stored by the receiver only
 *    384  sender's state                                 both sides, by compare-and-exchange
 *    512  receiver's state                               both sides, by compare-and-exchange
 * ```
 *
 * Each word that changes has a pair of cache lines of its own, because the hardware fetches lines in
 * pairs. Positions run from 0 to twice the capacity, so that full and empty differ and a capacity
 * need not be a power of two.
 */

/** First word: "ANNU". */
export const MAGIC = 0x554e4e41;

export const VERSION = 1;

/** Indices of 32-bit words. */
export const WORD = {
  MAGIC: 0,
  VERSION: 1,
  HEADER_BYTES: 2,
  CAPACITY: 3,
  TAIL: 32,
  HEAD: 64,
  SENDER: 96,
  RECEIVER: 128,
} as const;

/** Bytes of the header that are used; it is mapped as whole pages. */
export const HEADER_BYTES = 640;

/** What a side's state word says. */
export const STATE = {
  /** Nobody has attached to this side yet. */
  VACANT: 0,
  /** Attached and awake: it will look at the positions by itself. */
  AWAKE: 1,
  /** Attached and about to sleep: whoever moves a position wakes it. */
  ASLEEP: 2,
  /** Gone of its own will; for the sender: everything it sent is complete. */
  CLOSED: 3,
  /** The sender gave up: what it sent is not all there was. */
  FAILED: 4,
} as const;

/** Largest capacity: positions, up to twice as much, stay below 2^31. */
export const MAX_CAPACITY = 1073741824;
