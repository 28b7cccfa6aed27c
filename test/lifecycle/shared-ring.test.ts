/**
 * Threads of a shared ring that end without closing it: their memory stays as long as the kernel may
 * write to it, and their place is another thread's once it does not.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { Region } from 'annulus/memory';
import { SharedRing } from 'annulus/uring';
import type { SharedRingHandle } from 'annulus/uring';
import { census, mappings, openFiles } from '../support/census.js';
import { blockingSockets, closeAll } from '../support/pipes.js';
import { withoutUring } from '../support/skip.js';
import { needs } from '../support/uring.js';

const BYTES = 64 * 4096;

/** Leaves a receive in flight, or takes part and does nothing; then waits to be terminated. */
const program = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { Region } = await import('${import.meta.resolve('annulus/memory')}');
  const { SharedRing } = await import('${import.meta.resolve('annulus/uring')}');
  const { handle, socket } = workerData;
  const ring = SharedRing.attach(handle);
  const region = Region.allocate(${BYTES});
  if (socket >= 0) ring.recv(1, socket, region);
  ring.submit();
  parentPort.postMessage(region.address);
  setInterval(() => parentPort.postMessage(ring.fd + region.byteLength), 60_000);
`;

/** Makes a ring, and waits to be terminated. */
const homeProgram = `
  import { parentPort } from 'node:worker_threads';
  const { SharedRing } = await import('${import.meta.resolve('annulus/uring')}');
  const ring = new SharedRing({ threads: 3, entries: 8 });
  parentPort.postMessage(ring.handle);
  setInterval(() => ring.fd, 60_000);
`;

/** Starts a thread of the ring, and terminates it; where its memory was. */
async function runThread(ring: SharedRing, socket: number): Promise<number> {
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const worker = new Worker(url, { workerData: { handle: ring.handle, socket } });
  const [address] = (await once(worker, 'message')) as [number];
  assert.ok(isMapped(address));
  await worker.terminate();
  return address;
}

function isMapped(address: number): boolean {
  return mappings().some(({ start, end }) => start <= address && address + BYTES <= end);
}

/** Lets the event loop turn, so that it sees whose sockets were closed. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await setImmediate();
}

/** Lets the event loop turn until the ring has a place: a test that waits in vain is ended. */
async function attach(ring: SharedRing): Promise<SharedRing> {
  for (;;) {
    ring.drain(() => {});
    try {
      return SharedRing.attach(ring.handle);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ERR_ANNULUS_LIMIT');
      await setImmediate();
    }
  }
}

describe('a thread of a shared ring that is terminated', { skip: withoutUring }, () => {
  it('leaves nothing behind if it had nothing in flight', async () => {
    using warm = new SharedRing({ threads: 2, entries: 4 });
    await runThread(warm, -1);
    (await attach(warm)).close();
    const before = census();
    const ring = new SharedRing({ threads: 2, entries: 4 });
    for (let round = 0; round < 4; round++) {
      assert.ok(!isMapped(await runThread(ring, -1)));
      (await attach(ring)).close();
    }
    ring.close();
    assert.deepEqual(census(), before);
  });

  it('keeps its memory mapped if the kernel may write to it, and gives its place up', async () => {
    const ring = new SharedRing({ threads: 2, entries: 4 });
    for (let round = 0; round < 4; round++) {
      const [near, far] = blockingSockets();
      const address = await runThread(ring, near);
      assert.ok(isMapped(address));
      // It is cancelled, though nothing of what it waits for has come; then the place is free.
      const other = await attach(ring);
      other.nop(1);
      assert.equal(other.submitAndWait(1), 1);
      assert.equal(
        other.drain((token, result) => assert.deepEqual([token, result], [1, 0])),
        1,
      );
      other.close();
      closeAll([near, far]);
    }
    ring.close();
  });
});

describe('a thread of a shared ring that leaves', { skip: withoutUring }, () => {
  it('hands on nothing of what it has only looked at', async () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const other = SharedRing.attach(ring.handle);
    await turns(); // the home watches the other thread from here on
    let asked = 0;
    const ask = (): void => {
      while (ring.space > 0) ring.nop(asked++);
      ring.submit();
    };
    const nothing = (): void => assert.fail('it has not asked for that');
    while (!other.blocked) {
      // Its last claim is of completions of its own, none of which it has to hand on.
      other.nop(0);
      other.submitAndWait(1);
      other.drain((token, result) => assert.deepEqual([token, result], [0, 0]));
      // The home takes nothing. When its inbox is full, the other one looks at one more, and stops.
      ask();
      other.drain(nothing);
    }
    assert.ok(other.stats.forwarded < asked);
    other.close();
    await turns();
    const told: number[] = [];
    ring.drain((token) => told.push(token));
    assert.deepEqual(
      told,
      Array.from({ length: asked }, (_, token) => token),
    );
    assert.equal(ring.inFlight, 0);
  });
});

describe('an index of a shared ring', { skip: withoutUring }, () => {
  it('does not keep others from theirs with completions of who had it', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const other = SharedRing.attach(ring.handle);
    const file = openSync('/dev/null', 'r');
    const tags = Array.from({ length: 300 }, (_, tag) => tag);
    other.register.files(
      tags.map(() => file),
      { tags },
    );
    other.close();
    // The kernel lets go of more files than an inbox has room for.
    ring.register.unregisterFiles();
    ring.nop(1);
    ring.submitAndWait(1);
    assert.equal(
      ring.drain((token) => assert.equal(token, 1)),
      1,
    );
    closeSync(file);
  });

  it('is not told of registrations of who had it before', async () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const first = SharedRing.attach(ring.handle);
    first.register.buffers([Region.allocate(4096)], { tags: [77] });
    first.close();
    using second = SharedRing.attach(ring.handle);
    const region = Region.allocate(4096);
    ring.register.unregisterBuffers();
    second.register.buffers([region], { tags: [78] });
    await turns();
    ring.drain(() => assert.fail('it has no tags'));
    second.drain(() => assert.fail('the kernel has not let go of its own'));
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    second.register.unregisterBuffers();
    second.nop(1);
    const told: number[] = [];
    while (told.length < 2) {
      second.submitAndWait(1);
      second.drain((token) => told.push(token));
    }
    assert.deepEqual(new Set(told), new Set([1, 78]));
    region.close();
  });

  it('is nobody’s while the thread that had it goes on and the kernel has a request of it', async () => {
    using ring = new SharedRing({ threads: 2, entries: 1 });
    const [near, far] = blockingSockets();
    const other = SharedRing.attach(ring.handle);
    await turns();
    other.recv(1, near, Region.allocate(4096));
    other.submit();
    other.nop(2);
    other.submitAndWait(1); // in the entry of the receive, which close() then cannot cancel
    other.close();
    assert.equal(other.stats.inFlight, 1);
    closeAll([far]);
    ring.timeout(3, 20);
    ring.submitAndWait(1);
    ring.drain(() => {});
    await turns();
    assert.throws(() => SharedRing.attach(ring.handle), { code: 'ERR_ANNULUS_LIMIT' });
    closeAll([near]);
  });
});

describe('a handle of a shared ring', { skip: withoutUring }, () => {
  it('is good as long as the home is there, whoever gave it', () => {
    using ring = new SharedRing({ threads: 3, entries: 8 });
    const first = SharedRing.attach(ring.handle);
    const { handle } = first;
    first.close();
    const files = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
    using second = SharedRing.attach(handle);
    second.nop(5);
    assert.equal(second.submitAndWait(1), 1);
    assert.equal(
      second.drain((token) => assert.equal(token, 5)),
      1,
    );
    for (const file of files) closeSync(file);
  });

  it('is refused when the home was terminated, and touches no descriptor of others', async () => {
    const url = new URL(`data:text/javascript,${encodeURIComponent(homeProgram)}`);
    const worker = new Worker(url);
    const [handle] = (await once(worker, 'message')) as [SharedRingHandle];
    const part = SharedRing.attach(handle);
    await worker.terminate();
    while (!part.ended) await setImmediate();
    await turns();
    const before = census();
    for (let time = 0; time < 3; time++) {
      assert.throws(() => SharedRing.attach(handle), { code: 'ERR_ANNULUS_CLOSED' });
    }
    assert.deepEqual(census(), before);
    part.close();
  });
});

describe('closing a part of a shared ring', { skip: withoutUring }, () => {
  /** Has a ring bring descriptors of which nobody is told; all are closed with it. */
  async function closeUntold(
    expected: number,
    prepare: (ring: SharedRing) => number,
  ): Promise<void> {
    new SharedRing({ threads: 2, entries: 8 }).close();
    await turns();
    const without = openFiles();
    const ring = new SharedRing({ threads: 2, entries: 8 });
    const before = openFiles().length;
    ring.submitAndWait(prepare(ring));
    assert.equal(openFiles().length, before + expected);
    ring.close();
    await turns();
    assert.deepEqual(openFiles(), without);
  }

  it('closes descriptors that nobody was told of', async () => {
    await closeUntold(4, (ring) => {
      for (let token = 0; token < 4; token++) ring.openat(token, '/dev/null', constants.O_RDONLY);
      return 4;
    });
  });

  it('closes both ends of a pipe that nobody was told of', needs('PIPE'), async () => {
    await closeUntold(2, (ring) => {
      ring.pipe(1, Region.allocate(4096));
      return 1;
    });
  });
});

describe('cancelling what a part has left', { skip: withoutUring }, () => {
  it('cancels nobody else’s requests', () => {
    using ring = new SharedRing({ threads: 2, entries: 8 });
    const [near, far] = blockingSockets();
    ring.pollAdd(5, near, 1);
    ring.submit();
    const other = SharedRing.attach(ring.handle);
    for (let token = 100; other.space > 0; token++) other.nop(token);
    other.submitAndWait(8);
    other.drain(() => {});
    other.timeout(77, 600_000);
    other.submit();
    // Never handed over; it has the token of the home's request.
    other.nop(5);
    other.close();
    assert.equal(other.stats.inFlight, 0);
    ring.drain((token, result) => assert.fail(`${token} was told ${result}`));
    assert.equal(ring.inFlight, 1);
    closeAll([near, far]);
  });
});
