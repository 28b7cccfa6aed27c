/**
 * Arguments that are nothing of the kind, as a program without types may give them: a named error, and
 * nothing is prepared.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ring, sendMessage } from 'annulus/uring';

import { needs, registers } from '../support/uring.ts';

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

const NOT_RINGS = [null, undefined, 'ring', true, 3n];

describe('arguments of another kind', needs('MSG_RING'), () => {
  it('no token: a BigInt, a string, nothing', () => {
    using ring = new Ring({ entries: 4 });
    for (const token of [1n, '1', undefined, null] as never[]) {
      assert.throws(() => ring.nop(token), TYPE);
      assert.throws(() => ring.cancelAll(token), TYPE);
    }
    assert.equal(ring.unsubmitted, 0);
  });

  it('no ring to send a message to', registers('REGISTER_SEND_MSG_RING'), () => {
    using ring = new Ring({ entries: 4 });
    ring.register.sparseFiles(1);
    const file = ring.register.fixedFile(0);
    for (const target of NOT_RINGS as never[]) {
      assert.throws(() => ring.messageRing(1, target, 2, 3), TYPE);
      assert.throws(() => ring.messageFile(1, target, file), TYPE);
      assert.throws(() => sendMessage(target, 1, 2), TYPE);
    }
    // Without the check, the message would have gone to descriptor 0.
    assert.throws(() => ring.messageRing(1, {} as never, 2, 3), TYPE);
    assert.throws(() => ring.messageRing(1, { fd: -1, closed: false }, 2, 3), RANGE);
    assert.equal(ring.unsubmitted, 0);
  });

  it('no registered file', () => {
    using ring = new Ring({ entries: 4 });
    for (const file of [null, undefined, {}, 'file'] as never[]) {
      assert.throws(() => ring.messageFile(1, ring, file), TYPE);
      assert.throws(() => ring.closeFd(1, file), TYPE);
      if (file !== undefined) assert.throws(() => ring.cancelMatching(1, { fd: file }), TYPE);
    }
    assert.equal(ring.unsubmitted, 0);
  });
});
