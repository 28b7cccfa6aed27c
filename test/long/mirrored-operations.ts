/**
 * A million random operations on a mirrored ring and its model:
 * `node build/test/long/mirrored-operations.js [operations]`.
 */

import * as fc from 'fast-check';
import { printedSeed } from '../support/random.js';
import { ModelledRing, operations } from '../unit/memory/support/model.js';

const seed = printedSeed();
const count = Number(process.argv[2] ?? 1_000_000);
const perRun = 1000;
const backings = ['memfd', 'posix'] as const;

let done = 0;
const property = fc.property(fc.constantFrom(...backings), operations(perRun), (backing, list) => {
  const both = new ModelledRing(backing);
  try {
    for (const operation of list) both.do(operation);
    both.finish();
  } finally {
    both.ring.close(); // the mappings of a failed run would be counted in the next
  }
  done += list.length;
});
fc.assert(property, { seed, numRuns: Math.ceil(count / perRun) });
process.stdout.write(`${done} operations\n`);
