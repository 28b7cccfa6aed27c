/**
 * Rings with a polling thread that end while it is at work: nothing of what it was shown may touch
 * memory that has another use by then.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { Region } from 'annulus/memory';

import { leaveBusy, polledRing } from '../support/polled.ts';
import type { Polled } from '../support/polled.ts';
import { needs } from '../support/uring.ts';

const BYTES = 64 * 2 ** 20;

/** Starts a worker, and terminates it when it has left its poller at work. */
async function terminated(polled: Polled): Promise<void> {
  const worker = new Worker(new URL('programs/polled.js', import.meta.url), { workerData: polled });
  await once(worker, 'message');
  await worker.terminate();
}

describe('hazard 18: a ring whose poller is at work', needs(), () => {
  let folder = '';
  let file = -1;

  before(() => {
    // Not in memory: a poller leaves reads of such files to a worker thread.
    folder = mkdtempSync(join(process.cwd(), '.annulus-polled-'));
    writeFileSync(join(folder, 'file'), new Uint8Array(BYTES).fill(7));
    file = openSync(join(folder, 'file'), 'r');
  });

  after(() => {
    closeSync(file);
    rmSync(folder, { recursive: true });
  });

  it('is closed when all that it was shown has ended', () => {
    const [first, second] = [Region.allocate(BYTES), Region.allocate(BYTES)];
    const ring = polledRing();
    leaveBusy(ring, file, first, second);
    ring.close();
    assert.equal(ring.stats.completed, ring.stats.submitted);
    assert.equal(ring.stats.inFlight, 0);
    first.close();
    second.close();
  });

  it('ends with its thread when all that it was shown has ended', async () => {
    using first = Region.allocate(BYTES);
    using second = Region.allocate(BYTES);
    await terminated({ file, mappings: [first.mappingId, second.mappingId] });
    first.bytes.fill(0);
    second.bytes.fill(0);
    // For as long as reading all of it takes, nobody else writes there.
    const bytes = new Uint8Array(BYTES);
    for (let times = 0; times < 4; times++) readSync(file, bytes, 0, BYTES, 0);
    for (const region of [first, second]) {
      for (let at = 0; at < BYTES; at += 4096) assert.equal(region.bytes[at], 0, `byte ${at}`);
    }
  });
});
