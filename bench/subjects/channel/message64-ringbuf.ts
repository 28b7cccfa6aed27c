/** One-way 64-byte messages from a worker thread through ringbuf.js, which copies in and out. */

// The rule is about windows of a browser; threads have no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */

import { parentPort, Worker } from 'node:worker_threads';
import { RingBuffer } from 'ringbuf.js';
import { argumentsFor, pinThisThread, role } from '../support/child.ts';
import {
  MESSAGE_BYTES,
  MESSAGE_NUMBERS,
  messageMatches,
  writeMessage,
} from '../support/payload.ts';
import { StreamMeter } from '../support/stream-meter.ts';

/** As large as the channel of annulus, and copied in and out as much at a time. */
const CAPACITY = 1 << 18;
const BATCH_NUMBERS = 1 << 11;

function ringOver(memory: SharedArrayBuffer): RingBuffer {
  return new RingBuffer(memory, Float64Array);
}

function receive(): void {
  const memory = RingBuffer.getStorageForCapacity(CAPACITY / 8, Float64Array);
  const worker = new Worker(new URL(import.meta.url), { argv: argumentsFor('sender') });
  const meter = new StreamMeter(MESSAGE_BYTES, 4_096, () => void worker.terminate());
  worker.on('error', (error) => {
    throw error;
  });
  worker.postMessage(memory);
  // The worker needs nothing of this thread from here on, which polls; ringbuf.js has no waiting.
  worker.once('message', () => {
    const ring = ringOver(memory);
    const numbers = new Float64Array(BATCH_NUMBERS);
    let sequence = 0;
    for (let goesOn = true; goesOn;) {
      const count = ring.availableRead();
      if (count < MESSAGE_NUMBERS) continue;
      const taken = ring.pop(numbers, Math.min(BATCH_NUMBERS, count - (count % MESSAGE_NUMBERS)));
      for (let at = 0; at < taken; at += MESSAGE_NUMBERS) {
        if (!messageMatches(numbers, at, sequence)) throw new Error(`message ${sequence} is wrong`);
        sequence++;
      }
      goesOn = meter.tick(taken / MESSAGE_NUMBERS);
    }
  });
}

function send(memory: SharedArrayBuffer): void {
  const ring = ringOver(memory);
  const numbers = new Float64Array(BATCH_NUMBERS);
  parentPort?.postMessage('ready');
  let sequence = 0;
  for (;;) {
    const free = Math.min(BATCH_NUMBERS, ring.availableWrite());
    const end = free - (free % MESSAGE_NUMBERS);
    for (let at = 0; at < end; at += MESSAGE_NUMBERS) {
      writeMessage(numbers, at, sequence);
      sequence++;
    }
    if (end > 0) ring.push(numbers, end);
  }
}

if (role === 'parent') {
  receive();
} else {
  pinThisThread();
  parentPort?.once('message', send);
}
