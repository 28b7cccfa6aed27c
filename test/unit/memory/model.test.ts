/**
 * Random operations on a ring and on a plain queue have the same results, resizes and closes included.
 */

import { describe, it } from 'node:test';
import * as fc from 'fast-check';

import { printedSeed } from '../../support/random.js';
import { ModelledRing, operations } from './support/model.js';

const seed = printedSeed();

describe('A ring and its model agree', () => {
  for (const [backing, runs] of [
    ['memfd', 160],
    ['posix', 40],
  ] as const) {
    it(`over ${runs * 250} operations on ${backing}`, () => {
      const property = fc.property(operations(250), (list) => {
        const both = new ModelledRing(backing);
        try {
          for (const operation of list) both.do(operation);
          both.finish();
        } finally {
          both.ring.close(); // the mappings of a failed run would be counted in the next
        }
      });
      fc.assert(property, { seed, numRuns: runs });
    });
  }
});
