/**
 * A thread that does what a shared ring relies on, over and over: atomic operations and calls of the shim,
 * each followed by a plain store that says it was done.
 */

import { workerData } from 'node:worker_threads';

import { native } from '#src/sys/native.js';
import { DONE, NOTED } from './termination.js';
import type { TerminationWords } from './termination.js';

const { words } = workerData as TerminationWords;
const shim = native();
const layout = new Int32Array(16);

/** Work before each round: where the thread is ended in most cases. */
function rest(): number {
  let sum = 0;
  for (let i = 0; i < 30; i++) sum += layout[i & 15]!;
  return sum;
}

function round(number: number): void {
  const before = Atomics.add(words, DONE.ADD, 1);
  words[NOTED.ADD] = before + 1;
  words[NOTED.ADD_MORE] = before + 1;
  const seen = Atomics.compareExchange(words, DONE.EXCHANGE, number - 1, number);
  if (seen === number - 1) words[NOTED.EXCHANGE] = number;
  Atomics.store(words, DONE.STORE, number);
  words[NOTED.STORE] = number;
  // As seats.ts: an exchange, a plain store, a call of the shim, and a plain store.
  Atomics.compareExchange(words, DONE.TAKEN, number - 1, number);
  words[NOTED.TAKEN] = number;
  shim.adoptRing(-1, -1, -1, layout);
  words[NOTED.ADOPTED] = number;
}

for (let number = 1; ; number = (number + 1) | 0) {
  rest();
  round(number);
}
