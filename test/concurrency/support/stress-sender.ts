/**
 * The sending side of the stress test, as a thread or as a process.
 */

import { isMainThread, workerData } from 'node:worker_threads';

import { Sender } from 'annulus/channel';
import type { ChannelHandle } from 'annulus/channel';
import { sendMessages } from './messages.js';
import type { Manner } from './messages.js';

if (isMainThread) {
  const [manner, seed, count] = process.argv.slice(2);
  await sendMessages(Sender.fromStdio(), manner as Manner, Number(seed), Number(count));
} else {
  const { handle, manner, seed, count } = workerData as {
    handle: ChannelHandle;
    manner: Manner;
    seed: number;
    count: number;
  };
  await sendMessages(Sender.attach(handle), manner, seed, count);
}
