/** Round trips to a worker thread with `postMessage`. */

// The rule is about windows of a browser; threads have no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */

import { parentPort, Worker } from 'node:worker_threads';
import { argumentsFor, pinThisThread, role } from '../support/child.ts';
import { checkPing, PING_WORDS, writePing } from '../support/ping.ts';
import { RoundTrips } from '../support/round-trips.ts';

const ping = new Int32Array(PING_WORDS);

function play(): void {
  const worker = new Worker(new URL(import.meta.url), { argv: argumentsFor('echo') });
  const trips = new RoundTrips(16);
  let sequence = 0;
  function next(): void {
    writePing(ping, 0, ++sequence);
    worker.postMessage(ping);
  }
  worker.on('error', (error) => {
    throw error;
  });
  worker.on('message', (message: Int32Array) => {
    checkPing(message, 0, sequence);
    if (trips.tick()) {
      next();
    } else {
      trips.report();
      void worker.terminate();
    }
  });
  next();
}

function echo(): void {
  pinThisThread();
  let expected = 0;
  parentPort?.on('message', (message: Int32Array) => {
    checkPing(message, 0, ++expected);
    writePing(ping, 0, expected);
    parentPort?.postMessage(ping);
  });
}

if (role === 'parent') play();
else echo();
