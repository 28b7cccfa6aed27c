/**
 * Where V8 ends a thread, which shared rings are built on (src/uring/shared/layout.ts): not between an
 * atomic operation, or a call of the shim, and the plain stores that follow it.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { printedSeed, randomFrom } from '../support/random.js';
import { DONE, NOTED } from './support/termination.js';

const ROUNDS = 60;
const seed = printedSeed();

async function terminated(pause: number): Promise<Int32Array> {
  const words = new Int32Array(new SharedArrayBuffer(256));
  const url = new URL('support/termination-thread.js', import.meta.url);
  const worker = new Worker(url, { workerData: { words } });
  await once(worker, 'online');
  while (Atomics.load(words, DONE.ADD) === 0) await setTimeout(1);
  await setTimeout(pause);
  await worker.terminate();
  return words;
}

it('a terminated thread has made the plain stores behind its last atomic operation', async (test) => {
  const random = randomFrom(seed);
  let within = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const words = await terminated(random(20));
    assert.equal(words[NOTED.ADD], words[DONE.ADD]);
    assert.equal(words[NOTED.ADD_MORE], words[DONE.ADD]);
    assert.equal(words[NOTED.EXCHANGE], words[DONE.EXCHANGE]);
    assert.equal(words[NOTED.STORE], words[DONE.STORE]);
    assert.equal(words[NOTED.TAKEN], words[DONE.TAKEN]);
    assert.equal(words[NOTED.ADOPTED], words[DONE.TAKEN]);
    if (words[NOTED.ADOPTED] !== words[NOTED.ADD]) within++;
  }
  test.diagnostic(`${within} of ${ROUNDS} were ended within a round`);
});
