/**
 * A worker that leaves requests in flight and waits to be terminated.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { leaveOnProactor, leaveOnRing } from '../../support/in-flight.ts';
import type { Quiet } from '../../support/in-flight.ts';

const { quiet, way, later } = workerData as { quiet: Quiet; way: string; later: boolean };
const kept = way === 'ring' ? leaveOnRing(quiet) : leaveOnProactor(quiet);
// The proactor submits at the end of the turn: it is terminated before that, and after.
if (later) setImmediate(() => parentPort!.postMessage(kept.closed, []));
else parentPort!.postMessage(kept.closed, []);
// Keeps the worker alive, whatever the requests do.
setInterval(() => {}, 1000);
