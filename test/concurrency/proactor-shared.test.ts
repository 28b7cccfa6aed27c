/**
 * Promises of several threads on one ring: each settles in the thread that asked, whoever reaps.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { alloc } from 'annulus';
import { Proactor } from 'annulus/proactor';
import { SharedRing } from 'annulus/uring';
import type { SharedRingHandle } from 'annulus/uring';
import { withoutUring } from '../support/skip.js';
import { Sockets } from '../support/sockets.js';
import { Folder } from '../support/uring.js';
import type { ReadWork } from './support/shared-proactor-thread.js';

const PAGE = 4096;
const PAGES = 64;
const THREADS = 4;

/** A file whose every page is full of its own number. */
function numbered(folder: Folder): number {
  const words = Uint32Array.from({ length: (PAGES * PAGE) / 4 }, (_, at) => (at * 4) >> 12);
  return folder.open(new Uint8Array(words.buffer));
}

function start(workerData: ReadWork): Worker {
  return new Worker(new URL('support/shared-proactor-thread.js', import.meta.url), { workerData });
}

/** A worker that makes a ring, posts its handle, and leaves a request in flight. */
const home = `
  import { parentPort } from 'node:worker_threads';
  const { SharedRing } = await import('${import.meta.resolve('annulus/uring')}');
  const ring = new SharedRing({ threads: 2 });
  ring.timeout(1, 600_000);
  ring.submit();
  parentPort.postMessage(ring.handle);
  setInterval(() => {}, 1000);
`;

/** A worker that takes part in a ring, and leaves a request in flight that only cancelling ends. */
const waiter = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { SharedRing } = await import('${import.meta.resolve('annulus/uring')}');
  const ring = SharedRing.attach(workerData);
  ring.timeout(1, 600_000);
  ring.submit();
  parentPort.postMessage('waits');
  setInterval(() => ring.fd, 1000);
`;

describe('Proactor.shared()', { skip: withoutUring }, () => {
  it('reads for four threads, into memory that one has registered', async (test) => {
    using folder = new Folder();
    const fd = numbered(folder);
    const ring = new SharedRing({ threads: THREADS + 1 });
    await using io = Proactor.shared(ring);
    assert.equal(io.sharedRing, ring);
    const memories = Array.from({ length: THREADS }, () => alloc(PAGE));
    const buffers = ring.register.buffers(memories);
    const { handle } = ring;
    const workers = buffers.map((buffer) =>
      start({ handle, fd, pages: PAGES, reads: 4000, buffer: ring.bufferHandle(buffer) }),
    );
    const ends = workers.map((worker) => once(worker, 'message'));
    const memory = alloc(PAGE);
    for (let page = 0; page < PAGES; page++) {
      assert.equal(await io.read(fd, memory, { position: page * PAGE }), PAGE);
      assert.equal(new Uint32Array(memory.buffer)[page], page);
    }
    const forwarded = (await Promise.all(ends)).map(([count]) => count as number);
    test.diagnostic(`${forwarded.join(', ')} completions were passed on`);
  });

  it('wakes the thread that asked, while others reap', async () => {
    using folder = new Folder();
    using sockets = new Sockets();
    const fd = numbered(folder);
    const ring = new SharedRing({ threads: 3 });
    await using io = Proactor.shared(ring);
    const { handle } = ring;
    const [near, far] = sockets.pair();
    const reader = start({ handle, fd, pages: PAGES, reads: 10_000 });
    const echoing = start({ handle, fd, pages: 0, reads: 0, socket: far });
    const ends = [reader, echoing].map((worker) => once(worker, 'message'));
    const memory = alloc(4);
    const view = new DataView(memory.buffer);
    for (let round = 0; round < 1000; round++) {
      view.setUint32(0, round);
      await io.send(near, memory);
      view.setUint32(0, 0xffff_ffff);
      assert.equal(await io.recv(near, memory), 4);
      assert.equal(view.getUint32(0), round);
    }
    await io.shutdown(near, 1);
    await Promise.all(ends);
  });

  it('cancels, times out, and waits in line as any proactor', async () => {
    const ring = new SharedRing({ threads: 2, entries: 4 });
    await using io = Proactor.shared(ring, {
      maxInFlight: 2,
      batching: { requests: 2, deadlineUs: 500 },
    });
    const controller = new AbortController();
    const waits = [1, 2, 3, 4].map((token) =>
      assert.rejects(
        io.sleep(60_000, { signal: controller.signal }),
        { name: 'AbortError' },
        String(token),
      ),
    );
    assert.equal(io.stats.waiting, 2);
    controller.abort();
    await Promise.all(waits);
    await io.sleep(1);
    await assert.rejects(io.poll(ring.fd, 2 ** 12, { timeout: 5 }), {
      code: 'ERR_ANNULUS_TIMEOUT',
    });
    assert.throws(() => Proactor.shared(7 as unknown as SharedRing), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  it('waits while another part does not take its completions, and then goes on', async () => {
    const ring = new SharedRing({ threads: 2, entries: 8 });
    await using io = Proactor.shared(ring);
    using lazy = SharedRing.attach(ring.handle);
    for (let token = 0; token < 400; token++) {
      if (lazy.space === 0) lazy.submit();
      lazy.nop(token);
    }
    lazy.submit();
    let settled = false;
    const slept = io.sleep(1).then(() => {
      settled = true;
    });
    await setTimeout(30);
    // Its completion is behind those that the other part has no room for.
    assert.equal(settled, false);
    for (let told = 0; told < 400;) told += lazy.drain(() => {});
    await slept;
  });

  it('refuses requests when the home has closed the ring, or has ended', async () => {
    const ring = new SharedRing({ threads: 2 });
    const io = Proactor.shared(SharedRing.attach(ring.handle));
    await io.sleep(1);
    const waiting = assert.rejects(io.sleep(60_000), { code: 'ECANCELED' });
    await io.sleep(1);
    ring.close();
    await waiting;
    await assert.rejects(io.sleep(1), { code: 'ERR_ANNULUS_CLOSED' });
    await io.close();

    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(home)}`));
    const [handle] = (await once(worker, 'message')) as [SharedRingHandle];
    const orphan = Proactor.shared(SharedRing.attach(handle));
    await orphan.sleep(1);
    const asked = orphan.sleep(20);
    await orphan.sleep(1);
    await worker.terminate();
    await asked;
    await assert.rejects(orphan.sleep(1), { code: 'ERR_ANNULUS_PEER_DIED' });
    await orphan.close();
  });

  it('aborts a request when the loop has nothing else to do', async () => {
    using sockets = new Sockets();
    await using io = Proactor.shared(new SharedRing({ threads: 1 }));
    const [near] = sockets.pair();
    const abort = new AbortController();
    const receiving = io.recv(near, alloc(64), { signal: abort.signal });
    await setTimeout(20);
    abort.abort();
    await assert.rejects(receiving, { code: 'ABORT_ERR' });
  });

  it('closes when the home was terminated, with requests in flight', async () => {
    using sockets = new Sockets();
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(home)}`));
    const [handle] = (await once(worker, 'message')) as [SharedRingHandle];
    const io = Proactor.shared(SharedRing.attach(handle));
    const receiving = io.recv(sockets.pair()[0], alloc(64));
    const rejected = assert.rejects(receiving, { code: 'ECANCELED' });
    await io.sleep(1);
    await worker.terminate();
    while (!io.sharedRing!.ended) await setTimeout(1);
    await io.close();
    await rejected;
  });

  it('takes over a ring that has requests in flight', async () => {
    for (const pause of [0, 20]) {
      const ring = new SharedRing({ threads: 1 });
      if (pause === 0) ring.nop(20_000);
      else ring.timeout(20_000, pause);
      ring.submit();
      await Proactor.shared(ring).close();
      assert.ok(ring.closed);
    }
  });

  it('frees the place of a thread that was terminated, with nothing else to do', async () => {
    const ring = new SharedRing({ threads: 2, entries: 8 });
    await using io = Proactor.shared(ring);
    await io.sleep(1);
    const url = new URL(`data:text/javascript,${encodeURIComponent(waiter)}`);
    const worker = new Worker(url, { workerData: ring.handle });
    await once(worker, 'message');
    await worker.terminate();
    for (let other: SharedRing | undefined; other === undefined; other?.close()) {
      await setTimeout(1);
      try {
        other = SharedRing.attach(ring.handle);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ERR_ANNULUS_LIMIT');
      }
    }
  });
});
