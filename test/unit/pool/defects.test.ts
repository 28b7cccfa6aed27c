/**
 * The defects known of a pool of this kind, frozen-core's `bufpool`: each has a test that would fail
 * with it.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import { TURN } from './support/turn.js';

const SIZE = 4096;

function poolOf(buffers: number): BufferPool {
  return new BufferPool({ bufferSize: SIZE, maxMemory: buffers * SIZE });
}

describe('no defect of frozen-core', () => {
  it('loses a wake-up between a check and a sleep', async () => {
    // A sleeper that is not told sleeps for ever. Each round the budget is spent, and released at an
    // arbitrary moment of the other thread's way to sleep.
    const pool = poolOf(1);
    const rounds = 3000;
    const file = new URL('support/sleeper.js', import.meta.url);
    const turn = new Int32Array(new SharedArrayBuffer(8));
    let run = await pool.allocate(1);
    const worker = new Worker(file, { workerData: { handle: pool.handle, rounds, turn } });
    const exit = once(worker, 'exit');
    for (let round = 0; round < rounds; round++) {
      Atomics.store(turn, TURN.BEGUN, round + 1);
      Atomics.notify(turn, TURN.BEGUN);
      while (Atomics.load(turn, TURN.STEP) < round * 2 + 1) await setImmediate(); // it asks
      for (let delay = round % 97; delay > 0; delay--) Atomics.load(turn, TURN.STEP);
      run.release();
      while (Atomics.load(turn, TURN.STEP) < round * 2 + 2) await setImmediate(); // it was served
      run = await pool.allocate(1);
    }
    run.release();
    assert.deepEqual(await exit, [0]);
    assert.equal(pool.stats.used, 0);
  });

  it('wakes a large request that does not fit while small ones sleep on', async () => {
    const pool = poolOf(3);
    const [first, second] = [await pool.allocate(2), await pool.allocate(1)];
    const small = [pool.allocate(1), pool.allocate(1)];
    const large = pool.allocate(3);
    first.release(); // room for both small ones: both are served, not one
    const served = await Promise.all(small);
    second.release();
    for (const run of served) run.release();
    (await large).release();
    assert.equal(pool.stats.used, 0);
  });

  it('ends a pool while a release is under way', async () => {
    const pool = poolOf(1);
    const run = await pool.allocate(1);
    const closing = pool.close();
    run.release();
    await closing;
    run[Symbol.dispose]();
    assert.equal(pool.stats.used, 0);
  });

  it('lets an allocation dangle when its pool moves or is dropped', async () => {
    const allocate = async (): Promise<Uint8Array> => (await poolOf(1).allocate(1)).bytes;
    const { collectGarbage } = await import('../../support/gc.js');
    const bytes = await allocate();
    for (let round = 0; round < 5; round++) {
      collectGarbage();
      await setImmediate();
    }
    bytes.fill(1);
    assert.equal(bytes[SIZE - 1], 1);
  });

  it('checks requests in debug builds only, and hangs on large ones in others', async () => {
    const pool = new BufferPool({ bufferSize: 64, maxMemory: 64 * 70_000 });
    await assert.rejects(pool.allocate(70_001), { code: 'ERR_OUT_OF_RANGE' });
    using run = await pool.allocate(70_000); // more than 2^16 - 1
    assert.equal(run.byteLength, 64 * 70_000);
  });

  it('overflows when sums of sizes are large', async () => {
    const pool = new BufferPool({ bufferSize: 2 ** 30, maxMemory: 2 ** 40 });
    const runs = Array.from({ length: 256 }, () => pool.tryAllocate(4)!);
    assert.equal(pool.stats.used, 2 ** 40);
    assert.equal(pool.tryAllocate(1), undefined);
    await assert.rejects(pool.allocate(Number.MAX_SAFE_INTEGER), { code: 'ERR_OUT_OF_RANGE' });
    for (const run of runs) run.release();
    assert.equal(pool.stats.used, 0);
    await pool.close();
  });

  it('lets an iterator outlive its allocation', async () => {
    const pool = poolOf(2);
    const run = await pool.allocate(2);
    const iterator = run[Symbol.iterator]();
    iterator.next();
    run.release();
    assert.throws(() => iterator.next(), { code: 'ERR_ANNULUS_RELEASED' });
  });

  it('refuses a pool of exactly one buffer', async () => {
    const pool = poolOf(1);
    using run = await pool.allocate(1);
    assert.equal(run.byteLength, SIZE);
    assert.equal(pool.tryAllocate(1), undefined);
  });

  it('fails for an allocation of nothing for another reason than that', async () => {
    await assert.rejects(poolOf(2).allocate(0), {
      code: 'ERR_OUT_OF_RANGE',
      message: /"length".*Received 0$/,
    });
  });
});
