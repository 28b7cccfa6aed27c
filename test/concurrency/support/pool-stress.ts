/**
 * The stress of a pool: threads that ask for more than there is, release, hand over and give up, while
 * each marks what it holds and looks whether somebody else has.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { AllocationHandle, BufferPoolHandle } from 'annulus/pool';

/** Buffers of the pool: much less than its threads ask for, so the budget is nearly always spent. */
export const CAPACITY = 12;
const BUFFER_SIZE = 4096;

/** What a thread is started with. */
export interface StressWork {
  readonly handle: BufferPoolHandle;
  readonly manner: 'async' | 'blocking';
  readonly seed: number;
  readonly count: number;
  /** How often each thread was served, and gave up: two words a thread. */
  readonly results: Int32Array;
  readonly index: number;
}

const workerFile = new URL('pool-stress-thread.js', import.meta.url);

/** Runs `threads` threads that make `count` allocations each; every second one blocks. */
export async function stressPool(threads: number, count: number, seed: number): Promise<void> {
  const pool = new BufferPool({ bufferSize: BUFFER_SIZE, maxMemory: CAPACITY * BUFFER_SIZE });
  const results = new Int32Array(new SharedArrayBuffer(threads * 8));
  const workers = Array.from({ length: threads }, (_, index) => {
    const manner = index % 2 === 0 ? 'async' : 'blocking';
    const work: StressWork = {
      handle: pool.handle,
      manner,
      seed: seed + index,
      count,
      results,
      index,
    };
    return new Worker(workerFile, { workerData: work });
  });
  for (const worker of workers) {
    worker.on('message', (handle: AllocationHandle) => {
      const run = pool.adopt(handle);
      checkMark(run.bytes);
      run.release();
    });
  }
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(
    codes,
    workers.map(() => [0]),
  );
  for (let index = 0; index < threads; index++) {
    assert.equal(results[index * 2]! + results[index * 2 + 1]!, count);
  }
  await pool.close();
  const { used, allocations, waiters, peak, leaked } = pool.stats;
  assert.deepEqual({ used, allocations, waiters, leaked }, ZERO);
  assert.equal(peak, pool.maxMemory);
}

const ZERO = { used: 0, allocations: 0, waiters: 0, leaked: 0 };

/** Puts the same mark at the start and the end of each page. */
export function mark(bytes: Uint8Array, value: number): void {
  for (let at = 0; at < bytes.length; at += BUFFER_SIZE) {
    bytes[at] = value;
    bytes[at + BUFFER_SIZE - 1] = value;
  }
}

/** Looks whether all marks are the same: nobody else has had any part of the run. */
export function checkMark(bytes: Uint8Array, value: number = bytes[0]!): void {
  for (let at = 0; at < bytes.length; at += BUFFER_SIZE) {
    if (bytes[at] === value && bytes[at + BUFFER_SIZE - 1] === value) continue;
    throw new Error(`a run has the mark ${bytes[at]} at byte ${at}, not ${value}`);
  }
}
