/**
 * The table of pipes whose requests are in flight: its limit, and what becomes of its entries.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { Region } from 'annulus';
import { decodePipe, Ring } from 'annulus/uring';

import { finish, needs } from '../support/requests.js';

const PIPES_MAX = 512;

describe('pipes in flight', needs('PIPE'), () => {
  it('are as many as the table has entries; more are refused, and nothing is prepared', () => {
    const region = Region.allocate(4096);
    {
      using ring = new Ring({ entries: 1024 });
      for (let i = 0; i < PIPES_MAX; i++) ring.pipe(i, region);
      assert.throws(() => ring.pipe(0, region), { code: 'ENOMEM', message: /512 pipes/ });
      assert.equal(ring.unsubmitted, PIPES_MAX);
      ring.nop(1);
      assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    }
    region.close();
  });

  it('use the entries of those before again, and never their descriptors', () => {
    using ring = new Ring({ entries: 8 });
    using region = Region.allocate(4096);
    const seen: number[] = [];
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 4; i++) {
        const memory = region.bytes.subarray(i * 8, i * 8 + 8);
        // Every other one fails.
        ring.pipe(i, memory, i % 2 === 0 ? 0 : 0o20);
      }
      finish(ring);
      for (let i = 0; i < 4; i++) {
        const { reader, writer } = decodePipe(region.bytes.subarray(i * 8));
        if (i % 2 === 1) assert.deepEqual([reader, writer], [-1, -1]);
        else seen.push(reader, writer);
      }
    }
    assert.equal(new Set(seen).size, 16);
    for (const fd of seen) closeSync(fd);
    assert.equal(ring.inFlight, 0);
  });
});
