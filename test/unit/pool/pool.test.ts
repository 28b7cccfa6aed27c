/**
 * BufferPool in one thread: what it gives out, whom it lets wait, and what it refuses.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { BufferPool } from 'annulus/pool';
import type { Allocation, BufferPoolOptions } from 'annulus/pool';
import { regionOf } from '#src/memory/region.js';

const KIB = 1024;

/** A pool of `buffers` buffers of 4 KiB. Not closed at the end of a test, which would hide a failure. */
function poolOf(buffers: number, options: Partial<BufferPoolOptions> = {}): BufferPool {
  return new BufferPool({ bufferSize: 4 * KIB, maxMemory: buffers * 4 * KIB, ...options });
}

type Note = (name: string, what: Promise<unknown>) => void;

/** Notes the order in which promises are settled. */
function order(): { readonly log: string[]; readonly note: Note } {
  const log: string[] = [];
  return {
    log,
    note: (name, what) => {
      what.then(
        () => log.push(name),
        (error: unknown) => log.push(`${name}: ${(error as { code: string }).code}`),
      );
    },
  };
}

describe('an allocation', () => {
  it('is one contiguous run of zeroed buffers in memory the kernel may be given', async () => {
    const pool = poolOf(8);
    using three = await pool.allocate(3);
    assert.deepEqual([three.length, three.byteLength], [3, 12 * KIB]);
    assert.equal(three.bytes.length, 12 * KIB);
    assert.equal(three.bytes, three.bytes);
    assert.ok(three.bytes.every((byte) => byte === 0));
    assert.ok(regionOf(three.bytes) !== undefined);
    const parts = [...three];
    assert.deepEqual(
      parts.map((part) => [part.byteOffset - three.bytes.byteOffset, part.length]),
      [0, 1, 2].map((index) => [index * 4 * KIB, 4 * KIB]),
    );
    assert.equal(three.first.byteOffset, three.bytes.byteOffset);
    assert.equal(three.first.length, 4 * KIB);
  });

  it('begins at 4 KiB, whatever the size of a buffer, if it is that large', async () => {
    for (const bufferSize of [64, 1000, 1500, 4096, 5000, 12 * KIB]) {
      const pool = new BufferPool({ bufferSize, maxMemory: 200 * bufferSize });
      for (const length of [1, 2, 3, 5, 9, 70]) {
        using run = await pool.allocate(length);
        const region = regionOf(run.bytes)!;
        const address = region.address + run.bytes.byteOffset;
        if (run.byteLength >= 4096) assert.equal(address % 4096, 0, `${length} x ${bufferSize}`);
        assert.equal(run.byteLength, length * bufferSize);
      }
    }
  });

  it('never overlaps another', async () => {
    for (const bufferSize of [64, 1500, 4096]) {
      const pool = new BufferPool({ bufferSize, maxMemory: 64 * bufferSize });
      const runs = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((length) => pool.tryAllocate(length)!);
      for (const [index, run] of runs.entries()) run.bytes.fill(index + 1);
      for (const [index, run] of runs.entries()) {
        assert.ok(run.bytes.every((byte) => byte === index + 1));
        run.release();
      }
    }
  });

  it('gives its budget back at the end of its scope', async () => {
    const pool = poolOf(2);
    {
      using both = await pool.allocate(2);
      assert.equal(pool.stats.used, both.byteLength);
    }
    assert.equal(pool.stats.used, 0);
    assert.equal(pool.stats.peak, 8 * KIB);
  });

  it('may be released within its scope as well', async () => {
    const pool = poolOf(1);
    using one = await pool.allocate(1);
    one.release();
    assert.equal(one.released, true);
  });

  it('is shared by reference until the last one is released', async () => {
    const pool = poolOf(1);
    const one = await pool.allocate(1);
    one.bytes[0] = 7;
    const other = one.retain();
    assert.notEqual(other, one);
    one.release();
    assert.equal(pool.tryAllocate(1), undefined);
    assert.equal(other.bytes[0], 7);
    assert.throws(() => one.release(), { code: 'ERR_ANNULUS_DOUBLE_RELEASE' });
    other.release();
    assert.equal(pool.stats.used, 0);
  });

  it('refuses to be released twice, or used after its release', async () => {
    const pool = poolOf(2);
    const one = await pool.allocate(1);
    const iterator = one[Symbol.iterator]();
    one.release();
    assert.throws(() => one.release(), { code: 'ERR_ANNULUS_DOUBLE_RELEASE' });
    assert.throws(() => pool.release(one), { code: 'ERR_ANNULUS_DOUBLE_RELEASE' });
    const released = { code: 'ERR_ANNULUS_RELEASED', message: /allocation of 1 buffer/ };
    assert.throws(() => one.bytes, released);
    assert.throws(() => one.first, released);
    assert.throws(() => one.retain(), released);
    assert.throws(() => one.move(), released);
    assert.throws(() => iterator.next(), released);
    assert.equal(pool.stats.used, 0);
  });

  it('is released by its own pool only', async () => {
    const pool = poolOf(1);
    const other = poolOf(1);
    const one = await pool.allocate(1);
    assert.throws(() => other.release(one), { code: 'ERR_ANNULUS_WRONG_POOL' });
    assert.throws(() => other.release({} as Allocation), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(pool.stats.used, 4 * KIB);
    pool.release(one);
    assert.equal(pool.stats.used, 0);
  });
});

describe('a request', () => {
  it('is refused at once if it could never fit, with the values', async () => {
    const pool = poolOf(4);
    for (const length of [5, 2 ** 40, 0, -1, 1.5, NaN]) {
      const refused = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
      await assert.rejects(pool.allocate(length), refused);
      assert.throws(() => pool.tryAllocate(length), {
        ...refused,
        message: new RegExp(`from 1 to 4, .* 4096 bytes .* 16384 .*Received ${length}$`),
      });
    }
    const text = '1' as unknown as number;
    await assert.rejects(pool.allocate(text), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('may take the whole budget', async () => {
    const pool = poolOf(4);
    using all = await pool.allocate(4);
    assert.equal(all.byteLength, pool.maxMemory);
    assert.equal(pool.tryAllocate(1), undefined);
  });

  it('waits for its turn, and small ones do not overtake a large one', async () => {
    const pool = poolOf(4);
    const held = [await pool.allocate(2), await pool.allocate(2)];
    const { log, note } = order();
    const large = pool.allocate(3);
    const small = pool.allocate(1);
    note('large', large);
    note('small', small);
    held[0]!.release();
    await setImmediate();
    assert.deepEqual(log, []);
    assert.equal(pool.tryAllocate(1), undefined, 'nobody may jump the queue');
    assert.equal(pool.stats.waiters, 2);
    held[1]!.release();
    await setImmediate();
    assert.deepEqual(log, ['large', 'small']);
    (await large).release();
    (await small).release();
    assert.equal(pool.stats.used, 0);
  });

  it('has its budget before the release returns', async () => {
    const pool = poolOf(1);
    const one = await pool.allocate(1);
    const next = pool.allocate(1);
    one.release();
    assert.deepEqual([pool.stats.used, pool.stats.waiters], [4 * KIB, 0]);
    assert.equal(pool.tryAllocate(1), undefined);
    (await next).release();
  });

  it('of a higher priority goes first, of the same in order', async () => {
    const pool = poolOf(1);
    const one = await pool.allocate(1);
    const { log, note } = order();
    for (const [name, priority] of Object.entries({ a: 0, b: 5, c: -1, d: 5, e: 0 })) {
      const request = pool.allocate(1, { priority });
      note(
        name,
        request.then((run) => run.release()),
      );
    }
    one.release();
    await setImmediate();
    assert.deepEqual(log, ['b', 'd', 'a', 'e', 'c']);
  });

  it('that is urgent and fits passes those that wait', async () => {
    const pool = poolOf(4);
    const held = await pool.allocate(3);
    const large = pool.allocate(4);
    const urgent = await pool.allocate(1, { priority: 1 });
    urgent.release();
    held.release();
    (await large).release();
  });

  it('leaves the queue when it is aborted, and those behind it are served', async () => {
    const pool = poolOf(4);
    using held = await pool.allocate(2);
    const controller = new AbortController();
    const large = pool.allocate(4, { signal: controller.signal });
    const small = pool.allocate(2);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(large, { name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    (await small).release();
    assert.deepEqual([pool.stats.used, pool.stats.waiters], [held.byteLength, 0]);
    await assert.rejects(pool.allocate(1, { signal: controller.signal }), { code: 'ABORT_ERR' });
  });

  it('leaves the queue when its time is up, and those behind it are served', async () => {
    const pool = poolOf(4);
    using held = await pool.allocate(2);
    const large = pool.allocate(4, { timeout: 5 });
    const small = pool.allocate(2);
    await assert.rejects(large, { code: 'ERR_ANNULUS_TIMEOUT', message: /4 buffer.* 5 ms/ });
    (await small).release();
    await assert.rejects(pool.allocate(4, { timeout: 0 }), { code: 'ERR_ANNULUS_TIMEOUT' });
    assert.deepEqual([pool.stats.used, pool.stats.waiters], [held.byteLength, 0]);
  });

  it('has options of the right kind', async () => {
    const pool = poolOf(1);
    for (const options of [{ timeout: -1 }, { timeout: 0.5 }, { priority: 2 ** 31 }]) {
      await assert.rejects(pool.allocate(1, options), { code: 'ERR_OUT_OF_RANGE' });
    }
    const signal = {} as AbortSignal;
    await assert.rejects(pool.allocate(1, { signal }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('puts no main thread to sleep', async () => {
    const pool = poolOf(1);
    assert.throws(() => pool.allocateSync(1), { code: 'ERR_ANNULUS_MAIN_THREAD' });
  });

  it('is refused by name when too many wait', async () => {
    const pool = poolOf(1);
    const one = await pool.allocate(1);
    const waits = Array.from({ length: 65_536 }, () => pool.allocate(1));
    await assert.rejects(pool.allocate(1), { code: 'ERR_ANNULUS_LIMIT', message: /65536/ });
    const closing = pool.close();
    one.release();
    await closing;
    const settled = await Promise.allSettled(waits);
    assert.ok(settled.every(({ status }) => status === 'rejected'));
  });
});

describe('a pool', () => {
  it('refuses options that cannot be, with the values', () => {
    const make = (bufferSize: number, maxMemory: number): BufferPool =>
      new BufferPool({ bufferSize, maxMemory });
    const out = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    for (const size of [0, -1, 0.5, 2 ** 32 + 1]) assert.throws(() => make(size, 2 ** 40), out);
    assert.throws(() => make(4096, 4095), { ...out, message: /buffer of 4096.*Received 4095/ });
    assert.throws(() => make(1, 2 ** 23), { ...out, message: /make them larger/ });
    assert.throws(() => new BufferPool(undefined as unknown as BufferPoolOptions), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.throws(() => poolOf(1, { leakDetection: 'paranoid' as 'full' }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    assert.throws(() => poolOf(1, { hugePages: 1 as unknown as boolean }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.throws(() => poolOf(1, { trimAfter: 0 }), out);
  });

  it('has as many whole buffers as the budget holds', async () => {
    const pool = new BufferPool({ bufferSize: 1000, maxMemory: 3999 });
    assert.deepEqual([pool.capacity, pool.bufferSize, pool.maxMemory], [3, 1000, 3999]);
    using all = await pool.allocate(3);
    assert.equal(all.byteLength, 3000);
  });

  it('closes when the last allocation is released, and gives out nothing meanwhile', async () => {
    const pool = poolOf(2);
    const one = await pool.allocate(1);
    const waiting = pool.allocate(2);
    const { log, note } = order();
    note('waiting', waiting);
    note('closed', pool.close());
    assert.equal(pool.close(), pool.close());
    await setImmediate();
    assert.deepEqual(log, ['waiting: ERR_ANNULUS_CLOSED']);
    assert.equal(pool.closed, true);
    const closed = { code: 'ERR_ANNULUS_CLOSED' };
    await assert.rejects(pool.allocate(1), closed);
    assert.throws(() => pool.tryAllocate(1), closed);
    assert.throws(() => pool.handle, closed);
    const { bytes } = one;
    bytes[0] = 1; // still there
    one.release();
    await setImmediate();
    assert.deepEqual(log, ['waiting: ERR_ANNULUS_CLOSED', 'closed']);
    assert.equal(bytes.length, 0);
    assert.throws(() => pool.trim(), closed);
  });

  it('counts exactly', async () => {
    const pool = poolOf(10);
    const runs = [1, 2, 3].map((length) => pool.tryAllocate(length)!);
    const waits = [pool.allocate(10), pool.allocate(1)];
    const { used, peak, budget, allocations, waiters, bufferSize } = pool.stats;
    assert.deepEqual(
      { used, peak, budget, allocations, waiters, bufferSize },
      {
        used: 24 * KIB,
        peak: 24 * KIB,
        budget: 40 * KIB,
        allocations: 3,
        waiters: 2,
        bufferSize: 4 * KIB,
      },
    );
    for (const run of runs) run.release();
    for (const wait of waits) (await wait).release();
    const after = pool.stats;
    assert.deepEqual([after.used, after.peak, after.allocations], [0, 40 * KIB, 0]);
    assert.equal(after.waitTime.count, 2);
    assert.ok(after.waitTime.min > 0 && after.waitTime.max >= after.waitTime.p50);
    assert.equal(pool.waitTimes.count, 2);
  });
});
