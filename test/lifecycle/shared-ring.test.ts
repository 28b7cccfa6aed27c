/**
 * Threads of a shared ring that end without closing it: their memory stays as long as the kernel may
 * write to it, and their place is another thread's once it does not.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { SharedRing } from 'annulus/uring';
import { census, mappings } from '../support/census.js';
import { blockingSockets, closeAll } from '../support/pipes.js';
import { withoutUring } from '../support/skip.js';

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
      // Its end, or that of what it waits for, completes the request; then the place is free.
      closeAll([far]);
      const other = await attach(ring);
      other.nop(1);
      assert.equal(other.submitAndWait(1), 1);
      assert.equal(
        other.drain((token, result) => assert.deepEqual([token, result], [1, 0])),
        1,
      );
      other.close();
      closeAll([near]);
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
