/**
 * Where runs lie, and what a pool has in memory: no fragmentation, never more than the budget, and
 * what is not used goes back to the system.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import * as fc from 'fast-check';
import { BufferPool } from 'annulus/pool';
import type { Allocation } from 'annulus/pool';
import { Geometry, offsetInSlab, slabOf } from '#src/pool/geometry.js';
import { pageSize } from '#src/sys/linux.js';
import { whyNoHugePages } from '#src/sys/pages.js';
import { sharedBytes } from '../../support/census.ts';
import { printedSeed } from '../../support/random.js';

const MIB = 2 ** 20;
const page = pageSize();

const seed = printedSeed();

/** Touches every page of a run. */
function fill(run: Allocation): void {
  run.bytes.fill(1);
}

function releaseAll(runs: Allocation[]): void {
  for (const run of runs.splice(0)) run.release();
}

describe('the zones of a pool', () => {
  it('have a slot for any run that the budget allows', () => {
    const sizes = fc.record({
      bufferSize: fc.integer({ min: 1, max: 3 * page }),
      buffers: fc.integer({ min: 1, max: 5000 }),
    });
    const property = fc.property(sizes, ({ bufferSize, buffers }) => {
      const geometry = new Geometry(bufferSize, buffers, page);
      for (const size of geometry.classes) {
        const shortest = size.index === 0 ? 1 : 2 ** (size.index - 1) + 1;
        // One more of the shortest runs of this class would exceed the budget.
        assert.ok((size.slots + 1) * shortest > buffers);
        assert.ok(size.run * bufferSize <= size.stride);
      }
      assert.equal(geometry.classes.at(-1)!.run, buffers);
    });
    fc.assert(property, { seed });
  });

  it('do not overlap, nor do slots cross a slab', () => {
    for (const bufferSize of [1, 64, 700, page, page + 1, 16 * 1024, 3 * MIB]) {
      const geometry = new Geometry(bufferSize, 1000, page);
      let end = 0;
      for (const size of geometry.classes) {
        assert.ok(size.offset >= end);
        for (let slot = size.firstSlot; slot < size.firstSlot + size.slots; slot++) {
          const slab = geometry.slab(size, slabOf(size, slot));
          const offset = offsetInSlab(size, slot);
          assert.equal(slab.offset % page, 0);
          assert.ok(offset + size.run * bufferSize <= slab.bytes);
          assert.equal(slab.offset + offset, size.offset + (slot - size.firstSlot) * size.stride);
          end = slab.offset + slab.bytes;
        }
      }
      assert.ok(geometry.fileBytes >= end);
    }
  });

  it('leave no request waiting that the budget allows, however runs were released', async () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 64 }), fc.nat()), {
        size: 'max',
        maxLength: 400,
      }),
      (steps) => {
        const pool = new BufferPool({ bufferSize: page, maxMemory: 64 * page });
        const runs: Allocation[] = [];
        for (const [length, which] of steps) {
          const free = 64 - pool.stats.used / page;
          const run = pool.tryAllocate(length);
          assert.equal(run !== undefined, length <= free);
          if (run !== undefined) runs.push(run);
          else runs.splice(which % runs.length, 1)[0]?.release();
        }
        releaseAll(runs);
        void pool.close();
      },
    );
    fc.assert(property, { seed, numRuns: 50 });
  });
});

describe('the memory of a pool', () => {
  it('stays within the budget, whatever the lengths of runs', async () => {
    const pool = new BufferPool({
      bufferSize: 16 * 1024,
      maxMemory: 16 * MIB,
      trimAfter: Infinity,
    });
    const before = sharedBytes();
    for (const length of [1, 2, 3, 5, 16, 33, 64, 127, 512, 1024, 700, 600, 513, 9, 1]) {
      const runs: Allocation[] = [];
      for (let run = pool.tryAllocate(length); run; run = pool.tryAllocate(length)) runs.push(run);
      for (const run of runs) fill(run);
      assert.ok(pool.stats.resident <= pool.maxMemory);
      assert.ok(sharedBytes() - before <= pool.maxMemory);
      releaseAll(runs);
    }
    await pool.close();
    assert.equal(sharedBytes(), before);
  });

  it('stays within the budget when longer runs have left their tails behind', async () => {
    const pool = new BufferPool({ bufferSize: page, maxMemory: 64 * page, trimAfter: Infinity });
    const long = [16, 16, 16, 16].map((length) => pool.tryAllocate(length)!);
    for (const run of long) fill(run);
    releaseAll(long);
    const short = [9, 9, 9, 9].map((length) => pool.tryAllocate(length)!);
    const rest = pool.tryAllocate(28)!;
    fill(rest);
    assert.equal(pool.stats.used, 64 * page);
    assert.ok(pool.stats.resident <= 64 * page, `${pool.stats.resident}`);
    for (const run of short) assert.ok(run.bytes.every((byte) => byte === 1));
    releaseAll([...short, rest]);
    await pool.close();
  });

  it('goes back to the system when it is trimmed', async () => {
    const pool = new BufferPool({
      bufferSize: 16 * 1024,
      maxMemory: 64 * MIB,
      trimAfter: Infinity,
    });
    const before = sharedBytes();
    const runs = Array.from({ length: 4096 }, () => pool.tryAllocate(1)!);
    for (const run of runs) fill(run);
    assert.ok(sharedBytes() - before >= 63 * MIB);
    const kept = runs.splice(1000, 10);
    releaseAll(runs);
    assert.ok(sharedBytes() - before >= 63 * MIB, 'ready for the next');
    pool.trim();
    assert.equal(pool.stats.resident, 160 * 1024);
    assert.ok(sharedBytes() - before <= MIB);
    assert.ok(kept.every((run) => run.bytes.every((byte) => byte === 1)));
    const again = pool.tryAllocate(1)!;
    assert.ok(again.bytes.every((byte) => byte === 0));
    releaseAll([...kept, again]);
    await pool.close();
  });

  it('goes back to the system by itself when it is not used', async () => {
    const pool = new BufferPool({ bufferSize: 16 * 1024, maxMemory: 8 * MIB, trimAfter: 1 });
    const before = sharedBytes();
    const run = pool.tryAllocate(512)!;
    fill(run);
    run.release();
    while (pool.stats.resident > 0) await setTimeout(1);
    assert.ok(sharedBytes() - before < MIB);
    await pool.close();
  });

  it('goes back by itself, too, when it was held for long', async () => {
    const pool = new BufferPool({ bufferSize: page, maxMemory: 8 * page, trimAfter: 1 });
    const run = pool.tryAllocate(8)!;
    fill(run);
    await setTimeout(20);
    assert.equal(pool.stats.resident, 8 * page);
    run.release();
    while (pool.stats.resident > 0) await setTimeout(1);
    await pool.close();
  });

  it('goes back as a whole where slots share pages', async () => {
    const pool = new BufferPool({ bufferSize: 64, maxMemory: MIB, trimAfter: Infinity });
    const runs = Array.from({ length: 16_384 }, () => pool.tryAllocate(1)!);
    assert.equal(pool.stats.resident, MIB);
    for (const run of runs) fill(run);
    releaseAll(runs);
    using all = pool.tryAllocate(16_384)!;
    fill(all);
    assert.equal(pool.stats.resident, MIB);
    all.release();
    pool.trim();
    assert.equal(pool.stats.resident, 0);
    await pool.close();
  });

  it('stays where it is while a slab is registered, and within the budget', async () => {
    const pool = new BufferPool({ bufferSize: page, maxMemory: 8 * page, trimAfter: Infinity });
    const run = pool.tryAllocate(1)!;
    fill(run);
    const [slab] = pool.slabs;
    const asked: boolean[] = [];
    const user = {
      letGo(idleOnly: boolean): void {
        asked.push(idleOnly);
        pool.unpinSlab(slab!.number);
      },
    };
    assert.equal(pool.pinSlab(slab!.number, user), true);
    const { registeredSlabs, resident } = pool.stats;
    assert.deepEqual([registeredSlabs, resident], [1, 8 * page], 'all of the slab counts');
    run.release();
    const same = pool.tryAllocate(1)!;
    assert.ok(same.bytes.every((byte) => byte === 1));
    assert.deepEqual(asked, []);
    using seven = pool.tryAllocate(7)!;
    fill(seven);
    assert.deepEqual(asked, [false], 'there is no room for both');
    assert.equal(pool.stats.resident, 8 * page);
    assert.equal(pool.pinSlab(slab!.number, user), false, 'nor will there soon be');
    seven.release();
    same.release();
    pool.trim();
    assert.deepEqual([pool.stats.resident, pool.stats.slabs], [0, 2]);
    await pool.close();
  });

  it('is within the budget though a slab was registered before its neighbour was used again', () => {
    // Runs of 257 to 512 pages have a slab each.
    const pages = Math.ceil((2 * MIB) / page);
    const maxMemory = 4 * pages * page;
    const pool = new BufferPool({ bufferSize: page, maxMemory, trimAfter: Infinity });
    const taken = (length: number): Allocation => pool.tryAllocate(length)!;
    releaseAll([taken(pages), taken(pages)]);
    const { number } = pool.slabs[1]!;
    pool.trim();
    assert.equal(pool.pinSlab(number, { letGo: () => {} }), true);
    assert.equal(pool.stats.resident, pages * page);
    const registered = taken(pages);
    pool.unpinSlab(number);
    taken(pages / 2).release();
    assert.equal(pool.stats.resident, 1.5 * pages * page);
    const long = taken(2.75 * pages);
    assert.equal(pool.stats.resident, 3.75 * pages * page, 'what is free had to go');
    releaseAll([registered, long]);
    return pool.close();
  });

  it('is on huge pages on request, or the reason why not is told', async () => {
    const pool = new BufferPool({ bufferSize: 2 * MIB, maxMemory: 8 * MIB, hugePages: true });
    using run = pool.tryAllocate(1)!;
    fill(run);
    const { requested, got, reason } = pool.stats.hugePages;
    assert.equal(requested, true);
    assert.equal(got, reason === undefined ? 'transparent' : 'none');
    assert.equal(reason, whyNoHugePages());
    const huge = /^ShmemPmdMapped:\s+[1-9]/m.test(readFileSync('/proc/self/smaps', 'utf8'));
    if (huge) assert.equal(got, 'transparent');
    const plain = new BufferPool({ bufferSize: page, maxMemory: page });
    assert.deepEqual(plain.stats.hugePages, { requested: false, got: 'none', reason: undefined });
  });

  it('is mapped again if the program transfers a buffer away', (test) => {
    type Movable = ArrayBuffer & { transfer?: () => ArrayBuffer };
    const pool = new BufferPool({ bufferSize: page, maxMemory: page });
    const run = pool.tryAllocate(1)!;
    run.bytes[0] = 5;
    const buffer = run.bytes.buffer as Movable;
    if (buffer.transfer === undefined) {
      return test.skip('this version of Node cannot transfer a buffer over mapped memory');
    }
    buffer.transfer();
    assert.equal(buffer.byteLength, 0);
    run.release();
    using next = pool.tryAllocate(1)!;
    assert.equal(next.bytes.length, page);
    assert.equal(next.bytes[0], 5);
  });
});
