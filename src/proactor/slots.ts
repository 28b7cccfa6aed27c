/**
 * Slots: one for each request in flight, in preallocated tables.
 *
 * A request's token is its slot's index and a generation, so that a completion which arrives after
 * its slot was given away is told from the new owner's.
 */
import type { Attachment } from './attachment.ts';

/** Settles a promise; only the functions of one promise are ever in a slot. */
export type Resolve = (value: unknown) => void;
export type Reject = (reason: unknown) => void;

const INDEX_BITS = 14;
const GENERATIONS = 1 << (31 - INDEX_BITS);

/** Most slots a table can have. */
export const MAX_SLOTS: number = 1 << INDEX_BITS;

/** Token of completions nobody waits for: cancellations and link time-outs. */
export const IGNORED: number = MAX_SLOTS - 1;

/** Where the functions of the promise being made go. */
let current: Slots;
let currentSlot = 0;

function aim(slots: Slots, slot: number): void {
  if (current !== slots) current = slots;
  currentSlot = slot;
}

/** One executor for all promises: a closure for each would be garbage for each. */
function capture(resolve: Resolve, reject: Reject): void {
  current.settle(currentSlot, resolve, reject);
}

/** The table of requests in flight. */
export class Slots {
  /** Opcode of the request in each slot. */
  readonly ops: Uint8Array;
  /** What preparing the request returned, for its cancellation. */
  readonly keys: Int32Array;
  /** What a request has beyond a plain result; undefined for most. */
  readonly attachments: (Attachment | undefined)[];
  private readonly generations: Int32Array;
  private readonly resolves: (Resolve | undefined)[];
  private readonly rejects: (Reject | undefined)[];
  private readonly freeSlots: Int32Array;
  private freeCount: number;

  constructor(size: number) {
    this.ops = new Uint8Array(size);
    this.keys = new Int32Array(size);
    this.generations = new Int32Array(size);
    this.attachments = new Array<Attachment | undefined>(size).fill(undefined);
    this.resolves = new Array<Resolve | undefined>(size).fill(undefined);
    this.rejects = new Array<Reject | undefined>(size).fill(undefined);
    this.freeSlots = Int32Array.from({ length: size }, (_, i) => size - 1 - i);
    this.freeCount = size;
  }

  get size(): number {
    return this.ops.length;
  }

  /** Slots that can be taken. */
  get free(): number {
    return this.freeCount;
  }

  /** Takes a slot and returns the token of its new request. There must be a free one. */
  take(op: number): number {
    const slot = this.freeSlots[--this.freeCount]!;
    this.ops[slot] = op;
    return (this.generations[slot]! << INDEX_BITS) | slot;
  }

  /** The slot of a token, or -1 if its request has already ended. */
  slotOf(token: number): number {
    const slot = token & (MAX_SLOTS - 1);
    return this.generations[slot] === token >>> INDEX_BITS ? slot : -1;
  }

  /** The token of the request that is in a slot. */
  tokenOf(slot: number): number {
    return (this.generations[slot]! << INDEX_BITS) | slot;
  }

  /** A promise that `settle` functions of this slot resolve. */
  promise<T>(token: number, key: number): Promise<T> {
    const slot = token & (MAX_SLOTS - 1);
    this.keys[slot] = key;
    aim(this, slot);
    return new Promise<unknown>(capture) as Promise<T>;
  }

  /** Puts the functions of a new promise into a slot. */
  settle(slot: number, resolve: Resolve, reject: Reject): void {
    this.resolves[slot] = resolve;
    this.rejects[slot] = reject;
  }

  /** Puts the functions of an already existing promise into a slot. */
  adopt(token: number, key: number, resolve: Resolve, reject: Reject): void {
    const slot = token & (MAX_SLOTS - 1);
    this.keys[slot] = key;
    this.resolves[slot] = resolve;
    this.rejects[slot] = reject;
  }

  resolveOf(slot: number): Resolve | undefined {
    return this.resolves[slot];
  }

  rejectOf(slot: number): Reject | undefined {
    return this.rejects[slot];
  }

  /** Gives a slot back. Its old token is no longer known. */
  release(slot: number): void {
    this.resolves[slot] = undefined;
    this.rejects[slot] = undefined;
    this.attachments[slot] = undefined;
    this.ops[slot] = 0;
    this.generations[slot] = (this.generations[slot]! + 1) & (GENERATIONS - 1);
    this.freeSlots[this.freeCount++] = slot;
  }
}
