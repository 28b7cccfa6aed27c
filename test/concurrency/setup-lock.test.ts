/**
 * Of several processes that set the clone up at once, one works at a time, and a dead one's lock is taken over.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';

const lockModule = new URL('../../../scripts/lock.js', import.meta.url).href;

/** Adds one to the number in a file under the lock, slowly and not atomically. */
const program = `
  import { readFileSync, writeFileSync } from 'node:fs';
  import { withLock } from '${lockModule}';
  const [lock, counter] = process.argv.slice(1);
  withLock(lock, () => {
    const count = Number(readFileSync(counter, 'utf8'));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    writeFileSync(counter, String(count + 1));
  });
`;

describe('the lock of setup', () => {
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'annulus-lock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs the program in `processes` processes at once; returns the number they counted to. */
  async function count(processes: number): Promise<number> {
    const counter = join(folder, 'counter');
    writeFileSync(counter, '0');
    const args = ['--input-type=module', '--eval', program, join(folder, 'lock'), counter];
    const children = Array.from({ length: processes }, () =>
      spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }),
    );
    const exits = await Promise.all(children.map((child) => once(child, 'exit')));
    for (const [exitCode] of exits) assert.equal(exitCode, 0);
    assert.deepEqual(readdirSync(folder), ['counter'], 'nothing is left behind');
    return Number(readFileSync(counter, 'utf8'));
  }

  it('is held by one process at a time', async () => {
    assert.equal(await count(6), 6);
  });

  it('is taken over from a process that is gone', async () => {
    const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(dead, 'exit');
    writeFileSync(join(folder, 'lock'), `${dead.pid} 1`);
    assert.equal(await count(6), 6);
  });

  it('is taken over from a process whose number another one has now', async () => {
    writeFileSync(join(folder, 'lock'), `${process.pid} 1`);
    assert.equal(await count(6), 6);
  });
});
