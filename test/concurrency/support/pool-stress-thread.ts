/**
 * One thread of the stress of a pool.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { Allocation } from 'annulus/pool';
import { randomFrom } from '../../support/random.js';
import { ServingOrder } from './pool-order.js';
import { CAPACITY, checkMark, mark } from './pool-stress.js';
import type { StressWork } from './pool-stress.js';

const { handle, manner, seed, count, results, index } = workerData as StressWork;
const pool = BufferPool.attach(handle);
const random = randomFrom(seed);
const order = new ServingOrder(pool, handle);

/** Allocations under way at one time in a thread that does not block. */
const LANES = 4;

/** One in so many is handed to the home, gives up at once, or is large. */
const POST_ONE_IN = 64;
const ABORT_ONE_IN = 16;
const LARGE_ONE_IN = 32;

let started = 0;

function lengthOfNext(): number {
  return random(LARGE_ONE_IN) === 0 ? CAPACITY : 1 + random(5);
}

function use(run: Allocation): void {
  const value = random(256);
  mark(run.bytes, value);
  if (random(4) === 0) Atomics.load(results, 0);
  checkMark(run.bytes, value);
  results[index * 2]!++;
  if (random(POST_ONE_IN) === 0) parentPort!.postMessage(run.move(), []);
  else run.release();
}

async function lane(): Promise<void> {
  while (started < count) {
    started++;
    const controller = new AbortController();
    const priority = random(8) === 0 ? 1 : 0;
    const { ticket } = order;
    const request = pool.allocate(lengthOfNext(), { signal: controller.signal, priority });
    if (random(ABORT_ONE_IN) === 0) controller.abort();
    try {
      const run = await request;
      order.check(ticket, priority);
      use(run);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ABORT_ERR') throw error;
      results[index * 2 + 1]!++;
    }
  }
}

function block(): void {
  for (; started < count; started++) {
    const { ticket } = order;
    const run = pool.allocateSync(lengthOfNext(), { timeout: 120_000 });
    order.check(ticket, 0);
    use(run);
  }
}

if (manner === 'blocking') block();
else await Promise.all(Array.from({ length: LANES }, lane));
await pool.close();
