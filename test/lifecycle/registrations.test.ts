/**
 * What is registered, when its owner goes: the collector, a worker's end, the ring's close.
 */

import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { alloc, Region } from 'annulus/memory';
import { Ring, SETUP } from 'annulus/uring';

import { pins } from '#src/memory/pins.js';
import { eventfd } from '#src/sys/linux.js';
import { DOOMED } from '#src/sys/native.js';
import { addressSpace, census } from '../support/census.ts';
import { collectGarbage } from '../support/gc.ts';
import { blockingSockets, closeAll } from '../support/pipes.ts';
import { withoutUring } from '../support/skip.ts';
import { registers } from '../support/uring.ts';
import { root } from '../unit/support/processes.ts';

/** Lets finalizers run until it is so, or for long enough to say that it is not. */
async function settled(so: () => boolean): Promise<boolean> {
  for (let i = 0; i < 50 && !so(); i++) {
    // In this order: a WeakRef that was looked at keeps its target until the turn ends.
    await new Promise(setImmediate);
    collectGarbage();
  }
  return so();
}

/** Registers what can be registered, in a ring that is then closed. */
function registerAll(fd: number, counter: number): void {
  const ring = new Ring({ entries: 4, flags: SETUP.R_DISABLED });
  const waits = ring.register.waits(4);
  ring.register.enable();
  waits.set(0, { timeout: 1 });
  ring.register.ringFd();
  ring.register.files([fd, -1], { tags: [1, -1] });
  ring.register.buffers([alloc(4096), alloc(4096)], { tags: [2, -1] });
  ring.register.updateBuffers(1, [alloc(4096)], { tags: [3] });
  ring.register.eventfd(counter);
  ring.register.personality();
  ring.messageRing(5, ring, 6, 7);
  ring.submit();
  ring.close();
}

describe(
  'hazard 1: memory that the kernel still has registered',
  registers('REGISTER_BUFFERS_UPDATE'),
  () => {
    it('outlives its owner until the kernel lets go', async () => {
      const [near, far] = blockingSockets();
      using ring = new Ring({ entries: 8 });
      ring.register.sparseBuffers(1);
      const [collected, slot] = ((): [WeakRef<Region>, number] => {
        const region = Region.allocate(1 << 20);
        const [buffer] = ring.register.updateBuffers(0, [region], { tags: [2] });
        ring.readFixed(1, near, buffer!);
        ring.submit();
        ring.register.clearBuffers(0, 1);
        return [new WeakRef(region), region.slot];
      })();
      assert.ok(await settled(() => collected.deref() === undefined));
      // Only the read and the tag keep it now.
      assert.ok(await settled(() => pins()[slot] === (DOOMED | 2)));
      writeSync(far, 'late');
      const results = new Map<number, number>();
      while (results.size < 2) {
        ring.submitAndWait(1, { timeout: 1000 });
        ring.drain((token, result) => results.set(token, result));
      }
      assert.deepEqual([results.get(1), results.get(2)], [4, 0]);
      assert.equal(pins()[slot], 0, 'it is unmapped');
      closeAll([near, far]);
    });
  },
);

describe('closing a ring with registrations', registers('REGISTER_MEM_REGION'), () => {
  it('leaves nothing behind', () => {
    const counter = eventfd();
    const [near, far] = blockingSockets();
    for (let i = 0; i < 20; i++) registerAll(near, counter);
    collectGarbage();
    const [before, space] = [census(), addressSpace()];
    for (let i = 0; i < 200; i++) registerAll(near, counter);
    collectGarbage();
    assert.deepEqual(census(), before);
    const grown = addressSpace() - space;
    assert.ok(grown < 64 << 20, `${grown} bytes of address space are left`);
    closeSync(counter);
    closeAll([near, far]);
  });
});

describe('a worker that ends with registrations', { skip: withoutUring }, () => {
  it('leaves its rings closed', async () => {
    using ring = new Ring({ entries: 8 });
    const before = census();
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.module).then(async ({ Ring }) => {
         const { alloc } = await import(workerData.memory);
         const ring = new Ring({ entries: 8 });
         ring.register.ringFd();
         const [buffer] = ring.register.buffers([alloc(4096)], { tags: [1] });
         ring.register.files([ring.fd === 0 ? 1 : 0], { tags: [2] });
         ring.pollAdd(3, workerData.fd, 1);
         ring.submit();
         ring.register.unregisterFiles();
         for (let i = 0; i < 20; i++) ring.messageRing(4, ring, 5, i), ring.submit();
         globalThis.kept = [ring, buffer];
         parentPort.postMessage('ready');
         setInterval(() => {}, 1000);
       });`,
      {
        eval: true,
        workerData: {
          fd: ring.fd,
          module: new URL('dist/uring/index.js', `file://${root}`).href,
          memory: new URL('dist/memory/index.js', `file://${root}`).href,
        },
      },
    );
    await once(worker, 'message');
    assert.equal(await worker.terminate(), 1);
    assert.deepEqual(census(), before);
  });
});
