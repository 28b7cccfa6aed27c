/**
 * Reads that name a pool: what they hold and when, how they end, and that no budget is lost.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { BufferPool } from 'annulus/pool';
import { PooledBytes, Proactor } from 'annulus/proactor';
import type { PoolReadOptions } from 'annulus/proactor';

import { withoutUring } from '../../support/skip.ts';
import { Sockets } from '../../support/sockets.ts';
import { Folder } from '../../support/uring.ts';

const SIZE = 4096;

function poolOf(buffers: number): BufferPool {
  return new BufferPool({ bufferSize: SIZE, maxMemory: buffers * SIZE });
}

function textOf(bytes: PooledBytes): string {
  return Buffer.from(bytes.bytes).toString();
}

/** Asserts that a pool has everything back. */
function nothingHeld({ stats }: BufferPool): void {
  assert.deepEqual([stats.used, stats.allocations, stats.waiters], [0, 0, 0]);
}

/** Until the kernel was asked, and what it has said is known. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

/** Until so many requests wait for the pool. */
async function waiting(pool: BufferPool, count: number): Promise<void> {
  while (pool.stats.waiters < count) await setImmediate();
}

describe('a read into a pool', { skip: withoutUring }, () => {
  it('resolves with the bytes in an allocation, which is the reader’s', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(4);
    const [near, far] = sockets.pair();
    writeSync(far, 'hello');
    {
      using received = await io.recv(near, pool);
      assert.ok(received instanceof PooledBytes);
      assert.deepEqual([received.length, textOf(received)], [5, 'hello']);
      assert.equal(received.allocation?.byteLength, SIZE);
      assert.equal(pool.stats.used, SIZE);
    }
    nothingHeld(pool);
    writeSync(far, 'again');
    const again = await io.read(near, pool, { buffers: 2 });
    assert.deepEqual([textOf(again), pool.stats.used], ['again', 2 * SIZE]);
    again.release();
    assert.throws(() => again.release(), { code: 'ERR_ANNULUS_DOUBLE_RELEASE' });
    assert.throws(() => again.bytes, { code: 'ERR_ANNULUS_RELEASED' });
    nothingHeld(pool);
    await pool.close();
  });

  it('holds nothing while there is nothing to read', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(4);
    const pairs = Array.from({ length: 300 }, () => sockets.pair());
    const reads = pairs.map(([near]) => io.recv(near, pool));
    await turns();
    assert.equal(io.stats.inFlight, 300);
    nothingHeld(pool);
    pairs.forEach(([, far], index) => writeSync(far, `message ${index}`));
    let most = 0;
    const texts = reads.map(async (read) => {
      using received = await read;
      most = Math.max(most, pool.stats.used);
      await setImmediate();
      return textOf(received);
    });
    const wanted = pairs.map((_, index) => `message ${index}`);
    assert.deepEqual(await Promise.all(texts), wanted);
    assert.ok(most > 0 && most <= pool.maxMemory);
    nothingHeld(pool);
    await pool.close();
  });

  it('ends with no bytes and no allocation', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(4);
    const [near, far] = sockets.pair();
    const read = io.recv(near, pool);
    sockets.close(far);
    using end = await read;
    assert.deepEqual([end.length, end.allocation, end.bytes.length], [0, undefined, 0]);
    end.release();
    nothingHeld(pool);
  });

  it('reads files, at a position and at their own', async () => {
    using folder = new Folder();
    await using io = new Proactor();
    const pool = poolOf(4);
    const content = Buffer.from(Array.from({ length: 3 * SIZE + 100 }, (_, i) => i * 7));
    const fd = folder.open(content);
    {
      using part = await io.read(fd, pool, { position: SIZE, buffers: 2 });
      assert.ok(Buffer.from(part.bytes).equals(content.subarray(SIZE, 3 * SIZE)));
      using beyond = await io.read(fd, pool, { position: content.length });
      assert.equal(beyond.length, 0);
    }
    for (const position of [undefined, 0]) {
      const parts: Buffer[] = [];
      for await (const part of io.readMany(fd, pool, { position })) {
        parts.push(Buffer.from(part.bytes));
        part.release();
      }
      assert.ok(Buffer.concat(parts).equals(content), `position ${position}`);
      assert.equal(parts.length, 4);
    }
    nothingHeld(pool);
  });

  it('reads what says that it never waits, and yet cannot promise so', async () => {
    await using io = new Proactor();
    const pool = poolOf(1);
    using folder = new Folder();
    for (const path of ['/proc/self/stat', '/dev/zero', folder.path]) {
      const fd = await io.open(path, 0);
      const read = io.read(fd, pool);
      if (path === folder.path) await assert.rejects(read, { code: 'EISDIR', syscall: 'read' });
      else (await read).release();
      await io.closeFd(fd);
    }
    nothingHeld(pool);
  });

  it('receives until the peer has ended the connection', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(1);
    const [near, far] = sockets.tcp();
    const sent = Buffer.alloc(50_000, 'all of it ');
    writeSync(far, sent);
    sockets.close(far);
    const parts: Buffer[] = [];
    for await (const part of io.recvMany(near, pool)) {
      using bytes = part;
      parts.push(Buffer.from(bytes.bytes));
    }
    assert.ok(Buffer.concat(parts).equals(sent));
    nothingHeld(pool);
  });

  it('takes those who ask for parts in their order, until one leaves', async () => {
    using folder = new Folder();
    await using io = new Proactor();
    const pool = poolOf(4);
    const fd = folder.open('0123456789');
    const parts = io.readMany(fd, pool, { position: 4 });
    const results = await Promise.all([parts.next(), parts.next(), parts.next()]);
    assert.deepEqual(
      results.map(({ value }) => value && textOf(value)),
      ['456789', undefined, undefined],
    );
    results[0].value?.release();
    const left = io.readMany(fd, pool, { position: 0 });
    for await (const part of left) {
      part.release();
      break;
    }
    assert.deepEqual(await left.next(), { done: true, value: undefined });
    const failing = io.readMany(100_000, pool);
    await assert.rejects(failing.next(), { code: 'EBADF' });
    assert.equal((await failing.next()).done, true);
    nothingHeld(pool);
  });

  it('leaves the data to another reader, and holds nothing again', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(4);
    const [near, far] = sockets.pair();
    const reads = [io.recv(near, pool), io.recv(near, pool), io.read(near, pool)];
    await turns();
    for (let left = reads.length; left > 0; left--) {
      writeSync(far, 'x');
      const won = await Promise.race(
        reads.map((read, index) => read.then((got) => ({ got, index }))),
      );
      assert.equal(textOf(won.got), 'x');
      won.got.release();
      void reads.splice(won.index, 1);
      await turns();
      nothingHeld(pool);
    }
  });
});

describe('the order of reads into a pool', { skip: withoutUring }, () => {
  it('is that in which their data came, in line with everybody else', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(2);
    const held = await pool.allocate(2);
    const pairs = Array.from({ length: 3 }, () => sockets.pair());
    const log: string[] = [];
    const reads = pairs.map(async ([near], index) => {
      using received = await io.recv(near, pool, { buffers: 2 });
      log.push(`${index}: ${textOf(received)}`);
    });
    writeSync(pairs[2]![1], 'c');
    await waiting(pool, 1);
    const asked = pool.allocate(1).then((run) => {
      log.push('asked');
      run.release();
    });
    writeSync(pairs[0]![1], 'a');
    await waiting(pool, 3);
    held.release();
    await Promise.all([reads[2], asked, reads[0]]);
    assert.deepEqual(log, ['2: c', 'asked', '0: a']);
    writeSync(pairs[1]![1], 'b');
    await reads[1];
    nothingHeld(pool);
  });

  it('obeys a priority', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(1);
    const held = await pool.allocate(1);
    const [first, second] = [sockets.pair(), sockets.pair()];
    writeSync(first[1], 'first');
    writeSync(second[1], 'second');
    const low = io.recv(first[0], pool);
    await waiting(pool, 1);
    const high = io.recv(second[0], pool, { priority: 1 });
    await waiting(pool, 2);
    held.release();
    const winner = await Promise.race([low, high]);
    assert.equal(textOf(winner), 'second');
    winner.release();
    (await low).release();
    nothingHeld(pool);
  });

  it('needs one submission by hand, where requests are held back', async () => {
    using sockets = new Sockets();
    await using io = new Proactor({ batching: 'manual' });
    const pool = poolOf(1);
    const [near, far] = sockets.pair();
    const read = io.recv(near, pool);
    assert.equal(io.submit(), 1);
    writeSync(far, 'x');
    using received = await read;
    assert.equal(textOf(received), 'x');
  });

  it('is not held up by idle reads that fill the proactor', async () => {
    using sockets = new Sockets();
    await using io = new Proactor({ entries: 8, maxInFlight: 2 });
    const pool = poolOf(1);
    const pairs = Array.from({ length: 6 }, () => sockets.pair());
    const reads = pairs.map(([near]) => io.recv(near, pool));
    await turns();
    assert.equal(io.stats.waiting, 4);
    // Each of the two in flight gets its memory and its data, though others wait for their slots.
    for (const index of [1, 0, 2, 3, 5, 4]) {
      writeSync(pairs[index]![1], 'x');
      using received = await reads[index]!;
      assert.equal(textOf(received), 'x');
    }
    nothingHeld(pool);
  });
});

describe('a read into a pool that is ended', { skip: withoutUring }, () => {
  /** Ends a read while it waits for data, or for memory, and looks whether the data is still there. */
  async function ended(
    forMemory: boolean,
    options: PoolReadOptions,
    end: (io: Proactor) => unknown,
    code: string,
  ): Promise<void> {
    using sockets = new Sockets();
    const io = new Proactor();
    const pool = poolOf(1);
    const [near, far] = sockets.pair();
    const held = await pool.allocate(1);
    if (forMemory) writeSync(far, 'kept');
    const read = io.recv(near, pool, options);
    const rejected = assert.rejects(read, { code });
    if (forMemory && options.timeout === undefined) await waiting(pool, 1);
    else await turns();
    await end(io);
    await rejected;
    held.release();
    nothingHeld(pool);
    await io.close();
    if (!forMemory) writeSync(far, 'kept');
    await using other = new Proactor();
    using received = await other.recv(near, pool);
    assert.equal(textOf(received), 'kept');
  }

  for (const forMemory of [false, true]) {
    const where = forMemory ? 'while it waits for memory' : 'while it waits for data';
    it(`by its signal ${where}`, async () => {
      const stop = new AbortController();
      await ended(forMemory, { signal: stop.signal }, () => stop.abort(), 'ABORT_ERR');
    });
    it(`by its time limit ${where}`, async () => {
      await ended(forMemory, { timeout: 20 }, () => undefined, 'ERR_ANNULUS_TIMEOUT');
    });
    it(`by the end of its proactor ${where}`, async () => {
      const code = forMemory ? 'ERR_ANNULUS_CLOSED' : 'ECANCELED';
      await ended(forMemory, {}, (io) => io.close(), code);
    });
  }

  it('by the end of its pool, and leaves the data', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(1);
    const held = await pool.allocate(1);
    const [near, far] = sockets.pair();
    writeSync(far, 'kept');
    const [first, second] = [io.recv(near, pool), io.recv(sockets.pair()[0], pool)];
    const refused = assert.rejects(first, { code: 'ERR_ANNULUS_CLOSED' });
    await waiting(pool, 1);
    const closed = pool.close();
    await refused;
    held.release();
    await closed;
    await assert.rejects(io.recv(near, pool), { code: 'ERR_ANNULUS_CLOSED' });
    assert.equal(await io.recv(near, new Uint8Array(10)), 4);
    second.catch(() => {});
  });

  it('by an argument that cannot be', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(2);
    const [near, far] = sockets.pair();
    writeSync(far, 'kept');
    const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    for (const buffers of [0, 3, 1.5]) {
      await assert.rejects(io.recv(near, pool, { buffers }), range);
    }
    await assert.rejects(io.recv(near, pool, { priority: 0.5 }), range);
    await assert.rejects(io.recv(near, pool, { timeout: -1 }), range);
    await assert.rejects(io.read(near, pool, { position: -2 }), range);
    await assert.rejects(io.recv(-1, pool), range);
    await assert.rejects(io.recv(near, pool, { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    });
    const unused = 100_000;
    await assert.rejects(io.recv(unused, pool), { code: 'EBADF', syscall: 'recv' });
    nothingHeld(pool);
  });
});

describe('an allocation as the memory of a transfer', { skip: withoutUring }, () => {
  it('is kept until the transfer has ended', async () => {
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(1);
    const [near, far] = sockets.pair();
    const run = await pool.allocate(1);
    const read = io.recv(near, run, { length: 5 });
    run.release();
    await turns();
    assert.equal(pool.stats.used, SIZE);
    writeSync(far, 'hello, world');
    assert.equal(await read, 5);
    nothingHeld(pool);
    await assert.rejects(io.recv(near, run), { code: 'ERR_ANNULUS_RELEASED' });
  });

  it('is read and written in place, by every kind of transfer', async () => {
    using folder = new Folder();
    using sockets = new Sockets();
    await using io = new Proactor();
    const pool = poolOf(2);
    using run = await pool.allocate(2);
    run.bytes.fill(0).set(Buffer.from('0123456789'));
    const fd = folder.open();
    assert.equal(await io.write(fd, run, { length: 10, position: 0 }), 10);
    assert.equal(readFileSync(folder.at('file'), 'latin1'), '0123456789');
    assert.equal(await io.read(fd, run, { offset: SIZE, position: 5 }), 5);
    const [near, far] = sockets.pair();
    assert.equal(await io.send(near, run, { offset: SIZE, length: 5 }), 5);
    assert.equal(await io.recv(far, run, { offset: 1 }), 5);
    assert.equal(Buffer.from(run.bytes.subarray(0, 10)).toString(), '0567896789');
    assert.equal(io.stats.bounced, 0);
    const failing = io.write(fd, run, { offset: 2 * SIZE + 1 });
    await assert.rejects(failing, { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(pool.stats.allocations, 1);
  });
});
