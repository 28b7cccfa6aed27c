/**
 * A thread that takes the one buffer of a pool again and again, asleep until it can have it.
 */

import { workerData } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { BufferPoolHandle } from 'annulus/pool';

const { handle, rounds, turn } = workerData as {
  handle: BufferPoolHandle;
  rounds: number;
  turn: Int32Array;
};

const pool = BufferPool.attach(handle);
for (let round = 0; round < rounds; round++) {
  Atomics.store(turn, 0, round + 1);
  pool.allocateSync(1).release();
}
await pool.close();
