/**
 * Memory that is taken away while the kernel writes into it: never a crash, never a byte elsewhere.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { runProgram } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const program = new URL('programs/buffers.js', import.meta.url);
const ROUNDS = 100;

describe(
  'hazard 1: buffers that go while reads on them are in flight',
  { skip: withoutUring },
  () => {
    for (const way of ['ring', 'proactor-region', 'proactor-ordinary']) {
      for (const fate of ['transfer', 'detach', 'collect', 'reallocate']) {
        it(`${way}: ${fate}, ${ROUNDS} times`, async (test) => {
          const flags = ['--expose-gc'];
          const outcome = await runProgram(program, [way, fate, String(ROUNDS)], { flags });
          assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr);
          const { rounds, collected } = JSON.parse(outcome.stdout) as Record<string, number>;
          assert.equal(rounds, ROUNDS);
          test.diagnostic(`the buffer was collected in flight ${collected} times`);
          // The promise of ordinary memory holds on to it until it is settled.
          if (way !== 'proactor-ordinary') assert.ok(collected! > 0, 'none was collected');
        });
      }
    }
  },
);
