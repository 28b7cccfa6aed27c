/**
 * Groups of provided buffers: registering, giving back, running out, status, and the older kind.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { bufferIdOf, CQE, Ring } from 'annulus/uring';
import type { BufferRing } from 'annulus/uring';

import { collect, collectOf, hasMore, nothingElse, Sockets } from '../../support/sockets.ts';
import { Folder, memoryOf, needs, registers, runOne, textOf } from '../../support/uring.ts';

const [ENOENT, EBADFD, ENOBUFS, ECANCELED] = [-2, -77, -105, -125];

/** Reads from a file into a selected buffer; the completion. */
function readOnce(ring: Ring, fd: number, buffers: BufferRing, position: number = 0) {
  ring.readSelect(1, fd, buffers, { position });
  return collect(ring, 1)[0]!;
}

describe('buffer rings', registers('REGISTER_PBUF_RING'), () => {
  it('ringbuf-read: each read takes the next buffer, in the order they were given', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('abcdefghijkl');
    const buffers = ring.register.bufferRing({ count: 4, size: 4 });
    for (let id = 0; id < 3; id++) {
      const { result, flags } = readOnce(ring, fd, buffers, id * 4);
      assert.deepEqual([result, bufferIdOf(flags)], [4, id]);
      assert.equal(
        textOf(buffers.received(flags, result)),
        'abcdefghijkl'.slice(id * 4, id * 4 + 4),
      );
    }
  });

  it('a read takes no more than asked for, and no more than a buffer holds', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('0123456789');
    const buffers = ring.register.bufferRing({ count: 2, size: 8 });
    ring.readSelect(1, fd, buffers, { position: 0, length: 3 });
    ring.readSelect(2, fd, buffers, { position: 0 });
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [3, 8],
    );
    assert.throws(() => ring.readSelect(1, fd, buffers, { length: 9 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('complete with ENOBUFS when they are empty, until one is given back', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const buffers = ring.register.bufferRing({ count: 1, size: 8 });
    const { flags } = readOnce(ring, fd, buffers);
    assert.deepEqual(
      [readOnce(ring, fd, buffers).result, readOnce(ring, fd, buffers).result],
      [ENOBUFS, ENOBUFS],
    );
    buffers.recycle(buffers.take(flags));
    assert.equal(readOnce(ring, fd, buffers).result, 1);
  });

  it('buf-ring-put: buffers come back in the order of recycling, one by one or many at once', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const buffers = ring.register.bufferRing({ count: 4, size: 8 });
    const next = (): number => buffers.take(readOnce(ring, fd, buffers).flags);
    // Many times around the ring.
    for (let round = 0; round < 50; round++) {
      assert.deepEqual([next(), next(), next(), next()].length, 4);
      buffers.recycle(2);
      buffers.recycleMany([3, 1, 0]);
      assert.deepEqual([next(), next(), next(), next()], [2, 3, 1, 0]);
      buffers.recycleMany(Uint16Array.of(0, 1, 2, 3));
    }
  });

  it('the 16-bit tail wraps around', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 64 });
    const fd = folder.open('x');
    const buffers = ring.register.bufferRing({ count: 64, size: 1 });
    let seen = 0;
    for (let round = 0; round < 1030; round++) {
      for (let i = 0; i < 64; i++) ring.readSelect(1, fd, buffers, { position: 0 });
      for (const { result, flags } of collect(ring, 64)) {
        if (result !== 1 || bufferIdOf(flags) !== seen % 64) assert.fail(`${seen}: ${result}`);
        buffers.recycle(buffers.take(flags));
        seen++;
      }
    }
    assert.equal(seen, 65_920);
  });

  it('refuse a buffer the kernel has already, and leave all where it was', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const buffers = ring.register.bufferRing({ count: 2, size: 8 });
    const invalid = { code: 'ERR_INVALID_ARG_VALUE', message: /Received 1/ };
    assert.throws(() => buffers.recycle(1), invalid);
    const id = buffers.take(readOnce(ring, fd, buffers).flags);
    assert.throws(() => buffers.recycleMany([id, 1]), invalid);
    assert.throws(() => buffers.recycle(2), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => buffers.take(0), { code: 'ERR_INVALID_ARG_VALUE' });
    buffers.recycleMany([id, id]);
    assert.deepEqual(
      [0, 0, 0].map(() => readOnce(ring, fd, buffers).result),
      [1, 1, ENOBUFS],
    );
  });

  it('ringbuf-status: the kernel says where it is', registers('REGISTER_PBUF_STATUS'), () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const buffers = ring.register.bufferRing({ count: 4, size: 8 });
    assert.deepEqual(buffers.status(), { head: 0, available: 4 });
    const id = buffers.take(readOnce(ring, fd, buffers).flags);
    readOnce(ring, fd, buffers);
    assert.deepEqual(buffers.status(), { head: 2, available: 2 });
    buffers.recycle(id);
    assert.deepEqual(buffers.status(), { head: 2, available: 3 });
    buffers.close();
    assert.throws(() => buffers.status(), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('write only inside the memory they were given', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x'.repeat(64));
    const memory = alloc(64).fill(0x2e);
    const buffers = ring.register.bufferRing({ count: 2, size: 5, memory: memory.subarray(3, 13) });
    for (let i = 0; i < 3; i++) readOnce(ring, fd, buffers);
    assert.equal(textOf(memory, 20), `...${'x'.repeat(10)}.......`);
    assert.deepEqual([buffers.offsetOf(0), buffers.offsetOf(1)], [3, 8]);
    assert.equal(buffers.view(1), buffers.view(1), 'the view of a whole buffer is made once');
  });

  it('may lie in memory of the kernel', (t) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    let buffers: BufferRing;
    try {
      buffers = ring.register.bufferRing({ count: 2, size: 8, kernelMemory: true, group: 9 });
    } catch {
      return t.skip('this kernel has no IOU_PBUF_RING_MMAP');
    }
    const first = buffers.take(readOnce(ring, fd, buffers).flags);
    assert.equal(bufferIdOf(readOnce(ring, fd, buffers).flags), 1);
    buffers.recycle(first);
    assert.equal(bufferIdOf(readOnce(ring, fd, buffers).flags), 0);
    buffers.close();
    return undefined;
  });

  it('refuse sizes, counts and memory that cannot be', () => {
    using ring = new Ring({ entries: 8 });
    const make = (options: object) => () =>
      ring.register.bufferRing({ count: 4, size: 8, ...options });
    for (const options of [
      { count: 3 },
      { count: 0 },
      { count: 65_536 },
      { size: 0 },
      { group: 65_536 },
      { memory: alloc(31) },
    ]) {
      assert.throws(make(options), { code: 'ERR_OUT_OF_RANGE' }, JSON.stringify(options));
    }
    assert.throws(make({ memory: new Uint8Array(32) }), { code: 'ERR_ANNULUS_NOT_A_REGION' });
    make({ group: 5 })();
    assert.throws(make({ group: 5 }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.deepEqual([make({})().group, make({})().group], [0, 1]);
  });

  it('belong to one ring', () => {
    using ring = new Ring({ entries: 8 });
    using other = new Ring({ entries: 8 });
    const buffers = ring.register.bufferRing({ count: 1, size: 8 });
    assert.throws(() => other.recvMultishot(1, 0, buffers), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /same ring/,
    });
    ring.close();
    assert.throws(() => buffers.recycle(0), { code: 'ERR_ANNULUS_CLOSED' });
    assert.equal(buffers.region.busy, false);
    buffers.region.close();
  });
});

describe('taking a buffer ring back', registers('REGISTER_PBUF_RING'), () => {
  it('keeps the memory until the requests that may use it have ended', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const region = Region.allocate(4096);
    const buffers = ring.register.bufferRing({ count: 4, size: 1024, memory: region, group: 7 });
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.recvMultishot(1, far, buffers);
    ring.submit();
    buffers.close();
    buffers.close();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' }, 'the request has it still');
    assert.throws(() => ring.recvSelect(2, far, buffers), { code: 'ERR_ANNULUS_CLOSED' });
    // The request would select from a new group of that number without holding its memory.
    assert.throws(() => ring.register.bufferRing({ count: 1, size: 8, group: 7 }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    ring.send(2, near, memoryOf('nowhere to go'));
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [ENOBUFS, 13],
    );
    region.close();
    assert.equal(ring.register.bufferRing({ count: 1, size: 8, group: 7 }).group, 7);
  });

  it('requests of a closed ring let go of it, too', () => {
    using sockets = new Sockets();
    const [, far] = sockets.pair();
    const ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    ring.recvMultishot(1, far, ring.register.bufferRing({ count: 1, size: 8, memory: region }));
    ring.submit();
    ring.close();
    region.close();
  });
});

describe('buffers given by requests', needs('PROVIDE_BUFFERS', 'REMOVE_BUFFERS'), () => {
  it('are selected, given back and taken away', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('abcd');
    const group = ring.bufferGroup({ count: 4, size: 16 });
    const read = (): [number, number] => {
      ring.readSelect(1, fd, group, { position: 0 });
      const { result, flags } = collect(ring, 1)[0]!;
      return [result, bufferIdOf(flags)];
    };
    assert.deepEqual(read(), [ENOBUFS, -1]);
    assert.ok(runOne(ring, (token) => ring.provideBuffers(token, group)) >= 0);
    const ids = new Set([read(), read(), read(), read()].map(([, id]) => id));
    assert.deepEqual(ids, new Set([0, 1, 2, 3]));
    assert.equal(read()[0], ENOBUFS);
    assert.ok(runOne(ring, (token) => ring.provideBuffers(token, group, 2, 1)) >= 0);
    assert.deepEqual(read(), [4, 2]);
    assert.equal(textOf(group.view(2, 4)), 'abcd');
    runOne(ring, (token) => ring.provideBuffers(token, group, 0, 3));
    assert.equal(
      runOne(ring, (token) => ring.removeBuffers(token, group, 2)),
      2,
    );
    assert.equal(read()[0], 4);
    assert.equal(read()[0], ENOBUFS);
    assert.ok([0, ENOENT].includes(runOne(ring, (token) => ring.removeBuffers(token, group))));
  });

  it('stay pinned from the first that was given until the ring is closed', () => {
    const ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    const group = ring.bufferGroup({ count: 2, size: 16, memory: region });
    assert.equal(region.busy, false);
    runOne(ring, (token) => ring.provideBuffers(token, group));
    runOne(ring, (token) => ring.removeBuffers(token, group));
    assert.equal(region.busy, true);
    assert.throws(() => ring.provideBuffers(1, group, 1, 2), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.bufferGroup({ count: 1, size: 1, group: group.group }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    ring.close();
    region.close();
  });
});

describe('read-mshot', needs('READ_MULTISHOT', 'PIPE'), () => {
  it('hazard 13: reads a pipe again and again, to its end', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [reader, writer] = sockets.pipe();
    const buffers = ring.register.bufferRing({ count: 4, size: 8 });
    ring.readMultishot(1, reader, buffers);
    for (const text of ['one', 'two', 'three']) {
      ring.write(2, writer, memoryOf(text));
      const [read] = collectOf(ring, 1, 2);
      assert.equal(textOf(buffers.received(read!.flags, read!.result)), text);
      assert.ok(hasMore(read!));
    }
    sockets.close(writer);
    const [end] = collect(ring, 1);
    assert.deepEqual([end!.result, hasMore(end!)], [0, false]);
    assert.equal(ring.inFlight, 0);
  });

  it('hazard 14: ends with ENOBUFS, loses nothing, and goes on when prepared again', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [reader, writer] = sockets.pipe();
    const buffers = ring.register.bufferRing({ count: 2, size: 4 });
    ring.readMultishot(1, reader, buffers);
    runWrite(ring, writer, 'abcdefghij');
    const events = collect(ring, 3);
    assert.deepEqual(
      events.map(({ result }) => result),
      [4, 4, ENOBUFS],
    );
    assert.deepEqual(events.map(hasMore), [true, true, false]);
    const text = events
      .slice(0, 2)
      .map((e) => textOf(buffers.received(e.flags, e.result)))
      .join('');
    buffers.recycleMany([0, 1]);
    ring.readMultishot(1, reader, buffers);
    const [rest] = collect(ring, 1);
    assert.equal(text + textOf(buffers.received(rest!.flags, rest!.result)), 'abcdefghij');
  });

  it('is for what can be waited on, and ends when it is cancelled', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const buffers = ring.register.bufferRing({ count: 2, size: 4 });
    const file = runOne(ring, (token) => ring.readMultishot(token, folder.open('x'), buffers));
    assert.equal(file, EBADFD);
    const [reader] = sockets.pipe();
    const key = ring.readMultishot(1, reader, buffers);
    nothingElse(ring);
    ring.cancel(2, 1, key);
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [ECANCELED, 0],
    );
  });
});

/** Writes into a pipe outside of the completions that are looked at. */
function runWrite(ring: Ring, fd: number, text: string): void {
  using other = new Ring({ entries: 2 });
  ring.submit();
  assert.equal(
    runOne(other, (token) => other.write(token, fd, memoryOf(text))),
    text.length,
  );
}

describe('hazard 15: buffers used up piece by piece', registers('REGISTER_PBUF_STATUS'), () => {
  it('several receives share a buffer, as F_BUF_MORE says', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    let buffers: BufferRing;
    try {
      buffers = ring.register.bufferRing({ count: 2, size: 8, incremental: true });
    } catch {
      return t.skip('this kernel has no IOU_PBUF_RING_INC');
    }
    ring.recvMultishot(1, far, buffers);
    const seen: [string, number, boolean][] = [];
    for (const text of ['abc', 'de', 'fgh', 'ij']) {
      ring.send(2, near, memoryOf(text));
      const [{ flags, result } = assert.fail()] = collectOf(ring, 1, 2);
      const more = (flags & CQE.F_BUF_MORE) !== 0;
      seen.push([textOf(buffers.received(flags, result)), bufferIdOf(flags), more]);
    }
    assert.deepEqual(seen, [
      ['abc', 0, true],
      ['de', 0, true],
      ['fgh', 0, false],
      ['ij', 1, true],
    ]);
    assert.throws(() => buffers.recycle(1), { code: 'ERR_INVALID_ARG_VALUE' });
    buffers.recycle(0);
    // The next buffers: what is left of the second, then the first again.
    ring.send(2, near, memoryOf('KLMNOPqrst'));
    const more = collect(ring, 3).filter(({ token }) => token === 1);
    assert.equal(
      more.map((e) => textOf(buffers.received(e.flags, e.result))).join(''),
      'KLMNOPqrst',
    );
    assert.throws(() => ring.recvSelect(3, far, buffers, { bundle: true }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    return undefined;
  });
});
