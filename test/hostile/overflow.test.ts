/**
 * More completions than the completion queue holds, and more requests than may be in flight.
 */

import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { CQE, Ring, TIMEOUT } from 'annulus/uring';

import { blockingSockets, closeAll } from '../support/pipes.ts';
import { withoutUring } from '../support/skip.ts';
import { DEFERRED } from '../support/uring.ts';

const NOPS = 8000;
const ENTRIES = 8;
/** More completions than a drain or a hundred find, unless it makes them itself. */
const ENDLESS = 100_000;

describe('more than fits', { skip: withoutUring }, () => {
  it('hazard 5: completions beyond the queue are kept by the kernel and none is lost', (test) => {
    using ring = new Ring({ entries: ENTRIES, completionEntries: ENTRIES });
    const seen = new Uint8Array(NOPS);
    const count = (token: number, result: number): void => {
      assert.equal(result, 0);
      seen[token]!++;
    };
    let drains = 0;
    for (let token = 0; token < NOPS; token++) {
      while (!ring.hasSpace(1)) {
        try {
          ring.submit();
        } catch (error) {
          // Kernels differ in whether they refuse more while the queue overflows.
          assert.equal((error as { code: string }).code, 'EBUSY');
          drains += ring.drain(count) > 0 ? 1 : 0;
        }
      }
      ring.nop(token);
      // Hundreds of completions pile up behind a queue of eight.
      if (token % 800 === 799) drains += ring.drain(count) > 0 ? 1 : 0;
    }
    while (ring.inFlight > 0) {
      ring.submitAndWait(1);
      ring.drain(count);
    }
    assert.ok(
      seen.every((times) => times === 1),
      'each completes once',
    );
    assert.equal(ring.stats.completed, NOPS);
    assert.ok(ring.stats.overflows > 0, 'the queue never overflowed');
    test.diagnostic(`${ring.stats.overflows} overflows, ${drains} early drains`);
  });

  for (const [name, flags] of Object.entries({ default: undefined, deferred: DEFERRED })) {
    it(`hazard 13: draining ends although a request completes again at once: ${name}`, () => {
      using ring = new Ring({ entries: 8, ...(flags !== undefined && { flags }) });
      // Fires whenever the kernel looks.
      ring.timeout(1, 0, { flags: TIMEOUT.MULTISHOT });
      let [completions, ended] = [0, false];
      for (let i = 0; i < 100 && !ended; i++) {
        ring.submitAndWait(1);
        ring.drain((_, __, events) => {
          assert.ok(++completions < ENDLESS, 'draining goes on and on');
          ended = (events & CQE.F_MORE) === 0; // as when the queue is full
        });
      }
      assert.ok(completions > 0);
      // It ends when there is no place for its next completion.
      while (ring.inFlight > 0 && ring.ready < ring.completionEntries) {
        ring.submitAndWait(ring.ready + 1);
      }
      ring.submitAndWait(0, { timeout: 1 });
      ring.drain(() => {});
      assert.equal(ring.inFlight, 0);
    });
  }

  it('hazard 6: requests beyond the cap wait, and are served first come, first served', async () => {
    const cap = 4;
    const io = new Proactor({ entries: ENTRIES, maxInFlight: cap });
    const pairs = Array.from({ length: 60 }, () => blockingSockets());
    const ended: number[] = [];
    const reads = pairs.map(async ([near], index) => {
      const count = await io.read(near, index % 2 === 0 ? alloc(8) : new Uint8Array(8));
      ended.push(index);
      return count;
    });
    assert.equal(io.stats.inFlight, cap);
    assert.equal(io.stats.waiting, pairs.length - cap);
    // All can complete, the last ones first; only those in flight do.
    for (const [, far] of pairs.toReversed()) writeSync(far, Uint8Array.of(1));
    assert.deepEqual(
      await Promise.all(reads),
      pairs.map(() => 1),
    );
    ended.forEach((index, place) => {
      // Only `cap` are in flight: before this one began, all but the last `cap` - 1 had ended.
      assert.ok(index < place + cap, `${index} came in place ${place}: ${ended.join(' ')}`);
    });
    assert.equal(io.stats.waiting, 0);
    await io.close();
    closeAll(pairs.flat());
  });

  it('hazard 6: a request that waits can be aborted, and close() refuses those that wait', async () => {
    const [near, far] = blockingSockets();
    const io = new Proactor({ entries: ENTRIES, maxInFlight: 1 });
    const controller = new AbortController();
    const first = io.read(near, alloc(8), { timeout: 600_000 });
    const second = io.read(near, alloc(8), { signal: controller.signal });
    const third = io.read(near, alloc(8));
    assert.equal(io.stats.waiting, 2);
    controller.abort();
    await assert.rejects(second, { code: 'ABORT_ERR' });
    assert.equal(io.stats.waiting, 1);
    const closing = io.close();
    await assert.rejects(third, { code: 'ERR_ANNULUS_CLOSED' });
    writeSync(far, Uint8Array.of(1));
    assert.equal(await first, 1);
    await closing;
    closeAll([near, far]);
  });
});
