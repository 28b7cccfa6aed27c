/**
 * What a request costs on the JavaScript heap: nothing.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import { runProgram } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const program = new URL('programs/heap.js', import.meta.url);

/** What does not grow with the requests: optimised code arriving, the measurement itself. */
const CONSTANT_BYTES = 256 * 1024;

describe('a million requests', { skip: withoutUring }, () => {
  for (const kind of ['reads', 'mixed']) {
    it(`allocate less than a byte each: ${kind}`, (test) => measure(test, [kind]));
    it(`allocate less than a byte each on a shared ring: ${kind}`, (test) =>
      measure(test, [kind, 'shared']));
  }
});

async function measure(test: TestContext, args: string[]): Promise<void> {
  // A young generation so large that nothing is collected between the two looks at the heap.
  const flags = ['--expose-gc', '--trace-gc', '--min-semi-space-size=64'];
  const roomy = [...flags, '--max-semi-space-size=64'];
  const { code, stdout, stderr } = await runProgram(program, args, { flags: roomy });
  assert.equal(code, 0, stderr);
  const [, between, bytes, requests] = /^begin$(.*)^end$\n(-?\d+) bytes for (\d+) requests/ms.exec(
    stdout,
  )!;
  assert.equal(between, '\n', 'the heap was collected: more than 64 MiB were allocated');
  test.diagnostic(`${bytes} bytes for ${requests} requests`);
  assert.ok(Number(requests) >= 1_000_000);
  assert.ok(Number(bytes) - CONSTANT_BYTES < Number(requests));
}
