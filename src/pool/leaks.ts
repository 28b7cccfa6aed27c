/**
 * Leaks: allocations that were collected without a release.
 *
 * Having the garbage collector watch an object costs more than an allocation does. So a new one is
 * kept on a list of young ones, which holds it; most are released from there. Those that are pushed
 * out by newer ones, or are still there when the pool does its housekeeping, are handed to the
 * collector to watch.
 */
import type { Allocation, Hold } from './allocation.ts';

/** How much to find out about leaks. All but `off` report them; budget is reclaimed in any case. */
export type LeakDetection = 'off' | 'simple' | 'sampled' | 'full';

/** Every level there is. */
export const LEAK_DETECTIONS: readonly LeakDetection[] = ['off', 'simple', 'sampled', 'full'];

/** With `sampled`, one allocation in so many records where it was made, beginning with the first. */
const SAMPLE = 128;

/** Length of the list of young allocations; a power of two. */
const YOUNG = 256;

/** Warnings a pool prints; further leaks are counted only. */
const WARNINGS_MAX = 100;

/** What is remembered of an allocation that the collector watches. */
interface Watched {
  readonly leaks: Leaks;
  readonly hold: Hold;
  readonly trace: string | undefined;
}

const registry: FinalizationRegistry<Watched> = new FinalizationRegistry(
  ({ leaks, hold, trace }) => {
    leaks.found(hold, trace);
  },
);

/** The allocations of one pool in this thread, watched. */
export class Leaks {
  readonly #detection: LeakDetection;
  readonly #bufferSize: number;
  readonly #reclaim: (hold: Hold) => void;
  readonly #young: (Allocation | undefined)[] = Array.from({ length: YOUNG }, () => undefined);
  #next = 0;
  #sample = 0;
  #count = 0;

  /** @param reclaim - Ends one reference of a hold whose allocation is gone. */
  constructor(detection: LeakDetection, bufferSize: number, reclaim: (hold: Hold) => void) {
    this.#detection = detection;
    this.#bufferSize = bufferSize;
    this.#reclaim = reclaim;
  }

  /** Leaks found so far. */
  get count(): number {
    return this.#count;
  }

  /** Where the program is now, if that is to be recorded. */
  trace(): string | undefined {
    if (this.#detection !== 'full' && this.#detection !== 'sampled') return undefined;
    const due = this.#sample === 0;
    this.#sample = (this.#sample + 1) % SAMPLE;
    // As text at once: an Error holds the objects whose methods are on the stack, and so the leak.
    return due || this.#detection === 'full' ? new Error('allocated').stack : undefined;
  }

  /** Notes a new allocation. */
  add(allocation: Allocation): void {
    const at = this.#next;
    this.#next = (at + 1) & (YOUNG - 1);
    const older = this.#young[at];
    if (older !== undefined) this.#watch(older);
    this.#young[at] = allocation;
    allocation.young = at;
  }

  /** Forgets an allocation that is released or moved. */
  remove(allocation: Allocation): void {
    if (allocation.young < 0) registry.unregister(allocation);
    else this.#young[allocation.young] = undefined;
  }

  /** Has the collector watch all that are young now. */
  settle(): void {
    for (const [at, allocation] of this.#young.entries()) {
      if (allocation === undefined) continue;
      this.#young[at] = undefined;
      this.#watch(allocation);
    }
  }

  /** An allocation was collected. */
  found(hold: Hold, trace: string | undefined): void {
    this.#count++;
    this.#reclaim(hold);
    if (this.#detection === 'off' || this.#count > WARNINGS_MAX) return;
    const bytes = hold.length * this.#bufferSize;
    const last =
      this.#count === WARNINGS_MAX ? ' Further ones are counted in stats.leaked only.' : '';
    process.emitWarning(
      `An allocation of ${hold.length} buffer(s), ${bytes} bytes, was never released and has been ` +
        `reclaimed.${last}`,
      { type: 'AnnulusLeakWarning', code: 'ANNULUS_POOL_LEAK', detail: this.#origin(trace) },
    );
  }

  #origin(trace: string | undefined): string {
    if (trace !== undefined) return trace.replace(/^.*/, 'Allocated');
    return this.#detection === 'sampled'
      ? `Where it was allocated was not recorded: only one in ${SAMPLE} is. leakDetection: 'full' records all.`
      : "leakDetection: 'sampled' or 'full' records where allocations are made.";
  }

  #watch(allocation: Allocation): void {
    allocation.young = -1;
    const { hold, trace } = allocation;
    registry.register(allocation, { leaks: this, hold, trace }, allocation);
  }
}
