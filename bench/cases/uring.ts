/** Our raw ring against the same work in C, with the same ring flags. */

import type { BenchmarkCase, Gate, NativeLibrary, Subject } from '../harness/types.ts';

const LIBURING: NativeLibrary = {
  header: 'liburing.h',
  link: 'uring',
  debianPackage: 'liburing-dev',
};

const DEPTHS = [1, 32, 128] as const;

type Depth = (typeof DEPTHS)[number];

const NOP_GATES: Partial<Record<Depth, Gate[]>> = { 128: [{ peer: 'liburing', atLeast: 0.85 }] };
const READ_GATES: Partial<Record<Depth, Gate[]>> = { 32: [{ peer: 'liburing', atLeast: 0.93 }] };

export const uringCases: readonly BenchmarkCase[] = [...DEPTHS.map(nop), ...DEPTHS.map(read)];

function nop(depth: Depth): BenchmarkCase {
  const options = { depth };
  return {
    name: `uring.nop.depth${depth}`,
    measures: `requests that do nothing, ${depth} a system call`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    gates: NOP_GATES[depth] ?? [],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/nop-annulus', options },
      { kind: 'native', name: 'liburing', program: 'nop', library: LIBURING, options },
    ],
  };
}

function read(depth: Depth): BenchmarkCase {
  const options = { depth };
  const subjects: Subject[] = [
    { kind: 'node', name: 'annulus', script: 'uring/read4k-annulus', options },
    { kind: 'native', name: 'liburing', program: 'read4k', library: LIBURING, options },
  ];
  // It has one read in flight by nature, so it is a peer of depth 1 only.
  if (depth === 1) {
    subjects.push({ kind: 'node', name: 'fs.readSync', script: 'uring/read4k-fs-read-sync' });
  }
  return {
    name: `uring.read4k.depth${depth}`,
    measures: `random 4 KiB reads of a hot 64 MiB file, ${depth} a system call`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    readsDataFile: true,
    gates: READ_GATES[depth] ?? [],
    subjects,
  };
}
