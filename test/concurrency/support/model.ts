/**
 * Models in Promela, which SPIN explores completely: every interleaving of a model's steps is free of
 * errors, and with anything taken away that its head comment lists, some interleaving is not.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** What exploring all states of a model has found. */
export interface Exploration {
  readonly states: number;
  /** The first error, as SPIN words it. */
  readonly error: string | undefined;
}

/** How {@link explore} runs. */
export interface ExploreOptions {
  /** Names to define, with values: bounds (`ITEMS=4`), or what is taken away. */
  readonly define?: readonly string[];
  /** Optimizes the explorer: worth compiling longer for when there are many states. */
  readonly large?: boolean;
}

const NEEDED = { spin: '-V', cc: '--version' };
const missing = Object.entries(NEEDED)
  .filter(([command, flag]) => spawnSync(command, [flag]).status !== 0)
  .map(([command]) => command);

/** Why models cannot be explored here, or false. */
export const withoutSpin: string | false =
  missing.length === 0 ? false : `${missing.join(' and ')} not installed (Debian: spin, gcc)`;

function pathOf(model: string): string {
  const folder = new URL('../../../../test/concurrency/models/', import.meta.url);
  return fileURLToPath(new URL(`${model}.pml`, folder));
}

/** What the head comment of a model says can be taken away: rows that begin with a name. */
export function mutationsOf(model: string): string[] {
  const source = readFileSync(pathOf(model), 'utf8');
  const head = source.slice(0, source.indexOf('*/'));
  return [...head.matchAll(/^ \* {3}([A-Z][A-Z_]+) /gm)].map(([, name]) => name!);
}

/** Names that the model asks for and does not define: what can be taken away. */
function namesAskedFor(model: string): string[] {
  const source = readFileSync(pathOf(model), 'utf8');
  const namesIn = (of: RegExp): string[] => [...source.matchAll(of)].map(([, name]) => name!);
  const asked = [...namesIn(/^#ifn?def +(\w+)/gm), ...namesIn(/\bdefined\((\w+)\)/g)];
  const defined = new Set(namesIn(/^#define +(\w+)/gm));
  return [...new Set(asked)].filter((name) => !defined.has(name));
}

function run(folder: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
  return stdout;
}

/** Explores all states of a model, up to the first error. */
export function explore(model: string, options: ExploreOptions = {}): Exploration {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-model-'));
  const defines = (options.define ?? []).map((each) => `-D${each}`);
  try {
    run(folder, 'spin', ['-a', ...defines, pathOf(model)]);
    const effort = options.large === true ? '-O2' : '-O0';
    run(folder, 'cc', [effort, '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c']);
    const hashBits = options.large === true ? 24 : 20;
    const report = run(folder, './pan', ['-m200000', `-w${hashBits}`]);
    assert.doesNotMatch(report, /search depth too small|out of memory|search not completed/);
    const number = (of: RegExp): number => Number(of.exec(report)![1]);
    const failed = number(/errors: (\d+)/) > 0;
    return {
      states: number(/(\d+) states, stored/),
      error: failed ? /^pan:1: (.*?) \(at depth/m.exec(report)![1] : undefined,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Tests that a model is free of errors, and that each of its mutations is not. */
export function describeModel(model: string, about: string): void {
  describe(about, { skip: withoutSpin }, () => {
    const mutations = mutationsOf(model);

    it('has no error in any state', (t) => {
      const { states, error } = explore(model);
      t.diagnostic(`${states} states`);
      assert.equal(error, undefined);
      assert.ok(states > 1000, `${states} states`);
    });

    it('names everything that can be taken away', () => {
      assert.ok(mutations.length > 0);
      assert.deepEqual(mutations.toSorted(), namesAskedFor(model).toSorted());
    });

    for (const mutation of mutations) {
      it(`fails with ${mutation}`, (t) => {
        const { error } = explore(model, { define: [mutation] });
        assert.notEqual(error, undefined);
        t.diagnostic(error!);
      });
    }
  });
}
