/**
 * Tables: a pool's shared words with the places of its tables, the members' serials, and signals.
 */
import { classOf } from './geometry.ts';
import type { Geometry, SizeClass } from './geometry.ts';
import {
  CLASS_WORDS,
  CLASSES,
  HEAD,
  MEMBER,
  MEMBER_WORDS,
  MEMBERS,
  PARCEL_WORDS,
  PARCELS_MAX,
  SLAB_WORDS,
  SLOT_WORDS,
  WAITER_WORDS,
  WAITERS_MAX,
} from './words.ts';

/** Serial of the pool's home, the thread that made it; its index is 0. */
export const HOME: number = MEMBERS;

/** The index of a member, from its serial. */
export function memberOf(serial: number): number {
  return serial % MEMBERS;
}

/** Where things are. Number 0 of slots, waiters and parcels means none. */
export class Tables {
  readonly words: Int32Array;
  readonly geometry: Geometry;
  readonly #members: number;
  readonly #slots: number;
  readonly #slabs: number;
  readonly #waiters: number;
  readonly #parcels: number;

  constructor(geometry: Geometry, shared?: SharedArrayBuffer) {
    this.geometry = geometry;
    this.#members = HEAD.END + CLASSES * CLASS_WORDS;
    this.#slots = this.#members + MEMBERS * MEMBER_WORDS;
    this.#slabs = this.#slots + (geometry.slots + 1) * SLOT_WORDS;
    this.#waiters = this.#slabs + geometry.slabs * SLAB_WORDS;
    this.#parcels = this.#waiters + (WAITERS_MAX + 1) * WAITER_WORDS;
    const end = this.#parcels + (PARCELS_MAX + 1) * PARCEL_WORDS;
    this.words = new Int32Array(shared ?? new SharedArrayBuffer(end * 4), 0, end);
  }

  classAt(index: number): number {
    return HEAD.END + index * CLASS_WORDS;
  }

  memberAt(index: number): number {
    return this.#members + index * MEMBER_WORDS;
  }

  slotAt(slot: number): number {
    return this.#slots + slot * SLOT_WORDS;
  }

  slabAt(slab: number): number {
    return this.#slabs + slab * SLAB_WORDS;
  }

  waiterAt(waiter: number): number {
    return this.#waiters + waiter * WAITER_WORDS;
  }

  parcelAt(parcel: number): number {
    return this.#parcels + parcel * PARCEL_WORDS;
  }

  /** The class of a run of so many buffers. */
  classFor(length: number): SizeClass {
    return this.geometry.classes[classOf(length)]!;
  }

  /** Tells a member that there is something to look at. */
  signal(member: number): void {
    const at = this.memberAt(member) + MEMBER.SIGNAL;
    // SYNC POINT: a listener waits for the word to differ from what it was before it looked.
    Atomics.add(this.words, at, 1);
    Atomics.notify(this.words, at);
  }
}
