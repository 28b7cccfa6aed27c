/**
 * Rings that are created, resized and closed leave nothing behind: the short form of a script of test/long.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { runProgram } from '../../support/program.js';

describe('Rings that come and go', () => {
  it('leave descriptors, mappings and memory where they were', async () => {
    const program = new URL('../../long/mirrored-cycles.js', import.meta.url);
    const { code, stdout, stderr } = await runProgram(program, ['8000', '2000'], {
      flags: ['--max-semi-space-size=1'],
    });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^8000 cycles, 16000 resizes: /m);
  });
});
