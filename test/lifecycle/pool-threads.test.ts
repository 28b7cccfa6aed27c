/**
 * Threads of a pool: what they hold comes back when they end, however they end, and what they hand
 * over stays.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { AllocationHandle, BufferPoolHandle } from 'annulus/pool';
import { openFiles } from '../support/census.js';

const SIZE = 4096;
const file = new URL('programs/pool-thread.js', import.meta.url);

function poolOf(buffers: number): BufferPool {
  return new BufferPool({ bufferSize: SIZE, maxMemory: buffers * SIZE });
}

function start(work: string, handle?: BufferPoolHandle): Worker {
  return new Worker(file, { workerData: { work, handle } });
}

async function message(worker: Worker): Promise<unknown> {
  const [value] = (await once(worker, 'message')) as [unknown];
  return value;
}

/** Lets the event loop turn until something is so: a test that waits in vain is ended by its limit. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await setImmediate();
}

describe('a thread of a pool', () => {
  for (const work of ['hold', 'wait', 'sleep', 'post']) {
    it(`that is terminated gives all back: ${work}`, async () => {
      const pool = poolOf(2);
      const mine = work === 'hold' || work === 'post' ? undefined : await pool.allocate(1);
      const worker = start(work, pool.handle);
      if (work === 'post') await message(worker);
      await message(worker);
      if (mine !== undefined) await until(() => pool.stats.waiters === 1);
      else assert.equal(pool.stats.used, 2 * SIZE);
      const waiting = pool.allocate(2);
      await worker.terminate();
      mine?.release();
      const all = await waiting;
      assert.deepEqual([pool.stats.used, pool.stats.waiters], [2 * SIZE, 0]);
      all.release();
      await pool.close();
    });
  }

  it('that exits by itself gives all back', async () => {
    const pool = poolOf(2);
    const worker = start('hold', pool.handle);
    await message(worker);
    worker.postMessage('exit', []);
    (await pool.allocate(2)).release();
    await pool.close();
  });

  it('that ends with the lock in hand is repaired after', async () => {
    const pool = poolOf(4);
    const worker = start('lock', pool.handle);
    await once(worker, 'exit');
    // The lock is taken over from the dead thread here, then what it held comes back.
    using two = await pool.allocate(2);
    await until(() => pool.stats.used === 2 * SIZE);
    assert.deepEqual([pool.stats.allocations, pool.stats.waiters], [1, 0]);
    const rest = pool.tryAllocate(2)!;
    assert.equal(pool.tryAllocate(1), undefined);
    two.release();
    rest.release();
    assert.equal(pool.stats.used, 0);
    await pool.close();
  });

  it('that is terminated at any moment leaves the accounts right', async () => {
    const pool = poolOf(8);
    for (let round = 0; round < 12; round++) {
      const worker = start('churn', pool.handle);
      await message(worker);
      for (let turn = 0; turn < 500 * (round % 4); turn++) pool.tryAllocate(2)?.release();
      await worker.terminate();
      const all = await pool.allocate(8);
      assert.equal(pool.stats.used, 8 * SIZE);
      all.release();
      assert.equal(pool.stats.used, 0);
    }
    await pool.close();
  });

  it('leaves what it has moved, if it closes its pool first', async () => {
    const pool = poolOf(2);
    const worker = start('leave', pool.handle);
    const moved = (await message(worker)) as AllocationHandle;
    await message(worker);
    await worker.terminate();
    const run = pool.adopt(moved);
    assert.ok(run.bytes.every((byte) => byte === 7));
    assert.equal(pool.stats.used, 2 * SIZE);
    run.release();
    assert.throws(() => pool.adopt(moved), { code: 'ERR_ANNULUS_RELEASED' });
    await pool.close();
  });

  it('takes what it has moved with it otherwise', async () => {
    const pool = poolOf(2);
    const worker = start('post', pool.handle);
    const moved = (await message(worker)) as AllocationHandle;
    await worker.terminate();
    (await pool.allocate(2)).release();
    assert.throws(() => pool.adopt(moved), { code: 'ERR_ANNULUS_RELEASED' });
    await pool.close();
  });

  it('can adopt from another thread, which may then end', async () => {
    const pool = poolOf(2);
    const worker = start('post', pool.handle);
    const run = pool.adopt((await message(worker)) as AllocationHandle);
    await worker.terminate();
    await setImmediate();
    assert.ok(run.bytes.every((byte) => byte === 7));
    assert.equal(pool.stats.used, 2 * SIZE);
    run.release();
    await pool.close();
  });

  it('takes the pool with it if it is the home', async () => {
    const worker = start('home');
    const handle = (await message(worker)) as BufferPoolHandle;
    const pool = BufferPool.attach(handle);
    using run = pool.tryAllocate(1)!;
    run.bytes.fill(3);
    const waiting = pool.allocate(2);
    const died = { code: 'ERR_ANNULUS_PEER_DIED' };
    const rejected = assert.rejects(waiting, died);
    await worker.terminate();
    await rejected;
    await assert.rejects(pool.allocate(1), died);
    assert.throws(() => pool.tryAllocate(1), died);
    assert.ok(run.bytes.every((byte) => byte === 3));
    run.release();
    await pool.close();
    assert.throws(() => BufferPool.attach(handle));
  });

  it('is served by the home, in another thread', async () => {
    const worker = start('home');
    const pool = BufferPool.attach((await message(worker)) as BufferPoolHandle);
    const waiting = pool.allocate(4);
    await until(() => pool.stats.waiters === 1);
    worker.postMessage('release', []);
    (await waiting).release();
    await pool.close();
    await worker.terminate();
  });

  it('that ends before it takes part gives its place up', async () => {
    const before = openFiles();
    const pool = poolOf(1);
    await once(start('sit', pool.handle), 'exit');
    // All are taken, and the home has not been told. Who finds no place tells it.
    assert.throws(() => BufferPool.attach(pool.handle), { code: 'ERR_ANNULUS_LIMIT' });
    const places: BufferPool[] = [];
    await until(() => {
      try {
        places.push(BufferPool.attach(pool.handle));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ERR_ANNULUS_LIMIT');
      }
      return places.length === 255;
    });
    for (const attached of places) await attached.close();
    await pool.close();
    assert.deepEqual(openFiles(), before);
  });

  it('attaches and leaves without a trace', async () => {
    const before = openFiles();
    const pool = poolOf(2);
    for (let round = 0; round < 300; round++) {
      const attached = BufferPool.attach(pool.handle);
      (await attached.allocate(1)).release();
      await attached.close();
      await setImmediate();
    }
    await pool.close();
    assert.deepEqual(openFiles(), before);
    assert.throws(() => pool.handle, { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('cannot attach to what is no pool, or is closed', async () => {
    const pool = poolOf(1);
    const { handle } = pool;
    const invalid = { code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => BufferPool.attach({} as BufferPoolHandle), invalid);
    assert.throws(() => BufferPool.attach({ ...handle, pid: 1 }), invalid);
    const tables = new SharedArrayBuffer(handle.tables.byteLength);
    assert.throws(() => BufferPool.attach({ ...handle, tables }), invalid);
    await pool.close();
    assert.throws(() => BufferPool.attach(handle), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('rejects what waits when the home closes', async () => {
    const pool = poolOf(1);
    const attached = BufferPool.attach(pool.handle);
    const run = await attached.allocate(1);
    const waiting = attached.allocate(1);
    const closing = pool.close();
    await assert.rejects(waiting, { code: 'ERR_ANNULUS_CLOSED' });
    run.release();
    await closing;
    await assert.rejects(attached.allocate(1), { code: 'ERR_ANNULUS_CLOSED' });
    await attached.close();
  });
});
