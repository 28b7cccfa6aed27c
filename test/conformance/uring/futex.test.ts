/**
 * Waiting for words of memory, and waking those who wait.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { Ring } from 'annulus/uring';

import { byToken, finish, needs, resultsOf, runOne, take } from '../../support/uring.js';

const [EAGAIN, ETIME, ECANCELED] = [-11, -62, -125];

/** So many words, and memory for each. */
function words(count: number): { values: Int32Array; memory: Uint8Array[] } {
  const bytes = alloc(count * 4);
  const values = new Int32Array(bytes.buffer, bytes.byteOffset, count);
  const memory = Array.from({ length: count }, (_, i) => bytes.subarray(i * 4, i * 4 + 4));
  return { values, memory };
}

/** A wait was cancelled. Kernels up to 6.18 say how many were, here, instead of 0. */
function assertCancelled(ring: Ring, wait: number, cancellation: number): void {
  const results = finish(ring);
  assert.equal(results.get(wait), ECANCELED);
  assert.ok([0, 1].includes(results.get(cancellation)!));
}

describe('futex', needs('FUTEX_WAIT', 'FUTEX_WAKE'), () => {
  it('a waiter is woken, by the ring it waits in or by another', () => {
    using ring = new Ring({ entries: 8 });
    using other = new Ring({ entries: 8 });
    const { values, memory } = words(1);
    values[0] = 5;
    ring.futexWait(1, memory[0]!, 5);
    ring.submit();
    assert.equal(ring.ready, 0);
    ring.futexWake(2, memory[0]!, 1);
    assert.deepEqual(resultsOf(ring, 1, 2), [0, 1]);
    ring.futexWait(3, memory[0]!, 5);
    ring.submit();
    assert.equal(
      runOne(other, (token) => other.futexWake(token, memory[0]!, 1)),
      1,
    );
    assert.deepEqual(take(ring), [{ token: 3, result: 0, more: false }]);
  });

  it('a word that is not what is expected is not waited for', () => {
    using ring = new Ring({ entries: 8 });
    const { values, memory } = words(1);
    values[0] = -2;
    ring.futexWait(1, memory[0]!, 7);
    assert.equal(finish(ring).get(1), EAGAIN);
    const key = ring.futexWait(2, memory[0]!, -2);
    ring.submit();
    assert.equal(ring.ready, 0, 'numbers with a sign are the same 32 bits');
    ring.cancel(3, 2, key);
    assertCancelled(ring, 2, 3);
  });

  it('wakes as many as it is told, first come first', () => {
    using ring = new Ring({ entries: 16 });
    const { memory } = words(1);
    for (const token of [1, 2, 3, 4]) ring.futexWait(token, memory[0]!, 0);
    ring.submit();
    ring.futexWake(10, memory[0]!, 3);
    const found = take(ring, 4);
    assert.deepEqual(byToken(found), [
      [1, 0],
      [2, 0],
      [3, 0],
      [10, 3],
    ]);
    ring.futexWake(11, memory[0]!, 100);
    assert.deepEqual(resultsOf(ring, 4, 11), [0, 1]);
    assert.equal(
      runOne(ring, (token) => ring.futexWake(token, memory[0]!, 1)),
      0,
      'nobody is left',
    );
  });

  it('a mask chooses among the waiters', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(1);
    ring.futexWait(1, memory[0]!, 0, { mask: 0b01 });
    ring.futexWait(2, memory[0]!, 0, { mask: 0x8000_0000 });
    ring.submit();
    ring.futexWake(3, memory[0]!, 100, { mask: 0x8000_0000 });
    assert.deepEqual(byToken(take(ring, 2)), [
      [2, 0],
      [3, 1],
    ]);
    ring.futexWake(4, memory[0]!, 100, { mask: 0b11 });
    assert.deepEqual(resultsOf(ring, 1, 4), [0, 1]);
    assert.throws(() => ring.futexWait(1, memory[0]!, 0, { mask: 0 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('a private waiter is woken by a private wake', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(1);
    ring.futexWait(1, memory[0]!, 0, { private: true });
    ring.submit();
    ring.futexWake(2, memory[0]!, 1, { private: true });
    assert.deepEqual(resultsOf(ring, 1, 2), [0, 1]);
  });

  it('has no time limit of its own, but may be linked to one', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(1);
    ring.futexWait(1, memory[0]!, 0);
    ring.linkTimeout(2, 1);
    const [wait, limit] = resultsOf(ring, 1, 2);
    assert.equal(wait, ECANCELED);
    assert.ok(limit === ETIME || limit === 1, `completed with ${limit}`);
  });

  it('pins the memory of the word, which must be aligned', () => {
    using ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    ring.futexWait(1, region, 0);
    ring.submit();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.futexWake(2, region, 1);
    finish(ring);
    for (const memory of [region.bytes.subarray(2), region.bytes.subarray(0, 3)]) {
      assert.throws(() => ring.futexWait(1, memory, 0), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => ring.futexWake(1, new Uint8Array(4), 1), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
    region.close();
  });
});

describe('futex-waitv', needs('FUTEX_WAITV', 'FUTEX_WAKE'), () => {
  it('completes with the index of the word that was woken', () => {
    using ring = new Ring({ entries: 8 });
    const { values, memory } = words(5);
    values.set([10, 11, 12, 13, 14]);
    for (const index of [3, 0, 4]) {
      ring.futexWaitv(
        1,
        memory.map((each, i) => ({ memory: each, expected: 10 + i })),
      );
      ring.submit();
      assert.equal(ring.ready, 0);
      ring.futexWake(2, memory[index]!, 1);
      assert.deepEqual(resultsOf(ring, 1, 2), [index, 1]);
    }
  });

  it('one word that is not what is expected is enough to end it', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(3);
    const waiters = memory.map((each, i) => ({ memory: each, expected: i === 2 ? 9 : 0 }));
    assert.equal(
      runOne(ring, (token) => ring.futexWaitv(token, waiters)),
      EAGAIN,
    );
  });

  it('takes up to 128 words, and keeps the memory of each', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(129);
    const region = Region.allocate(4096);
    const waiters = memory.slice(0, 127).map((each) => ({ memory: each, expected: 0 }));
    ring.futexWaitv(1, [...waiters, { memory: region, expected: 0 }]);
    ring.submit();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.futexWake(2, region, 1);
    assert.deepEqual(resultsOf(ring, 1, 2), [127, 1]);
    region.close();
    const all = memory.map((each) => ({ memory: each, expected: 0 }));
    assert.throws(() => ring.futexWaitv(1, all), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.futexWaitv(1, []), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('is cancelled as a whole', () => {
    using ring = new Ring({ entries: 8 });
    const { memory } = words(2);
    const key = ring.futexWaitv(
      1,
      memory.map((each) => ({ memory: each, expected: 0, private: true })),
    );
    ring.submit();
    ring.cancel(2, 1, key);
    assertCancelled(ring, 1, 2);
    assert.equal(
      runOne(ring, (token) => ring.futexWake(token, memory[0]!, 1, { private: true })),
      0,
    );
  });
});
