/**
 * Makes a million requests with several drain callbacks, reads or with `mixed` of many kinds, on a ring
 * of its own or with `shared` one that could have several threads; prints the bytes of heap used.
 */

import { openSync, writeSync } from 'node:fs';

import { alloc } from 'annulus/memory';
import { EPOLL, Ring, SharedRing } from 'annulus/uring';

import { blockingSockets } from '../../support/pipes.ts';

const REQUESTS = 1_000_000;
const WARM_UP = 300_000;
const DEPTH = 32;
const MIXED = 10;

const [, , kind = '', sharing] = process.argv;
const ring =
  sharing === 'shared' ? new SharedRing({ entries: DEPTH }) : new Ring({ entries: DEPTH });
const memory = alloc(DEPTH * 512);
const file = openSync(process.execPath, 'r');
const range = { offset: 0, length: 512, position: 0 };
const sums = new Int32Array(4);

const callbacks = [
  (token: number, result: number, flags: number): void => {
    sums[0] = (sums[0]! + token + result + flags) | 0;
  },
  (token: number, result: number): void => {
    sums[1] = (sums[1]! ^ (token + result)) | 0;
  },
  (token: number): void => {
    sums[2] = (sums[2]! + token) | 0;
  },
  (): void => {
    sums[3] = (sums[3]! + 1) | 0;
  },
];

function readMany(requests: number): void {
  for (let done = 0; done < requests; done += DEPTH) {
    for (let i = 0; i < DEPTH; i++) {
      range.offset = i * 512;
      range.position = ((done + i) & 1023) * 512;
      ring.read((done + i) & 0x7fffffff, file, memory, range);
    }
    ring.submitAndWait(DEPTH);
    ring.drain(callbacks[(done / DEPTH) & 3]!);
  }
}

const socket = { length: 16 };
const [near, far] = blockingSockets();

/** Batches of requests of many kinds, with and without kernel structures. */
function mixMany(requests: number): void {
  for (let done = 0; done < requests; done += MIXED) {
    ring.nop(1);
    ring.fsync(2, near);
    const timeoutKey = ring.timeout(3, 60_000);
    ring.timeoutRemove(4, 3, timeoutKey);
    ring.read(5, file, memory, range);
    ring.write(6, far, memory, socket);
    ring.recv(7, near, memory, socket);
    const pollKey = ring.pollAdd(8, near, EPOLL.PRI);
    ring.cancel(9, 8, pollKey);
    ring.accept(10, near);
    ring.submitAndWait(MIXED);
    ring.drain(callbacks[(done / MIXED) & 3]!);
  }
}

declare const gc: () => void;

const many = kind === 'mixed' ? mixMany : readMany;
many(WARM_UP);
gc();
process.memoryUsage().heapUsed.toFixed();
writeSync(1, 'begin\n');
const before = process.memoryUsage().heapUsed;
many(REQUESTS);
const after = process.memoryUsage().heapUsed;
writeSync(1, 'end\n');
writeSync(1, `${after - before} bytes for ${ring.stats.completed - WARM_UP} requests\n`);
