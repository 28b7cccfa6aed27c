/**
 * Eventfds: what the kernel counts into them, and what it does not.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { after, describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SQE } from 'annulus/uring';

import { eventfd, read } from '#src/sys/linux.js';
import { DEFERRED, finish, needs, registers, take } from '../../support/uring.ts';
import { pair } from '../../unit/support/pair.ts';

const EAGAIN = -11;

describe('a registered eventfd', needs(), () => {
  const fd = eventfd();
  after(() => closeSync(fd));

  /** What was counted since the last look. */
  function count(): number {
    const bytes = new Uint8Array(8);
    const result = read(fd, bytes);
    if (result === EAGAIN) return 0;
    assert.equal(result, 8);
    return Number(new DataView(bytes.buffer).getBigUint64(0, true));
  }

  it('counts completions', () => {
    using ring = new Ring({ entries: 8 });
    ring.register.eventfd(fd);
    assert.equal(count(), 0);
    ring.nop(1);
    ring.submit();
    assert.equal(count(), 1);
    assert.equal(ring.ready, 1);
  });

  it('is not told of anything once it is unregistered', () => {
    using ring = new Ring({ entries: 8 });
    ring.register.eventfd(fd);
    assert.throws(() => ring.register.eventfd(fd), { code: 'EBUSY' });
    ring.register.unregisterEventfd();
    assert.throws(() => ring.register.unregisterEventfd(), { code: 'ENXIO' });
    ring.nop(1);
    ring.submit();
    assert.equal(count(), 0);
    ring.register.eventfd(fd);
    ring.nop(2);
    ring.submit();
    assert.equal(count(), 1);
  });

  it('can be registered again and again', () => {
    using ring = new Ring({ entries: 8 });
    for (let round = 0; round < 100; round++) {
      ring.register.eventfd(fd, { async: round % 2 === 1 });
      ring.nop(1);
      ring.submit();
      ring.drain(() => {});
      ring.register.unregisterEventfd();
    }
    assert.equal(count(), 50);
  });

  it('must be an eventfd', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    assert.throws(() => ring.register.eventfd(ends.reader), { code: 'EINVAL' });
    assert.throws(() => ring.register.eventfd(1_000_000), { code: 'EBADF' });
    assert.throws(() => ring.register.eventfd(-1), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('can be one of several rings', () => {
    using one = new Ring({ entries: 8 });
    using other = new Ring({ entries: 8 });
    for (const ring of [one, other]) {
      ring.register.eventfd(fd);
      ring.nop(1);
    }
    one.submit();
    other.submit();
    assert.equal(count(), 2);
  });

  it('is read by a request of the ring that counts into it', () => {
    using ring = new Ring({ entries: 8 });
    ring.register.eventfd(fd);
    const memory = alloc(8);
    ring.pollAdd(1, fd, 1);
    ring.submit();
    assert.equal(ring.ready, 0);
    ring.nop(2);
    assert.deepEqual(new Set(finish(ring).keys()), new Set([1, 2]));
    ring.read(3, fd, memory);
    assert.equal(finish(ring).get(3), 8);
    count();
  });

  it('is told of completions that wait for their thread', () => {
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    using ends = pair();
    ring.register.eventfd(fd);
    ring.read(1, ends.reader, alloc(4));
    ring.submit();
    assert.equal(count(), 0);
    ends.write('x');
    assert.equal(count(), 1, 'though there is no completion yet');
    assert.equal(ring.ready, 0);
    assert.equal(take(ring)[0]!.result, 1);
    count();
  });

  it(
    'counts only what worker threads complete, if asked to',
    registers('REGISTER_EVENTFD_ASYNC'),
    () => {
      using ring = new Ring({ entries: 8 });
      ring.register.eventfd(fd, { async: true });
      ring.nop(1);
      ring.submit();
      assert.equal(count(), 0);
      ring.nop(2);
      ring.flagLast(SQE.ASYNC);
      ring.submitAndWait(2);
      assert.equal(count(), 1);
      ring.drain(() => {});
    },
  );
});
