/**
 * Resizing a ring: nothing prepared and nothing completed is lost or doubled.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SETUP } from 'annulus/uring';
import { flagNames } from '#src/uring/flags.js';

import { census } from '../../support/census.ts';
import { DEFERRED, finish, Folder, registers, take } from '../../support/uring.ts';
import { pair } from '../../unit/support/pair.ts';

/** The kinds of queues there are. */
const LAYOUTS = [
  0,
  SETUP.NO_SQARRAY,
  SETUP.SQE128,
  SETUP.CQE32,
  SETUP.SQE128 | SETUP.CQE32 | SETUP.NO_SQARRAY,
];

describe('resizing a ring', registers('REGISTER_RESIZE_RINGS'), () => {
  for (const layout of LAYOUTS) {
    it(`keeps what is in the queues: ${flagNames(layout)}`, () => {
      using ring = new Ring({ entries: 4, flags: DEFERRED | layout });
      const sizes = [
        [16, 64],
        [4, 8],
        [32, 32],
        [8, 256],
        [4, 4],
      ];
      let token = 0;
      // Enough rounds for every position of heads and tails in the queues.
      for (const [entries, completionEntries] of [...sizes, ...sizes, ...sizes]) {
        const first = ++token;
        ring.nop(first);
        ring.nop(++token);
        ring.submitAndWait(2);
        ring.nop(++token);
        ring.resize({ entries: entries!, completionEntries: completionEntries! });
        assert.deepEqual([ring.entries, ring.completionEntries], [entries, completionEntries]);
        assert.deepEqual([ring.ready, ring.unsubmitted, ring.inFlight], [2, 1, 3]);
        assert.deepEqual(
          take(ring, 3).map((completion) => completion.token),
          [first, first + 1, first + 2],
        );
      }
    });
  }

  it('makes room', () => {
    using ring = new Ring({ entries: 2, flags: DEFERRED });
    ring.nop(1);
    ring.nop(2);
    assert.throws(() => ring.nop(3), { code: 'ERR_ANNULUS_SQ_FULL' });
    ring.resize({ entries: 64 });
    for (let token = 3; token <= 64; token++) ring.nop(token);
    assert.throws(() => ring.nop(65), { code: 'ERR_ANNULUS_SQ_FULL' });
    assert.equal(finish(ring).size, 64);
  });

  it('keeps requests in flight, with their memory', () => {
    using ring = new Ring({ entries: 4, flags: DEFERRED });
    using ends = pair();
    const memory = alloc(8);
    ring.read(1, ends.reader, memory);
    ring.submit();
    ring.resize({ entries: 8, completionEntries: 128 });
    ends.write('kept');
    assert.deepEqual(take(ring), [{ token: 1, result: 4, more: false }]);
    assert.equal(Buffer.from(memory.subarray(0, 4)).toString(), 'kept');
  });

  it('keeps the arguments of prepared requests, and wipes them after', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4, flags: DEFERRED });
    const fd = folder.open('x');
    const [file] = ring.register.files([fd]);
    ring.closeFd(1, file!);
    ring.resize({ entries: 4 });
    assert.equal(finish(ring).get(1), 0);
    for (let round = 0; round < 8; round++) {
      ring.fsync(2, fd);
      assert.equal(finish(ring).get(2), 0);
    }
  });

  it('works while completions are being reaped', () => {
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    for (let token = 0; token < 8; token++) ring.nop(token);
    ring.submitAndWait(8);
    const seen: number[] = [];
    const visit = (token: number): void => {
      seen.push(token);
      if (token === 2) ring.resize({ entries: 16, completionEntries: 32 });
    };
    while (ring.drain(visit) > 0);
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.equal(ring.inFlight, 0);
  });

  it('refuses sizes that do not hold what is there, and changes nothing', () => {
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    for (let token = 0; token < 8; token++) ring.nop(token);
    assert.throws(() => ring.resize({ entries: 4 }), { code: 'ERR_OUT_OF_RANGE' });
    ring.submitAndWait(8);
    assert.throws(() => ring.resize({ entries: 4, completionEntries: 4 }), { code: 'EOVERFLOW' });
    assert.throws(() => ring.resize({ entries: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.resize({ completionEntries: 65537 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.entries, 8);
    assert.equal(finish(ring).size, 8);
  });

  it('keeps wide completions among narrow ones', (test) => {
    let ring: Ring;
    try {
      ring = new Ring({ entries: 8, flags: DEFERRED | SETUP.CQE_MIXED });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EINVAL');
      test.skip('this kernel has no CQE_MIXED');
      return;
    }
    for (let round = 0; round < 20; round++) {
      ring.nop(1);
      ring.nopWith(2, { extra: [round, 2] });
      ring.nop(3);
      ring.submit();
      ring.resize({ completionEntries: 64 });
      assert.throws(() => ring.resize({ completionEntries: 32 }), { code: 'ERR_OUT_OF_RANGE' });
      const tokens: number[] = [];
      ring.drain((token) => tokens.push(token));
      assert.deepEqual(tokens, [1, 2, 3]);
      ring.resize({ completionEntries: 8 + (round % 2) * 8 });
    }
    ring.close();
  });

  it('refuses a ring of another kind', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.resize({ entries: 16 }), {
      code: 'EINVAL',
      message: /SETUP.DEFER_TASKRUN/,
    });
    ring.nop(1);
    assert.equal(finish(ring).size, 1);
  });

  it('leaves no memory and no descriptor behind', () => {
    const before = census();
    const ring = new Ring({ entries: 8, flags: DEFERRED });
    const open = census();
    for (let entries = 1; entries <= 4096; entries *= 2) {
      ring.resize({ entries, completionEntries: 8192 });
    }
    assert.deepEqual(census(), open);
    ring.close();
    assert.deepEqual(census(), before);
  });
});
