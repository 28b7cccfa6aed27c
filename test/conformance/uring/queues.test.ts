/**
 * Both queues: how full they are, what overflows, entries that are used again.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SQE } from 'annulus/uring';

import { finish, needs } from '../../support/uring.ts';

describe('the submission queue', needs(), () => {
  it('sq-space_left: counts down as requests are prepared, and up when they are submitted', () => {
    using ring = new Ring({ entries: 8 });
    for (let left = 8; left > 0; left--) {
      assert.equal(ring.space, left);
      assert.equal(ring.unsubmitted, 8 - left);
      ring.nop(left);
    }
    assert.equal(ring.space, 0);
    ring.submit();
    assert.equal(ring.space, 8);
    assert.equal(ring.waitForSpace(), 8, 'rings without a poller need not wait');
  });

  it('sq-full: refuses one more request of any kind, and changes nothing', () => {
    using ring = new Ring({ entries: 2 });
    const memory = alloc(16);
    ring.nop(1);
    ring.nop(2);
    const full = { code: 'ERR_ANNULUS_SQ_FULL' };
    assert.throws(() => ring.nop(3), full);
    assert.throws(() => ring.read(3, 0, memory), full);
    assert.throws(() => ring.openat(3, '/', 0), full);
    assert.throws(() => ring.linkTimeout(3, 1), full);
    assert.deepEqual([...finish(ring).keys()], [1, 2]);
  });

  it('submit-reuse: an entry keeps nothing of the request before', () => {
    using ring = new Ring({ entries: 1 });
    const memory = alloc(16);
    for (let round = 0; round < 50; round++) {
      ring.read(1, 1_000_000, memory, { position: 5 });
      ring.flagLast(SQE.ASYNC);
      assert.equal(finish(ring).get(1), -9);
      ring.nop(2);
      assert.equal(finish(ring).get(2), 0);
      ring.fsync(3, 1_000_000);
      assert.equal(finish(ring).get(3), -9);
    }
  });

  it('drop-submit: with SUBMIT_ALL a bad request does not keep the others back', () => {
    using ring = new Ring({ entries: 8 });
    const memory = alloc(16);
    ring.nop(1);
    ring.read(2, 1_000_000, memory, { length: 4 });
    ring.nop(3);
    assert.equal(ring.submit(), 3);
    assert.deepEqual(new Set(finish(ring).keys()), new Set([1, 2, 3]));
  });

  it('drop-submit: without, what is behind a bad request is submitted by the next turn', () => {
    using ring = new Ring({ entries: 8, flags: 0 });
    ring.nop(1);
    ring.timeout(2, 1, { count: 0, flags: 0x7f000000 });
    ring.nop(3);
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2), results.get(3)], [0, -22, 0]);
  });

  it('hazard 9: a chain is never split by a full queue', () => {
    using ring = new Ring({ entries: 4 });
    ring.nop(1);
    ring.nop(2);
    assert.throws(() => ring.requireSpace(3), { code: 'ERR_ANNULUS_SQ_FULL' });
    assert.equal(ring.hasSpace(2), true);
    ring.submit();
    ring.requireSpace(3);
    for (const token of [3, 4]) {
      ring.nop(token);
      ring.flagLast(SQE.IO_LINK);
    }
    ring.nop(5);
    assert.equal(finish(ring).get(5), 0);
  });

  it('flags can be set as long as the kernel has not seen the request', () => {
    using ring = new Ring({ entries: 4 });
    const late = { code: 'ERR_INVALID_STATE', message: /since the last submit/ };
    assert.throws(() => ring.flagLast(SQE.ASYNC), late);
    ring.nop(1);
    ring.flagLast(SQE.ASYNC);
    ring.submit();
    assert.throws(() => ring.flagLast(SQE.ASYNC), late);
    assert.throws(() => ring.personalityLast(1), late);
  });
});

describe('the completion queue', needs(), () => {
  it('cq-size: is what was asked for, rounded up, and never smaller than the other', () => {
    for (const [asked, got] of [
      [4, 4],
      [9, 16],
      [4096, 4096],
    ] as const) {
      using ring = new Ring({ entries: 4, completionEntries: asked });
      assert.equal(ring.completionEntries, got);
    }
    assert.throws(() => new Ring({ entries: 8, completionEntries: 7 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => new Ring({ entries: 8, completionEntries: 65537 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('cq-ready: counts what is not reaped', () => {
    using ring = new Ring({ entries: 8 });
    assert.equal(ring.ready, 0);
    for (let token = 0; token < 4; token++) ring.nop(token);
    ring.submit();
    assert.equal(ring.ready, 4);
    const seen: number[] = [];
    ring.drain(() => seen.push(ring.ready));
    assert.deepEqual(seen, [3, 2, 1, 0]);
  });

  it('cq-full: exactly full, nothing overflows', () => {
    using ring = new Ring({ entries: 4, completionEntries: 4 });
    for (let token = 0; token < 4; token++) ring.nop(token);
    ring.submit();
    assert.equal(ring.ready, 4);
    assert.equal(finish(ring).size, 4);
    assert.equal(ring.stats.overflows, 0);
  });

  it('cq-overflow: hazard 5: what does not fit is kept by the kernel, in order', () => {
    using ring = new Ring({ entries: 4, completionEntries: 4 });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) ring.nop(round * 4 + i);
      ring.submit();
    }
    const tokens: number[] = [];
    ring.drain((token) => tokens.push(token));
    assert.deepEqual(tokens, [...Array(12).keys()]);
    assert.ok(ring.stats.overflows > 0);
    assert.equal(ring.inFlight, 0);
  });

  it('cq-overflow: timers that fire meanwhile are not lost', () => {
    using ring = new Ring({ entries: 16, completionEntries: 16 });
    for (let token = 0; token < 16; token++) ring.timeout(token, 1);
    ring.submit();
    for (let token = 16; token < 32; token++) ring.nop(token);
    const tokens = new Set(finish(ring).keys());
    assert.equal(tokens.size, 32);
  });
});
