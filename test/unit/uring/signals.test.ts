/**
 * Waiting with signals blocked.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring } from 'annulus/uring';
import { pair } from '../support/pair.js';
import { needs } from '../support/requests.js';

describe('submitAndWait with blocked signals', needs('READ'), () => {
  it('waits through them, and lets them in when it returns', async () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    let caught = 0;
    const count = (): void => void caught++;
    process.on('SIGWINCH', count);
    // The signals come before the byte that ends the wait, from a process of their own.
    const program = `
      for (let i = 0; i < 20; i++) process.kill(${process.pid}, 'SIGWINCH');
      require('fs').writeSync(3, 'x');`;
    const child = spawn(process.execPath, ['--eval', program], {
      stdio: ['ignore', 'inherit', 'inherit', ends.writer],
    });
    ring.read(1, ends.reader, alloc(1));
    const submitted = ring.submitAndWait(1, { blockedSignals: ['SIGWINCH'], timeout: 30_000 });
    assert.deepEqual([submitted, ring.ready, ring.stats.enters], [1, 1, 1]);
    assert.equal(caught, 0);
    while (caught === 0) await new Promise(setImmediate);
    ring.nop(2);
    assert.equal(ring.submitAndWait(2, { blockedSignals: ['SIGWINCH', 'SIGUSR1'] }), 1);
    process.off('SIGWINCH', count);
    if (child.exitCode === null) await once(child, 'exit');
  });

  it('refuses what is no signal, and a wait without end', () => {
    using ring = new Ring({ entries: 8 });
    const wrong = { blockedSignals: ['SIGNONE' as NodeJS.Signals] };
    assert.throws(() => ring.submitAndWait(0, wrong), { code: 'ERR_INVALID_ARG_VALUE' });
    const forEver = { blockedSignals: ['SIGWINCH' as const] };
    assert.throws(() => ring.submitAndWait(1, forEver), { code: 'ERR_OUT_OF_RANGE' });
  });
});
