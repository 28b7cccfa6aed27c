/**
 * Random requests, valid and not, with random flags and lengths: nothing but named errors, no request
 * that never ends, no descriptor left, no memory in use, and no byte written that was not given out.
 * The long form is `node build/test/long/uring-fuzz.js`.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { OPCODES } from 'annulus/uring';

import { printedSeed } from '../support/random.ts';
import { withoutUring } from '../support/skip.ts';
import { fuzz, MANNERS } from './support/fuzz-run.ts';
import { REQUESTS } from './support/requests.ts';

const REQUESTS_IN_ALL = 200_000;

describe('random requests', { skip: withoutUring }, () => {
  it('are of every method there is', () => {
    const methods = OPCODES.flatMap((opcode) => opcode.methods);
    assert.deepEqual(Object.keys(REQUESTS).toSorted(), methods.toSorted());
  });

  it(`end in completions or named errors, ${REQUESTS_IN_ALL} of them`, (test) => {
    const seed = printedSeed();
    let total = 0;
    for (const [name, { share }] of Object.entries(MANNERS)) {
      const { prepared, refused, failed } = fuzz(name, seed, REQUESTS_IN_ALL * share);
      test.diagnostic(`${name}: ${prepared} prepared, ${refused} refused, ${failed} failed`);
      total += prepared;
    }
    assert.ok(total >= REQUESTS_IN_ALL);
  });
});
