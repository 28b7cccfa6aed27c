/**
 * Waits: the promises of this thread that wait for budget, how they end, and how long they took.
 */
import { createHistogram } from 'node:perf_hooks';
import type { Histogram, RecordableHistogram } from 'node:perf_hooks';

import { AbortError, AnnulusError } from '../sys/errors.ts';
import type { Allocation } from './allocation.ts';

/** How an allocation that has to wait is treated. */
export interface AllocateOptions {
  /** Ends the wait: it rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; then it rejects with `ERR_ANNULUS_TIMEOUT`. 0: only if it need not wait. */
  readonly timeout?: number | undefined;
  /** Higher ones are served first, equal ones in order of arrival. Default 0. */
  readonly priority?: number | undefined;
}

/** How long requests have waited, in nanoseconds; those served at once are not counted. */
export interface WaitTime {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What a wait that ends needs of the pool. */
export interface WaitEvents {
  /** Takes a waiter out of the queue: its slot if it was served meanwhile, 0, or -1 if closed. */
  readonly leave: (waiter: number) => number;
  /** Makes the allocation of a slot; throws, having given it back, if it cannot be mapped. */
  readonly make: (slot: number, length: number, trace: string | undefined) => Allocation;
}

interface Wait {
  readonly length: number;
  readonly since: number;
  readonly trace: string | undefined;
  readonly owner: object | undefined;
  readonly resolve: (allocation: Allocation) => void;
  readonly reject: (reason: Error) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
  readonly timer: NodeJS.Timeout | undefined;
}

/** The error of a pool that is closed. */
export function poolClosed(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'The buffer pool is closed.');
}

/** The error of a wait that took too long. */
export function waitTimedOut(length: number, timeoutMs: number): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_TIMEOUT',
    `No room for ${length} buffer(s) within ${timeoutMs} ms: the pool's budget is spent.`,
  );
}

/** All waits of one pool in this thread. */
export class Waits {
  readonly #waits = new Map<number, Wait>();
  readonly #events: WaitEvents;
  #histogram: RecordableHistogram | undefined;

  constructor(events: WaitEvents) {
    this.#events = events;
  }

  /** Promises that wait. */
  get size(): number {
    return this.#waits.size;
  }

  /** The times of waits that were served, in nanoseconds; live. */
  get histogram(): Histogram {
    return this.#recorder;
  }

  get #recorder(): RecordableHistogram {
    // Only now: it takes more memory than the rest of a pool that nobody waits for.
    this.#histogram ??= createHistogram();
    return this.#histogram;
  }

  /** The histogram in a few numbers. */
  get summary(): WaitTime {
    const times = this.#histogram;
    if (times === undefined || times.count === 0) {
      return { count: 0, min: 0, mean: 0, p50: 0, p99: 0, max: 0 };
    }
    const { count, min, mean, max } = times;
    return { count, min, mean, p50: times.percentile(50), p99: times.percentile(99), max };
  }

  /**
   * A promise that ends with the waiter.
   *
   * @param owner - By whom the wait can be ended, with all others of his.
   */
  add(
    waiter: number,
    length: number,
    trace: string | undefined,
    options: AllocateOptions | undefined,
    owner: object | undefined,
  ): Promise<Allocation> {
    const { signal, timeout } = options ?? {};
    return new Promise((resolve, reject) => {
      const onAbort =
        signal && ((): void => this.#end(waiter, () => new AbortError(signal.reason)));
      if (onAbort) signal.addEventListener('abort', onAbort, { once: true });
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => this.#end(waiter, () => waitTimedOut(length, timeout)), timeout);
      const since = performance.now();
      const wait = { length, since, trace, owner, resolve, reject, signal, onAbort, timer };
      this.#waits.set(waiter, wait);
    });
  }

  /** A wait has ended: it was served a slot, or the pool has closed (0). */
  told(waiter: number, slot: number): void {
    const wait = this.#remove(waiter);
    if (wait === undefined) return;
    if (slot <= 0) wait.reject(poolClosed());
    else this.#serve(wait, slot);
  }

  /** Counts a wait that was served in another way. */
  record(since: number): void {
    this.#recorder.record(Math.max(1, Math.round((performance.now() - since) * 1e6)));
  }

  /** Ends all waits, or all of one owner, by an error; those served meanwhile are kept. */
  refuseAll(error: () => Error, owner?: object): void {
    // Newest first: taking an earlier one out of the queue would serve those behind it.
    for (const [waiter, wait] of [...this.#waits].toReversed()) {
      if (owner === undefined || wait.owner === owner) this.#end(waiter, error);
    }
  }

  #serve(wait: Wait, slot: number): void {
    this.record(wait.since);
    try {
      wait.resolve(this.#events.make(slot, wait.length, wait.trace));
    } catch (error) {
      wait.reject(error as Error);
    }
  }

  #end(waiter: number, error: () => Error): void {
    const wait = this.#remove(waiter);
    if (wait === undefined) return;
    // Another thread may have served it already: then the allocation is the caller's all the same.
    const slot = this.#events.leave(waiter);
    if (slot > 0) this.#serve(wait, slot);
    else wait.reject(slot < 0 ? poolClosed() : error());
  }

  #remove(waiter: number): Wait | undefined {
    const wait = this.#waits.get(waiter);
    if (wait === undefined) return undefined;
    this.#waits.delete(waiter);
    clearTimeout(wait.timer);
    if (wait.onAbort) wait.signal?.removeEventListener('abort', wait.onAbort);
    return wait;
  }
}
