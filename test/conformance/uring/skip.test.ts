/**
 * CQE_SKIP_SUCCESS: requests that complete only if they fail.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SQE } from 'annulus/uring';

import { finish, needs, take } from '../../support/uring.ts';

const SKIP = SQE.CQE_SKIP_SUCCESS;

/** The requests of a ring that completed, after one more request that does. */
function completed(ring: Ring): [number, number][] {
  ring.nop(100);
  return [...finish(ring)].filter(([token]) => token !== 100);
}

describe('CQE_SKIP_SUCCESS', needs(), () => {
  it('skip-cqe: a request that succeeds does not complete, and is not in flight', () => {
    using ring = new Ring({ entries: 8 });
    for (let token = 0; token < 3; token++) {
      ring.nop(token);
      ring.flagLast(SKIP);
    }
    assert.equal(ring.inFlight, 0);
    assert.equal(ring.submit(), 3);
    assert.deepEqual(completed(ring), []);
    assert.equal(ring.inFlight, 0);
  });

  it('skip-cqe: a failure completes, and is still not counted', () => {
    using ring = new Ring({ entries: 8 });
    ring.nopWith(1, { result: -5 });
    ring.flagLast(SKIP);
    ring.nop(2);
    const results = [...take(ring, 2)].map(({ token, result }) => [token, result]);
    assert.deepEqual(
      results.toSorted(([a], [b]) => a! - b!),
      [
        [1, -5],
        [2, 0],
      ],
    );
    assert.equal(ring.inFlight, 0);
    assert.equal(ring.stats.completed, 2);
  });

  it('hazard 9: the last of a chain completes when the chain is broken before it', () => {
    using ring = new Ring({ entries: 8 });
    ring.read(1, 1_000_000, alloc(8));
    ring.flagLast(SQE.IO_LINK);
    ring.nop(2);
    ring.flagLast(SKIP);
    const results = new Map(take(ring, 2).map(({ token, result }) => [token, result]));
    assert.deepEqual([results.get(1), results.get(2)], [-9, -125]);
    assert.equal(ring.inFlight, 0);
  });

  it('hazard 9: only the last of a chain may be skipped', () => {
    using ring = new Ring({ entries: 8 });
    const expected = { code: 'ERR_OUT_OF_RANGE', message: /last of a chain/ };
    ring.nop(1);
    assert.throws(() => ring.flagLast(SKIP | SQE.IO_LINK), expected);
    ring.flagLast(SKIP);
    assert.throws(() => ring.flagLast(SQE.IO_HARDLINK), expected);
    assert.throws(() => ring.linkTimeout(2, 10), expected);
    ring.nop(3);
    ring.flagLast(SQE.IO_LINK);
    assert.throws(() => ring.flagLast(SKIP), expected);
  });

  it('hazard 9: is refused where a completion ends a hold', () => {
    using ring = new Ring({ entries: 16 });
    const memory = alloc(16);
    const expected = { code: 'ERR_OUT_OF_RANGE', message: /holds memory or a descriptor/ };
    for (const prepare of [
      (): number => ring.read(1, 0, memory),
      (): number => ring.openat(1, '/', 0),
      (): number => ring.timeout(1, 1),
      (): number => ring.socket(1, 1, 1, 0),
      (): number => ring.accept(1, 0),
    ]) {
      prepare();
      assert.throws(() => ring.flagLast(SKIP), expected);
    }
  });

  it('changes the key, by which the request can still be cancelled', () => {
    using ring = new Ring({ entries: 8 });
    const before = ring.pollAdd(1, ring.fd, 2 ** 13);
    const key = ring.flagLast(SKIP);
    assert.notEqual(key, before);
    ring.submit();
    ring.cancel(2, 1, key);
    const results = new Map<number, number>();
    ring.submitAndWait(1);
    while (results.size < 2) {
      ring.submitAndWait(0, { timeout: 1 });
      ring.drain((token, result) => results.set(token, result));
    }
    assert.deepEqual([results.get(1), results.get(2)], [-125, 0]);
    assert.equal(ring.inFlight, 0);
  });

  it('requests never submitted are forgotten, and counted right', () => {
    const ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.flagLast(SKIP);
    ring.nop(2);
    assert.equal(ring.inFlight, 1);
    const tokens: number[] = [];
    ring.takeUnsubmitted((token) => tokens.push(token));
    assert.deepEqual(tokens, [1, 2]);
    assert.equal(ring.inFlight, 0);
    ring.nop(3);
    assert.equal(finish(ring).get(3), 0);
    ring.close();
  });
});
