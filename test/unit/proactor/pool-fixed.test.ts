/**
 * A pool's slabs as registered memory: when, for whom and for how long, and that the budget is kept.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { alloc } from 'annulus';
import { BufferPool } from 'annulus/pool';
import type { BufferPoolOptions } from 'annulus/pool';
import { Proactor } from 'annulus/proactor';

import { pageSize } from '#src/sys/linux.js';
import { sharedBytes } from '../../support/census.ts';
import { Folder, registers } from '../../support/uring.ts';

const page = pageSize();
const MIB = 2 ** 20;
const { skip } = registers('REGISTER_BUFFERS2', 'REGISTER_BUFFERS_UPDATE');

function poolOf(pages: number, options: Partial<BufferPoolOptions> = {}): BufferPool {
  const sizes = { bufferSize: page, maxMemory: pages * page };
  return new BufferPool({ ...sizes, trimAfter: Infinity, ...options });
}

/** A file in a folder of the test's own, and what is in it. */
function file(test: TestContext): { readonly fd: number; readonly content: Buffer } {
  const folder = new Folder();
  test.after(() => folder[Symbol.dispose]());
  const content = Buffer.from(Array.from({ length: 4 * page }, (_, i) => i >> 4));
  return { fd: folder.open(content), content };
}

describe('a slab of a pool', { skip }, () => {
  it('is registered when a read first uses it, and then takes all transfers', async (test) => {
    const { fd, content } = file(test);
    const io = new Proactor();
    const pool = poolOf((4 * MIB) / page);
    const plain = await io.recv(fd, pool).catch((error: unknown) => error);
    assert.equal((plain as { code: string }).code, 'ENOTSOCK');
    assert.equal(pool.stats.registeredSlabs, 0);
    for (let index = 0; index < 4; index++) {
      using part = await io.read(fd, pool, { position: index * page });
      assert.ok(content.subarray(index * page, (index + 1) * page).equals(part.bytes));
      assert.deepEqual([pool.stats.slabs, pool.stats.registeredSlabs], [1, 1]);
    }
    using two = await pool.allocate(2);
    assert.equal(await io.read(fd, two, { position: 3, offset: 5, length: 7 }), 7);
    assert.ok(content.subarray(3, 10).equals(two.bytes.subarray(5, 12)));
    two.bytes.fill(9);
    assert.equal(await io.write(fd, two, { position: 0 }), 2 * page);
    assert.equal(pool.stats.registeredSlabs, 2);
    using again = await io.read(fd, pool, { position: page });
    assert.ok(again.bytes.every((byte) => byte === 9));
    const outside = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    for (const range of [
      { offset: -1 },
      { length: 2 * page + 1 },
      { offset: 1, length: 2 * page },
    ]) {
      await assert.rejects(io.read(fd, two, { position: 0, ...range }), outside);
    }
    await io.close();
    assert.equal(pool.stats.registeredSlabs, 0);
  });

  it('leaves room for memory the program registers, before or after', async (test) => {
    const { fd, content } = file(test);
    await using io = new Proactor();
    const pool = poolOf(8);
    const memories = [alloc(10), alloc(20)];
    for (const poolFirst of [false, true]) {
      if (poolFirst) (await io.read(fd, pool, { position: 0 })).release();
      const fixed = io.registerBuffers(memories);
      assert.deepEqual(
        fixed.map(({ index, byteLength }) => [index, byteLength]),
        [
          [0, 10],
          [1, 20],
        ],
      );
      assert.throws(() => io.registerBuffers(memories), { code: 'EBUSY' });
      (await io.read(fd, pool, { position: 0 })).release();
      assert.equal(pool.stats.registeredSlabs, 1);
      assert.equal(await io.readFixed(fd, fixed[1]!, { position: 30 }), 20);
      assert.ok(content.subarray(30, 50).equals(memories[1]!));
      io.unregisterBuffers();
      assert.throws(() => io.unregisterBuffers(), { code: 'ENXIO' });
      pool.trim();
      assert.equal(pool.stats.registeredSlabs, 0);
      assert.throws(() => io.unregisterBuffers(), { code: 'ENXIO' });
    }
    (await io.read(fd, pool, { position: 0 })).release();
    const many = Array.from({ length: 1025 }, () => memories[0]!);
    assert.throws(() => io.registerBuffers(many), { code: 'ERR_ANNULUS_LIMIT' });
    assert.equal(io.registerBuffers(many.slice(1)).length, 1024);
    await pool.close();
  });

  it('is registered by each proactor for itself', async (test) => {
    const { fd } = file(test);
    const [first, second] = [new Proactor(), new Proactor()];
    const pool = poolOf(8);
    for (const io of [first, second]) (await io.read(fd, pool, { position: 0 })).release();
    await first.close();
    assert.equal(pool.stats.registeredSlabs, 1, 'the other one has it still');
    (await second.read(fd, pool, { position: 0 })).release();
    await second.close();
    assert.equal(pool.stats.registeredSlabs, 0);
    await pool.close();
  });

  it('is unregistered before its memory goes back to the system', async (test) => {
    const { fd } = file(test);
    await using io = new Proactor();
    const pool = poolOf(64);
    const before = sharedBytes();
    const all = await pool.allocate(64);
    all.bytes.fill(1);
    all.release();
    (await io.read(fd, pool, { position: 0 })).release();
    assert.equal(pool.stats.registeredSlabs, 1);
    assert.equal(pool.stats.resident, 64 * page, 'the other slab has given its memory up');
    pool.trim();
    assert.deepEqual([pool.stats.registeredSlabs, pool.stats.resident], [0, 0]);
    assert.equal(sharedBytes(), before);
    (await io.read(fd, pool, { position: 0 })).release();
    assert.equal(pool.stats.registeredSlabs, 1);
    await pool.close();
    assert.equal(pool.stats.registeredSlabs, 0);
  });

  it('is unregistered by itself when it is not used', async (test) => {
    const { fd } = file(test);
    await using io = new Proactor();
    const pool = poolOf(64, { trimAfter: 1 });
    (await io.read(fd, pool, { position: 0 })).release();
    while (pool.stats.resident > 0) await setTimeout(1);
    assert.equal(pool.stats.registeredSlabs, 0);
    await pool.close();
  });

  it('is given up when the pool needs the room, and the budget is kept', async (test) => {
    const { fd, content } = file(test);
    await using io = new Proactor();
    const pool = poolOf(16);
    const one = await io.read(fd, pool, { position: 0 });
    assert.equal(pool.stats.resident, 16 * page);
    // Prepared with the registration, and submitted before that goes.
    const under = io.read(fd, pool, { position: page });
    const large = await io.read(fd, pool, { position: 0, buffers: 14 });
    assert.equal(large.length, 4 * page);
    assert.equal(pool.stats.resident, 16 * page);
    assert.equal(pool.stats.registeredSlabs, 0);
    const two = await under;
    assert.ok(content.subarray(page, 2 * page).equals(two.bytes));
    for (const bytes of [one, two, large]) bytes.release();
    await pool.close();
  });

  it('is given up with the thread that registered it, however that ends', async (test) => {
    const { fd } = file(test);
    const pool = poolOf(8);
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const { BufferPool } = require('annulus/pool');
       const { Proactor } = require('annulus/proactor');
       const pool = BufferPool.attach(workerData.handle);
       new Proactor().read(workerData.fd, pool, { position: 0 }).then(() => {
         parentPort.postMessage(pool.stats.registeredSlabs);
       });
       setInterval(() => pool, 1000);`,
      { eval: true, workerData: { fd, handle: pool.handle } },
    );
    const [registered] = (await once(worker, 'message')) as [number];
    assert.deepEqual([registered, pool.stats.registeredSlabs], [1, 0]);
    pool.trim();
    assert.equal(pool.stats.resident, 8 * page, 'the kernel has it for the other thread');
    await worker.terminate();
    while (pool.stats.used > 0) await setTimeout(1);
    pool.trim();
    assert.equal(pool.stats.resident, 0);
    await pool.close();
  });

  it('is not registered with a ring that threads share', async (test) => {
    const { fd, content } = file(test);
    await using io = Proactor.shared();
    const pool = poolOf(8);
    using part = await io.read(fd, pool, { position: page });
    assert.ok(content.subarray(page, 2 * page).equals(part.bytes));
    assert.equal(pool.stats.registeredSlabs, 0);
  });

  it('is not registered where buffers share pages', async (test) => {
    const { fd, content } = file(test);
    await using io = new Proactor();
    const pool = new BufferPool({ bufferSize: 100, maxMemory: 10_000 });
    using part = await io.read(fd, pool, { position: 1 });
    assert.ok(content.subarray(1, 101).equals(part.bytes));
    assert.equal(pool.stats.registeredSlabs, 0);
  });

  it('is one of several, as the pool needs them', async (test) => {
    const { fd, content } = file(test);
    await using io = new Proactor();
    const pool = poolOf((8 * MIB) / page);
    const parts = await Promise.all(
      Array.from({ length: (8 * MIB) / page }, () => io.read(fd, pool, { position: page })),
    );
    assert.ok(parts.every(({ bytes }) => content.subarray(page, 2 * page).equals(bytes)));
    const { slabs, registeredSlabs, resident, budget } = pool.stats;
    assert.deepEqual([slabs, registeredSlabs, resident], [4, 4, budget]);
    for (const part of parts) part.release();
    await pool.close();
  });
});
