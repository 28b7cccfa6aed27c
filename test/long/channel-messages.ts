/**
 * A thousand million messages of random size through two processes, sequence and checksum of each
 * checked: `node build/test/long/channel-messages.js [messages]`.
 */

import { runFramed } from '../concurrency/support/framed.js';
import { printedSeed } from '../support/random.js';

/** Sequence numbers have 32 bits, and a run is told how far it has come. */
const RUN_MESSAGES = 50_000_000;

const seed = printedSeed();
const messages = Number(process.argv[2] ?? 1_000_000_000);
const start = performance.now();
for (let sent = 0; sent < messages; sent += RUN_MESSAGES) {
  await runFramed(seed + sent, Math.min(RUN_MESSAGES, messages - sent));
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  process.stdout.write(`${Math.min(sent + RUN_MESSAGES, messages)} messages in ${seconds} s\n`);
}
