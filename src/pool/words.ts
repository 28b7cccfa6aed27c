/**
 * Words: the layout of a pool's shared tables, version 1. They lie in a SharedArrayBuffer, so that
 * they last as long as any thread knows the pool, whatever becomes of the others.
 *
 * ```text
 *   header     state, lock, counters, ends of the lists; the lock has two cache lines to itself
 *   classes    CLASS_WORDS each: lists of free slots
 *   members    MEMBER_WORDS each: one a thread that takes part, the home of the pool first
 *   slots      SLOT_WORDS each, from number 1
 *   slabs      SLAB_WORDS each: the members that have it registered
 *   waiters    WAITER_WORDS each, from number 1
 *   parcels    PARCEL_WORDS each, from number 1
 * ```
 *
 * All but LOCK, STATE, SIGNAL and a waiter's STATE are read and written under the lock only. Of
 * those that describe who holds what (a slot's HOLDS, OWNER and LENGTH, waiters, parcels) each
 * change becomes true by one last store; everything else can be computed from them again, which is
 * what happens when a thread was terminated while it held the lock.
 */
/** First word: "POOL". */
export const MAGIC = 0x4c4f4f50;

/** Words of the header. */
export const HEAD = {
  MAGIC: 0,
  ID: 1,
  STATE: 2,
  NEXT_SERIAL: 3,
  /** Serial of the member that holds the lock, with CONTENDED while others sleep; 0: free. */
  LOCK: 64,
  USED: 128,
  PEAK: 129,
  /** Peak since memory was last given back. */
  RECENT_PEAK: 130,
  ALLOCATIONS: 131,
  RESIDENT_PAGES: 132,
  WAITERS: 133,
  QUEUE_HEAD: 134,
  QUEUE_TAIL: 135,
  TICKET: 136,
  WAITER_FREE: 137,
  WAITER_HIGH: 138,
  PARCEL_FREE: 139,
  PARCEL_HIGH: 140,
  /** Pages beyond the length of live runs: what an earlier, longer run in the slot has touched. */
  TAIL_PAGES: 141,
  LEAKED: 142,
  END: 192,
} as const;

/** What the pool's state word says. */
export const POOL = { OPEN: 0, CLOSING: 1, CLOSED: 2 } as const;

/** Bit of the lock word: somebody sleeps, wake one. */
export const CONTENDED = 0x40000000;

/** Words of a class. */
export const CLASS = { HOT: 0, COLD: 1, HIGH: 2, LIVE: 3 } as const;
export const CLASS_WORDS = 4;
/** Classes 0 to 22: runs of up to 2^22 buffers; and one more, to make whole cache lines. */
export const CLASSES = 24;

/** Words of a member. */
export const MEMBER = {
  /** Unique in the pool's life; its low 8 bits are the member's index. 0: vacant. */
  SERIAL: 0,
  /** Goes up whenever the member has something to look at. */
  SIGNAL: 1,
  /** Socket whose other half ends with the member's thread, plus 1; negative once it is the home's. */
  SOCKET: 2,
  /** Waiters of this member whose waits have ended, newest first, linked by NEXT. */
  TOLD: 3,
} as const;
/** Each member's words have cache lines to themselves. */
export const MEMBER_WORDS = 32;
export const MEMBERS = 256;

/** Words of a slab: a bit for each member that has it registered. */
export const SLAB_WORDS = 8;

/** Words of a slot. */
export const SLOT = {
  /** How many threads hold the run; 0: free. */
  HOLDS: 0,
  /** Index of the member that was given it, plus 1; NOBODY once that one let go or handed it on. */
  OWNER: 1,
  /** Buffers of the run. */
  LENGTH: 2,
  /** Next slot in the list of free ones. */
  NEXT: 3,
  /** Pages of it that may be in memory; not counted by the slot where slots share pages. */
  RESIDENT: 4,
} as const;
export const SLOT_WORDS = 5;
export const NOBODY = -1;

/** Words of a waiter. */
export const WAITER = {
  STATE: 0,
  LENGTH: 1,
  MEMBER: 2,
  PRIORITY: 3,
  NEXT: 4,
  PREVIOUS: 5,
  /** The slot it was served; 0 before. */
  SLOT: 6,
  TICKET: 7,
} as const;
export const WAITER_WORDS = 8;

/** What a waiter's state word says. */
export const WAIT = { FREE: 0, WAITING: 1, GRANTED: 2, CLOSED: 3 } as const;

/** Bit of a waiter's MEMBER: its thread sleeps on the state word. */
export const SLEEPS = 0x10000;

/** Words of a parcel: a hold that was handed from one thread to another. */
export const PARCEL = { STATE: 0, SLOT: 1, OWNER: 2, GENERATION: 3, NEXT: 4 } as const;
export const PARCEL_WORDS = 5;

/** What a parcel's state word says. */
export const PASSED = { FREE: 0, ON_ITS_WAY: 1, HELD: 2 } as const;

/** Most requests that wait at one time. */
export const WAITERS_MAX = 65_536;

/** Most allocations that were handed to other threads and are not released. */
export const PARCELS_MAX = 65_536;
