/**
 * One ring of several threads: each completion is told once, to the thread that asked, and in order
 * where a request has several; also while threads are terminated. The long form of the first is
 * `node build/test/long/shared-ring.js`.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { bufferIdOf, CQE, SharedRing } from 'annulus/uring';
import { close, pipe, write } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../support/random.js';
import { withoutUring } from '../support/skip.js';
import { needs } from '../support/uring.js';
import { startThread, stressShared, work } from './support/shared-ring.js';
import type { SharedReport } from './support/shared-ring.js';

const seed = printedSeed();

describe('a shared ring under stress', { skip: withoutUring }, () => {
  it('tells each of a million tokens once', async (test) => {
    const { completed, forwarded } = await stressShared(4, 250_000, seed);
    assert.equal(completed, 1_000_000);
    test.diagnostic(`${forwarded} completions were reaped by another thread`);
  });

  it('loses nothing when the completion queue overflows', async (test) => {
    const options = { entries: 32, completionEntries: 128 };
    const { completed, overflows } = await stressShared(4, 25_000, seed, options);
    assert.equal(completed, 100_000);
    test.diagnostic(`it overflowed ${overflows} times`);
  });

  it('is joined and left by threads all the time', async () => {
    using ring = new SharedRing({ threads: 6, entries: 32 });
    const { handle } = ring;
    const workers = [1, 2, 3, 4].map((index) =>
      startThread({ handle, seed: seed + index * 1_000, requests: 300, joins: 1_000 }),
    );
    let left = workers.length;
    const reports = workers.map(async (worker) => {
      const [report] = (await once(worker, 'message')) as [SharedReport];
      left--;
      return report;
    });
    const all = Promise.all(reports);
    while (left > 0) {
      ring.drain(() => assert.fail('the home has asked for nothing'));
      await Promise.race([setTimeout(1), all]);
    }
    for (const { completed } of await all) assert.equal(completed, 300);
  });

  it('goes on when threads are terminated at any moment', async () => {
    const random = randomFrom(seed);
    using ring = new SharedRing({ threads: 4, entries: 32 });
    const { handle } = ring;
    let rounds = 0;
    for (; rounds < 12; rounds++) {
      const workers = [1, 2].map((index) =>
        startThread({ handle, seed: seed + rounds * 3 + index, requests: 2 ** 24 }),
      );
      await Promise.all(workers.map((worker) => once(worker, 'online')));
      const pause = setTimeout(20 + random(40));
      work(ring, seed + rounds, 20_000);
      await pause;
      await Promise.all(workers.map((worker) => worker.terminate()));
      assert.equal(work(ring, seed + rounds, 5_000).completed, (rounds + 1) * 25_000);
    }
    assert.equal(ring.inFlight, 0);
  });
});

describe('completions of one request', needs('READ_MULTISHOT'), () => {
  it('are told in order, whoever reaps them', async (test) => {
    const count = 50_000;
    const stop = new Int32Array(new SharedArrayBuffer(4));
    using ring = new SharedRing({ threads: 3, entries: 8 });
    const reaps = { handle: ring.handle, seed, requests: 0, stop };
    const workers = [startThread(reaps), startThread(reaps)];
    const reports = workers.map((worker) => once(worker, 'message'));
    test.after(() => Atomics.store(stop, 0, 1)); // also when something below has failed
    const buffers = ring.register.bufferRing({ count: 256, size: 4 });
    const [reader, writer] = pipe();
    let [written, read, armed] = [0, 0, false];
    const take = (token: number, result: number, flags: number): void => {
      if ((flags & CQE.F_MORE) === 0) armed = false;
      if (result <= 0) return; // it was out of buffers, and is armed again
      const view = new DataView(buffers.received(flags, result).slice().buffer);
      assert.deepEqual([view.getInt32(0), result], [read, 4], `token ${token}`);
      read++;
      buffers.recycle(bufferIdOf(flags));
    };
    const bytes = new Uint8Array(4);
    while (read < count) {
      if (!armed) ring.readMultishot(1, reader, buffers);
      armed = true;
      ring.submit();
      for (let i = 0; i < 32 && written < count; i++) {
        new DataView(bytes.buffer).setInt32(0, written);
        if (write(writer, bytes) < 0) break;
        written++;
      }
      ring.drain(take);
      if (armed && written === count && read < count) ring.submitAndWait(1);
    }
    Atomics.store(stop, 0, 1);
    const forwarded = await Promise.all(
      reports.map(async (report) => {
        const [{ forwarded: number }] = (await report) as [SharedReport];
        return number;
      }),
    );
    test.diagnostic(`${forwarded.join(' and ')} completions were reaped by other threads`);
    close(writer);
    close(reader);
  });
});
