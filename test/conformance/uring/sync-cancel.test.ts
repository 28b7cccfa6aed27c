/**
 * Cancelling from outside of the queues: when it returns, the requests have ended.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring } from 'annulus/uring';

import { registers, take } from '../../support/uring.ts';
import { pair } from '../../unit/support/pair.ts';

const ECANCELED = -125;

/** What is ready now, by token. */
function reap(ring: Ring): Map<number, number> {
  return new Map(take(ring, 0).map(({ token, result }) => [token, result]));
}

describe('cancelling at once', registers('REGISTER_SYNC_CANCEL'), () => {
  it('ends the request with this token and key, and no other', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    const memory = alloc(4);
    const key = ring.read(1, ends.reader, memory);
    ring.read(2, ends.reader, memory);
    ring.submit();
    assert.equal(ring.register.cancel({ token: 1, key }), 1);
    assert.deepEqual(reap(ring), new Map([[1, ECANCELED]]));
    assert.equal(ring.register.cancel({ token: 1, key }), 0);
    assert.equal(ring.inFlight, 1);
  });

  it('ends every request on a descriptor', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    using other = pair();
    for (const token of [1, 2, 3]) ring.pollAdd(token, ends.reader, 1);
    ring.pollAdd(4, other.reader, 1);
    ring.submit();
    assert.equal(ring.register.cancel({ fd: ends.reader, all: true }), 3);
    assert.deepEqual(new Set(reap(ring).keys()), new Set([1, 2, 3]));
    assert.equal(ring.register.cancel({ fd: ends.reader, all: true }), 0);
  });

  it('ends one request on a descriptor', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    for (const token of [1, 2]) ring.pollAdd(token, ends.reader, 1);
    ring.submit();
    assert.equal(ring.register.cancel({ fd: ends.reader }), 1);
    assert.equal(reap(ring).size, 1);
  });

  it('tells a registered file from a descriptor', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    const [file] = ring.register.files([ends.reader]);
    ring.pollAdd(1, file!, 1);
    ring.submit();
    assert.equal(ring.register.cancel({ fd: file!, all: true }), 1);
    assert.deepEqual(reap(ring), new Map([[1, ECANCELED]]));
  });

  it('ends requests of one kind', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    ring.pollAdd(1, ends.reader, 1);
    ring.read(2, ends.reader, alloc(1));
    ring.submit();
    assert.equal(ring.register.cancel({ fd: ends.reader, request: 'READ', all: true }), 1);
    assert.deepEqual(reap(ring), new Map([[2, ECANCELED]]));
    assert.equal(ring.register.cancel({ request: 'READ', all: true }), 0);
    assert.equal(ring.register.cancel({ request: 'POLL_ADD', all: true }), 1);
  });

  it('ends all there are', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    assert.equal(ring.register.cancel({ all: true }), 0);
    ring.pollAdd(1, ends.reader, 1);
    ring.read(2, ends.reader, alloc(1));
    ring.timeout(3, 60_000);
    ring.submit();
    assert.equal(ring.register.cancel({ all: true, timeout: 1000 }), 3);
    assert.deepEqual(new Set(reap(ring).keys()), new Set([1, 2, 3]));
    assert.equal(ring.inFlight, 0);
  });

  it('wants to know which', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.register.cancel({}), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.register.cancel({ token: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.register.cancel({ all: true, timeout: -1 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => ring.register.cancel({ request: 'X' as 'READ' }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});
