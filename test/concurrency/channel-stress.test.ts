/**
 * Millions of checksummed messages of random sizes through a channel, between threads and processes:
 * each arrives once, in order and whole.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { Channel } from 'annulus/channel';
import { printedSeed } from '../support/random.js';
import { receiveMessages } from './support/messages.js';
import type { Manner } from './support/messages.js';

const seed = printedSeed();

const senderFile = fileURLToPath(new URL('support/stress-sender.js', import.meta.url));

/** A capacity that is no power of two, small enough to be full and empty all the time. */
const capacity = 12_288;

const manners: readonly Manner[] = ['async', 'blocking'];

describe('a channel under stress', () => {
  for (const manner of manners) {
    const count = manner === 'async' ? 800_000 : 1_000_000;

    it(`between threads, by ${manner} waits`, async () => {
      using channel = Channel.create({ capacity });
      const { senderHandle: handle } = channel;
      const worker = new Worker(senderFile, { workerData: { handle, manner, seed, count } });
      const exit = once(worker, 'exit');
      using receiver = channel.receiver;
      assert.equal(await receiveMessages(receiver, manner, seed), count);
      assert.deepEqual(await exit, [0]);
    });

    it(`between processes, by ${manner} waits`, async () => {
      using channel = Channel.create({ capacity });
      const child = spawn(process.execPath, [senderFile, manner, String(seed), String(count)], {
        stdio: channel.stdio('sender', ['ignore', 'inherit', 'inherit']),
      });
      const exit = once(child, 'exit');
      channel.release('sender');
      using receiver = channel.receiver;
      assert.equal(await receiveMessages(receiver, manner, seed), count);
      assert.deepEqual(await exit, [0, null]);
    });
  }
});
