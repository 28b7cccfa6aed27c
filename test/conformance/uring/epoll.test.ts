/**
 * Epoll sets: changing them and waiting for them by requests.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { createEpoll, decodeEpollEvents, EPOLL, EPOLL_CTL, Ring } from 'annulus/uring';
import type { EpollEvent } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import { ascending, Folder, finish, needs, resultsOf, runOne } from '../../support/uring.js';

const [EPERM, ENOENT, EBADF, EEXIST] = [-1, -2, -9, -17];
const [EINVAL, ECANCELED] = [-22, -125];

/** An epoll set, closed at the end, and a ring to work on it. */
class Fixture {
  readonly fd: number = createEpoll();
  readonly ring: Ring = new Ring({ entries: 8 });

  ctl(operation: number, fd: number, event?: EpollEvent): number {
    return runOne(this.ring, (token) => this.ring.epollCtl(token, this.fd, operation, fd, event));
  }

  wait(room: number = 8): EpollEvent[] {
    const memory = alloc(room * 16);
    const count = runOne(this.ring, (token) => this.ring.epollWait(token, this.fd, memory));
    return decodeEpollEvents(memory, count);
  }

  [Symbol.dispose](): void {
    this.ring.close();
    closeSync(this.fd);
  }
}

describe('epoll_ctl', needs('EPOLL_CTL'), () => {
  it('adds, changes and deletes once each', () => {
    using set = new Fixture();
    using ends = pair();
    const event = { events: EPOLL.IN, data: 1 };
    assert.equal(set.ctl(EPOLL_CTL.MOD, ends.reader, event), ENOENT);
    assert.equal(set.ctl(EPOLL_CTL.ADD, ends.reader, event), 0);
    assert.equal(set.ctl(EPOLL_CTL.ADD, ends.reader, event), EEXIST);
    assert.equal(set.ctl(EPOLL_CTL.MOD, ends.reader, event), 0);
    assert.equal(set.ctl(EPOLL_CTL.DEL, ends.reader), 0);
    assert.equal(set.ctl(EPOLL_CTL.DEL, ends.reader), ENOENT);
  });

  it('refuses itself, what cannot be watched, and what is no set', () => {
    using set = new Fixture();
    using ends = pair();
    using folder = new Folder();
    const event = { events: EPOLL.IN, data: 0 };
    assert.equal(set.ctl(EPOLL_CTL.ADD, set.fd, event), EINVAL);
    assert.equal(set.ctl(EPOLL_CTL.ADD, folder.open(), event), EPERM);
    assert.equal(set.ctl(EPOLL_CTL.ADD, 1_000_000, event), EBADF);
    assert.equal(set.ctl(99, ends.reader, event), EINVAL);
    const { ring } = set;
    const other = runOne(ring, (token) =>
      ring.epollCtl(token, ends.writer, EPOLL_CTL.ADD, ends.reader, event),
    );
    assert.equal(other, EINVAL);
    assert.throws(() => set.ctl(EPOLL_CTL.ADD, ends.reader), { code: 'ERR_INVALID_ARG_VALUE' });
    for (const bad of [
      { events: 2 ** 32, data: 0 },
      { events: 1, data: 2 ** 53 },
    ]) {
      assert.throws(() => set.ctl(EPOLL_CTL.ADD, ends.reader, bad), { code: 'ERR_OUT_OF_RANGE' });
    }
  });
});

describe('epoll_wait', needs('EPOLL_CTL', 'EPOLL_WAIT'), () => {
  it('tells the events with what was given for each descriptor', () => {
    using set = new Fixture();
    using one = pair();
    using two = pair();
    const far = 2 ** 53 - 1;
    assert.equal(set.ctl(EPOLL_CTL.ADD, one.reader, { events: EPOLL.IN, data: far }), 0);
    assert.equal(set.ctl(EPOLL_CTL.ADD, two.reader, { events: EPOLL.OUT, data: 2 }), 0);
    assert.deepEqual(set.wait(), [{ events: EPOLL.OUT, data: 2 }]);
    one.write('x');
    assert.deepEqual(
      set.wait().toSorted((a, b) => a.data - b.data),
      [
        { events: EPOLL.OUT, data: 2 },
        { events: EPOLL.IN, data: far },
      ],
    );
  });

  it('waits until there is one', () => {
    using set = new Fixture();
    using ends = pair();
    const { ring } = set;
    set.ctl(EPOLL_CTL.ADD, ends.reader, { events: EPOLL.IN, data: 9 });
    const memory = alloc(16);
    ring.epollWait(1, set.fd, memory);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('x');
    assert.equal(finish(ring).get(1), 1);
    assert.deepEqual(decodeEpollEvents(memory, 1), [{ events: EPOLL.IN, data: 9 }]);
  });

  it('gives as many as there is room for; edges and single shots only once', () => {
    using set = new Fixture();
    const all = Array.from({ length: 5 }, () => pair());
    all.forEach((ends, data) => {
      set.ctl(EPOLL_CTL.ADD, ends.reader, { events: EPOLL.OUT | EPOLL.ONESHOT, data });
    });
    const found = [...set.wait(3), ...set.wait(3)];
    assert.deepEqual(ascending(found.map(({ data }) => data)), [0, 1, 2, 3, 4]);
    const edge = { events: EPOLL.OUT | EPOLL.ET, data: 77 };
    set.ctl(EPOLL_CTL.MOD, all[0]!.reader, edge);
    assert.deepEqual(set.wait(), [{ events: EPOLL.OUT, data: 77 }]);
    const { ring } = set;
    const key = ring.epollWait(1, set.fd, alloc(16));
    ring.submit();
    assert.equal(ring.ready, 0, 'nothing is new');
    ring.cancel(2, 1, key);
    assert.deepEqual(resultsOf(ring, 1, 2), [ECANCELED, 0]);
    for (const ends of all) ends[Symbol.dispose]();
  });

  it('wants a set, also a registered one, and room for an event', () => {
    using set = new Fixture();
    using ends = pair();
    const { ring } = set;
    const memory = alloc(16);
    const [registered] = ring.register.files([set.fd]);
    set.ctl(EPOLL_CTL.ADD, ends.reader, { events: EPOLL.OUT, data: 3 });
    ring.epollWait(1, registered!, memory);
    ring.epollWait(2, ends.reader, alloc(16));
    assert.deepEqual(resultsOf(ring, 1, 2), [1, EINVAL]);
    assert.throws(() => ring.epollWait(1, set.fd, alloc(8)), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => decodeEpollEvents(new Uint8Array(16), 2), { code: 'ERR_OUT_OF_RANGE' });
  });
});
