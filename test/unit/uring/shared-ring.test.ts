/**
 * SharedRing in one thread, or with a second part in the same one: what it is made with, what it
 * refuses, requests of every way to complete, and its end.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { CQE, SharedRing, SQE } from 'annulus/uring';
import type { SharedRingHandle } from 'annulus/uring';
import { close, eventfd, pipe, write } from '#src/sys/linux.js';
import { Claims } from '#src/uring/shared/claims.js';
import { Layout } from '#src/uring/shared/layout.js';
import { wrapMemory } from '#src/uring/shared/memory.js';
import { census, openFiles } from '../../support/census.js';
import { withoutUring } from '../../support/skip.js';
import { Folder, memoryOf, needs, registers, textOf } from '../../support/uring.js';

const [ECANCELED, ETIME, ENOENT] = [-125, -62, -2];

/** Waits for so many completions; token, result and whether more follow of each. */
function take(ring: SharedRing, count: number = 1): [number, number, boolean][] {
  const told: [number, number, boolean][] = [];
  while (told.length < count) {
    ring.submitAndWait(1);
    ring.drain((token, result, flags) => told.push([token, result, (flags & CQE.F_MORE) !== 0]));
  }
  return told;
}

describe('a shared ring', { skip: withoutUring }, () => {
  it('has the entries asked for, for each thread', () => {
    using ring = new SharedRing({ threads: 3, entries: 5 });
    assert.deepEqual([ring.threads, ring.entries, ring.space], [3, 8, 8]);
    assert.equal(ring.completionEntries, 128);
    using few = new SharedRing({ threads: 1, entries: 2, completionEntries: 16 });
    assert.deepEqual([few.entries, few.completionEntries], [2, 16]);
  });

  it('refuses options that are none', () => {
    for (const options of [
      { threads: 0 },
      { threads: 65 },
      { entries: 0 },
      { threads: 64, entries: 1024 },
      { threads: 2, entries: 8, completionEntries: 8 },
      { completionEntries: 2 ** 17 },
    ]) {
      assert.throws(() => new SharedRing(options), { code: 'ERR_OUT_OF_RANGE' });
    }
    const wrong = 7 as unknown as object;
    assert.throws(() => new SharedRing(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('is attached to by its handle, by as many as it was made for', () => {
    const before = openFiles();
    const ring = new SharedRing({ threads: 2, entries: 4 });
    const { handle } = ring;
    const other = SharedRing.attach(handle);
    assert.throws(() => SharedRing.attach(handle), { code: 'ERR_ANNULUS_LIMIT' });
    other.close();
    SharedRing.attach(handle).close();
    const wrong = { ...handle, pid: 1 };
    assert.throws(() => SharedRing.attach(wrong), { code: 'ERR_INVALID_ARG_VALUE' });
    const queues = { ...handle.queues, tables: handle.queues.rings };
    assert.throws(() => SharedRing.attach({ ...handle, queues }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    const none = {} as SharedRingHandle;
    assert.throws(() => SharedRing.attach(none), { code: 'ERR_INVALID_ARG_VALUE' });
    ring.close();
    assert.throws(() => SharedRing.attach(handle), { code: 'ERR_ANNULUS_CLOSED' });
    assert.throws(() => ring.handle, { code: 'ERR_ANNULUS_CLOSED' });
    assert.deepEqual(openFiles(), before);
  });

  it('refuses what does not fit, and what fits goes on', () => {
    using ring = new SharedRing({ threads: 2, entries: 4 });
    for (let token = 0; token < 4; token++) ring.nop(token);
    assert.equal(ring.space, 0);
    assert.throws(() => ring.nop(4), { code: 'ERR_ANNULUS_SQ_FULL' });
    assert.deepEqual([ring.unsubmitted, ring.submit(), ring.unsubmitted], [4, 4, 0]);
    assert.equal(ring.space, 4);
    assert.deepEqual(
      take(ring, 4).map(([token]) => token),
      [0, 1, 2, 3],
    );
    assert.throws(() => ring.submitAndWait(1), { code: 'ERR_OUT_OF_RANGE' });
    const { submitted, completed, inFlight, forwarded } = ring.stats;
    assert.deepEqual([submitted, completed, inFlight, forwarded], [4, 4, 0, 0]);
  });

  it('gives each part its own completions, whoever reaps them', () => {
    using ring = new SharedRing({ threads: 2, entries: 16 });
    using other = SharedRing.attach(ring.handle);
    for (let token = 0; token < 10; token++) {
      ring.nop(token);
      other.nop(token + 100);
    }
    ring.submit();
    other.submit();
    const here: number[] = [];
    const there: number[] = [];
    assert.equal(
      ring.drain((token) => here.push(token)),
      10,
    );
    assert.deepEqual([ring.stats.forwarded, other.ready], [10, 10]);
    assert.equal(
      other.drain((token) => there.push(token)),
      10,
    );
    assert.deepEqual(
      there.map((token) => token - 100),
      here,
    );
  });

  it('may be drained, submitted and closed in its callback', () => {
    const ring = new SharedRing({ threads: 2, entries: 8 });
    const told: number[] = [];
    const inner = (token: number): unknown => told.push(token);
    for (let token = 0; token < 4; token++) ring.nop(token);
    ring.submit();
    ring.drain((token) => {
      told.push(token);
      if (token !== 0) return;
      ring.nop(10);
      ring.submit();
      ring.drain(inner);
    });
    assert.deepEqual(told, [0, 1, 2, 3, 10]);
    for (let token = 20; token < 24; token++) ring.nop(token);
    ring.submit();
    let last = 0;
    ring.drain((token) => {
      last = token;
      if (token === 21) ring.close();
    });
    assert.equal(last, 21);
    assert.throws(() => ring.nop(1), { code: 'ERR_ANNULUS_CLOSED' });
    assert.throws(() => ring.submit(), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('goes on after a callback that throws', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    for (let token = 0; token < 3; token++) ring.nop(token);
    ring.submit();
    const fail = (): never => {
      throw new Error('on purpose');
    };
    assert.throws(() => ring.drain(fail), /on purpose/);
    const told: number[] = [];
    ring.drain((token) => told.push(token));
    assert.deepEqual([told, ring.inFlight], [[1, 2], 0]);
  });

  it('reads, writes and pins as a ring of one thread does', () => {
    using folder = new Folder();
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const fd = folder.open('');
    ring.write(1, fd, memoryOf('shared by all'), { position: 0 });
    ring.flagLast(SQE.IO_LINK);
    const memory = alloc(64);
    ring.read(2, fd, memory, { position: 0 });
    assert.deepEqual(take(ring, 2), [
      [1, 13, false],
      [2, 13, false],
    ]);
    assert.equal(textOf(memory, 13), 'shared by all');
    ring.openat(3, folder.at('none'), 0);
    assert.deepEqual(take(ring), [[3, ENOENT, false]]);
  });

  it('keeps chains of one part apart from what follows in another', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    using other = SharedRing.attach(ring.handle);
    ring.nopWith(1, { result: -5 });
    ring.flagLast(SQE.IO_LINK);
    other.nop(2);
    // Both runs are in the queue before anybody enters: the second is handed over by a full batch.
    ring.submit();
    other.submit();
    assert.deepEqual(take(ring), [[1, -5, false]]);
    assert.deepEqual(take(other), [[2, 0, false]]);
  });

  it('cancels by token and key, of its own requests only', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    using other = SharedRing.attach(ring.handle);
    const key = ring.timeout(1, 60_000);
    const otherKey = other.timeout(1, 60_000);
    ring.submit();
    other.submit();
    ring.timeoutRemove(2, 1, key);
    assert.deepEqual(
      take(ring, 2).toSorted(([a], [b]) => a - b),
      [
        [1, ECANCELED, false],
        [2, 0, false],
      ],
    );
    assert.deepEqual([other.ready, other.inFlight], [0, 1]);
    assert.equal(other.register.cancel({ token: 1, key: otherKey }), 1);
    assert.deepEqual(take(other), [[1, ECANCELED, false]]);
  });

  it('tells a poll again and again, until it is cancelled by its key', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const fd = eventfd();
    const key = ring.pollAdd(1, fd, 1, { multishot: true });
    ring.submit();
    for (let round = 0; round < 3; round++) {
      write(fd, new Uint8Array(BigUint64Array.of(1n).buffer));
      assert.deepEqual(take(ring), [[1, 1, true]]);
    }
    ring.cancel(9, 1, key);
    assert.deepEqual(
      take(ring, 2).toSorted(([a], [b]) => a - b),
      [
        [1, ECANCELED, false],
        [9, 0, false],
      ],
    );
    close(fd);
  });

  it('returns from a wait when its time is over', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    ring.timeout(1, 60_000);
    assert.equal(ring.submitAndWait(1, { timeout: 5 }), 1);
    assert.deepEqual([ring.ready, ring.inFlight], [0, 1]);
    ring.timeout(2, 1);
    assert.deepEqual(take(ring), [[2, ETIME, false]]);
  });

  it('refuses what would outlive a thread', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    ring.nop(1);
    assert.throws(() => ring.flagLast(SQE.CQE_SKIP_SUCCESS), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.bufferGroup(), { code: 'ERR_ANNULUS_UNSUPPORTED' });
  });
});

describe('reaping for others', needs('READ_MULTISHOT'), () => {
  it('tells completions of one request in order, though the thread that has some is slow', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    using other = SharedRing.attach(ring.handle);
    const { handle } = other;
    // What the other part would have in the middle of drain(), with a claim it has not passed on.
    const slow = new Claims(wrapMemory(handle), new Layout(handle.sizes), 1);
    const buffers = ring.register.bufferRing({ count: 8, size: 1 });
    const [reader, writer] = pipe();
    ring.readMultishot(1, reader, buffers);
    ring.submit();
    let told = '';
    const tell = (token: number, result: number, flags: number): void => {
      told += token === 1 ? textOf(buffers.received(flags, result)) : '-';
    };
    write(writer, memoryOf('a'));
    assert.equal(slow.claim(), 1);
    write(writer, memoryOf('b'));
    ring.nop(2);
    ring.submit();
    ring.drain(tell);
    assert.equal(told, '-'); // what has one completion need not wait
    assert.equal(ring.ready, 0);
    slow.send(1, () => {});
    slow.markDelivered(1);
    write(writer, memoryOf('c'));
    assert.equal(ring.ready, 3);
    ring.drain(tell);
    assert.equal(told, '-abc');
    close(writer);
    close(reader);
  });

  it('leaves in the queue what a part that does not drain has no room for', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    using lazy = SharedRing.attach(ring.handle);
    const seen = new Set<number>();
    const tell = (token: number): unknown => seen.add(token);
    for (let token = 0; token < 400; token++) {
      if (lazy.space === 0) lazy.submit();
      lazy.nop(token);
      ring.drain(tell);
    }
    lazy.submit();
    ring.nop(1000);
    ring.submitAndWait(1, { timeout: 1 });
    assert.deepEqual([ring.drain(tell), seen.size], [0, 0]);
    while (seen.size < 400) assert.ok(lazy.drain(tell) > 0);
    assert.equal(lazy.inFlight, 0);
    ring.submitAndWait(1);
    assert.equal(ring.drain(tell), 1);
    assert.deepEqual([seen.size, seen.has(1000)], [401, true]);
  });
});

describe('registered memory of a shared ring', { skip: withoutUring }, () => {
  it('is registered by one part and used by another', () => {
    using folder = new Folder();
    const fd = folder.open('registered once');
    using ring = new SharedRing({ threads: 2, entries: 8 });
    using other = SharedRing.attach(ring.handle);
    const memory = alloc(4096);
    const [buffer] = ring.register.buffers([memory]);
    const same = other.buffer(ring.bufferHandle(buffer!));
    other.readFixed(1, fd, same, { position: 0, length: 15 });
    assert.deepEqual(take(other), [[1, 15, false]]);
    assert.equal(textOf(memory, 15), 'registered once');
    assert.throws(() => other.register.buffers([memory]), { code: 'EBUSY' });
    const wrong = { ...ring.bufferHandle(buffer!), pid: 1 };
    assert.throws(() => other.buffer(wrong), { code: 'ERR_OUT_OF_RANGE' });
    ring.register.unregisterBuffers();
  });
});

describe('buffers of a shared ring', registers('REGISTER_PBUF_RING'), () => {
  it('have numbers of their own in each part', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const other = SharedRing.attach(ring.handle);
    const mine = ring.register.bufferRing({ count: 2, size: 16 });
    const theirs = other.register.bufferRing({ count: 2, size: 16 });
    assert.notEqual(mine.group, theirs.group);
    const wrong = { count: 2, size: 16, group: mine.group };
    assert.throws(() => other.register.bufferRing(wrong), { code: 'ERR_OUT_OF_RANGE' });
    other.close();
    using next = SharedRing.attach(ring.handle);
    assert.equal(next.register.bufferRing({ count: 2, size: 16 }).group, theirs.group);
  });
});

describe('the end of a shared ring', needs('ASYNC_CANCEL'), () => {
  it('leaves no descriptor and no mapping behind', () => {
    const before = census();
    const ring = new SharedRing({ threads: 3, entries: 8 });
    const others = [SharedRing.attach(ring.handle), SharedRing.attach(ring.handle)];
    for (const part of [ring, ...others]) {
      part.nop(1);
      part.submit();
      part.timeout(2, 60_000);
      part.submit();
      part.nop(3);
    }
    for (const part of [...others, ring]) part.close();
    for (const part of [ring, ...others]) assert.equal(part.inFlight, 0);
    assert.deepEqual(census(), before);
  });

  it('comes for every part when the home closes it', () => {
    const ring = new SharedRing({ threads: 2, entries: 8 });
    using other = SharedRing.attach(ring.handle);
    other.timeout(1, 60_000);
    other.submit();
    ring.timeout(2, 60_000);
    ring.submit();
    ring.close();
    assert.ok(other.ended);
    // What was in flight is told; nothing new is taken.
    assert.deepEqual(take(other), [[1, ECANCELED, false]]);
    other.nop(2);
    assert.throws(() => other.submit(), { code: 'ERR_ANNULUS_CLOSED' });
  });
});
