/**
 * A relay by an ordinary user, with much, little and no memory it may lock.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import type { JsonReport } from '#src/cli/relay/report.js';

import { leftovers, relay, relayCommand, relayFolder } from '../support/relay.ts';
import { withoutUring } from '../support/skip.ts';

const NOBODY = 65_534;
const CONTENT = Buffer.alloc(3 * 1024 * 1024 + 5, 'content ');

/** A command line that makes an ordinary user of us, with a limit on locked memory. */
function asUser(memlock: number): string[] {
  const limit = ['prlimit', `--memlock=${memlock}:${memlock}`];
  if (process.getuid?.() !== 0) return limit;
  const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  return [...limit, 'setpriv', ...ids];
}

/** Why that user cannot even start a relay with this limit, or false. */
function withoutUser(memlock: number): string | false {
  // Through a shell: what is given away along with the user id must be gone when node is looked for.
  const shell = ['sh', '-c', 'exec "$0" "$@"'];
  const [file, ...args] = [...asUser(memlock), ...shell, ...relayCommand(['--help'])];
  const { status, stderr, error } = spawnSync(file!, args, { encoding: 'utf8' });
  if (status === 0) return false;
  return `an ordinary user cannot run this clone here: ${error?.message ?? stderr.slice(0, 500)}`;
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
    const skip = withoutUser(8 << 20);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 8 << 20, ['--memory', '1M']);
    return assert.deepEqual(modes, { reader: 'registered', writer: 'registered' });
  });

  it('uses plain requests for what is beyond the limit, which both sides share', async (context) => {
    const skip = withoutUser(8 << 20);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 8 << 20, ['--memory', '6M']);
    // Usually the reader is first; but what an earlier process held may come back in between.
    return assert.ok(modes.reader === 'plain' || modes.writer === 'plain', JSON.stringify(modes));
  });

  it('registers nothing with the limit of old systems', async (context) => {
    const skip = withoutUser(64 << 10);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 64 << 10, []);
    // The limit holds for all of the user's processes together, newer Nodes make rings of their own,
    // and the kernel gives locked pages back some time after a process has ended: so the rings of
    // either side may or may not fit.
    assert.ok(['plain', 'threads'].includes(modes.reader), modes.reader);
    return assert.ok(['plain', 'threads'].includes(modes.writer), modes.writer);
  });

  it('works when nothing may be locked', async (context) => {
    const skip = withoutUser(0);
    if (skip) return context.skip(skip);
    const modes = await relayAs(context, 0, []);
    // Kernels from 5.12 to 6.13 give rings to anybody, later ones count them.
    assert.ok(['plain', 'threads'].includes(modes.reader), modes.reader);
    return assert.equal(modes.writer, modes.reader);
  });

  it('says what it may not read or write', async (context) => {
    const skip = withoutUser(8 << 20);
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
