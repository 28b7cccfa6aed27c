/**
 * Completions of 32 bytes: in rings that have only such, and mixed with those of 16.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { probe } from 'annulus';
import { CQE, Ring, SETUP } from 'annulus/uring';

import { finish, needs } from '../../support/uring.ts';

type Words = [token: number, wide: boolean, low: number, high: number];

/** Reaps what is ready, with the further words. */
function reap(ring: Ring): Words[] {
  const seen: Words[] = [];
  ring.drain((token, _, flags) => {
    seen.push([token, (flags & CQE.F_32) !== 0, ring.extraWord(0), ring.extraWord(2)]);
  });
  return seen;
}

function lacks(name: string): string | false {
  if (needs().skip !== false) return 'io_uring is not available';
  const flags = probe().kernel?.setupFlags;
  return !flags?.includes(name) && `this kernel has no ${name}, or does not say`;
}

describe('CQE32', needs(), () => {
  const skip = lacks('CQE_MIXED');

  it('nop32: has two further numbers', { skip }, () => {
    using ring = new Ring({ entries: 4, flags: SETUP.CQE32 });
    ring.nopWith(1, { extra: [7, 2 ** 40 + 9] });
    ring.submit();
    ring.drain((token) => {
      assert.equal(token, 1);
      const words = [0, 1, 2, 3].map((index) => ring.extraWord(index));
      assert.deepEqual(words, [7, 0, 9, 256]);
    });
    assert.throws(() => ring.extraWord(4), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('nop32-overflow: keeps them in the backlog', { skip }, () => {
    using ring = new Ring({ entries: 4, completionEntries: 4, flags: SETUP.CQE32 });
    for (let token = 0; token < 12; token++) {
      ring.nopWith(token, { extra: [token + 1, token + 2] });
      if (token % 4 === 3) ring.submit();
    }
    const seen = reap(ring).map(([token, , low, high]) => [token, low, high]);
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, token) => [token, token + 1, token + 2]),
    );
  });

  it('completions of other rings have none', () => {
    using ring = new Ring({ entries: 4 });
    assert.throws(() => ring.nopWith(1, { extra: [1, 2] }), { code: 'ERR_INVALID_ARG_VALUE' });
    ring.nop(1);
    ring.submit();
    ring.drain(() => assert.equal(ring.extraWord(0), 0));
  });
});

describe('hazard 24: CQE_MIXED', { skip: lacks('CQE_MIXED') }, () => {
  it('a wide completion takes two entries', () => {
    using ring = new Ring({ entries: 8, flags: SETUP.CQE_MIXED });
    ring.nop(1);
    ring.nopWith(2, { extra: [5, 6] });
    ring.nop(3);
    ring.submit();
    assert.deepEqual(reap(ring), [
      [1, false, 0, 0],
      [2, true, 5, 6],
      [3, false, 0, 0],
    ]);
    assert.equal(ring.inFlight, 0);
    assert.equal(ring.stats.completed, 3);
  });

  it('an entry that fills the end of the queue is passed over, at every place', () => {
    using ring = new Ring({ entries: 8, completionEntries: 8, flags: SETUP.CQE_MIXED });
    for (let round = 0; round < 64; round++) {
      ring.nop(1);
      ring.nopWith(2, { extra: [round, round * 3] });
      if (round % 3 === 0) ring.nop(3);
      ring.submit();
      const seen = reap(ring).filter(([token]) => token < 3);
      assert.deepEqual(seen, [
        [1, false, 0, 0],
        [2, true, round, round * 3],
      ]);
      assert.equal(ring.inFlight, 0);
    }
  });

  it('overflow keeps both kinds', () => {
    using ring = new Ring({ entries: 8, completionEntries: 8, flags: SETUP.CQE_MIXED });
    for (let token = 0; token < 24; token++) {
      if (token % 2 === 0) ring.nop(token);
      else ring.nopWith(token, { extra: [token, 0] });
      if (token % 8 === 7) ring.submit();
    }
    // A narrow one may take the last place that a wide one before it has no use for.
    const seen = reap(ring).toSorted(([a], [b]) => a - b);
    assert.deepEqual(
      seen.map(([token]) => token),
      [...Array(24).keys()],
    );
    assert.equal(ring.inFlight, 0);
    for (const [token, wide, low] of seen) {
      assert.deepEqual([wide, low], token % 2 === 0 ? [false, 0] : [true, token]);
    }
  });

  it('closing with unreaped completions of both kinds closes nothing of the program', () => {
    const ring = new Ring({ entries: 8, flags: SETUP.CQE_MIXED });
    // Read as a completion, the further words would be that of a descriptor.
    ring.nopWith(1, { extra: [1 + 2 ** 29 * 2 ** 16, 0] });
    ring.nopWith(2, { extra: [0, 0] });
    ring.timeout(3, 60_000);
    ring.submit();
    ring.close();
    assert.equal(ring.stats.inFlight, 0);
  });

  it('wide requests mixed with others are refused where the kernel lacks them', () => {
    if (lacks('SQE_MIXED') === false) {
      using ring = new Ring({ entries: 8, flags: SETUP.SQE_MIXED });
      ring.nop(1);
      assert.equal(finish(ring).get(1), 0);
      return;
    }
    assert.throws(() => new Ring({ flags: SETUP.SQE_MIXED }), { code: 'ERR_ANNULUS_UNSUPPORTED' });
  });
});
