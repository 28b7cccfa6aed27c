/**
 * One thread that reads by promises on a shared ring, or echoes what a socket sends.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { alloc } from 'annulus';
import { Proactor } from 'annulus/proactor';
import { SharedRing } from 'annulus/uring';
import type { FixedBufferHandle, SharedRingHandle } from 'annulus/uring';

/** What a thread is started with. */
export interface ReadWork {
  readonly handle: SharedRingHandle;
  /** A file whose every page is full of its own number. */
  readonly fd: number;
  readonly pages: number;
  readonly reads: number;
  /** Memory that the thread which made the ring has registered. */
  readonly buffer?: FixedBufferHandle;
  /** Instead of reading: a socket to echo. */
  readonly socket?: number;
}

const LANES = 8;
const PAGE = 4096;

const { handle, fd, pages, reads, buffer, socket } = workerData as ReadWork;
const ring = SharedRing.attach(handle);
const io = Proactor.shared(ring);

function check(memory: Uint8Array, length: number, page: number): void {
  const words = new Uint32Array(memory.buffer, memory.byteOffset, PAGE / 4);
  if (length !== PAGE || words.some((word) => word !== page)) {
    throw new Error(`page ${page}: ${length} bytes, ${words[0]} ... ${words.at(-1)}`);
  }
}

let started = 0;

async function lane(): Promise<void> {
  const memory = alloc(PAGE);
  while (started < reads) {
    const page = started++ % pages;
    check(memory, await io.read(fd, memory, { position: page * PAGE }), page);
  }
}

async function fixedLane(): Promise<void> {
  if (buffer === undefined) return;
  const mine = ring.buffer(buffer);
  const { byteOffset } = mine;
  const memory = mine.region.bytes.subarray(byteOffset, byteOffset + PAGE);
  for (let page = 0; page < pages; page++) {
    check(memory, await io.readFixed(fd, mine, { position: page * PAGE }), page);
  }
}

async function echo(to: number): Promise<void> {
  const memory = alloc(4);
  while ((await io.recv(to, memory)) > 0) await io.send(to, memory);
}

if (socket === undefined) await Promise.all([...Array.from({ length: LANES }, lane), fixedLane()]);
else await echo(socket);
const { forwarded } = ring.stats;
await io.close();
parentPort!.postMessage(forwarded, []);
