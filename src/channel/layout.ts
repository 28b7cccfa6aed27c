/**
 * The layout of a channel's shared memory, version 2. docs/channel-layout.md draws it for programs in
 * other languages.
 *
 * ```text
 *   memfd, and its mapping
 *   +----------------------+------------------+- - - - - - - - - +
 *   | header, whole pages  | data: capacity   | data once more   |  the mirror, mapped only
 *   +----------------------+------------------+- - - - - - - - - +
 *
 *   header, in bytes; words are 32 bits, little-endian
 *      0  what the channel is                            written once, before the memory is shared
 *    128  tail; wrap, laps, count, dropped               stored by the sender
 *    256  head                                           stored by the receiver
 *    384  sender's state, process id
 *    512  receiver's state, process id
 * ```
 *
 * What different sides store is a pair of cache lines apart, because the hardware fetches lines in
 * pairs. Positions run from 0 to twice the capacity, so that full and empty differ and a capacity
 * need not be a power of two.
 */

/** First word: "ANNU". */
export const MAGIC = 0x554e4e41;

export const VERSION = 3;

/** Indices of 32-bit words. */
export const WORD = {
  MAGIC: 0,
  VERSION: 1,
  HEADER_BYTES: 2,
  CAPACITY: 3,
  MODE: 4,
  UNIT: 5,
  KIND: 6,
  SIGNAL: 7,
  MEMORY: 8,
  /** Where the sender is; bit 31 is the receiver's ATTENTION. */
  TAIL: 32,
  /** In flat memory: where the data of the sender's last lap ends. */
  WRAP: 33,
  /** Where the receiver is; bit 31 is the sender's ATTENTION. */
  HEAD: 64,
  SENDER: 96,
  SENDER_PID: 97,
  /** How often the sender's position has come round to 0. For statistics, as the next two. */
  LAPS: 98,
  /** Messages or publications so far. */
  COUNT: 99,
  /** Messages dropped because there was no room. */
  DROPPED: 100,
  RECEIVER: 128,
  RECEIVER_PID: 129,
} as const;

/** Bytes of the header that are used; it is mapped as whole pages. */
export const HEADER_BYTES = 640;

/** The bit of a position's word by which the other side asks to be looked at: it sleeps, or ended. */
export const ATTENTION = -0x80000000;

/** The bits of a position's word that are the position. */
export const POSITION = 0x7fffffff;

/** What a side's state word says. */
export const STATE = {
  /** Nobody has attached to this side yet. */
  VACANT: 0,
  ATTACHED: 1,
  /** Gone of its own will; for the sender: everything it sent is complete. */
  CLOSED: 3,
  /** The sender gave up: what it sent is not all there was. */
  FAILED: 4,
} as const;

/** What a channel carries. */
export const MODE = { BYTES: 0, ELEMENTS: 1, MESSAGES: 2 } as const;

/** How a side is woken. */
export const SIGNAL = { NONE: 0, EVENTFD: 1, PIPE: 2, SOCKET: 3, FUTEX: 4 } as const;

/** Whether the data is mapped a second time behind itself. */
export const MEMORY = { MIRRORED: 0, FLAT: 1 } as const;

/** Bytes of a message's frame before its payload: the length, and its complement. */
export const FRAME_BYTES = 8;

/** Frames begin at multiples of this. */
export const FRAME_ALIGNMENT = 8;

/** Bytes of the frame of a message. */
export function frameBytes(bytes: number): number {
  return FRAME_BYTES + bytes + (-bytes & (FRAME_ALIGNMENT - 1));
}

/** Largest capacity: positions, up to twice as much, stay below 2^31. */
export const MAX_CAPACITY = 1073741824;

/** What a channel carries and how its sides wake each other, as its header says. */
export interface Format {
  /** One of {@link MODE}. */
  readonly mode: number;
  /** Bytes of an element; 1 for bytes, the alignment of frames for messages. */
  readonly unit: number;
  /** Type of the elements, or codec of the messages. */
  readonly kind: number;
  /** One of {@link SIGNAL}. */
  readonly signal: number;
}
