/**
 * The examples of README.md and docs/ run, and print what the documents say they print.
 *
 * Every block fenced as `js` is a program. If a block fenced as `text` follows it with nothing in
 * between, that is its output, to the letter but for `...`, which stands for anything within a line.
 * Blocks fenced otherwise are not run.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { probe } from 'annulus';
import { OPCODES } from 'annulus/uring';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Far above what an example takes; one that waits for ever fails instead of stalling the run. */
const EXAMPLE_MS_MAX = 60_000;

interface Example {
  readonly line: number;
  readonly code: string;
  readonly output: string | undefined;
}

/** The programs of a document, with what they print. */
function examplesOf(text: string): Example[] {
  const blocks = /^```js\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms;
  return [...text.matchAll(blocks)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    code: match[1] ?? '',
    output: match[2],
  }));
}

/** Documents by their path relative to the root. */
function documents(): string[] {
  const inDocs = fs.readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...inDocs.map((name) => `docs/${name}`)];
}

/** Runs a program in a folder of its own, where `annulus` is this package. */
function runExample(code: string): { status: number | null; stdout: string; stderr: string } {
  const folder = fs.mkdtempSync(join(tmpdir(), 'annulus-example-'));
  try {
    fs.mkdirSync(join(folder, 'node_modules'));
    fs.symlinkSync(root, join(folder, 'node_modules/annulus'));
    fs.writeFileSync(join(folder, 'example.mjs'), code);
    return spawnSync(process.execPath, ['example.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: EXAMPLE_MS_MAX,
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** What output must match: the text itself, `...` being anything but nothing. */
function patternOf(output: string): RegExp {
  const literal = output.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('\\.\\.\\.', '.+')}$`);
}

/** Why an example cannot run here; undefined when it can. */
function obstacle(code: string): string | undefined {
  if (!/\b(?:Proactor|Ring|SharedRing)\b/.test(code)) return undefined;
  const { available, reason, opcodes } = probe();
  if (!available) return reason;
  const lacking = OPCODES.filter(({ name }) => !opcodes.has(name));
  const needed = lacking.find(({ name }) => code.includes(`.${name.toLowerCase()}(`));
  return needed && `the kernel lacks ${needed.name}, which is of Linux ${needed.since}`;
}

describe('the extraction of examples', () => {
  it('finds programs, their lines and their output', () => {
    const text =
      '# Title\n\n```js\na();\n```\n\n```text\nA\n```\n\n```ts\nb();\n```\n\n```js\nc();\n```\n';
    assert.deepEqual(examplesOf(text), [
      { line: 3, code: 'a();\n', output: 'A\n' },
      { line: 15, code: 'c();\n', output: undefined },
    ]);
  });

  it('sees a program that fails, and one that prints', () => {
    assert.notEqual(runExample('throw new Error("no");').status, 0);
    assert.equal(runExample('console.log(6 * 7);').stdout, '42\n');
  });

  it('compares output to the letter but for dots', () => {
    assert.match('a.b (1)\n', patternOf('a.b (1)\n'));
    assert.match('sum 123\n', patternOf('sum ...\n'));
    assert.doesNotMatch('axb\n', patternOf('a.b\n'));
    assert.doesNotMatch('sum \n', patternOf('sum ...\n'));
    assert.doesNotMatch('sum 1\n2\n', patternOf('sum ...\n'));
  });

  it('finds some in README.md', () => {
    assert.notEqual(examplesOf(fs.readFileSync(join(root, 'README.md'), 'utf8')).length, 0);
  });
});

for (const document of documents()) {
  const examples = examplesOf(fs.readFileSync(join(root, document), 'utf8'));
  if (examples.length === 0) continue;
  describe(`the examples of ${document}`, () => {
    for (const { line, code, output } of examples) {
      const skip = obstacle(code) ?? false;
      it(
        `line ${line} runs${output === undefined ? '' : ' and prints what it says'}`,
        { skip },
        () => {
          const result = runExample(code);
          assert.equal(result.status, 0, result.stderr);
          if (output !== undefined) assert.match(result.stdout, patternOf(output));
        },
      );
    }
  });
}
