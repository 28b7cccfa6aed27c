/**
 * A relay by an ordinary user, with much, little and no memory it may lock.
 */

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import type { JsonReport } from '#src/cli/relay/report.js';

import { leftovers, relay, relayCommand, relayFolder } from '../support/relay.ts';
import { withoutUring } from '../support/skip.ts';
import { asUser, withoutUser } from '../support/user.ts';

const CONTENT = Buffer.alloc(3 * 1024 * 1024 + 5, 'content ');

/** Why that user cannot even start a relay with this limit, or false. */
function withoutRelay(memlock: number): string | false {
  return withoutUser(memlock, relayCommand(['--help']));
}

/** Relays a file as that user. */
async function relayAs(
  context: TestContext,
  memlock: number,
  more: string[],
): Promise<JsonReport['modes']> {
  const folder = relayFolder(context);
  const [source, destination] = [join(folder, 'source'), join(folder, 'copy')];
  writeFileSync(source, CONTENT, { mode: 0o644 });
  const args = [source, destination, '--json', ...more];
  const { code, stdout, stderr } = await relay(args, asUser(memlock));
  assert.equal(code, 0, stderr);
  assert.ok(readFileSync(destination).equals(CONTENT));
  assert.deepEqual(leftovers(folder), []);
  return (JSON.parse(stdout) as JsonReport).modes;
}

describe('relay as an ordinary user', { skip: withoutUring }, () => {
  it('registers memory where the limit allows it, and says so', async (context) => {
    const skip = withoutRelay(8 << 20);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 8 << 20, ['--memory', '1M']);
    return assert.deepEqual(modes, { reader: 'registered', writer: 'registered' });
  });

  it('uses plain requests for what is beyond the limit, which both sides share', async (context) => {
    const skip = withoutRelay(8 << 20);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 8 << 20, ['--memory', '6M']);
    // Usually the reader is first; but what an earlier process held may come back in between.
    return assert.ok(modes.reader === 'plain' || modes.writer === 'plain', JSON.stringify(modes));
  });

  it('registers nothing with the limit of old systems', async (context) => {
    const skip = withoutRelay(64 << 10);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 64 << 10, []);
    // The limit holds for all of the user's processes together, newer Nodes make rings of their own,
    // and the kernel gives locked pages back some time after a process has ended: so the rings of
    // either side may or may not fit.
    assert.ok(['plain', 'threads'].includes(modes.reader), modes.reader);
    return assert.ok(['plain', 'threads'].includes(modes.writer), modes.writer);
  });

  it('works when nothing may be locked', async (context) => {
    const skip = withoutRelay(0);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 0, []);
    // Kernels from 5.12 to 6.13 give rings to anybody, later ones count them.
    assert.ok(['plain', 'threads'].includes(modes.reader), modes.reader);
    return assert.equal(modes.writer, modes.reader);
  });

  it('says what it may not read or write', async (context) => {
    const skip = withoutRelay(8 << 20);
    if (skip) return context.skip(skip);
    const folder = relayFolder(context);
    mkdirSync(join(folder, 'closed'));
    writeFileSync(join(folder, 'secret'), 'content');
    chmodSync(join(folder, 'secret'), 0o000);
    chmodSync(join(folder, 'closed'), 0o555);
    const user = asUser(8 << 20);
    const read = await relay([join(folder, 'secret'), join(folder, 'copy')], user);
    assert.match(read.stderr, /cannot open '.*secret': permission denied\. .*\(EACCES\)/);
    assert.equal(read.code, 1);
    chmodSync(join(folder, 'secret'), 0o644);
    const write = await relay([join(folder, 'secret'), join(folder, 'closed/copy')], user);
    assert.match(write.stderr, /cannot write in '.*closed': permission denied\. .*\(EACCES\)/);
    assert.equal(write.code, 1);
    return assert.deepEqual(leftovers(folder), []);
  });
});
