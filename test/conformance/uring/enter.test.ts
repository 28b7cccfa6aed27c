/**
 * Entering the kernel: time limits, shortest times, what is counted, errors.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ring } from 'annulus/uring';
import type { SubmitWaitOptions } from 'annulus/uring';

import { DEFERRED, finish, needs } from '../../support/uring.ts';

/** A ring that has nothing to complete for a long time. */
function idle(): Ring {
  const ring = new Ring({ entries: 8 });
  ring.timeout(99, 60_000);
  ring.submit();
  return ring;
}

const features = new Set<string>();
if (needs().skip === false) {
  const { probe } = await import('annulus');
  for (const name of probe().features) features.add(name);
}
const without = (feature: string): string | false =>
  !features.has(feature) && `this kernel has no ${feature}`;

describe('waiting', needs(), () => {
  it('wait-timeout: returns when the time is over, with nothing', () => {
    using ring = idle();
    const start = performance.now();
    assert.equal(ring.submitAndWait(1, { timeout: 5 }), 0);
    assert.ok(performance.now() - start >= 4);
    assert.equal(ring.ready, 0);
  });

  it('wait-timeout: submits, and returns the number also where the time is over', () => {
    using ring = idle();
    ring.timeout(1, 60_000);
    ring.timeout(2, 60_000);
    assert.equal(ring.submitAndWait(1, { timeout: 1 }), 2);
    assert.equal(ring.unsubmitted, 0);
  });

  it('wait-timeout: is over at once with 0', () => {
    using ring = idle();
    ring.submitAndWait(1, { timeout: 0 });
    assert.equal(ring.ready, 0);
  });

  it('deadline: a time of the clock that has passed ends the wait at once', (t) => {
    using ring = idle();
    const now = Number(process.hrtime.bigint() / 1_000_000n);
    try {
      assert.equal(ring.submitAndWait(1, { deadline: now - 1000 }), 0);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ERR_ANNULUS_UNSUPPORTED');
      return t.skip('this kernel has no ABS_TIMER');
    }
    const start = performance.now();
    ring.submitAndWait(1, { deadline: now + 20 });
    assert.ok(performance.now() - start < 10_000);
    assert.equal(ring.ready, 0);
  });

  it('min-timeout: one completion is enough after the shortest time', (t) => {
    const skip = without('MIN_TIMEOUT');
    if (skip !== false) return t.skip(skip);
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    ring.timeout(99, 60_000);
    ring.nop(1);
    ring.submitAndWait(2, { minWaitUs: 1000, timeout: 30_000 });
    assert.equal(ring.ready, 1);
  });

  it('min-timeout: as many as asked for end the wait before', (t) => {
    const skip = without('MIN_TIMEOUT');
    if (skip !== false) return t.skip(skip);
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    ring.timeout(99, 60_000);
    ring.nop(1);
    ring.nop(2);
    ring.submitAndWait(2, { minWaitUs: 50_000_000, timeout: 60_000 });
    assert.equal(ring.ready, 2);
  });

  it('NO_IOWAIT: waits like any other', (t) => {
    const skip = without('NO_IOWAIT');
    if (skip !== false) return t.skip(skip);
    using ring = idle();
    ring.timeout(1, 1);
    ring.submitAndWait(1, { noIoWait: true });
    assert.equal(ring.ready, 1);
    ring.submitAndWait(2, { noIoWait: true, timeout: 1 });
    assert.equal(ring.ready, 1);
  });

  it('refuses options that are wrong or do not go together', () => {
    using ring = idle();
    const cases: [SubmitWaitOptions, string][] = [
      [{ timeout: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ timeout: NaN }, 'ERR_OUT_OF_RANGE'],
      [{ deadline: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ minWaitUs: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ minWaitUs: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
      [{ timeout: 1, deadline: 1 }, 'ERR_INVALID_ARG_VALUE'],
      [{ timeout: 1, wait: 0 }, 'ERR_INVALID_ARG_VALUE'],
      [{ wait: 0 }, 'ERR_INVALID_ARG_VALUE'],
    ];
    for (const [options, code] of cases) {
      assert.throws(() => ring.submitAndWait(1, options), { code }, JSON.stringify(options));
    }
  });

  it('submit-and-wait: does both in one call', () => {
    using ring = new Ring({ entries: 8 });
    for (let token = 0; token < 8; token++) ring.nop(token);
    const { enters } = ring.stats;
    assert.equal(ring.submitAndWait(8), 8);
    assert.equal(ring.stats.enters - enters, 1);
    assert.equal(ring.ready, 8);
  });

  it('submit-and-wait: enters no more where enough is ready', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.submit();
    const { enters } = ring.stats;
    assert.equal(ring.submitAndWait(1), 0);
    assert.equal(ring.stats.enters, enters);
  });

  it('submit-and-wait 0 only submits', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, 60_000);
    assert.equal(ring.submitAndWait(0), 1);
  });
});

describe('entering', needs(), () => {
  it('hazard 7: a descriptor that is none or no ring is a named error, and nothing is lost', () => {
    using ring = new Ring({ entries: 8 });
    const { register } = ring;
    const { fd } = register;
    ring.nop(1);
    for (const [wrong, code] of [
      [1_000_000, 'EBADF'],
      [0, 'ENOTSUP'],
    ] as const) {
      register.fd = wrong;
      assert.throws(
        () => ring.submit(),
        (error: NodeJS.ErrnoException) => {
          assert.ok([code, 'EOPNOTSUPP'].includes(error.code!), error.code);
          return error.syscall === 'io_uring_enter';
        },
      );
      register.fd = fd;
    }
    assert.equal(finish(ring).get(1), 0);
  });

  it('does not happen where there is nothing to submit or to wait for', () => {
    using ring = new Ring({ entries: 8 });
    const { enters } = ring.stats;
    ring.submit();
    ring.drain(() => {});
    assert.equal(ring.stats.enters, enters);
  });
});
