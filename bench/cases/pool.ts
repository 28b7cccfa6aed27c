/** The budgeted pool against Node's allocator and the pool in Rust it descends from. */

import type { BenchmarkCase, NodeSubject } from '../harness/types.ts';

const LENGTHS = [1, 16, 1024] as const;

export const poolCases: readonly BenchmarkCase[] = [
  ...LENGTHS.map(allocate),
  contended(),
  receive(),
  idleSockets(),
];

function allocate(buffers: number): BenchmarkCase {
  const options = { buffers };
  return {
    name: `pool.allocateRelease.${buffers}`,
    measures: `allocating, touching and releasing a run of ${buffers} buffer(s) of 4 KiB`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    alsoOurs: ['annulus-try'],
    gates: buffers === 16 ? [{ peer: 'frozen-core', atLeast: 1 }] : [],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'pool/allocate-annulus', options },
      {
        kind: 'node',
        name: 'annulus-try',
        script: 'pool/allocate-annulus',
        options: { buffers, manner: 'try' },
      },
      { kind: 'node', name: 'Buffer.allocUnsafe', script: 'pool/allocate-buffer', options },
      { kind: 'rust', name: 'frozen-core', options: { work: 'pool', buffers } },
    ],
  };
}

function contended(): BenchmarkCase {
  return {
    name: 'pool.contended',
    measures:
      'the longest wait in median waits of 8 tasks that share 2 buffers, each held for a turn of the event loop',
    unit: 'x median',
    better: 'lower',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    limit: 2,
    subjects: [
      {
        kind: 'node',
        name: 'annulus',
        script: 'pool/contended-annulus',
        options: { lanes: 8, buffers: 2 },
      },
    ],
  };
}

function idleSockets(): BenchmarkCase {
  return {
    name: 'pool.idleSockets',
    measures:
      'what a connection holds, of 10,000 that read through a pool of 64 buffers, beyond its budget',
    unit: 'B/socket',
    better: 'lower',
    threads: 2,
    placements: ['unpinned'],
    limit: 3 * 1024,
    subjects: [
      {
        kind: 'node',
        name: 'annulus',
        script: 'pool/idle-annulus',
        options: { sockets: 10_000, buffers: 64 },
      },
    ],
  };
}

function receive(): BenchmarkCase {
  const connections = 64;
  const byPromises = 'pool/receive-annulus';
  const onRing = 'pool/receive-uring';
  const subject = (name: string, script: string, manner: string): NodeSubject => {
    return { kind: 'node', name, script, options: { connections, manner } };
  };
  return {
    name: 'pool.receive',
    measures: 'a message of 64 bytes sent and received, on 64 connections at a time',
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    alsoOurs: ['uring-poll'],
    subjects: [
      subject('annulus', byPromises, 'pool'),
      subject('own-buffers', byPromises, 'own'),
      subject('uring-poll', onRing, 'poll'),
      subject('buffer-ring', onRing, 'ring'),
    ],
  };
}
