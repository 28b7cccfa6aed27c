/**
 * A ring whose descriptor somebody closes while it is used: errors by name, no hang, no crash.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { runProgram } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const program = new URL('programs/revoke.js', import.meta.url);

describe('a descriptor closed under a live ring', { skip: withoutUring }, () => {
  for (const [name, what] of Object.entries({
    ring: 'a raw ring',
    idle: 'an idle proactor',
    busy: 'a proactor with requests submitted, prepared and waiting',
    told: 'a proactor that tells of a failed enter',
    pool: 'a proactor with reads into a pool',
    stuck: 'a proactor with a request nothing completes',
  })) {
    it(what, async () => {
      const outcome = await runProgram(program, [name]);
      assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr);
      assert.equal(outcome.stdout, 'done\n');
    });
  }
});
