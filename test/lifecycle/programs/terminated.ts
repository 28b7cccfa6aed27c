/**
 * A worker that leaves requests in flight and waits to be terminated.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { leaveOnProactor, leaveOnRegistered } from '../../support/in-flight.ts';
import { leaveOnRing, leaveSkipping } from '../../support/in-flight.ts';
import type { Quiet } from '../../support/in-flight.ts';

/** What a worker leaves requests on. */
const WAYS = {
  ring: leaveOnRing,
  proactor: leaveOnProactor,
  skipping: leaveSkipping,
  registered: leaveOnRegistered,
} as const;

interface Work {
  readonly quiet: Quiet;
  readonly way: keyof typeof WAYS;
  readonly later: boolean;
}

const { quiet, way, later } = workerData as Work;
const kept = WAYS[way](quiet);
// The proactor submits at the end of the turn: it is terminated before that, and after.
if (later) setImmediate(() => parentPort!.postMessage(kept.closed, []));
else parentPort!.postMessage(kept.closed, []);
// Keeps the worker alive, whatever the requests do.
setInterval(() => {}, 1000);
