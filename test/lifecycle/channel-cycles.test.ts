/**
 * Connecting and closing leaves nothing behind, also when the peer is killed at any moment. The long
 * form, with 10,000 of each, is `test/long/channel-cycles.ts`.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { compilePeer } from '../support/channel-peer.ts';
import type { CompiledPeer } from '../support/channel-peer.ts';
import { randomFrom, printedSeed } from '../support/random.ts';
import { connectAndClose, holdings, outlive } from './support/channel-cycles.ts';

const CYCLES = 1_000;
const DEATHS = 200;

/** What V8 may keep besides: less than the smallest object a cycle could leave with its buffers. */
const LIVE_BYTES = 512 * CYCLES;

let peer: CompiledPeer;
before(() => {
  peer = compilePeer();
});
after(() => peer.remove());

describe('after many connections', () => {
  const random = randomFrom(printedSeed());

  it('descriptors, mappings and memory are where they began', async () => {
    await connectAndClose(CYCLES, random, peer.folder); // what is made or compiled once
    const start = await holdings();
    await connectAndClose(CYCLES, random, peer.folder);
    const end = await holdings();
    assert.deepEqual(end.fds, start.fds);
    assert.equal(end.mapped, 0);
    assert.ok(end.liveBytes - start.liveBytes < LIVE_BYTES, JSON.stringify([start, end]));
  });

  it('so they are when peers are killed at any moment', async () => {
    await outlive(10, random, peer);
    const start = await holdings();
    const { met } = await outlive(DEATHS, random, peer);
    const end = await holdings();
    assert.deepEqual(end.fds, start.fds);
    assert.equal(end.mapped, 0);
    assert.ok(met > 0, 'some were met');
  });
});
