/**
 * Registered rings: submitting, waiting and registering by an index of the thread.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring } from 'annulus/uring';

import { DEFERRED, finish, Folder, registers, runOne, take } from '../../support/uring.ts';

describe('a registered ring', registers('REGISTER_RING_FDS'), () => {
  it('submits and waits as before', () => {
    using ring = new Ring({ entries: 8 });
    const index = ring.register.ringFd();
    assert.ok(index >= 0 && index < 16);
    assert.equal(ring.register.ringFd(), index, 'once is enough');
    for (let token = 0; token < 8; token++) ring.nop(token);
    assert.equal(finish(ring).size, 8);
    ring.timeout(1, 1);
    assert.equal(take(ring).length, 1);
    ring.timeout(2, 60_000);
    ring.submitAndWait(1, { timeout: 1 });
    assert.equal(ring.ready, 0);
    ring.register.unregisterRingFd();
    ring.register.unregisterRingFd();
    ring.nop(9);
    assert.equal(take(ring).length, 1);
  });

  it('registers by its index', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    ring.register.ringFd();
    const [file] = ring.register.files([folder.open('x')]);
    const [buffer] = ring.register.buffers([alloc(8)]);
    assert.equal(
      runOne(ring, (token) => ring.readFixed(token, file!, buffer!, { position: 0 })),
      1,
    );
    ring.register.unregisterBuffers();
    assert.throws(() => ring.register.unregisterBuffers(), { code: 'ENXIO' });
  });

  it('is one of 16 a thread, and makes room when it is closed', () => {
    const rings: Ring[] = [];
    try {
      for (let i = 0; i < 16; i++) {
        rings.push(new Ring({ entries: 4 }));
        rings[i]!.register.ringFd();
      }
      using more = new Ring({ entries: 4 });
      assert.throws(() => more.register.ringFd(), {
        code: 'EBUSY',
        message: /as many rings as it can/,
      });
      rings.pop()!.close();
      more.register.ringFd();
      more.nop(1);
      assert.equal(take(more).length, 1);
    } finally {
      for (const ring of rings) ring.close();
    }
    for (let i = 0; i < 40; i++) {
      using ring = new Ring({ entries: 4 });
      ring.register.ringFd();
    }
  });

  it('can be resized', registers('REGISTER_RESIZE_RINGS'), () => {
    using ring = new Ring({ entries: 4, flags: DEFERRED });
    ring.register.ringFd();
    ring.nop(1);
    ring.resize({ entries: 32 });
    assert.deepEqual(take(ring), [{ token: 1, result: 0, more: false }]);
  });
});
