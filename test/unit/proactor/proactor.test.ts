/**
 * The proactor on the event loop: one submission a turn, the cap, the context kept, statistics, close.
 */

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { closeSync } from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { alloc, Proactor } from 'annulus';
import type { ProactorStats } from 'annulus/proactor';
import { AF, decodeSocketAddress, SOCK } from 'annulus/uring';
import { socketName } from '#src/sys/linux.js';
import { pair } from '../support/pair.js';
import { Folder, needs } from '../support/requests.js';
import { held } from '../support/resources.js';

const closed = { code: 'ERR_ANNULUS_CLOSED' };
const available = needs('READ', 'WRITE', 'ACCEPT', 'SOCKET', 'BIND', 'LISTEN');

describe('batching', available, () => {
  it('takes the requests of one turn to the kernel in one call', async () => {
    await using io = new Proactor({ entries: 256 });
    using folder = new Folder();
    const fd = folder.open('x'.repeat(4096));
    const memory = alloc(4096);
    await io.read(fd, memory, { position: 0 });
    const before = io.stats;
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => io.read(fd, memory, { position: i, length: 1 })),
    );
    const now = io.stats;
    assert.equal(now.submitted - before.submitted, 100);
    assert.ok(now.enters - before.enters <= 2, `${now.enters - before.enters} calls`);
  });

  it('submits by itself when a turn makes more requests than entries', async () => {
    await using io = new Proactor({ entries: 4, completionEntries: 256 });
    using folder = new Folder();
    const fd = folder.open('0123456789');
    const results = await Promise.all(
      Array.from({ length: 100 }, () => io.read(fd, alloc(4), { position: 0 })),
    );
    assert.deepEqual(new Set(results), new Set([4]));
  });

  it('submits what is requested by microtasks, timers and its own completions', async () => {
    await using io = new Proactor({ entries: 8 });
    using folder = new Folder();
    const fd = folder.open('0123');
    const read = (): Promise<number> => io.read(fd, alloc(4), { position: 0 });
    const chain = read().then(read).then(read);
    const later = new Promise((resolve) => setTimeout(() => resolve(read()), 1));
    const tick = new Promise((resolve) => process.nextTick(() => resolve(read())));
    assert.deepEqual(await Promise.all([chain, later, tick]), [4, 4, 4]);
  });
});

describe('the cap on requests in flight', available, () => {
  it('keeps the rest waiting, and serves them in order', async () => {
    await using io = new Proactor({ entries: 8, maxInFlight: 1 });
    using ends = pair();
    const order: number[] = [];
    const memories = Array.from({ length: 10 }, () => alloc(1));
    const reads = memories.map(async (memory, i) => {
      await io.read(ends.reader, memory);
      order.push(i);
    });
    await setImmediate();
    assert.deepEqual([io.stats.inFlight, io.stats.waiting], [1, 9]);
    for (let i = 0; i < 10; i++) {
      ends.write(String(i));
      while (order.length <= i) await setImmediate();
    }
    await Promise.all(reads);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual([io.stats.inFlight, io.stats.waiting], [0, 0]);
  });

  it('holds for many more requests than slots', async () => {
    await using io = new Proactor({ entries: 8, maxInFlight: 3 });
    using folder = new Folder();
    const fd = folder.open('abc');
    const results = await Promise.all(
      Array.from({ length: 3000 }, (_, i) =>
        io.read(fd, i % 2 === 0 ? alloc(1) : new Uint8Array(1), { position: i % 3 }),
      ),
    );
    assert.equal(results.length, 3000);
    assert.ok(results.every((count) => count === 1));
  });

  it('is refused when it cannot be, and leaves nothing behind', () => {
    const before = held();
    for (const maxInFlight of [0, -1, 1.5, 1e6]) {
      assert.throws(() => new Proactor({ entries: 8, maxInFlight }), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.deepEqual(held(), before);
  });
});

describe('the asynchronous context', available, () => {
  it('is kept through promises, in place and bounced, waiting and in flight', async () => {
    await using io = new Proactor({ entries: 8, maxInFlight: 2 });
    using folder = new Folder();
    const fd = folder.open('abc');
    const storage = new AsyncLocalStorage<number>();
    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        storage.run(i, async () => {
          await io.read(fd, i % 2 === 0 ? alloc(1) : new Uint8Array(1), { position: 0 });
          const first = storage.getStore();
          await io.sleep(0).catch(() => {});
          return [first, storage.getStore()];
        }),
      ),
    );
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, i) => [i, i]),
    );
  });

  it('is kept through acceptMany', async () => {
    await using io = new Proactor({ entries: 8 });
    const fd = await io.socket(AF.INET, SOCK.STREAM);
    await io.bind(fd, { address: '127.0.0.1', port: 0 });
    await io.listen(fd);
    const storage = new AsyncLocalStorage<string>();
    const accepting = storage.run('mine', async () => {
      const seen: unknown[] = [];
      for await (const connection of io.acceptMany(fd)) {
        closeSync(connection);
        seen.push(storage.getStore());
        if (seen.length === 2) break;
      }
      return seen;
    });
    for (let i = 0; i < 2; i++) {
      const client = await io.socket(AF.INET, SOCK.STREAM);
      await io.connect(client, decodeSocketAddress(socketName(fd))!);
      closeSync(client);
    }
    assert.deepEqual(await accepting, ['mine', 'mine']);
    closeSync(fd);
  });
});

describe('statistics', available, () => {
  it('are published to whoever subscribes', async () => {
    await using io = new Proactor({ entries: 8 });
    const published: ProactorStats[] = [];
    const collect = (message: unknown): void => void published.push(message as ProactorStats);
    subscribe('annulus.proactor', collect);
    using folder = new Folder();
    await io.read(folder.open('x'), new Uint8Array(1));
    unsubscribe('annulus.proactor', collect);
    const last = published.at(-1);
    assert.deepEqual([last?.completed, last?.bounced, last?.waiting], [1, 1, 0]);
    const { length } = published;
    await io.sleep(0);
    assert.equal(published.length, length);
  });
});

describe('closing a proactor', available, () => {
  it('awaits what works, ends what waits, refuses what is new', async () => {
    const io = new Proactor({ entries: 8, maxInFlight: 4 });
    using folder = new Folder();
    using ends = pair();
    const fd = folder.open();
    const writing = io.write(fd, Buffer.from('kept'), { position: 0 });
    const polling = assert.rejects(io.poll(ends.reader, 1), { code: 'ECANCELED' });
    const receiving = assert.rejects(io.recv(ends.reader, alloc(1)), { code: 'ECANCELED' });
    const sleeping = assert.rejects(io.sleep(60_000), { code: 'ECANCELED' });
    const waiting = assert.rejects(io.recv(ends.reader, alloc(1)), closed);
    const closing = io.close();
    assert.equal(io.close(), closing);
    assert.equal(io.closed, true);
    await assert.rejects(io.read(fd, alloc(1)), closed);
    await assert.rejects(io.read(fd, new Uint8Array(1)), closed);
    await assert.rejects(io.sleep(1), closed);
    assert.equal(await writing, 4);
    await Promise.all([polling, receiving, sleeping, waiting, closing]);
  });

  it('leaves nothing behind', async () => {
    using ends = pair();
    const cycle = async (): Promise<void> => {
      const io = new Proactor({ entries: 8 });
      const receiving = io.recv(ends.reader, new Uint8Array(10)).catch(() => {});
      await io.sleep(0);
      await io.close();
      await receiving;
    };
    await cycle();
    await setImmediate();
    const before = held();
    for (let i = 0; i < 50; i++) await cycle();
    await setImmediate();
    assert.deepEqual(held(), before);
  });

  it('replaces the default proactor of the thread', async () => {
    const first = Proactor.default();
    assert.equal(Proactor.default(), first);
    await first.close();
    const second = Proactor.default();
    assert.notEqual(second, first);
    await second.close();
  });
});
