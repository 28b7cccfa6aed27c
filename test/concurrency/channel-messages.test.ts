/**
 * Ten million messages of random size from one process to another: each arrives once, in order and
 * whole. `test/long/channel-messages.ts` does the same with a thousand million.
 */

import { describe, it } from 'node:test';

import { printedSeed } from '../support/random.js';
import { runFramed } from './support/framed.js';

describe('a channel of messages', () => {
  it('carries ten million', () => runFramed(printedSeed(), 10_000_000));
});
