/** Promises over the ring, against Node's own file API and against the ring without promises. */

import type { BenchmarkCase, Gate } from '../harness/types.ts';

const DEPTHS = [1, 32, 128] as const;

type Depth = (typeof DEPTHS)[number];

/** What a promise a read may cost over the raw ring; at depth 1 it costs a turn of the loop. */
const RING_GATES: Partial<Record<Depth, Gate>> = {
  1: { peer: 'uring', atLeast: 0.65 },
  32: { peer: 'uring', atLeast: 0.8 },
};

const FAIRNESS_DEPTH = 128;

export const proactorCases: readonly BenchmarkCase[] = [...DEPTHS.map(read), fairness()];

function read(depth: Depth): BenchmarkCase {
  const options = { depth };
  const ringGate = RING_GATES[depth];
  return {
    name: `proactor.read4k.depth${depth}`,
    measures: `random 4 KiB reads of a hot 64 MiB file, a promise each, ${depth} in flight`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    readsDataFile: true,
    gates: [{ peer: 'fs.promises', atLeast: 4 }, ...(ringGate === undefined ? [] : [ringGate])],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'proactor/read4k-annulus', options },
      { kind: 'node', name: 'fs.promises', script: 'proactor/read4k-fs-promises', options },
      { kind: 'node', name: 'fs.read', script: 'proactor/read4k-fs-read', options },
      { kind: 'node', name: 'uring', script: 'uring/read4k-annulus', options },
    ],
  };
}

function fairness(): BenchmarkCase {
  const options = { depth: FAIRNESS_DEPTH };
  return {
    name: 'proactor.fairness',
    measures: `p50 of the interval of a repeating 1 ms timer, ${FAIRNESS_DEPTH} reads in flight`,
    unit: 'ms',
    better: 'lower',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    readsDataFile: true,
    // A timer gives a thousand samples a second at best; a p99 needs that many.
    windowSeconds: 1,
    limit: 2,
    subjects: [
      { kind: 'node', name: 'annulus', script: 'proactor/fairness-annulus', options },
      { kind: 'node', name: 'fs.promises', script: 'proactor/fairness-fs-promises', options },
    ],
  };
}
