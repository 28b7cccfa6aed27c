/**
 * Spares: the memory of closed rings serves the next ones, within bounds, and is given back.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { MirroredRing } from 'annulus/memory';
import { pin, unpin } from '#src/memory/pins.js';
import { regionOf } from '#src/memory/region.js';
import { dropSpares } from '#src/memory/spares.js';
import { allRingMappings, differsAt, ringMappings, shift, writeStream } from './support/rings.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Makes `count` rings, all open at once, and closes them. */
function openAndClose(count: number, bytes: number): void {
  const rings = Array.from({ length: count }, () => MirroredRing.create(bytes));
  for (const ring of rings) ring.close();
}

describe('spares of MirroredRing', () => {
  beforeEach(dropSpares);

  it('serve the next ring of that capacity, as an empty ring of its own', () => {
    const first = MirroredRing.create(64 * KIB);
    const { bytes } = first;
    const view = first.unused();
    bytes[5] = 77;
    first.advance(10);
    first.close();
    assert.deepEqual([bytes.length, view.length, first.bytes.length], [0, 0, 0]);
    assert.throws(() => first.content(), { code: 'ERR_ANNULUS_CLOSED' });

    const other = MirroredRing.create(32 * KIB);
    assert.equal(allRingMappings(), 4, 'another capacity is made anew');
    const second = MirroredRing.create(64 * KIB);
    assert.equal(allRingMappings(), 4, 'the same capacity is not');
    assert.equal(second.bytes[5], 77, 'it is the same memory');
    assert.deepEqual([second.length, second.unusedLength, second.closed], [0, 64 * KIB, false]);
    shift(second, 64 * KIB - 100);
    writeStream(second, 0, 1_000);
    assert.equal(differsAt(second.content(), 0), -1, 'it is mirrored');
    assert.equal(second.resize(128 * KIB), 128 * KIB);
    assert.equal(differsAt(second.content(), 0), -1, 'it can be resized');
    second.close();
    other.close();
    assert.equal(ringMappings(), 0);
  });

  it('are bounded in number and in bytes', () => {
    openAndClose(100, 4 * KIB);
    assert.equal(allRingMappings(), 2 * 64);
    dropSpares();
    openAndClose(20, 512 * KIB);
    assert.equal(allRingMappings(), 2 * 8);
    dropSpares();
    openAndClose(6, MIB);
    assert.equal(allRingMappings(), 2 * 4);
    dropSpares();
    openAndClose(1, MIB + 1);
    assert.equal(allRingMappings(), 0);
  });

  it('are not made of rings of many pieces, or whose kind of memory was asked for', () => {
    const resized = MirroredRing.create(64 * KIB);
    shift(resized, 32 * KIB);
    resized.advance(64 * KIB); // crosses the end, so that growing moves pages apart
    resized.resize(128 * KIB);
    assert.ok(allRingMappings() > 2);
    resized.close();
    MirroredRing.create(64 * KIB, { backing: 'memfd' }).close();
    MirroredRing.create(64 * KIB, { backing: 'posix' }).close();
    assert.equal(allRingMappings(), 0);
  });

  it('are not made of memory that the kernel uses', () => {
    const busy = MirroredRing.create(64 * KIB);
    const { slot } = regionOf(busy.bytes)!;
    pin(slot);
    assert.throws(() => busy.close(), { code: 'ERR_REGION_BUSY' });
    assert.equal(busy.closed, false);
    unpin(slot);
    busy.close();
    assert.equal(allRingMappings(), 2);
  });

  it('are given back when they were not used for a while', async () => {
    openAndClose(10, 64 * KIB);
    assert.equal(allRingMappings(), 20);
    while (allRingMappings() > 0) await setTimeout(50);
  });

  it('are given back by a thread that ends', async () => {
    const memory = import.meta.resolve('annulus/memory');
    const worker = new Worker(
      `import { MirroredRing } from ${JSON.stringify(memory)};
       import { parentPort } from 'node:worker_threads';
       MirroredRing.create(65536).close();
       parentPort.postMessage('closed');
       setInterval(() => undefined, 1_000);`,
      { eval: true },
    );
    try {
      await once(worker, 'message');
      assert.equal(allRingMappings(), 2);
    } finally {
      await worker.terminate();
    }
    while (allRingMappings() > 0) await setTimeout(10);
  });

  it('are not made of memory that belongs to somebody else', (context) => {
    if (!('transfer' in ArrayBuffer.prototype)) {
      context.skip('this Node has no ArrayBuffer.transfer()');
      return;
    }
    const moved = MirroredRing.create(64 * KIB);
    const { buffer } = moved.bytes;
    const owner = new Uint8Array((buffer as unknown as { transfer(): ArrayBuffer }).transfer());
    owner[0] = 5;
    moved.close();
    const next = MirroredRing.create(64 * KIB);
    next.bytes[0] = 6;
    assert.deepEqual([owner[0], next.bytes[0]], [5, 6], 'they are different memory');
    next.close();
  });
});
