/**
 * Where the words are that the threads of a shared ring have in common besides the kernel's: one
 * mapping of 32-bit words, the tables.
 *
 * ```text
 * head | members: words, claim, inbox | marks of submission | marks of delivery
 * ```
 *
 * What different threads write lies 32 words or more apart: processors fetch lines of the cache in pairs.
 *
 * **Threads are terminated at any moment.** V8 ends a thread where a function, a turn of a loop, or a
 * call of a built-in function begins, those of Atomics among them; so never between an atomic operation, or
 * a call of the shim, and the plain stores that follow it. Whatever takes more than that is noted in
 * those stores, and whoever recovers the thread finishes it. (Seen on Node 20, 22, 24 and 26:
 * test/concurrency/termination.test.ts.)
 */

/** Words of all threads, at the start of the tables. */
export const HEAD = {
  /** Says that the tables are those of a shared ring. */
  MAGIC: 0,
  /** `RING`: whether the ring takes requests. */
  STATE: 1,
  /** Members that ever were; makes their serials. */
  SERIALS: 2,
  /** Position behind the last slot of the SQ index array that a thread has reserved. */
  RESERVED: 32,
  /** Position in the CQ up to which every completion was delivered. */
  DELIVERED: 64,
  /** Members that wait for `DELIVERED` to move on. */
  ORDER_WAITERS: 96,
  WORDS: 128,
} as const;

/** What `HEAD.MAGIC` is. */
export const MAGIC = 0x52_41_48_53;

/** Values of `HEAD.STATE`. */
export const RING = { OPEN: 1, CLOSED: 2 } as const;

/** Words of a member, from its first one on. */
export const MEMBER = {
  /** What the member is: members.ts. */
  STATE: 0,
  /** Eventfd that wakes it, plus 1. */
  WAKE_FD: 1,
  /** Socket that ends with it, plus 1, until the home takes it. */
  SOCKET: 2,
  /** Whether it waits for `DELIVERED`. */
  WAITS_FOR_ORDER: 3,
  /** The socket that ends with a thread whose part has ended with requests in flight, plus 1; else 0. */
  HELD: 4,
  /** Private queue: entries the kernel has consumed, entries handed over. */
  SQ_HEAD: 32,
  SQ_TAIL: 33,
  /** Requests whose last completion has reached it. */
  RECEIVED: 34,
  /** A run that is reserved and not marked: its first position, and how many entries; 0 if there is none. */
  RUN_FIRST: 35,
  RUN_COUNT: 36,
  /** Whether it is among `ORDER_WAITERS`. */
  COUNTED: 37,
  /** Of a member that has ended: whether all its requests have, and a position of the CQ behind them. */
  SETTLED: 38,
  SETTLED_AT: 39,
  /** A queue of one completion that is none: the shim discards it when the thread has ended. */
  GONE: 64,
  GONE_TAIL: 65,
  GONE_FLAGS: 66,
  GONE_ENTRY: 68,
  /** 0 while it may sleep and nobody has woken it. */
  NOTIFIED: 96,
  /** Tickets taken to put something into its inbox, and how many it has taken out. */
  INBOX_TAIL: 128,
  INBOX_HEAD: 160,
  /** The completions it has claimed last: how many, and from which position of the CQ on. */
  CLAIM_COUNT: 192,
  CLAIM_FROM: 193,
  /** How many of them were looked at for other threads, and for itself. */
  CLAIM_SENT: 194,
  CLAIM_KEPT: 195,
  /** Whether they are marked as delivered. */
  CLAIM_MARKED: 196,
  /** An entry of an inbox that is filled and not marked: its first word, and its mark; 0 if there is none. */
  PUT_AT: 197,
  PUT_MARK: 198,
  /** The claimed completions, four words each. */
  CLAIM: 224,
} as const;

/** Completions claimed at a time. */
export const CLAIM_MAX = 64;

/** Words of a completion in a claim: token, hold, result, flags. */
export const CLAIM_WORDS = 4;

/** Words of an entry of an inbox: mark, token, hold, result, flags, position in the CQ. */
export const INBOX_WORDS = 8;

/** Most threads of a ring: as many as a hold has bits for. */
export const THREADS_MAX = 64;

/** Which bits of a hold say whose request it is. */
export const OWNER_SHIFT = 20;

/** All of these bits. */
export const OWNER_BITS: number = (THREADS_MAX - 1) << OWNER_SHIFT;

/** Bits of a tag's hold that are some of its member's serial: those up to the sign. See tags.ts. */
export const SERIAL_SHIFT: number = OWNER_SHIFT + Math.log2(THREADS_MAX);
export const SERIAL_BITS: number = 2 ** 31 - 2 ** SERIAL_SHIFT;

/** Hold bit of a request that completes more than once: its completions are told in order. */
export const MANY: number = 1 << 19;

/** Sizes of a ring that its tables follow from. */
export interface SharedSizes {
  readonly threads: number;
  /** Entries of one thread; all threads' are the kernel's queue. */
  readonly entries: number;
  readonly completionEntries: number;
}

/** Where everything is in the tables of a ring of these sizes, in words. */
export class Layout {
  readonly threads: number;
  readonly entries: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** Entries of an inbox. */
  readonly inboxEntries: number;
  /** Fill of an inbox from which on nobody claims completions for it. */
  readonly inboxFull: number;
  readonly submitMarksAt: number;
  readonly deliverMarksAt: number;
  readonly words: number;
  readonly #memberWords: number;

  constructor({ threads, entries, completionEntries }: SharedSizes) {
    this.threads = threads;
    this.entries = entries;
    this.sqEntries = powerOfTwo(threads) * entries;
    this.cqEntries = completionEntries;
    // Each thread may have looked before any other has put in what it claimed: room for all of it.
    const slack = threads * CLAIM_MAX;
    this.inboxEntries = Math.max(powerOfTwo(2 * slack), 4 * entries);
    this.inboxFull = this.inboxEntries - slack;
    const claimWords = CLAIM_MAX * CLAIM_WORDS;
    this.#memberWords = MEMBER.CLAIM + claimWords + this.inboxEntries * INBOX_WORDS;
    this.submitMarksAt = this.memberAt(threads);
    this.deliverMarksAt = this.submitMarksAt + this.sqEntries;
    this.words = this.deliverMarksAt + this.cqEntries;
  }

  /** First word of a member. */
  memberAt(member: number): number {
    return HEAD.WORDS + member * this.#memberWords;
  }

  /** First byte of a member's entries, among those of all. */
  sqesAt(member: number): number {
    return member * this.entries * 64;
  }

  /** First word of a member's inbox. */
  inboxAt(member: number): number {
    return this.memberAt(member) + MEMBER.CLAIM + CLAIM_MAX * CLAIM_WORDS;
  }
}

/** The least power of two that is not less. */
export function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
