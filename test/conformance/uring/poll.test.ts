/**
 * Waiting for descriptors: once, again and again, and changing what is waited for.
 */

import assert from 'node:assert/strict';
import { closeSync, readSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { EPOLL, Ring, SQE } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import type { Ends } from '../../unit/support/pair.js';
import { finish, needs, resultsOf, runOne, take } from '../../support/uring.js';

const [ENOENT, EBADF, EINVAL, ECANCELED] = [-2, -9, -22, -125];

/** Takes bytes out of a descriptor. */
function empty(ends: Ends): void {
  readSync(ends.reader, Buffer.alloc(64));
}

describe('poll', needs('POLL_ADD', 'POLL_REMOVE'), () => {
  it('completes with the events that are there, or as soon as they come', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    assert.equal(
      runOne(ring, (token) => ring.pollAdd(token, ends.reader, EPOLL.IN | EPOLL.OUT)),
      EPOLL.OUT,
    );
    ring.pollAdd(1, ends.reader, EPOLL.IN);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('x');
    assert.deepEqual(take(ring), [{ token: 1, result: EPOLL.IN, more: false }]);
  });

  it('reports that the other side is gone, asked or not', () => {
    using ring = new Ring({ entries: 8 });
    const ends = pair();
    ring.pollAdd(1, ends.reader, EPOLL.PRI);
    ring.submit();
    closeSync(ends.writer);
    const [{ result } = { result: 0 }] = take(ring);
    assert.notEqual(result & EPOLL.HUP, 0);
    closeSync(ends.reader);
  });

  it('bad descriptors, and a poll that is removed', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    assert.equal(
      runOne(ring, (token) => ring.pollAdd(token, 1_000_000, EPOLL.IN)),
      EBADF,
    );
    const key = ring.pollAdd(1, ends.reader, EPOLL.IN);
    ring.submit();
    ring.pollRemove(2, 1, key);
    assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, 0]);
    assert.equal(
      runOne(ring, (token) => ring.pollRemove(token, 1, key)),
      ENOENT,
    );
  });

  it('poll-link: what is linked behind a poll runs when it is ready', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const memory = alloc(4);
    ring.pollAdd(1, ends.reader, EPOLL.IN);
    ring.flagLast(SQE.IO_LINK);
    ring.read(2, ends.reader, memory);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('data');
    assert.deepEqual(
      [...finish(ring)],
      [
        [1, EPOLL.IN],
        [2, 4],
      ],
    );
  });

  it('poll-many: each of many polls hears of its own descriptor', () => {
    using ring = new Ring({ entries: 64 });
    const all = Array.from({ length: 32 }, () => pair());
    all.forEach((ends, token) => ring.pollAdd(token, ends.reader, EPOLL.IN));
    ring.submit();
    const order = all.map((_, index) => (index * 7) % all.length);
    for (const index of order) {
      all[index]!.write('x');
      assert.deepEqual(take(ring), [{ token: index, result: EPOLL.IN, more: false }]);
    }
    for (const ends of all) ends[Symbol.dispose]();
  });
});

describe('poll-mshot', needs('POLL_ADD', 'POLL_REMOVE'), () => {
  it('reports every new event, and ends when it is removed', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const key = ring.pollAdd(1, ends.reader, EPOLL.IN, { multishot: true });
    ring.submit();
    for (let round = 0; round < 4; round++) {
      ends.write('x');
      assert.deepEqual(take(ring), [{ token: 1, result: EPOLL.IN, more: true }]);
      empty(ends);
    }
    ring.pollRemove(2, 1, key);
    assert.deepEqual(
      take(ring, 2).toSorted((a, b) => a.token - b.token),
      [
        { token: 1, result: ECANCELED, more: false },
        { token: 2, result: 0, more: false },
      ],
    );
  });

  it('by level it reports what lasts, where the kernel can', (test) => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ends.write('x');
    ring.pollAdd(1, ends.reader, EPOLL.IN, { multishot: true, level: true });
    const [first] = take(ring);
    if (first!.result === EINVAL) return test.skip('this kernel has no polls by level');
    assert.deepEqual(first, { token: 1, result: EPOLL.IN, more: true });
  });
});

describe('poll-mshot-update', needs('POLL_ADD', 'POLL_REMOVE'), () => {
  it('waits for other events from then on', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const key = ring.pollAdd(1, ends.reader, EPOLL.PRI, { multishot: true });
    ring.submit();
    ends.write('x');
    assert.equal(ring.ready, 0);
    ring.pollUpdate(2, 1, key, { events: EPOLL.IN, multishot: true });
    const found = take(ring, 2).toSorted((a, b) => a.token - b.token);
    assert.deepEqual(found, [
      { token: 1, result: EPOLL.IN, more: true },
      { token: 2, result: 0, more: false },
    ]);
  });

  it('completes with another token from then on', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const key = ring.pollAdd(1, ends.reader, EPOLL.IN);
    ring.submit();
    ring.pollUpdate(2, 1, key, { token: 7 });
    assert.deepEqual(take(ring), [{ token: 2, result: 0, more: false }]);
    ends.write('x');
    assert.deepEqual(take(ring), [{ token: 7, result: EPOLL.IN, more: false }]);
  });

  it('changes both at once; the poll is found by its new token', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const key = ring.pollAdd(1, ends.reader, EPOLL.PRI);
    ring.submit();
    ring.pollUpdate(2, 1, key, { token: 7, events: EPOLL.RDHUP });
    assert.equal(take(ring)[0]!.result, 0);
    ring.pollRemove(3, 1, key);
    assert.deepEqual(take(ring), [{ token: 3, result: ENOENT, more: false }]);
    ring.pollRemove(4, 7, key);
    assert.deepEqual(resultsOf(ring, 4, 7), [0, ECANCELED]);
  });

  it('there must be a poll, and something to change', () => {
    using ring = new Ring({ entries: 8 });
    assert.equal(
      runOne(ring, (token) => ring.pollUpdate(token, 5, 0, { events: EPOLL.IN })),
      ENOENT,
    );
    assert.throws(() => ring.pollUpdate(1, 5, 0, {}), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.pollUpdate(1, 5, 0, { token: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.pollAdd(1, 0, 0), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 0);
  });
});
