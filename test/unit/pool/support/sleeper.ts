/**
 * A thread that takes the one buffer of a pool again and again, asleep until it can have it.
 */

import { workerData } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { BufferPoolHandle } from 'annulus/pool';
import { TURN } from './turn.js';

const { handle, rounds, turn } = workerData as {
  handle: BufferPoolHandle;
  rounds: number;
  turn: Int32Array;
};

const pool = BufferPool.attach(handle);
for (let round = 0; round < rounds; round++) {
  Atomics.wait(turn, TURN.BEGUN, round);
  Atomics.store(turn, TURN.STEP, round * 2 + 1);
  const run = pool.allocateSync(1);
  Atomics.store(turn, TURN.STEP, round * 2 + 2);
  run.release();
}
await pool.close();
