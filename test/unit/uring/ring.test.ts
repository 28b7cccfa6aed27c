/**
 * Ring: set-up, submitting, waiting, reaping, statistics and close.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';

import { alloc, Region } from 'annulus';
import { CQE, Ring, SETUP, SQE } from 'annulus/uring';
import { flagNames } from '#src/uring/flags.js';
import { FLAG_LADDER } from '#src/uring/setup.js';
import { pair } from '../support/pair.js';
import { finish, needs, runOne, take } from '../support/requests.js';
import { held } from '../support/resources.js';
import { root } from '../support/processes.js';

const closed = { code: 'ERR_ANNULUS_CLOSED' };

describe('setting a ring up', needs(), () => {
  it('takes the first rung of the ladder that the kernel accepts', () => {
    using ring = new Ring({ entries: 8 });
    const accepted = FLAG_LADDER.find((flags) => {
      try {
        new Ring({ entries: 8, flags }).close();
        return true;
      } catch {
        return false;
      }
    });
    assert.equal(ring.flags & ~SETUP.CQSIZE, accepted);
  });

  it('runs requests with every rung that the kernel accepts', () => {
    for (const flags of FLAG_LADDER) {
      let ring: Ring;
      try {
        ring = new Ring({ entries: 4, flags });
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EINVAL');
        continue;
      }
      for (let i = 0; i < 20; i++) {
        const result = runOne(ring, (token) => ring.nop(token));
        assert.equal(result, 0);
      }
      ring.close();
    }
  });

  it('runs requests with a polling thread, and with wide entries', () => {
    for (const flags of [SETUP.SQPOLL, SETUP.SQE128, SETUP.CQE32, SETUP.SQE128 | SETUP.CQE32]) {
      using ring = new Ring({ entries: 4, flags, sqThreadIdle: 1 });
      const memory = alloc(16);
      for (let i = 0; i < 40; i++) {
        for (let token = 0; token < 4; token++) ring.nop(token);
        assert.equal(finish(ring).size, 4, flagNames(flags));
      }
      using ends = pair();
      ends.write('wide');
      assert.equal(
        runOne(ring, (token) => ring.read(token, ends.reader, memory)),
        4,
      );
      assert.equal(Buffer.from(memory.subarray(0, 4)).toString(), 'wide');
    }
  });

  it('has the entries asked for, rounded up', () => {
    using ring = new Ring({ entries: 5, completionEntries: 100 });
    assert.equal(ring.entries, 8);
    assert.equal(ring.completionEntries, 128);
    using usual = new Ring();
    assert.deepEqual([usual.entries, usual.completionEntries], [256, 1024]);
  });

  it('refuses sizes and flags that cannot be, with the values', () => {
    for (const entries of [0, -1, 1.5, 32769]) {
      assert.throws(() => new Ring({ entries }), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`Received ${entries}$`),
      });
    }
    assert.throws(() => new Ring({ entries: 8, completionEntries: 4 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => new Ring({ flags: 0x40000000 }), {
      code: 'ERR_OUT_OF_RANGE',
      message: /made of SETUP bits/,
    });
    assert.equal(flagNames(0), 'none');
    assert.equal(flagNames(SETUP.SQPOLL | SETUP.CLAMP), 'SQPOLL|CLAMP');
  });
});

describe('submitting', needs(), () => {
  it('hands over every prepared request in one call', () => {
    using ring = new Ring({ entries: 16 });
    const { enters } = ring.stats;
    for (let token = 0; token < 10; token++) ring.nop(token);
    assert.equal(ring.unsubmitted, 10);
    assert.equal(ring.space, 6);
    assert.equal(ring.submit(), 10);
    assert.deepEqual([ring.stats.enters - enters, ring.stats.batchSize], [1, 10]);
    assert.equal(ring.unsubmitted, 0);
    assert.equal(finish(ring).size, 10);
    assert.deepEqual(
      [ring.stats.submitted, ring.stats.completed, ring.stats.inFlight],
      [10, 10, 0],
    );
    assert.equal(ring.submit(), 0);
  });

  it('refuses what does not fit, and what fits goes on', () => {
    using ring = new Ring({ entries: 4 });
    for (let token = 0; token < 4; token++) ring.nop(token);
    const full = {
      code: 'ERR_ANNULUS_SQ_FULL',
      message: /4 of 4 submission queue entries are prepared and 1 more/,
    };
    assert.throws(() => ring.nop(4), full);
    assert.throws(() => ring.openat(4, '/', 0), full);
    assert.throws(() => ring.timeout(4, 1), full);
    assert.throws(() => ring.requireSpace(2), {
      code: 'ERR_ANNULUS_SQ_FULL',
      message: /and 2 more/,
    });
    assert.equal(ring.hasSpace(1), false);
    ring.submit();
    ring.requireSpace(4);
    ring.nop(4);
    assert.deepEqual(new Set(finish(ring).keys()), new Set([0, 1, 2, 3, 4]));
  });

  it('goes on after a bad request in the middle of a batch', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.read(2, 1_000_000, alloc(8));
    ring.nop(3);
    assert.deepEqual(
      [...finish(ring)].toSorted(([a], [b]) => a - b),
      [
        [1, 0],
        [2, -9],
        [3, 0],
      ],
    );
  });

  it('wraps around the queue many times', () => {
    using ring = new Ring({ entries: 4 });
    let sum = 0;
    for (let i = 0; i < 10_000; i += 3) {
      for (let token = i; token < i + 3; token++) ring.nop(token);
      ring.submitAndWait(3);
      ring.drain((token) => (sum += token));
    }
    assert.equal(sum, (10_001 * 10_002) / 2);
  });

  it('refuses tokens and descriptors that are none', () => {
    using ring = new Ring({ entries: 4 });
    for (const token of [-1, 0.5, 2 ** 31, NaN]) {
      assert.throws(() => ring.nop(token), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => ring.read(1, token, alloc(1)), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => ring.fsync(1, '3' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(ring.unsubmitted, 0);
  });

  it('belongs to one thread', async () => {
    using ring = new Ring({ entries: 4 });
    if ((ring.flags & SETUP.SINGLE_ISSUER) === 0) return;
    ring.nop(1);
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.module).then(({ syscall }) =>
         parentPort.postMessage(syscall('io_uring_enter', workerData.fd, 1, 0, 0, null, 0)));`,
      {
        eval: true,
        workerData: { fd: ring.fd, module: new URL('dist/sys/linux.js', `file://${root}`).href },
      },
    );
    const [result] = (await once(worker, 'message')) as [number];
    assert.equal(result, -17, 'EEXIST');
  });
});

describe('waiting', needs(), () => {
  it('returns when as many are ready as asked for', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.timeout(2, 5);
    ring.timeout(3, 60_000);
    assert.equal(ring.submitAndWait(2), 3);
    assert.equal(ring.ready, 2);
    assert.equal(ring.submitAndWait(2), 0, 'they are ready already');
  });

  it('refuses to wait for ever', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.submitAndWait(1), {
      code: 'ERR_OUT_OF_RANGE',
      message: /nothing is in flight/,
    });
    assert.equal(ring.submitAndWait(0), 0);
    assert.throws(() => ring.submitAndWait(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.submitAndWait(1e9), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('ends after its time limit', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, 60_000);
    ring.submitAndWait(1, { timeout: 2 });
    assert.equal(ring.ready, 0);
    assert.equal(ring.inFlight, 1);
    assert.throws(() => ring.submitAndWait(1, { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  });
});

describe('draining', needs(), () => {
  it('is empty without completions', () => {
    using ring = new Ring({ entries: 8 });
    assert.equal(
      ring.drain(() => assert.fail('nothing was requested')),
      0,
    );
  });

  it('may prepare, submit and drain inside its callback', () => {
    using ring = new Ring({ entries: 8 });
    for (let token = 0; token < 4; token++) ring.nop(token);
    ring.submitAndWait(4);
    const seen: number[] = [];
    const reap = (token: number): void => {
      seen.push(token);
      if (token < 4) {
        ring.nop(token + 10);
        ring.submit();
        ring.drain(reap);
      }
    };
    ring.drain(reap);
    while (ring.inFlight > 0) {
      ring.submitAndWait(1);
      ring.drain(reap);
    }
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 10, 11, 12, 13],
    );
  });

  it('has consumed a completion whose callback throws, and keeps the others', () => {
    using ring = new Ring({ entries: 8 });
    for (let token = 0; token < 5; token++) ring.nop(token);
    ring.submitAndWait(5);
    const seen: number[] = [];
    const failure = new Error('mine');
    const failAtTwo = (token: number): void => {
      seen.push(token);
      if (token === 2) throw failure;
    };
    assert.throws(() => ring.drain(failAtTwo), failure);
    assert.equal(ring.ready, 2);
    ring.drain(failAtTwo);
    assert.deepEqual(seen, [0, 1, 2, 3, 4]);
    assert.equal(ring.inFlight, 0);
  });

  it('loses nothing when the completion queue overflows', () => {
    using ring = new Ring({ entries: 8, completionEntries: 8 });
    let next = 0;
    for (let round = 0; round < 8; round++) {
      while (ring.hasSpace(1)) ring.nop(next++);
      try {
        ring.submit();
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EBUSY');
        break;
      }
    }
    assert.ok(next > 8);
    const seen = new Set<number>();
    while (ring.inFlight > 0) {
      ring.submit();
      ring.drain((token) => seen.add(token));
    }
    assert.equal(seen.size, next);
    assert.ok(ring.stats.overflows > 0);
  });
});

describe('request flags', needs(), () => {
  it('link: what follows a failure is cancelled', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.flagLast(SQE.IO_LINK);
    ring.read(2, 1_000_000, alloc(8));
    ring.flagLast(SQE.IO_LINK);
    ring.nop(3);
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2), results.get(3)], [0, -9, -125]);
  });

  it('hard link: what follows a failure runs', () => {
    using ring = new Ring({ entries: 8 });
    ring.read(2, 1_000_000, alloc(8));
    ring.flagLast(SQE.IO_HARDLINK);
    ring.nop(3);
    assert.equal(finish(ring).get(3), 0);
  });

  it('drain: runs after what came before', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, 3);
    ring.nop(2);
    ring.flagLast(SQE.IO_DRAIN);
    const order: number[] = [];
    while (ring.inFlight > 0) order.push(...take(ring).map(({ token }) => token));
    assert.deepEqual(order, [1, 2]);
  });

  it('async: is run by a worker of the kernel', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    ring.flagLast(SQE.ASYNC);
    assert.equal(finish(ring).get(1), 0);
  });

  it('refuses those that would lose memory', () => {
    using ring = new Ring({ entries: 8 });
    ring.nop(1);
    for (const flags of [SQE.BUFFER_SELECT, 0x80, -1]) {
      assert.throws(() => ring.flagLast(flags), { code: 'ERR_OUT_OF_RANGE' });
    }
    ring.read(2, 0, alloc(8));
    assert.throws(() => ring.flagLast(SQE.CQE_SKIP_SUCCESS), {
      code: 'ERR_OUT_OF_RANGE',
      message: /holds memory/,
    });
  });

  it('do not stay on the entry for the next request', () => {
    using ring = new Ring({ entries: 1 });
    ring.nop(1);
    ring.flagLast(SQE.IO_DRAIN | SQE.ASYNC);
    finish(ring);
    ring.nop(2);
    assert.equal(finish(ring).get(2), 0);
  });
});

describe('closing a ring', needs(), () => {
  it('names the mistake when it is used afterwards', () => {
    const ring = new Ring({ entries: 4 });
    ring.nop(1);
    finish(ring);
    ring.close();
    ring.close();
    assert.equal(ring.closed, true);
    assert.throws(() => ring.submit(), closed);
    assert.throws(() => ring.drain(() => {}), closed);
    assert.throws(() => ring.probe(), closed);
    assert.throws(() => ring.submitAndWait(1), closed);
    assert.throws(() => ring.submitAndWait(1, { timeout: 1 }), closed);
    assert.throws(() => ring.nop(1), closed);
    assert.throws(() => ring.read(1, 0, alloc(1)), closed);
    assert.throws(() => ring.timeout(1, 1), closed);
    assert.throws(() => ring.requireSpace(), closed);
    assert.throws(() => ring.register.files([0]), closed);
    assert.equal(ring.ready, 0);
    assert.equal(ring.inFlight, 0);
  });

  it('cancels what is in flight and lets go of its memory', () => {
    const region = Region.allocate(4096);
    using ends = pair();
    const ring = new Ring({ entries: 8 });
    for (let token = 0; token < 4; token++) ring.read(token, ends.reader, region);
    ring.submit();
    ring.read(9, ends.reader, region);
    assert.equal(region.busy, true);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.close();
    assert.equal(region.busy, false);
    region.close();
  });

  it('leaves no descriptor and no mapping behind', () => {
    new Ring({ entries: 4 }).close();
    const before = held();
    for (let i = 0; i < 100; i++) {
      const ring = new Ring({ entries: 4 });
      ring.timeout(1, 60_000);
      ring.openat(2, '/', 0);
      if (i % 2 === 0) ring.submit();
      if (i % 4 === 0) {
        ring.drain((token, result) => {
          if (token !== 2) return;
          ring.closeFd(3, result);
          ring.submitAndWait(1);
        });
        ring.close();
      } else {
        ring.takeUnsubmitted(() => {});
        closeOpened(ring);
        ring.close();
      }
    }
    assert.deepEqual(held(), before);
  });

  it('reports multishot requests as going on', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    ring.pollAdd(1, ends.reader, 1, { multishot: true });
    ring.submit();
    ends.write('x');
    const [first] = take(ring);
    assert.equal(first?.more, true);
    assert.equal(ring.inFlight, 1);
    assert.equal(CQE.F_MORE, 2);
  });
});

/** Closes the descriptor that an `openat` with token 2 has given. */
function closeOpened(ring: Ring): void {
  ring.drain((token, result) => {
    if (token !== 2 || result < 0) return;
    ring.closeFd(3, result);
    ring.submitAndWait(1);
  });
}
