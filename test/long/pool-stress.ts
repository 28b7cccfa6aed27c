/**
 * Ten million allocations of four threads on a budget that is nearly always spent:
 * `node build/test/long/pool-stress.js [allocations]`.
 */

import { stressPool } from '../concurrency/support/pool-stress.js';

const seed = Number(process.env['ANNULUS_SEED'] ?? Date.now() % 2 ** 31);
const allocations = Number(process.argv[2] ?? 10_000_000);
const threads = 4;
process.stdout.write(`seed: run again with ANNULUS_SEED=${seed}\n`);
const start = performance.now();
await stressPool(threads, Math.ceil(allocations / threads), seed);
const seconds = (performance.now() - start) / 1000;
process.stdout.write(`${allocations} allocations in ${seconds.toFixed(1)} s\n`);
