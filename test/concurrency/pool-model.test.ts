/**
 * The wait protocol of a shared pool, as a model that SPIN explores completely: it neither deadlocks
 * nor overtakes nor overspends, and each part that is taken away makes it do so.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const model = fileURLToPath(new URL('../../../test/concurrency/models/pool.pml', import.meta.url));

/** What the model says can be taken away. */
const mutations = [...readFileSync(model, 'utf8').matchAll(/^ \* {3}([A-Z_]+) /gm)].map(
  ([, name]) => name!,
);

function isThere(command: string, flag: string): boolean {
  return spawnSync(command, [flag]).status === 0;
}

const missing = ['spin', 'cc'].find((name) => !isThere(name, name === 'spin' ? '-V' : '--version'));
const skip = missing === undefined ? false : `${missing} is not installed`;

function run(folder: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
  return stdout;
}

/** Explores all states of the model; the number of errors found, at most 1. */
function explore(mutation?: string): { errors: number; states: number } {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-model-'));
  try {
    run(folder, 'spin', ['-a', ...(mutation === undefined ? [] : [`-D${mutation}`]), model]);
    run(folder, 'cc', ['-O1', '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c']);
    const report = run(folder, './pan', ['-m100000']);
    assert.doesNotMatch(report, /search depth too small|out of memory/);
    const number = (of: RegExp): number => Number(of.exec(report)![1]);
    return { errors: number(/errors: (\d+)/), states: number(/(\d+) states, stored/) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the model of a shared pool', { skip }, () => {
  it('has no error in any state', () => {
    const { errors, states } = explore();
    assert.equal(errors, 0);
    assert.ok(states > 1000, `${states} states`);
  });

  it('names what can be taken away', () => {
    assert.equal(mutations.length, 6);
  });

  for (const mutation of mutations) {
    it(`fails with ${mutation}`, () => {
      assert.equal(explore(mutation).errors, 1);
    });
  }
});
