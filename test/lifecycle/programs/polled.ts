/**
 * A worker whose ring has a poller that is at work on memory of the thread that started it when it is
 * terminated.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { Region } from 'annulus/memory';

import { leaveBusy, polledRing } from '../../support/polled.ts';
import type { Polled } from '../../support/polled.ts';

const { file, mappings } = workerData as Polled;
const [first, second] = mappings.map((mapping) => Region.attach(mapping));
const ring = polledRing();
leaveBusy(ring, file, first!, second!);
parentPort!.postMessage('busy', []);
// Keeps the worker alive, whatever the requests do.
setInterval(() => ring.closed, 1000);
