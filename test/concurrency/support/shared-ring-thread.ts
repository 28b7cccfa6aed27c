/**
 * One thread of the stress of a shared ring.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { SharedRing } from 'annulus/uring';
import { work } from './shared-ring.js';
import type { SharedWork } from './shared-ring.js';

const { handle, seed, requests, joins = 1, stop } = workerData as SharedWork;
for (let joined = 1; joined < joins; joined++) {
  using ring = SharedRing.attach(handle);
  work(ring, seed + joined, requests);
}
const ring = SharedRing.attach(handle);
const nothing = (token: number): void => {
  throw new Error(`token ${token} is not of this thread`);
};
while (stop !== undefined && Atomics.load(stop, 0) === 0) ring.drain(nothing);
const report = work(ring, seed, requests);
ring.close();
parentPort!.postMessage(report, []);
