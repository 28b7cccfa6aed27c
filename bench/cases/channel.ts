/** Shared memory between two processes, against the ways Node has to talk to another one. */

import type { BenchmarkCase, Subject, SubjectOptions } from '../harness/types.ts';

export const channelCases: readonly BenchmarkCase[] = [
  {
    name: 'channel.message64',
    measures: '64-byte messages one way, numbered, summed, verified by the receiver',
    unit: 'msg/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    gates: [
      { peer: 'process.send', atLeast: 500 },
      { peer: 'postMessage', atLeast: 60 },
    ],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/message64-annulus' },
      ...nodePeers('stream', { payload: 'message64' }),
    ],
  },
  {
    name: 'channel.bulk64k',
    measures: '64 KiB blocks one way, from a buffer of the sender to a buffer of the receiver',
    unit: 'B/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/bulk64k-annulus' },
      ...nodePeers('stream', { payload: 'bulk64k' }),
    ],
  },
  {
    name: 'channel.frames64',
    measures: '64-byte messages one way as frames, claimed, numbered, summed and read one by one',
    unit: 'msg/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/frames64-annulus' },
      ...nodePeers('stream', { payload: 'message64' }),
    ],
  },
  {
    name: 'channel.objects',
    measures: 'objects of six fields one way, made, sent, received and verified',
    unit: 'msg/s',
    better: 'higher',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    gates: [{ peer: 'process.send', atLeast: 5 }],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/objects-annulus' },
      {
        kind: 'node',
        name: 'annulus-v8',
        script: 'channel/objects-annulus',
        options: { codec: 'v8' },
      },
      ...nodePeers('objects'),
    ],
  },
  {
    name: 'channel.rtt.spin',
    measures: 'one round trip of 8 bytes, both sides spinning (Node peers cannot spin)',
    unit: 'us',
    better: 'lower',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    gates: [{ peer: 'unix-socket', atLeast: 100 }],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/rtt-spin-annulus' },
      ...nodePeers('rtt'),
      { kind: 'native', name: 'c-loop', program: 'pingpong' },
    ],
  },
  {
    name: 'channel.rtt.adaptive',
    measures: 'one round trip of 8 bytes on the event loop, looking for a moment before sleeping',
    unit: 'us',
    better: 'lower',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    subjects: [waitingSubject({ waiting: 'adaptive' }), ...nodePeers('rtt')],
  },
  {
    name: 'channel.rtt.sleep',
    measures: 'one round trip of 8 bytes, both sides asleep on the event loop meanwhile',
    unit: 'us',
    better: 'lower',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    subjects: [waitingSubject({ waiting: 'sleep' }), ...nodePeers('rtt')],
  },
  {
    name: 'channel.rtt.block',
    measures: 'one round trip of 8 bytes, both threads blocked in the kernel meanwhile',
    unit: 'us',
    better: 'lower',
    threads: 2,
    placements: ['unpinned', 'pinned'],
    gates: [{ peer: 'unix-socket', atLeast: 1.33 }],
    subjects: [waitingSubject({ waiting: 'sleep', blocking: 'yes' }), ...nodePeers('rtt')],
  },
];

function nodePeers(work: 'stream' | 'rtt' | 'objects', options: SubjectOptions = {}): Subject[] {
  return [
    { kind: 'node', name: 'process.send', script: `channel/${work}-process-send`, options },
    { kind: 'node', name: 'postMessage', script: `channel/${work}-post-message`, options },
    { kind: 'node', name: 'unix-socket', script: `channel/${work}-unix-socket`, options },
  ];
}

function waitingSubject(options: SubjectOptions): Subject {
  return { kind: 'node', name: 'annulus', script: 'channel/rtt-wait-annulus', options };
}
