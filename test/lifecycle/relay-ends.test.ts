/**
 * However a relay ends early, it leaves no process and no output behind, and says why.
 *
 * The source is a sparse file far larger than any machine copies while a test runs, so every relay
 * here is half-way when it is ended, however slow or fast the machine is.
 */

import assert from 'node:assert/strict';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import { halfWay, leftovers, relayFolder, runs, startRelay, until } from '../support/relay.ts';
import type { RunningRelay } from '../support/relay.ts';
import { withoutUring } from '../support/skip.ts';

const ENDLESS_BYTES = 2 ** 40;

/** A relay that is half-way. */
async function begin(context: TestContext): Promise<{
  relaying: RunningRelay;
  writer: number;
  folder: string;
  source: string;
  destination: string;
}> {
  const folder = relayFolder(context);
  const source = join(folder, 'source');
  const destination = join(folder, 'destination');
  writeFileSync(source, '');
  truncateSync(source, ENDLESS_BYTES);
  const relaying = startRelay([source, destination]);
  context.after(() => relaying.child.kill('SIGKILL'));
  const writer = await halfWay(relaying, folder);
  return { relaying, writer, folder, source, destination };
}

describe('a relay that ends early', { skip: withoutUring }, () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`gives up at ${signal}`, async (context) => {
      const { relaying, writer, folder, destination } = await begin(context);
      relaying.child.kill(signal);
      const { code, stderr, stdout } = await relaying.end;
      assert.equal(code, 128 + constants.signals[signal]);
      assert.match(stderr, new RegExp(`annulus relay: interrupted by ${signal}`));
      assert.equal(stdout, '');
      assert.deepEqual(leftovers(folder), []);
      assert.equal(existsSync(destination), false);
      assert.equal(runs(writer), false);
    });
  }

  it('says that the writer was killed', async (context) => {
    const { relaying, writer, folder, destination } = await begin(context);
    process.kill(writer, 'SIGKILL');
    const { code, stderr } = await relaying.end;
    assert.equal(code, 1);
    assert.match(stderr, /the writing process was killed by SIGKILL .*ERR_ANNULUS_PEER_DIED/);
    assert.deepEqual(leftovers(folder), []);
    assert.equal(existsSync(destination), false);
  });

  it('says that the writer was asked to end', async (context) => {
    const { relaying, writer, folder } = await begin(context);
    process.kill(writer, 'SIGTERM');
    const { code, stderr } = await relaying.end;
    assert.equal(code, 1);
    assert.match(stderr, /the writing process got SIGTERM/);
    assert.deepEqual(leftovers(folder), []);
  });

  it('leaves nothing when the reader is killed: the writer sees to it', async (context) => {
    const { relaying, writer, folder, destination } = await begin(context);
    relaying.child.kill('SIGKILL');
    const { signal } = await relaying.end;
    assert.equal(signal, 'SIGKILL');
    await until(() => !runs(writer));
    assert.deepEqual(leftovers(folder), []);
    assert.equal(existsSync(destination), false);
  });

  it('says that the source became shorter', async (context) => {
    const { relaying, writer, folder, source, destination } = await begin(context);
    truncateSync(source, 4096);
    const { code, stderr } = await relaying.end;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /source' changed while it was being read: it had \d+ bytes, and it ends at/,
    );
    assert.deepEqual(leftovers(folder), []);
    assert.equal(existsSync(destination), false);
    assert.equal(runs(writer), false);
  });
});
