/**
 * A ring entered by another thread than its own: a named error, and the ring goes on.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { Ring, SETUP } from 'annulus/uring';

import { withoutUring } from '../support/skip.ts';

/** Makes a ring of its own enter the one whose descriptor it is given. */
const program = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { Ring } = await import('${import.meta.resolve('annulus/uring')}');
  const ring = new Ring({ entries: 8 });
  const { fd } = ring.register;
  ring.nop(1);
  ring.register.fd = workerData;
  try {
    ring.submit();
    parentPort.postMessage({ code: 'none' });
  } catch ({ code, syscall, message }) {
    parentPort.postMessage({ code, syscall, message });
  }
  ring.register.fd = fd;
  ring.close();
`;

describe('hazard 10: a ring entered by another thread', { skip: withoutUring }, () => {
  it('fails with EEXIST there, and works on here', async (test) => {
    using ring = new Ring({ entries: 8 });
    if ((ring.flags & SETUP.SINGLE_ISSUER) === 0) {
      test.skip('this kernel has no SINGLE_ISSUER (6.0)');
      return;
    }
    ring.nop(1);
    ring.submit();
    const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
    const worker = new Worker(url, { workerData: ring.fd });
    const [answer] = (await once(worker, 'message')) as [Record<string, string>];
    await once(worker, 'exit');
    assert.equal(answer['code'], 'EEXIST');
    assert.equal(answer['syscall'], 'io_uring_enter');
    assert.match(answer['message']!, /belongs to the thread that made it/);
    ring.nop(2);
    ring.submitAndWait(2);
    const tokens: number[] = [];
    ring.drain((token) => tokens.push(token));
    assert.deepEqual(tokens, [1, 2]);
  });
});
