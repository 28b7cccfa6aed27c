/**
 * A million random operations on a pool and its model: `node build/test/long/pool-operations.js
 * [operations]`.
 */

import * as fc from 'fast-check';
import { KINDS, ModelledPool } from '../unit/pool/support/model.js';

const seed = Number(process.env['ANNULUS_SEED'] ?? Date.now() % 2 ** 31);
const operations = Number(process.argv[2] ?? 1_000_000);
const perRun = 1000;
process.stdout.write(`seed: run again with ANNULUS_SEED=${seed}\n`);

const operation = fc.tuple(fc.nat(KINDS - 1), fc.nat(1000), fc.nat(1000));
const lists = fc.array(operation, { minLength: perRun, maxLength: perRun, size: 'max' });
let done = 0;
const property = fc.asyncProperty(lists, async (list) => {
  const pool = new ModelledPool();
  for (const each of list) await pool.do(each);
  await pool.finish();
  done += list.length;
});
await fc.assert(property, { seed, numRuns: Math.ceil(operations / perRun) });
process.stdout.write(`${done} operations\n`);
