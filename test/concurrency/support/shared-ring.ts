/**
 * The stress of a shared ring: threads that prepare, submit and reap batches of random sizes, and
 * count what comes back to each.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { SharedRing } from 'annulus/uring';
import type { SharedRingHandle, SharedRingOptions } from 'annulus/uring';
import { randomFrom } from '../../support/random.js';
import type { RandomInteger } from '../../support/random.js';

/** Requests of a thread under way at most, in entries of its submission queue. */
const DEPTH = 8;

/** What a thread is started with. */
export interface SharedWork {
  readonly handle: SharedRingHandle;
  readonly seed: number;
  readonly requests: number;
  /** How often it joins and leaves. Default: once. */
  readonly joins?: number;
  /** A thread that only reaps ends when this word is not 0 any more. */
  readonly stop?: Int32Array;
}

/** What a thread reports. */
export interface SharedReport {
  readonly completed: number;
  readonly forwarded: number;
  readonly overflows: number;
}

/** A thread that does what {@link work} does, or with no requests reaps for others, until told. */
export function startThread(data: SharedWork): Worker {
  return new Worker(new URL('shared-ring-thread.js', import.meta.url), { workerData: data });
}

/** What every token of a thread must come back as, once. */
class Ledger {
  readonly #seen: Uint8Array;
  told = 0;

  constructor(requests: number) {
    this.#seen = new Uint8Array(requests);
  }

  readonly tell = (token: number, result: number): void => {
    if (result !== 0) throw new Error(`token ${token} completed with ${result}`);
    if (this.#seen[token] !== 0) throw new Error(`token ${token} was told twice, or is not ours`);
    this.#seen[token] = 1;
    this.told++;
  };
}

/** Prepares a batch of at most `most` NOPs, the first with this token; how many. */
function prepare(ring: SharedRing, random: RandomInteger, first: number, most: number): number {
  const count = Math.min(1 + random(ring.entries), most, ring.space);
  for (let token = first; token < first + count; token++) ring.nop(token);
  return count;
}

/** Makes `requests` requests and takes all completions, in random steps. */
export function work(ring: SharedRing, seed: number, requests: number): SharedReport {
  const random = randomFrom(seed);
  const ledger = new Ledger(requests);
  const depth = DEPTH * ring.entries;
  let next = 0;
  while (ledger.told < requests) {
    const room = depth - ring.inFlight;
    if (next < requests && room > 0) {
      next += prepare(ring, random, next, Math.min(room, requests - next));
    }
    const step = next === requests || room <= 0 ? 0 : random(4);
    if (step === 0 && ring.inFlight > 0) ring.submitAndWait(1);
    else if (step !== 1) ring.submit();
    if (step !== 2) ring.drain(ledger.tell);
  }
  assert.equal(ring.inFlight, 0);
  const { completed, forwarded, overflows } = ring.stats;
  return { completed, forwarded, overflows };
}

/** Runs `threads` threads, this one among them, that make `requests` requests each. */
export async function stressShared(
  threads: number,
  requests: number,
  seed: number,
  options: SharedRingOptions = {},
): Promise<SharedReport> {
  using ring = new SharedRing({ entries: 128, ...options, threads });
  const { handle } = ring;
  const workers = Array.from({ length: threads - 1 }, (_, index) =>
    startThread({ handle, seed: seed + index + 1, requests }),
  );
  const answers = workers.map(async (worker) => {
    const [report] = (await once(worker, 'message')) as [SharedReport];
    return report;
  });
  const reports = [work(ring, seed, requests), ...(await Promise.all(answers))];
  for (const { completed } of reports) assert.equal(completed, requests);
  const sum = (name: keyof SharedReport): number =>
    reports.reduce((total, report) => total + report[name], 0);
  return {
    completed: sum('completed'),
    forwarded: sum('forwarded'),
    overflows: sum('overflows'),
  };
}
