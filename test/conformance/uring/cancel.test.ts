/**
 * Cancelling is only a request: whoever wins, each side completes once and no byte is lost.
 */

import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { after, describe, it } from 'node:test';

import { AbortError, alloc, Region } from 'annulus';
import { Proactor } from 'annulus/proactor';
import { Ring } from 'annulus/uring';

import { blockingSockets, closeAll } from '../../support/pipes.ts';
import { withoutUring } from '../../support/skip.ts';

const [ENOENT, EALREADY, ECANCELED] = [-2, -114, -125];
const ROUNDS = 200;

/** A message that says which round sent it. */
function message(round: number): Uint8Array {
  return Uint8Array.of(round & 0xff, round >> 8, 3);
}

describe('hazard 2: cancelling races with completing', { skip: withoutUring }, () => {
  const [near, far] = blockingSockets();
  after(() => closeAll([near, far]));

  /** When the message comes, relative to read and cancellation. */
  for (const when of ['before', 'between', 'after']) {
    it(`two completions a round, in any order: the message comes ${when}`, () => {
      using ring = new Ring({ entries: 8 });
      const memory = alloc(16);
      for (let round = 0; round < ROUNDS; round++) {
        if (when === 'before') writeSync(far, message(round));
        const key = ring.read(1, near, memory);
        if (when === 'between') {
          ring.submit();
          writeSync(far, message(round));
        }
        ring.cancel(2, 1, key);
        ring.submit();
        if (when === 'after') writeSync(far, message(round));
        const results = new Map<number, number>();
        while (results.size < 2) {
          ring.submitAndWait(1);
          ring.drain((token, result) => {
            assert.equal(results.has(token), false, 'a token completes once');
            results.set(token, result);
          });
        }
        const [read, cancelled] = [results.get(1)!, results.get(2)!];
        const received = memory.slice(0, 3);
        if (read === ECANCELED) {
          assert.ok([0, EALREADY].includes(cancelled), `cancel completed with ${cancelled}`);
          assert.equal(readSync(near, received), 3, 'the message is still there');
        } else {
          assert.equal(read, 3);
          assert.ok([0, ENOENT, EALREADY].includes(cancelled), `completed with ${cancelled}`);
        }
        assert.deepEqual([...received], [...message(round)]);
        assert.equal(ring.inFlight, 0);
      }
    });
  }

  it('a promise is settled once, by the data or by the signal', async (test) => {
    const io = new Proactor({ entries: 8 });
    const outcomes = { read: 0, aborted: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const memory = alloc(16);
      const controller = new AbortController();
      const { signal } = controller;
      const promise = io.read(near, memory, { signal }).catch((error: unknown) => {
        assert.ok(error instanceof AbortError);
        assert.equal(error.code, 'ABORT_ERR');
        assert.equal(error.cause, 'enough');
        return 'aborted' as const;
      });
      if (round % 2 === 0) await new Promise(setImmediate);
      const acts = [
        (): unknown => writeSync(far, message(round)),
        (): unknown => controller.abort('enough'),
      ];
      if (round % 4 >= 2) acts.reverse();
      acts[0]!();
      if (round % 8 >= 6) await new Promise(setImmediate);
      acts[1]!();
      const outcome = await promise;
      if (outcome === 'aborted') {
        outcomes.aborted++;
        assert.equal(readSync(near, memory), 3, 'the message is still there');
      } else {
        outcomes.read++;
        assert.equal(outcome, 3);
      }
      assert.deepEqual([...memory.subarray(0, 3)], [...message(round)]);
    }
    test.diagnostic(`${outcomes.read} reads, ${outcomes.aborted} aborted`);
    assert.ok(outcomes.read > 0 && outcomes.aborted > 0);
    await io.close();
    assert.equal(io.stats.inFlight, 0);
  });

  it('memory stays pinned until the cancelled request has completed', () => {
    using ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    const key = ring.read(1, near, region);
    ring.submit();
    ring.cancel(2, 1, key);
    ring.submitAndWait(2);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.drain(() => {});
    region.close();
    // Too late: there is nothing to cancel any more.
    ring.cancel(3, 1, key);
    ring.submitAndWait(1);
    ring.drain((token, result) => assert.deepEqual([token, result], [3, ENOENT]));
  });
});
