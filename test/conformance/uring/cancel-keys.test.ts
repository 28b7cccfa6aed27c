/**
 * What a cancellation can go by: token and key, descriptor, registered file, kind, all of them.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { EPOLL, Ring } from 'annulus/uring';
import type { CancelTarget } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import { ascending, byToken, finish, needs, take } from '../../support/uring.js';

const [ENOENT, EINVAL, ECANCELED] = [-2, -22, -125];
const HOUR = 3_600_000;
const CANCEL_TOKEN = 99;

/** Cancels and waits for its own completion; its result, and what else has completed, sorted. */
function cancel(ring: Ring, target: CancelTarget): [number, number[]] {
  ring.cancelMatching(CANCEL_TOKEN, target);
  const found = take(ring);
  while (!found.some(({ token }) => token === CANCEL_TOKEN)) found.push(...take(ring));
  const result = found.find(({ token }) => token === CANCEL_TOKEN)!.result;
  while (found.length <= result) found.push(...take(ring));
  const ended = found.filter(({ token }) => token !== CANCEL_TOKEN);
  for (const each of ended) assert.equal(each.result, ECANCELED);
  return [result, ascending(ended.map(({ token }) => token))];
}

describe('io-cancel', needs('ASYNC_CANCEL', 'READ', 'POLL_ADD'), () => {
  it('by token and key: the first, or every one of them', () => {
    using ends = pair();
    using ring = new Ring({ entries: 16 });
    const memory = alloc(8);
    const key = ring.read(5, ends.reader, memory);
    for (let i = 0; i < 3; i++) ring.read(5, ends.reader, memory);
    ring.read(6, ends.reader, memory);
    ring.submit();
    ring.cancelMatching(CANCEL_TOKEN, { token: 5, key });
    const first = take(ring, 2);
    assert.deepEqual(byToken(first), [
      [5, ECANCELED],
      [CANCEL_TOKEN, 0],
    ]);
    assert.deepEqual(cancel(ring, { token: 5, key, all: true }), [3, [5, 5, 5]]);
    assert.deepEqual(cancel(ring, { token: 5, key, all: true }), [0, []], 'none is left');
    ring.cancelMatching(CANCEL_TOKEN, { token: 5, key });
    assert.equal(take(ring)[0]!.result, ENOENT);
    assert.equal(ring.inFlight, 1);
  });

  it('a token with the key of another request is not it', () => {
    using ends = pair();
    using ring = new Ring({ entries: 16 });
    const key = ring.timeout(1, HOUR);
    const other = ring.timeout(2, HOUR);
    ring.read(3, ends.reader, alloc(8));
    ring.submit();
    assert.notEqual(key, other);
    ring.cancelMatching(CANCEL_TOKEN, { token: 1, key: other });
    assert.deepEqual(take(ring), [{ token: CANCEL_TOKEN, result: ENOENT, more: false }]);
    assert.throws(() => ring.cancelMatching(1, { token: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('by descriptor: only what is about it', () => {
    using one = pair();
    using two = pair();
    using ring = new Ring({ entries: 16 });
    const memory = alloc(8);
    ring.read(1, one.reader, memory);
    ring.pollAdd(2, one.reader, EPOLL.IN);
    ring.read(3, two.reader, memory);
    ring.timeout(4, HOUR);
    ring.submit();
    assert.deepEqual(cancel(ring, { fd: one.reader, all: true }), [2, [1, 2]]);
    assert.equal(ring.inFlight, 2);
    ring.cancelFd(CANCEL_TOKEN, two.reader);
    assert.deepEqual(byToken(take(ring, 2)), [
      [3, ECANCELED],
      [CANCEL_TOKEN, 1],
    ]);
  });

  it('by registered file', () => {
    using one = pair();
    using two = pair();
    using ring = new Ring({ entries: 16 });
    const [first, second] = ring.register.files([one.reader, two.reader]);
    ring.read(1, first!, alloc(8));
    ring.read(2, second!, alloc(8));
    ring.submit();
    assert.deepEqual(cancel(ring, { fd: second!, all: true }), [1, [2]]);
    assert.deepEqual(cancel(ring, { fd: first!, all: true }), [1, [1]]);
  });

  it('by kind, alone or together with a descriptor', (test) => {
    using one = pair();
    using two = pair();
    using ring = new Ring({ entries: 16 });
    ring.read(1, one.reader, alloc(8));
    ring.pollAdd(2, one.reader, EPOLL.IN);
    ring.pollAdd(3, two.reader, EPOLL.IN);
    ring.read(4, two.reader, alloc(8));
    ring.submit();
    const [result, ended] = cancel(ring, { fd: one.reader, request: 'POLL_ADD', all: true });
    if (result === EINVAL) return test.skip('this kernel cannot cancel by kind (6.6)');
    assert.deepEqual([result, ended], [1, [2]]);
    assert.deepEqual(cancel(ring, { request: 'READ', all: true }), [2, [1, 4]]);
    assert.equal(ring.inFlight, 1);
    assert.deepEqual(cancel(ring, { request: 'POLL_ADD', all: true }), [1, [3]]);
  });

  it('by token together with a descriptor: both must hold', (test) => {
    using one = pair();
    using two = pair();
    using ring = new Ring({ entries: 16 });
    const memory = alloc(8);
    const key = ring.read(1, one.reader, memory);
    ring.read(1, two.reader, memory);
    ring.submit();
    const target = { token: 1, key, fd: two.reader, all: true };
    const [result, ended] = cancel(ring, target);
    if (result === EINVAL) return test.skip('this kernel cannot combine keys (6.6)');
    assert.deepEqual([result, ended], [1, [1]]);
    assert.deepEqual(cancel(ring, { fd: one.reader, all: true }), [1, [1]]);
  });

  it('everything there is', () => {
    using ends = pair();
    using ring = new Ring({ entries: 16 });
    ring.read(1, ends.reader, alloc(8));
    ring.pollAdd(2, ends.reader, EPOLL.IN);
    ring.timeout(3, HOUR);
    ring.submit();
    const [, ended] = cancel(ring, { all: true });
    const rest = [...finish(ring)];
    for (const [, result] of rest) assert.equal(result, ECANCELED);
    assert.deepEqual(ascending([...ended, ...rest.map(([token]) => token)]), [1, 2, 3]);
    assert.equal(ring.inFlight, 0);
  });

  it('says no key at all: refused, for it would be anybody', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.cancelMatching(1, {}), { code: 'ERR_INVALID_ARG_VALUE' });
    const request = 'NOTHING' as 'NOP';
    assert.throws(() => ring.cancelMatching(1, { request }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.cancelMatching(1, { fd: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 0);
  });

  it('a descriptor without requests has none to end', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ring.cancelMatching(1, { fd: ends.reader });
    ring.cancelMatching(2, { fd: ends.reader, all: true });
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2)], [ENOENT, 0]);
  });
});
