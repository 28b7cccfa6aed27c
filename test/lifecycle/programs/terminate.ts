/**
 * Terminates workers that have requests in flight, and counts what stays behind.
 *
 * Argument: how many workers.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

import { steadyExit } from '#src/cli/steady-exit.js';
import { blockingPipe, blockingSockets, quietListener } from '../../support/pipes.ts';
import { addressSpace, census } from '../../support/census.ts';
import { IN_FLIGHT_BYTES } from '../../support/in-flight.ts';
import type { Quiet } from '../../support/in-flight.ts';

steadyExit();

const count = Number(process.argv[2]);
const WARM_UP = 8;
const AT_ONCE = 4;
const WAYS = ['ring', 'proactor', 'skipping', 'registered'];

const quiet: Quiet = {
  file: openSync(process.execPath, 'r'),
  socket: blockingSockets()[0],
  pipe: blockingPipe(),
  listener: await quietListener(),
};

async function terminateOne(index: number): Promise<void> {
  const worker = new Worker(new URL('terminated.js', import.meta.url), {
    workerData: { quiet, way: WAYS[index % WAYS.length], later: index % 8 < 4 },
  });
  await once(worker, 'message');
  await worker.terminate();
}

/** Terminates some workers, a few at a time. */
async function terminateMany(workers: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < workers) await terminateOne(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

await terminateMany(WARM_UP);
const before = census();
const spaceBefore = addressSpace();
await terminateMany(count);
assert.deepEqual(census(), before);
const leaked = addressSpace() - spaceBefore;
assert.ok(leaked < (count * IN_FLIGHT_BYTES) / 4, `${leaked} bytes of address space are gone`);
process.stdout.write(`${count}\n`);
process.exit(0);
