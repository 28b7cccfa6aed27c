/**
 * Random operations on a pool and on a plain model of it lead to the same state after each. The long
 * form is `node build/test/long/pool-operations.js`.
 */

import { describe, it } from 'node:test';

import * as fc from 'fast-check';
import { printedSeed } from '../../support/random.js';
import { KINDS, ModelledPool } from './support/model.js';

const seed = printedSeed();

const operation = fc.tuple(fc.nat(KINDS - 1), fc.nat(1000), fc.nat(1000));

describe('a pool and its model', () => {
  it('agree after every operation', async () => {
    const operations = fc.array(operation, { minLength: 1, maxLength: 300, size: 'max' });
    const property = fc.asyncProperty(operations, async (list) => {
      const pool = new ModelledPool();
      for (const each of list) await pool.do(each);
      await pool.finish();
    });
    await fc.assert(property, { seed, numRuns: 60 });
  });
});
