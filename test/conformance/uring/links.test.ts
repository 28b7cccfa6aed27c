/**
 * Requests that depend on each other: links, hard links, drains, and time limits of links.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { FALLOC, Ring, SQE, TIMEOUT } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import { Folder, finish, memoryOf, needs, resultsOf, runOne } from '../../support/uring.js';
import { take, textOf } from '../../support/uring.js';

const [ENOENT, EBADF, EINVAL, ETIME, ECANCELED] = [-2, -9, -22, -62, -125];
const bad = 1_000_000;

/** Far longer than any test runs. */
const HOUR = 3_600_000;

describe('link', needs('READ', 'WRITE'), () => {
  it('a request starts when the one before has succeeded', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const memory = alloc(5);
    ring.write(1, fd, memoryOf('first'), { position: 0 });
    ring.flagLast(SQE.IO_LINK);
    ring.fsync(2, fd);
    ring.flagLast(SQE.IO_LINK);
    ring.read(3, fd, memory, { position: 0 });
    const order = [...finish(ring)];
    assert.deepEqual(order, [
      [1, 5],
      [2, 0],
      [3, 5],
    ]);
    assert.equal(textOf(memory), 'first');
  });

  it('one that fails cancels the rest of its chain, and nothing else', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 16 });
    const fd = folder.open('content');
    ring.nop(1);
    ring.flagLast(SQE.IO_LINK);
    ring.fsync(2, bad);
    ring.flagLast(SQE.IO_LINK);
    ring.ftruncate(3, fd, 0);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(4);
    ring.nop(5);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(6);
    const results = resultsOf(ring, 1, 2, 3, 4, 5, 6);
    assert.deepEqual(results, [0, EBADF, ECANCELED, ECANCELED, 0, 0]);
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'content');
  });

  it('a short read is a failure to a chain', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('short');
    ring.read(1, fd, alloc(16), { position: 0 });
    ring.flagLast(SQE.IO_LINK);
    ring.nop(2);
    assert.deepEqual(resultsOf(ring, 1, 2), [5, ECANCELED]);
  });

  it('a hard link holds whatever becomes of the request before', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('short');
    ring.read(1, fd, alloc(16), { position: 0 });
    ring.flagLast(SQE.IO_HARDLINK);
    ring.fsync(2, bad);
    ring.flagLast(SQE.IO_HARDLINK);
    ring.nop(3);
    assert.deepEqual(
      [...finish(ring).entries()],
      [
        [1, 5],
        [2, EBADF],
        [3, 0],
      ],
    );
  });

  it('a chain that waits is ended as a whole by cancelling its head', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const key = ring.read(1, ends.reader, alloc(4));
    ring.flagLast(SQE.IO_LINK);
    ring.nop(2);
    ring.submit();
    ring.cancel(3, 1, key);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ECANCELED, ECANCELED, 0]);
  });

  it('a chain is not split by a full queue: space is asked for first', () => {
    using ring = new Ring({ entries: 4 });
    ring.nop(1);
    ring.nop(2);
    assert.equal(ring.hasSpace(3), false);
    assert.throws(() => ring.requireSpace(3), { code: 'ERR_ANNULUS_SQ_FULL' });
    ring.submit();
    ring.requireSpace(3);
    for (const token of [3, 4, 5]) {
      ring.nop(token);
      if (token < 5) ring.flagLast(SQE.IO_LINK);
    }
    assert.equal(finish(ring).size, 5);
  });
});

describe('submit-link-fail', needs('FALLOCATE'), () => {
  for (const at of [0, 1, 2]) {
    it(`a request the kernel refuses to start ends its chain, as number ${at} of 3`, () => {
      using folder = new Folder();
      using ring = new Ring({ entries: 8 });
      const fd = folder.open();
      for (const token of [0, 1, 2]) {
        // Both clocks at once is refused before the request can run.
        if (token === at) ring.timeout(token, 0, { flags: TIMEOUT.BOOTTIME | TIMEOUT.REALTIME });
        else ring.fallocate(token, fd, token * 4096, 4096, FALLOC.KEEP_SIZE);
        if (token < 2) ring.flagLast(SQE.IO_LINK);
      }
      ring.nop(3);
      const expected = [0, 1, 2].map((token) => (token === at ? EINVAL : ECANCELED));
      assert.deepEqual(resultsOf(ring, 0, 1, 2, 3), [...expected, 0]);
    });
  }
});

describe('link_drain', needs('READ'), () => {
  it('a drained request waits for all before it, and all after it for it', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ring.read(1, ends.reader, alloc(4));
    ring.nop(2);
    ring.flagLast(SQE.IO_DRAIN);
    ring.nop(3);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('go');
    assert.deepEqual(
      [...finish(ring)],
      [
        [1, 2],
        [2, 0],
        [3, 0],
      ],
    );
  });

  it('a drained chain starts as a whole when all before it have ended', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ring.read(1, ends.reader, alloc(4));
    ring.nop(2);
    ring.flagLast(SQE.IO_DRAIN | SQE.IO_LINK);
    ring.fsync(3, bad);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(4);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('go');
    assert.deepEqual(
      [...finish(ring)],
      [
        [1, 2],
        [2, 0],
        [3, EBADF],
        [4, ECANCELED],
      ],
    );
  });
});

describe('link-timeout', needs('LINK_TIMEOUT'), () => {
  it('ends what does not finish in time', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ring.read(1, ends.reader, alloc(4));
    ring.linkTimeout(2, 1);
    assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, ETIME]);
  });

  it('is itself cancelled by what finishes', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ends.write('here');
    ring.read(1, ends.reader, alloc(4));
    ring.linkTimeout(2, HOUR);
    assert.deepEqual(resultsOf(ring, 1, 2), [4, ECANCELED]);
  });

  it('bounds one request of a chain: the rest goes on, or ends with it', () => {
    using ends = pair();
    using ring = new Ring({ entries: 16 });
    ring.nop(1);
    ring.flagLast(SQE.IO_LINK);
    ring.read(2, ends.reader, alloc(4));
    ring.linkTimeout(3, 1);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(4);
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4), [0, ECANCELED, ETIME, ECANCELED]);
    ring.nop(1);
    ring.linkTimeout(2, HOUR);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(3);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [0, ECANCELED, 0]);
  });

  it('takes a time of any clock instead of a span', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    for (const flags of [TIMEOUT.ABS, TIMEOUT.ABS | TIMEOUT.REALTIME, TIMEOUT.BOOTTIME]) {
      ring.read(1, ends.reader, alloc(4));
      ring.linkTimeout(2, 1, { flags });
      assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, ETIME]);
    }
  });

  it('gets another time while it waits', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    ring.read(1, ends.reader, alloc(4));
    const key = ring.linkTimeout(2, HOUR);
    ring.submit();
    ring.timeoutUpdate(3, 2, key, 1, { link: true });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ECANCELED, ETIME, 0]);
    ring.timeoutUpdate(4, 2, key, 1, { link: true });
    assert.equal(finish(ring).get(4), ENOENT);
  });

  it('the time limit of a request that is refused ends, too', () => {
    using ring = new Ring({ entries: 8 });
    ring.fsync(1, bad);
    ring.linkTimeout(2, HOUR);
    assert.deepEqual(resultsOf(ring, 1, 2), [EBADF, ECANCELED]);
  });
});

describe('links between timeouts', needs('TIMEOUT'), () => {
  it('a timeout that fires breaks a chain, unless it counts as success', (test) => {
    using ring = new Ring({ entries: 8 });
    const chain = (flags: number): (number | undefined)[] => {
      ring.timeout(1, 0.01, { flags });
      ring.flagLast(SQE.IO_LINK);
      ring.nop(2);
      return resultsOf(ring, 1, 2);
    };
    assert.deepEqual(chain(0), [ETIME, ECANCELED]);
    const results = chain(TIMEOUT.ETIME_SUCCESS);
    if (results[0] === EINVAL) return test.skip('this kernel has no ETIME_SUCCESS (5.16)');
    assert.deepEqual(results, [ETIME, 0]);
  });

  it('a hard link goes on behind a timeout', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, 0.01);
    ring.flagLast(SQE.IO_HARDLINK);
    ring.nop(2);
    assert.deepEqual(
      take(ring, 2).map(({ token, result }) => [token, result]),
      [
        [1, ETIME],
        [2, 0],
      ],
    );
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      0,
    );
  });
});
