/**
 * Ten million allocations of four threads on a budget that is nearly always spent:
 * `node build/test/long/pool-stress.js [allocations]`.
 */

import { stressPool } from '../concurrency/support/pool-stress.js';
import { printedSeed } from '../support/random.js';

const seed = printedSeed();
const allocations = Number(process.argv[2] ?? 10_000_000);
const threads = 4;
const start = performance.now();
await stressPool(threads, Math.ceil(allocations / threads), seed);
const seconds = (performance.now() - start) / 1000;
process.stdout.write(`${allocations} allocations in ${seconds.toFixed(1)} s\n`);
