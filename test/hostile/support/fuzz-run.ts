/** Runs of random requests on rings of several modes. */

import assert from 'node:assert/strict';

import { OPCODES, SETUP } from 'annulus/uring';
import type { RingOptions } from 'annulus/uring';

import { census } from '../../support/census.ts';
import { DEFERRED } from '../../support/uring.ts';
import { Fuzz } from './fuzz.ts';
import type { FuzzCounts } from './fuzz.ts';
import { UNDRAINED } from './requests.ts';

/** A mode, and how much of a test is for it. */
export interface Manner {
  readonly share: number;
  readonly options: RingOptions;
  /** Whether requests may have `IO_DRAIN`; then none is sent without a copy. */
  readonly drains?: boolean;
}

export const MANNERS: Readonly<Record<string, Manner>> = {
  plain: { share: 0.45, options: {} },
  drained: { share: 0.2, options: {}, drains: true },
  deferred: { share: 0.2, options: { flags: DEFERRED } },
  polled: { share: 0.05, options: { flags: SETUP.SQPOLL | SETUP.SUBMIT_ALL, sqThreadIdle: 5 } },
  wide: { share: 0.1, options: { flags: SETUP.SQE128 | SETUP.CQE32 | SETUP.SUBMIT_ALL } },
};

/** Prepares so many random requests on a ring of one manner. */
export function fuzz(name: string, seed: number, requests: number): FuzzCounts {
  const { options, drains = false } = MANNERS[name]!;
  const before = census();
  const run = new Fuzz(seed, options, drains);
  try {
    while (run.counts.prepared < requests) run.round();
    const found = run.ring.probe();
    const known = OPCODES.filter((opcode) => found.has(opcode.name));
    const methods = known.flatMap((opcode) => opcode.methods);
    const unused = methods.filter(
      (method) => !run.used.has(method) && !(drains && UNDRAINED.has(method)),
    );
    assert.deepEqual(unused, []);
    assert.ok(run.counts.refused > 0);
    assert.ok(run.counts.failed > 0 && run.counts.failed < requests);
  } catch (error) {
    run.abandon();
    throw error;
  }
  run.close();
  assert.deepEqual(census(), before);
  return run.counts;
}
