/** Our raw ring against the same work in C, Rust and Go, with the same ring flags. */

import type {
  BenchmarkCase,
  ForeignSubject,
  Gate,
  NativeLibrary,
  NativeSubject,
  Subject,
  SubjectOptions,
} from '../harness/types.ts';

const LIBURING: NativeLibrary = {
  header: 'liburing.h',
  link: 'uring',
  debianPackage: 'liburing-dev',
};

const DEPTHS = [1, 32, 128] as const;

type Depth = (typeof DEPTHS)[number];

const NOP_GATES: Partial<Record<Depth, Gate[]>> = { 128: gates(0.9) };
const READ_GATES: Partial<Record<Depth, Gate[]>> = { 32: gates(0.93) };
const FIXED_GATES: Partial<Record<Depth, Gate[]>> = { 32: gates(0.97) };

/** Rounds of the cases that are to come within a few per cent of their peers: single runs differ by ten. */
const CLOSE_TURNS = 4;

const SQPOLL_DEPTH = 32;

const SHARED_DEPTH = 32;

/** The sizes of iouring-go's table, and 256. */
const WRITE_BYTES = [128, 256, 512, 1024, 2048, 4096] as const;

const ECHO_CONNECTIONS = 64;

/** Writes under way in the batched subjects. */
const WRITE_DEPTH = 32;

export const uringCases: readonly BenchmarkCase[] = [
  ...DEPTHS.map(nop),
  nopShared(),
  ...DEPTHS.map(read),
  ...DEPTHS.map(readFixed),
  readPolled(),
  ...WRITE_BYTES.map(write),
  echo(),
];

function gates(atLeast: number): Gate[] {
  return [
    { peer: 'liburing', atLeast },
    { peer: 'io-uring', atLeast },
  ];
}

function closeTo(promised: Gate[] | undefined): Pick<BenchmarkCase, 'gates' | 'turns'> {
  return promised === undefined ? {} : { gates: promised, turns: CLOSE_TURNS };
}

function liburing(program: string, options: SubjectOptions): NativeSubject {
  return { kind: 'native', name: 'liburing', program, library: LIBURING, options };
}

function rust(work: string, options: SubjectOptions): ForeignSubject {
  return { kind: 'rust', name: 'io-uring', options: { work, ...options } };
}

function nop(depth: Depth): BenchmarkCase {
  const options = { depth };
  return {
    name: `uring.nop.depth${depth}`,
    measures: `requests that do nothing, ${depth} a system call`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    ...closeTo(NOP_GATES[depth]),
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/nop-annulus', options },
      liburing('nop', options),
      rust('nop', options),
    ],
  };
}

function nopShared(): BenchmarkCase {
  const options = { depth: SHARED_DEPTH };
  const script = 'uring/nop-shared';
  return {
    name: 'uring.shared.nop',
    measures: `requests that do nothing, ${SHARED_DEPTH} a batch, of one or two threads on one ring`,
    unit: 'op/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned'],
    alsoOurs: ['annulus-one', 'uring'],
    subjects: [
      { kind: 'node', name: 'annulus', script, options: { ...options, threads: 2 } },
      { kind: 'node', name: 'annulus-one', script, options: { ...options, threads: 1 } },
      { kind: 'node', name: 'uring', script: 'uring/nop-annulus', options },
    ],
  };
}

function read(depth: Depth): BenchmarkCase {
  const options = { depth };
  const subjects: Subject[] = [
    { kind: 'node', name: 'annulus', script: 'uring/read4k-annulus', options },
    liburing('read4k', options),
    rust('read4k', options),
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
    ...closeTo(READ_GATES[depth]),
    subjects,
  };
}

function readFixed(depth: Depth): BenchmarkCase {
  const options = { depth, fixed: 1 };
  return {
    name: `uring.fixed4k.depth${depth}`,
    measures: `random 4 KiB reads into registered memory, ${depth} a system call`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    readsDataFile: true,
    ...closeTo(FIXED_GATES[depth]),
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/read4k-annulus', options },
      liburing('read4k', options),
      rust('fixed4k', { depth }),
    ],
  };
}

function readPolled(): BenchmarkCase {
  const options = { depth: SQPOLL_DEPTH, poll: 1 };
  return {
    name: 'uring.sqpoll4k',
    measures: `random 4 KiB reads that a polling thread of the kernel submits, ${SQPOLL_DEPTH} a batch`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    // On one CPU the poller and the program would take turns by the scheduler's tick.
    placements: ['unpinned'],
    readsDataFile: true,
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/read4k-annulus', options },
      liburing('read4k', options),
    ],
  };
}

function write(size: number): BenchmarkCase {
  const one = { size, depth: 1 };
  const many = { size, depth: WRITE_DEPTH };
  return {
    name: `uring.filewrite.${size}`,
    measures: `writes of ${size} bytes to a file, one after another or ${WRITE_DEPTH} under way`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    readsDataFile: true,
    alsoOurs: ['annulus-batched'],
    gates: [
      { subject: 'annulus-batched', peer: 'iouring-go', atLeast: 3 },
      { subject: 'annulus-batched', peer: 'fs.write', atLeast: 1 },
      { subject: 'annulus-batched', peer: 'fs.write-batched', atLeast: 1 },
    ],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/filewrite-annulus', options: one },
      { kind: 'node', name: 'annulus-batched', script: 'uring/filewrite-annulus', options: many },
      { kind: 'go', name: 'iouring-go', options: { work: 'filewrite', size } },
      { kind: 'node', name: 'fs.write', script: 'uring/filewrite-fs-write', options: one },
      { kind: 'node', name: 'fs.write-batched', script: 'uring/filewrite-fs-write', options: many },
      {
        kind: 'node',
        name: 'fs.writeSync',
        script: 'uring/filewrite-fs-write-sync',
        options: { size },
      },
    ],
  };
}

function echo(): BenchmarkCase {
  const options = { connections: ECHO_CONNECTIONS };
  const helper = 'echo-load';
  return {
    name: 'uring.echo',
    measures: `64-byte requests over ${ECHO_CONNECTIONS} TCP connections, each sent back`,
    unit: 'op/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    cpuGates: [
      { peer: 'liburing', atLeast: 0.91 },
      { peer: 'node:net', atLeast: 1.39 },
    ],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'uring/echo-annulus', helper, options },
      { ...liburing('echo', options), helper },
      { kind: 'node', name: 'node:net', script: 'uring/echo-net', helper, options },
    ],
  };
}
