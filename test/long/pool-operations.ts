/**
 * A million random operations on a pool and its model: `node build/test/long/pool-operations.js
 * [operations]`.
 */

import * as fc from 'fast-check';
import { printedSeed } from '../support/random.js';
import { KINDS, ModelledPool } from '../unit/pool/support/model.js';

const seed = printedSeed();
const operations = Number(process.argv[2] ?? 1_000_000);
const perRun = 1000;

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
