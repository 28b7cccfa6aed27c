/**
 * BufferPool: buffers of one size, within a budget of memory, for all threads of a process.
 */
import { channel } from 'node:diagnostics_channel';
import type { Histogram } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

import { AnnulusError, checkInteger, checkSignal } from '../sys/errors.ts';
import { invalidArgType, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { closeOwned } from '../sys/linux.ts';
import { Allocation } from './allocation.ts';
import type { AllocationHandle, Hold } from './allocation.ts';
import { Arena } from './arena.ts';
import type { HugePages, Slab } from './arena.ts';
import { geometryOf, settingsOf, tablesOf } from './handle.ts';
import type { BufferPoolHandle, BufferPoolOptions, PoolSettings } from './handle.ts';
import { Leaks } from './leaks.ts';
import { Ledger } from './ledger.ts';
import { homeEnded, Membership } from './membership.ts';
import { HOME_SEAT, takeSeat } from './seats.ts';
import type { SlabUser } from './slab-user.ts';
import { HOME, memberOf, Tables } from './tables.ts';
import { poolClosed, Waits, waitTimedOut } from './waits.ts';
import type { AllocateOptions, WaitTime } from './waits.ts';
import { HEAD, MAGIC, MEMBER, PARCELS_MAX, POOL, WAIT, WAITERS_MAX } from './words.ts';

/** How a request that blocks the thread is treated. */
export type AllocateSyncOptions = Omit<AllocateOptions, 'signal'>;

/** What a pool has done and holds now, in all threads where nothing else is said. */
export interface BufferPoolStats {
  /** Bytes of a buffer. */
  readonly bufferSize: number;
  /** Most bytes in use at one time. */
  readonly budget: number;
  /** Bytes in use. */
  readonly used: number;
  /** Most bytes that were ever in use. */
  readonly peak: number;
  /** Bytes of memory that the pool may have from the system now, in use or not. */
  readonly resident: number;
  /** Allocations that were not released yet. */
  readonly allocations: number;
  /** Requests that wait. */
  readonly waiters: number;
  /** Allocations of this thread that were collected without a release. */
  readonly leaked: number;
  /** Slabs of memory mapped in this thread. */
  readonly slabs: number;
  /** How many of them are registered as fixed buffers. */
  readonly registeredSlabs: number;
  readonly hugePages: HugePages;
  /** How long requests of this thread have waited, in nanoseconds. */
  readonly waitTime: WaitTime;
}

/** What is published on the diagnostics channel `annulus.pool`. */
export interface BufferPoolEvent {
  /** A request has to wait; one that waited was served; a leak was found; the pool has closed. */
  readonly event: 'wait' | 'served' | 'leak' | 'close';
  readonly stats: BufferPoolStats;
}

const events = channel('annulus.pool');

/** How long no slab is registered after some had to be given up for want of room. */
const TIGHT_MS = 1000;

/** How often allocations that live on are handed to the collector to watch. */
const SETTLE_MS = 1000;

/** How long a thread sleeps before it asks whether those who could wake it still live. */
const SLEEP_MS = 1000;

/** Closes the file of a pool that was forgotten; its mappings go with their buffers. */
const forgotten: FinalizationRegistry<number> = new FinalizationRegistry((fd) => closeOwned(fd));

/**
 * A pool of equal buffers with a budget. A request beyond the budget waits, in order, until others
 * have released enough. Buffers lie in mapped memory that the kernel reads and writes in place.
 *
 * @example
 * ```ts
 * const pool = new BufferPool({ bufferSize: 16 * 1024, maxMemory: 64 * 1024 * 1024 });
 * using three = await pool.allocate(3);
 * three.bytes.fill(0); // one contiguous run of 48 KiB
 * ```
 */
export class BufferPool {
  /** Bytes of a buffer. */
  readonly bufferSize: number;
  /** The budget in bytes. */
  readonly maxMemory: number;
  /** The budget in whole buffers. */
  readonly capacity: number;
  readonly #settings: PoolSettings;
  readonly #tables: Tables;
  readonly #arena: Arena;
  readonly #ledger: Ledger;
  readonly #membership: Membership;
  readonly #waits: Waits;
  readonly #leaks: Leaks;
  readonly #lengthMax: number;
  #handle: BufferPoolHandle | undefined;
  /** Runs this thread holds, and their buffers. */
  #holds = 0;
  #held = 0;
  /** How often this thread has each slab registered, and by whom. */
  readonly #pins = new Map<number, number>();
  readonly #slabUsers = new Set<SlabUser>();
  /** Until when no slab is registered, by `performance.now()`: there was too little room. */
  #tightUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;
  #homeEnded = false;
  #ended = false;

  /**
   * @throws {RangeError} `ERR_OUT_OF_RANGE`; a `TypeError` for options of the wrong kind; a
   * {@link SystemError} if the memory cannot be had.
   */
  constructor(options: BufferPoolOptions);
  /** @internal */
  constructor(options: BufferPoolOptions, attached: BufferPoolHandle);
  constructor(options: BufferPoolOptions, attached?: BufferPoolHandle) {
    const settings = settingsOf(options);
    const geometry = geometryOf(settings);
    this.#settings = settings;
    this.bufferSize = settings.bufferSize;
    this.maxMemory = settings.maxMemory;
    this.capacity = geometry.buffers;
    this.#lengthMax = geometry.runMax;
    this.#tables = attached === undefined ? new Tables(geometry) : tablesOf(attached);
    const seat = attached === undefined ? HOME_SEAT : takeSeat(this.#tables);
    this.#membership = new Membership(this.#tables, seat, {
      onSignal: () => this.#onSignal(),
      onMemberEnd: (member) => this.#onMemberEnd(member),
      onHomeEnd: () => this.#onHomeEnd(),
    });
    this.#ledger = new Ledger(this.#tables, {
      serial: seat.serial,
      discard: (offset, bytes) => this.#arena.discard(offset, bytes),
      isDead: (member) => this.#membership.isDead(member),
    });
    this.#waits = new Waits({
      leave: (waiter) => this.#leave(waiter),
      make: (slot, length, trace) => this.#make(slot, length, trace),
    });
    this.#leaks = new Leaks(settings.leakDetection, settings.bufferSize, (hold) =>
      this.#reclaim(hold),
    );
    this.#handle = attached;
    this.#arena = attached === undefined ? this.#begin() : this.#join(attached);
    forgotten.register(this, this.#arena.fd, this);
  }

  /**
   * Takes part in a pool of another thread: budget, waiters and allocations are shared.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED` if the pool was closed, `ERR_ANNULUS_LIMIT` if 255
   * threads are attached.
   */
  static attach(handle: BufferPoolHandle): BufferPool {
    tablesOf(handle);
    return new BufferPool(handle.settings, handle);
  }

  /**
   * The pool as a value to post to other threads of this process, for {@link BufferPool.attach}. The
   * thread that made the pool is its home: the pool ends with it.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED`.
   */
  get handle(): BufferPoolHandle {
    this.#checkOpen();
    if (this.#handle === undefined) {
      this.#ledger.shared = true;
      const handle = {
        annulusPool: 1,
        pid: process.pid,
        settings: this.#settings,
        tables: this.#tables.words.buffer as unknown as SharedArrayBuffer,
        memfd: this.#arena.fd,
        socket: this.#membership.open(),
      } as const;
      this.#handle = handle;
      if (this.#timer === undefined) this.#arm();
    }
    return this.#handle;
  }

  /** Whether `close()` was called, here or at the pool's home. */
  get closed(): boolean {
    return this.#closing !== undefined || this.#homeEnded || this.#ledger.state !== POOL.OPEN;
  }

  /**
   * A run of `length` buffers. Resolves at once if the budget has room and nobody waits; else when
   * it has become this request's turn.
   *
   * Rejects with a `RangeError` if the run could never fit; an `AbortError`; `ERR_ANNULUS_TIMEOUT`;
   * `ERR_ANNULUS_CLOSED`; `ERR_ANNULUS_LIMIT` if 65,536 requests wait. No budget is lost then.
   */
  allocate(length: number, options?: AllocateOptions): Promise<Allocation> {
    try {
      this.#checkRequest(length);
      if (options !== undefined) checkOptions(options);
      const slot = this.#ledger.tryTake(length);
      if (slot !== 0) return Promise.resolve(this.#make(slot, length, this.#leaks.trace()));
      return this.#wait(length, options);
    } catch (error) {
      const reason = error as Error;
      return Promise.reject(reason);
    }
  }

  /** @internal Waits like `allocate()`, until `refuseWaits()` ends all waits of this owner. */
  waitFor(length: number, options: AllocateOptions, owner: object): Promise<Allocation> {
    checkOptions(options);
    return this.#wait(length, options, owner);
  }

  /** @internal */
  refuseWaits(owner: object, error: () => Error): void {
    this.#waits.refuseAll(error, owner);
  }

  /**
   * A run of `length` buffers if the budget has room for it now and nobody waits; else undefined.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if the run could never fit. {@link AnnulusError}
   * `ERR_ANNULUS_CLOSED`.
   */
  tryAllocate(length: number): Allocation | undefined {
    this.#checkRequest(length);
    const slot = this.#ledger.tryTake(length);
    return slot === 0 ? undefined : this.#make(slot, length, this.#leaks.trace());
  }

  /**
   * A run of `length` buffers; the thread sleeps until it can be had. For worker threads only.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. {@link AnnulusError} `ERR_ANNULUS_MAIN_THREAD`,
   * `ERR_ANNULUS_TIMEOUT`, `ERR_ANNULUS_CLOSED`, `ERR_ANNULUS_LIMIT`; `ERR_ANNULUS_DEADLOCK` if no
   * other thread takes part in the pool, and there is no time limit.
   */
  allocateSync(length: number, options?: AllocateSyncOptions): Allocation {
    if (isMainThread) {
      throw new AnnulusError(
        'ERR_ANNULUS_MAIN_THREAD',
        'allocateSync() puts the thread to sleep, and the main thread must not: use allocate().',
      );
    }
    this.#checkRequest(length);
    if (options !== undefined) checkOptions(options);
    const slot = this.#ledger.tryTake(length) || this.#sleep(length, options);
    return this.#make(slot, length, this.#leaks.trace());
  }

  /**
   * Releases an allocation of this pool: `allocation.release()`, with a check whose it is.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_WRONG_POOL`, `ERR_ANNULUS_DOUBLE_RELEASE`.
   */
  release(allocation: Allocation): void {
    if (!(allocation instanceof Allocation)) {
      throw invalidArgType('allocation', 'an Allocation', allocation);
    }
    if (allocation.lender !== this) throw wrongPool('The allocation was made by another pool.');
    allocation.release();
  }

  /**
   * Takes over an allocation that another thread has moved.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_WRONG_POOL`; `ERR_ANNULUS_RELEASED` if somebody else has
   * adopted it, or the thread that moved it has ended.
   */
  adopt(handle: AllocationHandle): Allocation {
    this.#checkUsable();
    if (handle?.annulusAllocation !== 1) {
      throw invalidArgValue('handle', 'must be what move() of an Allocation returned', handle);
    }
    checkInteger('handle.parcel', handle.parcel, 1, PARCELS_MAX);
    if (handle.pool !== this.#tables.words[HEAD.ID]) {
      throw wrongPool('The handle is of an allocation of another pool.');
    }
    const found = this.#ledger.adopt(handle.parcel, handle.generation);
    if (found === undefined) {
      throw new AnnulusError(
        'ERR_ANNULUS_RELEASED',
        'The allocation was adopted before, or the thread that moved it has ended.',
      );
    }
    const trace = this.#leaks.trace();
    return this.#make(found.slot, found.length, trace, handle.parcel);
  }

  /**
   * Gives all memory that is not in use back to the system, now. Slabs that this thread's proactors
   * have registered are unregistered first; those of other threads keep their memory.
   */
  trim(): void {
    this.#checkUsable();
    this.#unregister(false);
    this.#ledger.shrinkTo(0);
  }

  /**
   * Closes the pool: nothing is given out any more, and requests that wait are rejected with
   * `ERR_ANNULUS_CLOSED`. Resolves when every allocation has been released and the memory is
   * unmapped. In a thread that is attached it ends this thread's part only.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** `close()`, at the end of a block that declares it with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Counters and sums; also published on the diagnostics channel `annulus.pool`. */
  get stats(): BufferPoolStats {
    const { words, geometry } = this.#tables;
    const { slabs } = this.#arena;
    return {
      bufferSize: this.bufferSize,
      budget: this.maxMemory,
      used: words[HEAD.USED]! * this.bufferSize,
      peak: words[HEAD.PEAK]! * this.bufferSize,
      resident: words[HEAD.RESIDENT_PAGES]! * geometry.pageSize,
      allocations: words[HEAD.ALLOCATIONS]!,
      waiters: words[HEAD.WAITERS]!,
      leaked: this.#leaks.count,
      slabs: slabs.length,
      registeredSlabs: this.#pins.size,
      hugePages: this.#arena.hugePages,
      waitTime: this.#waits.summary,
    };
  }

  /** How long requests of this thread have waited, in nanoseconds: a live histogram. */
  get waitTimes(): Histogram {
    return this.#waits.histogram;
  }

  /** @internal Throws what `allocate(length)` would reject with at once. */
  checkRequest(length: number, options?: AllocateOptions): void {
    this.#checkRequest(length);
    if (options !== undefined) checkOptions(options);
  }

  /** @internal Slabs mapped in this thread: what can be registered as fixed buffers. */
  get slabs(): readonly Slab[] {
    return this.#arena.slabs;
  }

  /**
   * @internal To be called before a slab is registered, which brings all of it into memory. False if
   * the budget has no room for that now: then it must not be registered.
   */
  pinSlab(slab: number, user: SlabUser): boolean {
    if (this.#ended || performance.now() < this.#tightUntil) return false;
    const pins = this.#pins.get(slab) ?? 0;
    if (pins === 0 && !this.#ledger.pin(slab)) return false;
    this.#pins.set(slab, pins + 1);
    this.#slabUsers.add(user);
    return true;
  }

  /** @internal Ends what `pinSlab()` began. */
  unpinSlab(slab: number): void {
    const pins = this.#pins.get(slab)! - 1;
    if (pins > 0) {
      this.#pins.set(slab, pins);
      return;
    }
    this.#pins.delete(slab);
    if (this.#ledger.state !== POOL.CLOSED) this.#ledger.unpin(slab);
  }

  /** @internal */
  slabOf(slot: number, length: number): Slab {
    return this.#arena.slabFor(this.#tables.classFor(length), slot);
  }

  /** @internal */
  view(slot: number, length: number, from: number, bytes: number): Uint8Array {
    return this.#arena.view(this.#tables.classFor(length), slot, from, bytes);
  }

  /** @internal */
  share(hold: Hold): Allocation {
    hold.references++;
    return this.#reference(hold, this.#leaks.trace());
  }

  /** @internal */
  letGo(allocation: Allocation): void {
    this.#leaks.remove(allocation);
    this.#unreference(allocation.hold);
  }

  /** @internal */
  post(allocation: Allocation): AllocationHandle {
    const { hold } = allocation;
    const alsoKeep = hold.references > 1;
    const parcel = this.#ledger.post(hold.slot, hold.parcel, alsoKeep);
    if (parcel === 0) throw limit(`${PARCELS_MAX} allocations moved between threads are held`);
    this.#leaks.remove(allocation);
    if (alsoKeep) hold.references--;
    else this.#forget(hold);
    return {
      annulusAllocation: 1,
      pool: this.#tables.words[HEAD.ID]!,
      parcel,
      generation: this.#ledger.generation(parcel),
    };
  }

  /** At the home: marks the tables as made, and makes the memory. */
  #begin(): Arena {
    const { words, geometry } = this.#tables;
    words[HEAD.MAGIC] = MAGIC;
    words[HEAD.ID] = Math.floor(Math.random() * 2 ** 31);
    words[this.#tables.memberAt(memberOf(HOME)) + MEMBER.SERIAL] = HOME;
    return Arena.create(geometry, this.#settings.hugePages);
  }

  #join(handle: BufferPoolHandle): Arena {
    this.#ledger.shared = true;
    try {
      this.#checkUsable();
      this.#membership.join(handle);
      return this.#ledger.whileOpen(() =>
        Arena.attach(handle.memfd, this.#tables.geometry, this.#settings.hugePages),
      );
    } catch (error) {
      this.#membership.abandon();
      throw error;
    }
  }

  #checkRequest(length: number): void {
    if (Number.isInteger(length) && length > 0 && length <= this.#lengthMax) {
      if (this.#closing !== undefined || this.#ledger.state !== POOL.OPEN) throw poolClosed();
      if (this.#homeEnded) throw homeEnded();
      return;
    }
    if (typeof length !== 'number') throw invalidArgType('length', 'a number', length);
    const most = this.#lengthMax === this.capacity ? `maxMemory ${this.maxMemory}` : 'one run';
    throw outOfRange(
      'length',
      `an integer from 1 to ${this.#lengthMax}, as many buffers of ${this.bufferSize} bytes as ${most} has`,
      length,
    );
  }

  #checkOpen(): void {
    if (this.#closing !== undefined || this.#ledger.state !== POOL.OPEN) throw poolClosed();
    if (this.#homeEnded) throw homeEnded();
  }

  /** What is held already can be used until the memory is gone. */
  #checkUsable(): void {
    if (this.#ended || this.#ledger.state === POOL.CLOSED) throw poolClosed();
    if (this.#homeEnded) throw homeEnded();
  }

  /** Makes the allocation of a slot that was taken; gives it back if it cannot be mapped here. */
  #make(slot: number, length: number, trace: string | undefined, parcel = 0): Allocation {
    const hold: Hold = { slot, length, parcel, references: 1 };
    this.#holds++;
    this.#held += length;
    try {
      this.slabOf(slot, length);
      if (this.#pins.size > 0) this.#relieve();
    } catch (error) {
      this.#free(hold);
      throw error;
    }
    return this.#reference(hold, trace);
  }

  /** Has slabs unregistered, for as long as they leave too little of the budget for everything else. */
  #relieve(): void {
    const { words, geometry } = this.#tables;
    if (words[HEAD.RESIDENT_PAGES]! <= geometry.pages(geometry.buffers)) return;
    this.#tightUntil = performance.now() + TIGHT_MS;
    this.#unregister(false);
    this.#ledger.makeRoom();
  }

  #unregister(idleOnly: boolean): void {
    for (const user of this.#slabUsers) user.letGo(idleOnly);
  }

  #reference(hold: Hold, trace: string | undefined): Allocation {
    const allocation = new Allocation(this, hold);
    allocation.trace = trace;
    this.#leaks.add(allocation);
    if (this.#timer === undefined) this.#arm();
    return allocation;
  }

  #unreference(hold: Hold): void {
    hold.references--;
    if (hold.references === 0) this.#free(hold);
  }

  #free(hold: Hold): void {
    this.#ledger.giveBack(hold.slot, hold.parcel);
    this.#forget(hold);
    // Housekeeping may have come while the run was held.
    if (this.#timer === undefined) this.#arm();
    if (this.#ledger.told.length > 0) this.#deliver();
  }

  /** This thread has let go of a run. */
  #forget(hold: Hold): void {
    this.#holds--;
    this.#held -= hold.length;
    if (this.#onEmpty !== undefined) this.#checkEmpty();
  }

  #reclaim(hold: Hold): void {
    this.#unreference(hold);
    if (events.hasSubscribers) this.#publish('leak');
  }

  #wait(length: number, options: AllocateOptions | undefined, owner?: object): Promise<Allocation> {
    if (options?.timeout === 0) throw waitTimedOut(length, 0);
    const trace = this.#leaks.trace();
    const waiter = this.#enqueue(length, options?.priority, false);
    const promise = this.#waits.add(waiter, length, trace, options, owner);
    this.#deliver();
    if (this.#ledger.shared) {
      this.#membership.listen(() => this.#isExpecting());
      this.#keepAlive();
    }
    if (events.hasSubscribers) this.#publish('wait');
    return promise;
  }

  #enqueue(length: number, priority = 0, sleeps: boolean): number {
    const waiter = this.#ledger.enqueue(length, priority, sleeps);
    if (waiter < 0) throw poolClosed();
    if (waiter === 0) throw limit(`${WAITERS_MAX} requests wait`);
    return waiter;
  }

  #leave(waiter: number): number {
    const slot = this.#ledger.leave(waiter, false);
    this.#deliver(); // others may have been served instead
    if (this.#ledger.shared) this.#keepAlive();
    return slot;
  }

  /** Sleeps until a request was served; its slot. */
  #sleep(length: number, options: AllocateSyncOptions | undefined): number {
    const timeout = options?.timeout;
    if (timeout === 0) throw waitTimedOut(length, 0);
    if (!this.#ledger.shared && timeout === undefined) {
      throw new AnnulusError(
        'ERR_ANNULUS_DEADLOCK',
        'The budget is spent and no other thread takes part in the pool: this one would sleep for ever.',
      );
    }
    const since = performance.now();
    const waiter = this.#enqueue(length, options?.priority, true);
    this.#deliver();
    this.#sleepOn(this.#ledger.waitWord(waiter), since + (timeout ?? Infinity));
    const slot = this.#ledger.leave(waiter, true);
    this.#deliver();
    if (slot > 0) {
      this.#waits.record(since);
      return slot;
    }
    if (this.#membership.isDead(HOME)) throw homeEnded();
    throw slot < 0 ? poolClosed() : waitTimedOut(length, timeout ?? 0);
  }

  #sleepOn(word: number, until: number): void {
    const { words } = this.#tables;
    for (;;) {
      const left = Math.min(until - performance.now(), SLEEP_MS);
      if (left <= 0) return;
      // SYNC POINT: pairs with the store in Queue.tell(): ends at once if that came before.
      if (Atomics.wait(words, word, WAIT.WAITING, left) !== 'timed-out') return;
      if (this.#membership.isDead(HOME)) return;
    }
  }

  /** Settles the promises of waits that have ended. */
  #deliver(): void {
    const { told } = this.#ledger;
    if (told.length === 0) return;
    // Serving one may fail and so serve others: the list can grow meanwhile.
    for (let index = 0; index < told.length; index += 2) {
      this.#waits.told(told[index]!, told[index + 1]!);
    }
    told.length = 0;
    if (this.#ledger.shared) this.#keepAlive();
    if (events.hasSubscribers) this.#publish('served');
  }

  /** Whether another thread may have something to tell. */
  #isExpecting(): boolean {
    return this.#membership.serial === HOME || this.#waits.size > 0;
  }

  /** The process lives on while another thread may serve this one, or must release before it ends. */
  #keepAlive(): void {
    const othersHold = this.#tables.words[HEAD.USED]! > this.#held;
    const closing = this.#onEmpty !== undefined && othersHold;
    this.#membership.keepAlive(this.#waits.size > 0 || closing);
  }

  #onSignal(): void {
    this.#ledger.collect();
    this.#deliver();
    if (this.#onEmpty !== undefined) this.#checkEmpty();
  }

  #onMemberEnd(member: number): void {
    this.#ledger.takeBack(member);
    this.#onSignal();
  }

  #onHomeEnd(): void {
    if (this.#ledger.state === POOL.CLOSED) return;
    this.#homeEnded = true;
    this.#waits.refuseAll(homeEnded);
  }

  async #close(): Promise<void> {
    this.#leaks.settle();
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    if (this.#membership.serial === HOME) this.#ledger.close();
    else this.#waits.refuseAll(poolClosed);
    this.#deliver();
    this.#checkEmpty();
    await empty;
    this.#end();
    if (events.hasSubscribers) this.#publish('close');
  }

  /** Whether a pool that closes can end now: the home waits for all, others for themselves. */
  #checkEmpty(): void {
    const isHome = this.#membership.serial === HOME;
    const held = isHome ? this.#tables.words[HEAD.USED]! : this.#holds;
    if (held === 0) this.#onEmpty?.();
    else if (isHome && this.#ledger.shared) this.#keepAlive();
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#unregister(false);
    this.#slabUsers.clear();
    if (this.#membership.serial === HOME) this.#ledger.closed();
    else this.#ledger.leaveParcels();
    forgotten.unregister(this);
    this.#membership.close();
    this.#arena.close();
  }

  #arm(): void {
    if (this.#ended) return;
    const { trimAfter } = this.#settings;
    const delay = Number.isFinite(trimAfter) ? trimAfter : SETTLE_MS;
    this.#timer = setTimeout(() => this.#keepHouse(), delay).unref();
  }

  /** Has old allocations watched, and gives back memory that was not needed since the last time. */
  #keepHouse(): void {
    this.#timer = undefined;
    this.#leaks.settle();
    const { words, geometry } = this.#tables;
    if (!Number.isFinite(this.#settings.trimAfter) || this.#ledger.state === POOL.CLOSED) return;
    this.#unregister(true);
    if (this.#pins.size > 0) this.#arm();
    if (this.#membership.serial !== HOME) return;
    this.#ledger.shrinkTo(geometry.pages(words[HEAD.RECENT_PEAK]!));
    // Once more later: what was needed in this interval may not be in the next.
    // What other threads use is released without this one's knowing.
    const idle = words[HEAD.RESIDENT_PAGES]! > geometry.pages(words[HEAD.USED]!);
    if ((idle || this.#ledger.shared) && this.#timer === undefined) this.#arm();
  }

  #publish(event: BufferPoolEvent['event']): void {
    const message: BufferPoolEvent = { event, stats: this.stats };
    events.publish(message);
  }
}

function checkOptions({ timeout, priority, signal }: AllocateOptions): void {
  if (timeout !== undefined) checkInteger('options.timeout', timeout, 0, 2 ** 31 - 1);
  if (priority !== undefined) checkInteger('options.priority', priority, -(2 ** 31), 2 ** 31 - 1);
  checkSignal(signal);
}

function wrongPool(message: string): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_WRONG_POOL', message);
}

function limit(what: string): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_LIMIT', `${what}, which is the most a pool keeps track of.`);
}
