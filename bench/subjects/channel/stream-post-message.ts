/** One-way payloads from a worker thread with `postMessage`. */

// The rule is about windows of a browser; threads have no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */

import { parentPort, Worker } from 'node:worker_threads';
import { argumentsFor, pinThisThread, role } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { payloadNamed } from '../support/payload.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const payload = payloadNamed(textOption('payload'));

/**
 * `postMessage` has no back pressure: without a limit the queue, not the transfer, is measured.
 * The receiver counts what it took in shared memory, which costs it next to nothing.
 */
const IN_FLIGHT = Math.max(4, (1 << 18) / payload.bytes);

function receive(): void {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), { argv: argumentsFor('sender') });
  const meter = new StreamMeter(payload.bytes, 64, () => void worker.terminate());
  worker.on('error', (error) => {
    throw error;
  });
  worker.postMessage(taken);
  let sequence = 0;
  worker.on('message', (message: Float64Array) => {
    payload.consume(message, 0, sequence++);
    if (!meter.tick(1)) return;
    Atomics.store(taken, 0, sequence);
    if ((sequence & ((IN_FLIGHT >> 2) - 1)) === 0) Atomics.notify(taken, 0);
  });
}

function send(taken: Int32Array): void {
  let sequence = 0;
  for (;;) {
    const seen = Atomics.load(taken, 0);
    if (sequence - seen < IN_FLIGHT) parentPort?.postMessage(payload.produce(sequence++));
    else Atomics.wait(taken, 0, seen, 100);
  }
}

if (role === 'parent') {
  receive();
} else {
  pinThisThread();
  parentPort?.once('message', send);
}
