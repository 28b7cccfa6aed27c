/**
 * Ledger: the budget of a pool as one of its threads sees it. It knows neither memory nor promises,
 * only the shared tables; each call is one change made under the lock.
 */
import { AnnulusError } from '../sys/errors.ts';
import { acquire, release } from './lock.ts';
import type { IsDead } from './lock.ts';
import { Queue } from './queue.ts';
import { repair, takeBack } from './repair.ts';
import { Slots } from './slots.ts';
import type { Discard } from './slots.ts';
import { HOME, memberOf } from './tables.ts';
import type { Tables } from './tables.ts';
import { HEAD, NOBODY, PARCEL, PARCELS_MAX, PASSED, POOL, SLOT, WAIT, WAITER } from './words.ts';

/** What the ledger needs of the memory and of the threads. */
export interface LedgerOptions {
  readonly serial: number;
  readonly discard: Discard;
  readonly isDead: IsDead;
}

/** The shared tables, as one member uses them. */
export class Ledger {
  readonly tables: Tables;
  readonly serial: number;
  /** Whether other threads may use the tables; until then no lock is taken. */
  shared = false;
  readonly #words: Int32Array;
  readonly #member: number;
  readonly #slots: Slots;
  readonly #queue: Queue;
  readonly #isDead: IsDead;

  constructor(tables: Tables, options: LedgerOptions) {
    this.tables = tables;
    this.serial = options.serial;
    this.#words = tables.words;
    this.#member = memberOf(options.serial);
    this.#slots = new Slots(tables, options.discard);
    this.#queue = new Queue(tables, this.#slots, options.serial);
    this.#isDead = options.isDead;
  }

  /** Waiters of this thread whose waits have ended, in pairs with their slots (0: closed). */
  get told(): number[] {
    return this.#queue.told;
  }

  get state(): number {
    return Atomics.load(this.#words, HEAD.STATE);
  }

  /** A slot for `length` buffers if nobody waits and the budget has room, else 0. */
  tryTake(length: number): number {
    const words = this.#words;
    this.lock();
    let slot = 0;
    const free = words[HEAD.QUEUE_HEAD] === 0 && words[HEAD.STATE] === POOL.OPEN;
    if (free && this.#queue.fits(length)) {
      slot = this.#slots.pick(length);
      this.#slots.own(slot, this.#member);
    }
    this.#unlock();
    return slot;
  }

  /** Ends this thread's hold on a run: its own (`parcel` 0) or one it was handed. */
  giveBack(slot: number, parcel: number): void {
    this.lock();
    this.#slots.drop(slot, parcel);
    this.#settle();
    this.#unlock();
  }

  /**
   * Queues a request and serves whatever then can be. Returns the waiter's number; 0 if too many wait,
   * -1 if the pool has closed.
   */
  enqueue(length: number, priority: number, sleeps: boolean): number {
    this.lock();
    const open = this.#words[HEAD.STATE] === POOL.OPEN;
    const waiter = open ? this.#queue.enter(length, priority, sleeps) : -1;
    if (waiter > 0) this.#settle();
    this.#unlock();
    return waiter;
  }

  /**
   * Ends a wait. Returns the slot if it was served meanwhile, else 0: then it has left the queue, and
   * those behind it are served where they fit now. -1: the pool has closed.
   */
  leave(waiter: number, sleeps: boolean): number {
    const words = this.#words;
    this.lock();
    const entry = this.tables.waiterAt(waiter);
    const state = words[entry + WAITER.STATE]!;
    const slot = words[entry + WAITER.SLOT]!;
    if (state === WAIT.WAITING) this.#queue.unlink(waiter);
    else if (!sleeps) this.#queue.untell(waiter);
    this.#queue.free(waiter);
    this.#settle();
    this.#unlock();
    if (state === WAIT.CLOSED) return -1;
    return state === WAIT.GRANTED ? slot : 0;
  }

  /** The word a sleeping waiter sleeps on. */
  waitWord(waiter: number): number {
    return this.tables.waiterAt(waiter) + WAITER.STATE;
  }

  /** Fetches what other threads have told this one's waiters. */
  collect(): void {
    this.lock();
    this.#queue.collect();
    this.#unlock();
  }

  /** Begins to close the pool: nothing is given out any more, and all waits end. */
  close(): void {
    this.lock();
    if (this.#words[HEAD.STATE] === POOL.OPEN) Atomics.store(this.#words, HEAD.STATE, POOL.CLOSING);
    this.#queue.refuseAll();
    this.#settle();
    this.#unlock();
  }

  /** Marks the pool closed for good. */
  closed(): void {
    this.lock();
    Atomics.store(this.#words, HEAD.STATE, POOL.CLOSED);
    this.#unlock();
  }

  /** Does what must not happen while the pool is being closed. Throws if it was. */
  whileOpen<T>(what: () => T): T {
    this.lock();
    try {
      if (this.#words[HEAD.STATE] === POOL.OPEN) return what();
      throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The buffer pool is closed.');
    } finally {
      this.#unlock();
    }
  }

  /** Makes a hold a parcel, which any thread may adopt. Returns its number; 0: too many. */
  post(slot: number, parcel: number, alsoKeep: boolean): number {
    const words = this.#words;
    this.lock();
    const posted = parcel !== 0 && !alsoKeep ? parcel : this.#newParcel();
    if (posted !== 0) {
      const entry = this.tables.parcelAt(posted);
      words[entry + PARCEL.SLOT] = slot;
      words[entry + PARCEL.OWNER] = this.#member;
      words[entry + PARCEL.GENERATION]!++;
      words[entry + PARCEL.STATE] = PASSED.ON_ITS_WAY;
      if (alsoKeep) words[this.tables.slotAt(slot) + SLOT.HOLDS]!++;
      else if (parcel === 0) words[this.tables.slotAt(slot) + SLOT.OWNER] = NOBODY;
    }
    this.#unlock();
    return posted;
  }

  /** How often a parcel's number was used: what tells a handle from an older one. */
  generation(parcel: number): number {
    return this.#words[this.tables.parcelAt(parcel) + PARCEL.GENERATION]!;
  }

  /** Makes a parcel this thread's. Returns its slot and length, or undefined if it is gone. */
  adopt(parcel: number, generation: number): { slot: number; length: number } | undefined {
    const words = this.#words;
    this.lock();
    const entry = this.tables.parcelAt(parcel);
    const found =
      words[entry + PARCEL.STATE] === PASSED.ON_ITS_WAY &&
      words[entry + PARCEL.GENERATION] === generation;
    if (found) {
      words[entry + PARCEL.OWNER] = this.#member;
      words[entry + PARCEL.STATE] = PASSED.HELD;
    }
    const slot = words[entry + PARCEL.SLOT]!;
    const length = words[this.tables.slotAt(slot) + SLOT.LENGTH]!;
    this.#unlock();
    return found ? { slot, length } : undefined;
  }

  /** Leaves what this thread has posted, and nobody adopted yet, to the home. */
  leaveParcels(): void {
    const words = this.#words;
    this.lock();
    for (let parcel = 1; parcel <= words[HEAD.PARCEL_HIGH]!; parcel++) {
      const entry = this.tables.parcelAt(parcel);
      const mine = words[entry + PARCEL.OWNER] === this.#member;
      if (mine && words[entry + PARCEL.STATE] === PASSED.ON_ITS_WAY) {
        words[entry + PARCEL.OWNER] = memberOf(HOME);
      }
    }
    this.#unlock();
  }

  /** Takes back what a member that has ended holds and waits for. */
  takeBack(member: number): void {
    this.lock();
    takeBack(this.tables, this.#slots, this.#queue, member);
    this.#slots.unpinAll(member);
    this.#settle();
    this.#unlock();
  }

  /** Gives free memory back to the system until at most `pages` are left, if that can be reached. */
  shrinkTo(pages: number): void {
    this.lock();
    this.#slots.shrinkTo(pages);
    this.#words[HEAD.RECENT_PEAK] = this.#words[HEAD.USED]!;
    this.#unlock();
  }

  /** Gives free memory back until the pool has no more than its budget, if that can be reached. */
  makeRoom(): void {
    const { geometry } = this.tables;
    this.lock();
    this.#slots.shrinkTo(geometry.pages(geometry.buffers));
    this.#unlock();
  }

  /** This thread registers a slab, whose pages then stay where they are; false if it must not. */
  pin(slab: number): boolean {
    this.lock();
    const pinned = this.#slots.pin(slab, this.#member);
    this.#unlock();
    return pinned;
  }

  /** This thread has a slab registered no more. */
  unpin(slab: number): void {
    this.lock();
    this.#slots.unpin(slab, this.#member);
    this.#unlock();
  }

  /** Takes the lock; repairs the tables if its holder died in the middle of a change. */
  lock(): void {
    if (!this.shared) return;
    if (acquire(this.#words, this.serial, this.#isDead)) repair(this.tables, this.#queue);
  }

  /** Gives the lock back. */
  #unlock(): void {
    if (this.shared) release(this.#words);
  }

  /** After a change: hands budget over, and tells the home when a closing pool is empty. */
  #settle(): void {
    const words = this.#words;
    if (words[HEAD.STATE] === POOL.OPEN) this.#queue.serve();
    else if (words[HEAD.USED] === 0 && this.shared) this.tables.signal(memberOf(HOME));
    this.#queue.collect();
  }

  #newParcel(): number {
    const words = this.#words;
    const parcel = words[HEAD.PARCEL_FREE]!;
    if (parcel !== 0) {
      words[HEAD.PARCEL_FREE] = words[this.tables.parcelAt(parcel) + PARCEL.NEXT]!;
      return parcel;
    }
    if (words[HEAD.PARCEL_HIGH]! >= PARCELS_MAX) return 0;
    words[HEAD.PARCEL_HIGH]!++;
    return words[HEAD.PARCEL_HIGH]!;
  }
}
