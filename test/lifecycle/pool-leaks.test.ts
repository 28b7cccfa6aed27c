/**
 * Allocations that are forgotten: they are reported once, and their budget comes back.
 */

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { BufferPool } from 'annulus/pool';
import type { Allocation, BufferPoolEvent, BufferPoolOptions } from 'annulus/pool';
import { openFiles } from '../support/census.js';
import { collectGarbage } from '../support/gc.js';

const SIZE = 4096;

interface LeakWarning extends Error {
  readonly code?: string;
  readonly detail?: string;
}

/** Warnings of leaks, as the process gets them; they are expected here, and not printed. */
const warnings: LeakWarning[] = [];
process.removeAllListeners('warning');
process.on('warning', (warning: LeakWarning) => {
  if (warning.code === 'ANNULUS_POOL_LEAK') warnings.push(warning);
});

function poolOf(buffers: number, options: Partial<BufferPoolOptions> = {}): BufferPool {
  return new BufferPool({ bufferSize: SIZE, maxMemory: buffers * SIZE, trimAfter: 1, ...options });
}

/** Collects garbage until something is so. */
async function collectUntil(what: () => boolean): Promise<void> {
  while (!what()) {
    collectGarbage();
    await setTimeout(1);
  }
}

/** Allocates and forgets, in a frame of its own. */
async function forget(pool: BufferPool, length = 1): Promise<void> {
  const run = await pool.allocate(length);
  run.first[0] = 1;
}

describe('an allocation that is forgotten', () => {
  it('is reported once, with what to do, and its budget is reclaimed', async () => {
    const pool = poolOf(2);
    warnings.length = 0;
    await forget(pool, 2);
    const next = pool.allocate(2);
    await collectUntil(() => pool.stats.waiters === 0);
    (await next).release();
    await collectUntil(() => warnings.length > 0);
    for (let round = 0; round < 5; round++) {
      collectGarbage();
      await setImmediate();
    }
    assert.equal(warnings.length, 1);
    const { name, message, detail } = warnings[0]!;
    assert.equal(name, 'AnnulusLeakWarning');
    assert.match(message, /2 buffer\(s\), 8192 bytes, was never released/);
    assert.match(detail!, /leakDetection: 'sampled' or 'full'/);
    assert.deepEqual([pool.stats.leaked, pool.stats.used], [1, 0]);
    await pool.close();
  });

  for (const leakDetection of ['sampled', 'full'] as const) {
    it(`is reported with where it was allocated: ${leakDetection}`, async () => {
      const pool = poolOf(1, { leakDetection });
      warnings.length = 0;
      await forget(pool);
      await collectUntil(() => warnings.length > 0);
      assert.match(warnings[0]!.detail!, /^Allocated\n(?:.*\n)* +at forget \(.*pool-leaks\.test/);
    });
  }

  it('after a wait is reported with where it was asked for', async () => {
    const pool = poolOf(1, { leakDetection: 'full' });
    warnings.length = 0;
    const run = await pool.allocate(1);
    const forgotten = forget(pool);
    run.release();
    await forgotten;
    await collectUntil(() => warnings.length > 0);
    assert.match(warnings[0]!.detail!, /at forget /);
  });

  it('has no trace if it was not the one of many that has', async () => {
    const pool = poolOf(2, { leakDetection: 'sampled' });
    warnings.length = 0;
    using first = await pool.allocate(1);
    await forget(pool);
    await collectUntil(() => warnings.length > 0);
    assert.match(warnings[0]!.detail!, /only one in 128/);
    assert.equal(first.released, false);
  });

  it('is reclaimed in silence if that is wanted', async () => {
    const pool = poolOf(1, { leakDetection: 'off' });
    warnings.length = 0;
    await forget(pool);
    await collectUntil(() => pool.stats.leaked === 1);
    await setImmediate();
    assert.deepEqual([warnings.length, pool.stats.used], [0, 0]);
  });

  it('is found however many are made after it', async () => {
    const pool = poolOf(1000, { trimAfter: Infinity });
    for (let count = 0; count < 600; count++) await forget(pool);
    // Those that were pushed off the list of young ones are watched; the rest after a second.
    await collectUntil(() => pool.stats.leaked >= 600 - 256);
    assert.ok(warnings.length <= 110);
    await collectUntil(() => pool.stats.leaked === 600);
    assert.equal(pool.stats.used, 0);
  });

  it('is one reference of several', async () => {
    const pool = poolOf(1);
    const run = await pool.allocate(1);
    const share = (): void => void run.retain().first;
    share();
    await collectUntil(() => pool.stats.leaked === 1);
    assert.equal(pool.stats.used, SIZE);
    run.release();
    assert.equal(pool.stats.used, 0);
  });
});

describe('an allocation that is not forgotten', () => {
  it('is not reported, though it lives long', async () => {
    const pool = poolOf(100);
    const runs: Allocation[] = [];
    for (let count = 0; count < 100; count++) runs.push(await pool.allocate(1));
    await setTimeout(10);
    for (let round = 0; round < 5; round++) {
      collectGarbage();
      await setTimeout(1);
    }
    for (const run of runs.splice(0)) run.release();
    await pool.close();
    collectGarbage();
    await setTimeout(1);
    assert.deepEqual([pool.stats.leaked, pool.stats.used], [0, 0]);
  });

  it('may be known by its bytes only', async () => {
    const pool = poolOf(1);
    const view = async (): Promise<Uint8Array> => (await pool.allocate(1)).bytes;
    const bytes = await view();
    await setTimeout(10);
    for (let round = 0; round < 5; round++) {
      collectGarbage();
      await setTimeout(1);
    }
    assert.equal(pool.stats.leaked, 0);
    bytes.fill(1);
  });
});

describe('a pool that is forgotten', () => {
  it('closes its file', async () => {
    const before = openFiles().length;
    const use = async (): Promise<void> => {
      for (let count = 0; count < 20; count++) {
        const pool = poolOf(1);
        (await pool.allocate(1)).release();
      }
    };
    await use();
    await collectUntil(() => openFiles().length <= before);
  });
});

describe('the diagnostics channel of pools', () => {
  it('tells of waits, of their ends, of leaks and of the close', async () => {
    const seen: string[] = [];
    const listen = (message: unknown): void => {
      const { event, stats } = message as BufferPoolEvent;
      seen.push(`${event} ${stats.used / SIZE} ${stats.waiters}`);
    };
    subscribe('annulus.pool', listen);
    const pool = poolOf(1);
    const run = await pool.allocate(1);
    const next = pool.allocate(1);
    run.release();
    (await next).release();
    await forget(pool);
    await collectUntil(() => pool.stats.leaked === 1);
    await pool.close();
    unsubscribe('annulus.pool', listen);
    assert.deepEqual(seen, ['wait 1 1', 'served 1 0', 'leak 0 0', 'close 0 0']);
  });
});
