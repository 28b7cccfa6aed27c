/**
 * Regions: mapped memory with an owner, views that empty on close, and pins that forbid it.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { alloc, Region } from 'annulus/memory';
import { pin, pins, unpin } from '#src/memory/pins.js';
import { regionOf, requireRegion } from '#src/memory/region.js';
import { memfdCreate, ftruncate, pageSize, close } from '#src/sys/linux.js';
import { mappings } from '../../support/census.js';
import { collectGarbage } from '../../support/gc.js';

const page = pageSize();

describe('Region', () => {
  it('is zeroed whole pages', () => {
    using region = Region.allocate(page + 1);
    assert.equal(region.byteLength, 2 * page);
    assert.ok(region.bytes.every((byte) => byte === 0));
    assert.equal(region.address % page, 0);
    assert.equal(region.busy, false);
  });

  it('refuses sizes that cannot be, with the value in the message', () => {
    for (const bytes of [0, -5, 0.5, NaN, 2 ** 32 + 1]) {
      assert.throws(() => Region.allocate(bytes), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`Received ${bytes}$`),
      });
    }
    assert.throws(() => alloc('1' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('empties every view on close, and closes twice', () => {
    const region = Region.allocate(page);
    const view = region.bytes.subarray(10, 20);
    const words = new Int32Array(region.buffer);
    region.close();
    region.close();
    assert.equal(region.closed, true);
    assert.deepEqual([region.byteLength, view.length, words.length], [0, 0, 0]);
    assert.equal(view[0], undefined);
  });

  it('cannot be closed while pinned', () => {
    const region = Region.allocate(page);
    pin(region.slot);
    pin(region.slot);
    assert.equal(region.busy, true);
    assert.throws(() => region.close(), {
      code: 'ERR_REGION_BUSY',
      message: new RegExp(`region of ${page} bytes is in use by 2 request`),
    });
    assert.equal(region.byteLength, page);
    unpin(region.slot);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    unpin(region.slot);
    assert.equal(pins()[region.slot], 0);
    region.close();
  });

  it('maps one file at two places', () => {
    const fd = memfdCreate('annulus-test');
    ftruncate(fd, page);
    const pieces = [0, page].map((at) => ({ at, length: page, fd, offset: 0 }));
    using region = Region.map(2 * page, pieces);
    close(fd);
    region.bytes[page - 1] = 7;
    region.bytes[page] = 9;
    assert.equal(region.bytes[2 * page - 1], 7);
    assert.equal(region.bytes[0], 9);
  });

  it('throws a system error with the cause when memory cannot be mapped', () => {
    const pieces = [{ at: 0, length: page, fd: 1_000_000, offset: 0 }];
    assert.throws(() => Region.map(page, pieces), { code: 'EBADF', syscall: 'mmap', errno: -9 });
  });

  it('gives slots and mappings back at once, without a turn of the event loop', () => {
    const slots = new Set<number>();
    const mapped = mappings().length;
    for (let i = 0; i < 20_000; i++) {
      const region = Region.allocate(1);
      region.bytes[0] = i;
      slots.add(region.slot);
      region.close();
    }
    assert.equal(slots.size, 1);
    const after = mappings().length;
    assert.ok(after < mapped + 1000, `${mapped} mappings before, ${after} after 20,000 regions`);
  });

  it('frees no slot twice when the finalizers of its earlier buffers run', async () => {
    const slots = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const first = Region.allocate(1);
      first.close();
      const next = Region.allocate(1); // of the same slot; the first one's finalizer is to come
      next.bytes[0] = 7;
      assert.equal(next.slot, first.slot);
      if (i % 10 === 0) collectGarbage();
      await setImmediate();
      assert.equal(next.bytes[0], 7);
      using other = Region.allocate(1);
      assert.notEqual(other.slot, next.slot);
      slots.add(other.slot);
      next.close();
    }
    assert.ok(slots.size < 10, `${slots.size} slots for three regions at a time`);
  });
});

describe('alloc', () => {
  it('gives exactly the bytes asked for, in a Region', () => {
    const bytes = alloc(100);
    assert.equal(bytes.length, 100);
    const region = regionOf(bytes);
    assert.ok(region);
    assert.equal(region.byteLength, page);
    assert.equal(requireRegion('memory', bytes.subarray(1)), region);
  });

  it('is what requireRegion asks for when it is given ordinary memory', () => {
    assert.equal(regionOf(new Uint8Array(8)), undefined);
    assert.throws(() => requireRegion('memory', new Uint8Array(8)), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
      message: /"memory" argument is a Uint8Array of 8 bytes .* Use alloc\(\)/,
    });
    assert.throws(() => requireRegion('memory', 8 as unknown as Uint8Array), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });
});
