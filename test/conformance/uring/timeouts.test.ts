/**
 * Timeouts of every kind: spans and times, clocks, counts, updates, removal, repetition.
 *
 * No verdict depends on how fast the machine is: a timer may be late, but never early.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ring, TIMEOUT } from 'annulus/uring';

import { finish, needs, resultsOf, runOne, take } from '../../support/uring.js';

const [ENOENT, EINVAL, ETIME, ECANCELED] = [-2, -22, -62, -125];
const HOUR = 3_600_000;

/** The monotonic clock, in milliseconds. */
function monotonic(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

describe('timeout', needs('TIMEOUT', 'TIMEOUT_REMOVE'), () => {
  it('fires after its span, not before', () => {
    using ring = new Ring({ entries: 8 });
    for (const milliseconds of [0, 0.5, 3]) {
      const start = monotonic();
      assert.equal(
        runOne(ring, (token) => ring.timeout(token, milliseconds)),
        ETIME,
      );
      assert.ok(monotonic() - start >= milliseconds - 0.001, 'not early');
    }
  });

  it('fires at a time of the monotonic clock, at once if it is past', () => {
    using ring = new Ring({ entries: 8 });
    const time = monotonic() + 3;
    const flags = TIMEOUT.ABS;
    ring.timeout(1, time, { flags });
    ring.timeout(2, 1, { flags });
    assert.deepEqual(resultsOf(ring, 1, 2), [ETIME, ETIME]);
    assert.ok(monotonic() >= time - 0.001);
  });

  it('takes the other clocks, one at a time', () => {
    using ring = new Ring({ entries: 8 });
    const time = Date.now() + 2;
    ring.timeout(1, time, { flags: TIMEOUT.ABS | TIMEOUT.REALTIME });
    ring.timeout(2, 1, { flags: TIMEOUT.BOOTTIME });
    ring.timeout(3, 1, { flags: TIMEOUT.BOOTTIME | TIMEOUT.REALTIME });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ETIME, ETIME, EINVAL]);
    assert.ok(Date.now() >= time);
  });

  it('times are encoded to the nanosecond, seconds apart', () => {
    using ring = new Ring({ entries: 8 });
    const key = ring.timeout(1, 2 ** 40 + 0.25);
    ring.submit();
    ring.timeoutRemove(2, 1, key);
    assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, 0]);
    for (const bad of [-1, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => ring.timeout(1, bad), { code: 'ERR_OUT_OF_RANGE' });
    }
  });

  it('completes with 0 after so many other completions', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, HOUR, { count: 2 });
    ring.nop(2);
    ring.submit();
    assert.equal(ring.ready, 1);
    ring.nop(3);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [0, 0, 0]);
  });

  it('is removed: it completes, cancelled; there is nothing to remove twice', () => {
    using ring = new Ring({ entries: 8 });
    const key = ring.timeout(1, HOUR);
    ring.submit();
    ring.timeoutRemove(2, 1, key);
    assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, 0]);
    ring.timeoutRemove(3, 1, key);
    assert.equal(finish(ring).get(3), ENOENT);
  });

  it('gets an earlier span, or a time, while it waits', () => {
    using ring = new Ring({ entries: 8 });
    for (const change of [{}, { flags: TIMEOUT.ABS }]) {
      const key = ring.timeout(1, HOUR);
      ring.submit();
      ring.timeoutUpdate(2, 1, key, 1, change);
      assert.deepEqual(resultsOf(ring, 1, 2), [ETIME, 0]);
      ring.timeoutUpdate(3, 1, key, 1);
      assert.equal(finish(ring).get(3), ENOENT);
    }
  });

  it('an update takes no clock: the timeout has one', () => {
    using ring = new Ring({ entries: 8 });
    const key = ring.timeout(1, HOUR);
    ring.submit();
    ring.timeoutUpdate(2, 1, key, 1, { flags: TIMEOUT.BOOTTIME | TIMEOUT.REALTIME });
    assert.deepEqual(take(ring), [{ token: 2, result: EINVAL, more: false }]);
    ring.timeoutRemove(3, 1, key);
    assert.equal(resultsOf(ring, 1, 3)[1], 0);
  });

  it('fires again and again, as often as it is told', (test) => {
    using ring = new Ring({ entries: 8 });
    const flags = TIMEOUT.MULTISHOT;
    ring.timeout(1, 0.5, { flags, count: 3 });
    const found: unknown[] = [];
    while (ring.inFlight > 0) found.push(...take(ring).map(({ result, more }) => [result, more]));
    if (found.length === 1) return test.skip('this kernel has no repeated timeouts (6.4)');
    assert.deepEqual(found, [
      [ETIME, true],
      [ETIME, true],
      [ETIME, false],
    ]);
  });

  it('without a count it fires until it is removed', (test) => {
    using ring = new Ring({ entries: 8 });
    const key = ring.timeout(1, 0.1, { flags: TIMEOUT.MULTISHOT });
    const first = take(ring)[0]!;
    if (first.result === EINVAL) return test.skip('this kernel has no repeated timeouts (6.4)');
    assert.deepEqual(first, { token: 1, result: ETIME, more: true });
    take(ring, 2);
    ring.timeoutRemove(2, 1, key);
    let last: number | undefined;
    while (ring.inFlight > 0) {
      for (const { token, result, more } of take(ring)) {
        if (token === 1 && !more) last = result;
        else if (token === 2) assert.equal(result, 0);
      }
    }
    assert.equal(last, ECANCELED);
  });

  it('repeating a time that is once makes no sense', () => {
    using ring = new Ring({ entries: 8 });
    const flags = TIMEOUT.MULTISHOT | TIMEOUT.ABS;
    assert.equal(
      runOne(ring, (token) => ring.timeout(token, 1, { flags })),
      EINVAL,
    );
  });

  it('a time in the entry itself works, or is refused by kernels that lack it', () => {
    using ring = new Ring({ entries: 8 });
    const flags = TIMEOUT.IMMEDIATE_ARG;
    const result = runOne(ring, (token) => ring.timeout(token, 1, { flags }));
    assert.ok([ETIME, EINVAL].includes(result), `completed with ${result}`);
    const key = ring.timeout(1, HOUR);
    ring.submit();
    ring.timeoutUpdate(2, 1, key, 1, { flags });
    const { token, result: updated } = take(ring)[0]!;
    assert.ok(token === 1 || [0, EINVAL].includes(updated));
    ring.timeoutRemove(3, 1, key);
    finish(ring);
  });

  it('unknown flags are refused', () => {
    using ring = new Ring({ entries: 8 });
    assert.equal(
      runOne(ring, (token) => ring.timeout(token, 1, { flags: 0x4000 })),
      EINVAL,
    );
    assert.throws(() => ring.timeout(1, 1, { flags: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.timeout(1, 1, { count: 2 ** 32 }), { code: 'ERR_OUT_OF_RANGE' });
  });
});
