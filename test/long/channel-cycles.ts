/**
 * 10,000 connections that are closed, and 10,000 whose peer is killed at any moment; fails if
 * descriptors, mappings or memory are not where they began:
 * `node --max-semi-space-size=1 build/test/long/channel-cycles.js [cycles]`.
 */

import assert from 'node:assert/strict';

import { connectAndClose, holdings, outlive } from '../lifecycle/support/channel-cycles.js';
import { compilePeer } from '../support/channel-peer.js';
import { randomFrom, printedSeed } from '../support/random.js';

/** What V8 and the allocator may take in between: much less than a page a cycle. */
const RESIDENT_BYTES = 8 * 2 ** 20;

const cycles = Number(process.argv[2] ?? 10_000);
const random = randomFrom(printedSeed());
const peer = compilePeer();
try {
  await connectAndClose(1_000, random, peer.folder);
  await outlive(100, random, peer);
  const start = await holdings();
  for (const [name, run] of [
    ['closed', () => connectAndClose(cycles, random, peer.folder)],
    ['killed', () => outlive(cycles, random, peer)],
  ] as const) {
    const result = await run();
    const end = await holdings();
    assert.deepEqual(end.fds, start.fds);
    assert.equal(end.mapped, 0);
    const grown = end.residentBytes - start.residentBytes;
    assert.ok(grown < RESIDENT_BYTES, `${grown} bytes more are resident`);
    const met = result === undefined ? cycles : result.met;
    process.stdout.write(`${cycles} ${name}, ${met} met; resident memory ${grown} bytes more\n`);
  }
} finally {
  peer.remove();
}
