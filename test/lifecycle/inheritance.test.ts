/**
 * What a child process gets of a parent's rings: nothing.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';

import { Region } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { Ring } from 'annulus/uring';

import { mappings, ringMaps } from '../support/census.ts';
import { without, withoutUring } from '../support/skip.ts';

describe('hazard 17: a child process', { skip: withoutUring }, () => {
  it('inherits no descriptor of a ring', { skip: without('ls') }, async () => {
    using ring = new Ring();
    const io = new Proactor();
    assert.match(readlinkSync(`/proc/self/fd/${ring.fd}`), /io_uring/);
    const listing = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    assert.match(listing, / 0 -> /);
    assert.doesNotMatch(listing, /io_uring/);
    await io.close();
  });

  it('inherits no mapping of a ring, even by fork alone', () => {
    const others = new Set(ringMaps().map(({ start }) => start)); // newer Nodes have some
    using ring = new Ring();
    assert.equal(ring.closed, false);
    const maps = ringMaps().filter(({ start }) => !others.has(start));
    assert.equal(maps.length, 2, 'queues and entries');
    for (const map of maps) assert.equal(map.unforked, true);
  });

  it('inherits no Region, which the kernel may be writing into', () => {
    using region = Region.allocate(1 << 20);
    const { address } = region as unknown as { address: number };
    const map = mappings().find(({ start, end }) => start <= address && address < end);
    assert.equal(map?.unforked, true);
  });
});
