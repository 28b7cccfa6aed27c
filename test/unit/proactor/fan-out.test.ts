/**
 * One buffer written to many descriptors.
 */

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Proactor, Region } from 'annulus';
import { Folder, needs } from '../support/requests.js';

const available = needs('WRITE');

describe('writeMany', available, () => {
  it('writes to all in one call, from a Region and from ordinary memory', async () => {
    await using io = new Proactor({ entries: 64 });
    using folder = new Folder();
    const names = Array.from({ length: 50 }, (_, i) => `file-${i}`);
    const fds = names.map((name) => folder.open('', name));
    const inPlace = alloc(5);
    inPlace.set(Buffer.from('hello'));
    for (const [buffer, bounced] of [
      [inPlace, 0],
      [Buffer.from('hello'), 50],
    ] as const) {
      const before = io.stats;
      const writing = io.writeMany(fds, buffer, { position: 0 });
      assert.equal(io.submit(), 50); // one call takes all: nothing was handed over before
      const now = io.stats;
      const outcomes = await writing;
      assert.deepEqual(new Set(outcomes.map((outcome) => outcome.status)), new Set(['fulfilled']));
      assert.deepEqual(
        [
          now.submitted - before.submitted,
          now.enters - before.enters,
          now.bounced - before.bounced,
        ],
        [50, 1, bounced],
      );
      assert.ok(names.every((name) => readFileSync(folder.at(name), 'utf8') === 'hello'));
    }
  });

  it('says of each what became of it', async () => {
    await using io = new Proactor({ entries: 8 });
    using folder = new Folder();
    const good = folder.open();
    const bad = openSync(folder.at('file'), 'r');
    const outcomes = await io.writeMany([good, bad, good], Buffer.from('-abc-'), {
      offset: 1,
      length: 3,
      position: 0,
    });
    closeSync(bad);
    assert.deepEqual(
      outcomes.map((outcome) =>
        outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as { code: string }).code,
      ),
      [3, 'EBADF', 3],
    );
    assert.equal(readFileSync(folder.at('file'), 'utf8'), 'abc');
  });

  it('keeps its memory until the last has ended, and to the cap', async () => {
    await using io = new Proactor({ entries: 4, maxInFlight: 2 });
    using folder = new Folder();
    const fds = Array.from({ length: 9 }, (_, i) => folder.open('', `file-${i}`));
    const region = Region.allocate(4096);
    const writing = io.writeMany(fds, region, { position: 0 });
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    const outcomes = await writing;
    assert.ok(outcomes.every((outcome) => outcome.status === 'fulfilled'));
    region.close();
    assert.deepEqual(await io.writeMany([], new Uint8Array(1)), []);
    await assert.rejects(io.writeMany(fds, 'text' as unknown as Uint8Array), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });
});
