/**
 * Requests that do nothing, in batches of every size.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ring, SETUP } from 'annulus/uring';

import { finish, needs } from '../../support/uring.ts';

describe('nop', needs(), () => {
  it('completes with 0 and its token, in rings of every entry and completion size', () => {
    for (const flags of [0, SETUP.SQE128, SETUP.CQE32, SETUP.SQE128 | SETUP.CQE32]) {
      using ring = new Ring({ entries: 4, flags });
      ring.nop(2 ** 31 - 1);
      assert.deepEqual([...finish(ring)], [[2 ** 31 - 1, 0]]);
    }
  });

  it('completes in the order of submission', () => {
    using ring = new Ring({ entries: 64 });
    for (let token = 0; token < 64; token++) ring.nop(token);
    assert.deepEqual([...finish(ring).keys()], [...Array(64).keys()]);
  });

  it('fills queues of every size, several times around', () => {
    for (let entries = 1; entries <= 1024; entries *= 4) {
      using ring = new Ring({ entries });
      for (let round = 0; round < 5; round++) {
        for (let token = 0; token < entries; token++) ring.nop(token);
        assert.equal(finish(ring).size, entries);
      }
    }
  });

  it('counts as in flight from its preparation to its reaping', () => {
    using ring = new Ring({ entries: 4 });
    ring.nop(1);
    assert.equal(ring.inFlight, 1);
    ring.submit();
    assert.equal(ring.inFlight, 1);
    ring.drain(() => assert.equal(ring.inFlight, 0));
  });
});
