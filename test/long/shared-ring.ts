/**
 * Twenty million requests of four threads through one ring, each token told once:
 * `node build/test/long/shared-ring.js [requests]`.
 */

import { stressShared } from '../concurrency/support/shared-ring.js';
import { printedSeed } from '../support/random.js';

const requests = Number(process.argv[2] ?? 20_000_000);
const threads = 4;
const seed = printedSeed();
const start = performance.now();
const { completed, forwarded } = await stressShared(threads, Math.ceil(requests / threads), seed);
const seconds = (performance.now() - start) / 1000;
process.stdout.write(
  `${completed} requests in ${seconds.toFixed(1)} s; ${forwarded} were reaped by another thread\n`,
);
