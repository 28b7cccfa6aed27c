/**
 * Threads that ask one pool for more than it has, for long: nobody gets what somebody else holds, each
 * is served, in order, and in the end the accounts are at zero. The long form is
 * `node build/test/long/pool-stress.js`.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { BufferPool } from 'annulus/pool';
import { printedSeed } from '../support/random.js';
import { stressPool } from './support/pool-stress.js';

const seed = printedSeed();

describe('a pool under stress', () => {
  it('with four threads', async () => {
    await stressPool(4, 40_000, seed);
  });

  it('serves in the order of asking', async () => {
    const pool = new BufferPool({ bufferSize: 4096, maxMemory: 2 * 4096 });
    const attached = BufferPool.attach(pool.handle);
    const held = await pool.allocate(2);
    const order: number[] = [];
    const here: Promise<void>[] = [];
    const there: Promise<void>[] = [];
    for (let index = 0; index < 1000; index++) {
      const from = index % 3 === 0 ? attached : pool;
      const request = from.allocate(1 + (index % 2)).then((run) => {
        order.push(index);
        run.release();
      });
      (from === pool ? here : there).push(request);
    }
    held.release();
    await Promise.all([...here, ...there]);
    // A release hands over to the next in line, whichever pool it asked: one after another.
    assert.deepEqual(
      order.filter((index) => index % 2 === 1),
      Array.from({ length: 500 }, (_, index) => index * 2 + 1),
    );
    await attached.close();
    await pool.close();
  });
});
