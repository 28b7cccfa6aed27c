/** Shared memory between two processes, against the ways Node and others have to talk to one. */

import type { BenchmarkCase, Gate, Subject, SubjectOptions } from '../harness/types.ts';

const TWO = { threads: 2, placements: ['unpinned', 'pinned'] } as const;

export const channelCases: readonly BenchmarkCase[] = [
  {
    ...TWO,
    name: 'channel.message64',
    // How fast the two processors share a cache line changes from run to run, several times over.
    turns: 2,
    measures: '64-byte messages one way, numbered, summed, verified by the receiver',
    unit: 'msg/s',
    better: 'higher',
    gates: [
      { peer: 'process.send', atLeast: 800 },
      { peer: 'postMessage', atLeast: 100 },
      { peer: 'rtrb', atLeast: 0.8 },
      { peer: 'shmem-ipc', atLeast: 0.8 },
    ],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/message64-annulus' },
      ...nodePeers('stream', { payload: 'message64' }),
      { kind: 'node', name: 'ringbuf.js', script: 'channel/message64-ringbuf' },
      ...rustPeers({ payload: 'message64' }),
      pipe('message64'),
    ],
  },
  {
    ...TWO,
    name: 'channel.frames64',
    measures: '64-byte messages one way as frames, claimed, numbered, summed and read one by one',
    unit: 'msg/s',
    better: 'higher',
    alsoOurs: ['annulus-offsets'],
    subjects: [
      frames('annulus', 'views'),
      frames('annulus-offsets', 'offsets'),
      ...nodePeers('stream', { payload: 'message64' }),
    ],
  },
  wholeMessages('message1k', '1 KiB', 'msg/s'),
  wholeMessages('message64k', '64 KiB', 'B/s'),
  {
    ...bulk('channel.bulk', [
      { kind: 'native', name: 'c-ring', program: 'bulk' },
      ...rustPeers({ payload: 'bulk' }),
      pipe('bulk'),
    ]),
    gates: [{ peer: 'c-ring', atLeast: 0.9 }],
  },
  bulk('channel.bulk64k', nodePeers('stream', { payload: 'bulk' })),
  {
    ...TWO,
    name: 'channel.objects',
    measures: 'objects of six fields one way, made, sent, received and verified',
    unit: 'msg/s',
    better: 'higher',
    alsoOurs: ['annulus-v8'],
    gates: [{ peer: 'process.send', atLeast: 5 }],
    subjects: [objects('annulus', 'json'), objects('annulus-v8', 'v8'), ...nodePeers('objects')],
  },
  ...roundTrips(),
];

function roundTrips(): BenchmarkCase[] {
  const spinning = rustPeers({ payload: 'ping' });
  const asleep: Subject[] = [
    ...nodePeers('rtt'),
    { kind: 'native', name: 'c-eventfd', program: 'eventfds' },
    pipe('ping'),
    { kind: 'rust', name: 'shmem-ipc', options: { work: 'shmem', payload: 'ping', wait: 'yes' } },
  ];
  const overSocket: Gate = { peer: 'unix-socket', atLeast: 1.33 };
  return [
    roundTrip('spin', 'both sides spinning (Node peers cannot spin)', {
      gates: [
        { peer: 'unix-socket', atLeast: 100 },
        { peer: 'rtrb', atLeast: 0.67 },
      ],
      subjects: [
        { kind: 'node', name: 'annulus', script: 'channel/rtt-spin-annulus' },
        ...nodePeers('rtt'),
        { kind: 'native', name: 'c-loop', program: 'pingpong' },
        ...spinning,
      ],
    }),
    roundTrip('adaptive', 'on the event loop, looking for a moment before sleeping', {
      gates: [overSocket],
      subjects: [waiting('annulus', { waiting: 'adaptive' }), ...nodePeers('rtt')],
    }),
    roundTrip('sleep', 'both sides asleep meanwhile: on the event loop, or blocked', {
      alsoOurs: ['annulus-blocking'],
      gates: [
        overSocket,
        { ...overSocket, subject: 'annulus-blocking' },
        { peer: 'c-eventfd', atLeast: 0.5, subject: 'annulus-blocking' },
      ],
      subjects: [
        waiting('annulus', { waiting: 'sleep' }),
        waiting('annulus-blocking', { waiting: 'sleep', blocking: 'yes' }),
        ...asleep,
      ],
    }),
  ];
}

function roundTrip(
  name: string,
  how: string,
  rest: Pick<BenchmarkCase, 'alsoOurs' | 'gates' | 'subjects'>,
): BenchmarkCase {
  return {
    ...TWO,
    name: `channel.rtt.${name}`,
    measures: `one round trip of 8 bytes, ${how}`,
    unit: 'us',
    better: 'lower',
    ...rest,
  };
}

function wholeMessages(payload: string, size: string, unit: string): BenchmarkCase {
  return {
    ...TWO,
    name: `channel.${payload}`,
    measures: `messages of ${size} one way, copied from a buffer, every byte compared by the receiver`,
    unit,
    better: 'higher',
    subjects: [
      { kind: 'node', name: 'annulus', script: 'channel/messages-annulus', options: { payload } },
      ...nodePeers('stream', { payload }),
      ...rustPeers({ payload }),
      pipe(payload),
    ],
  };
}

/** One case for the peers in Node, one for those without: the second has the goal. */
function bulk(name: string, peers: readonly Subject[]): BenchmarkCase {
  return {
    ...TWO,
    name,
    measures: '64 KiB blocks one way, from a buffer of the sender to a buffer of the receiver',
    unit: 'B/s',
    better: 'higher',
    subjects: [{ kind: 'node', name: 'annulus', script: 'channel/bulk64k-annulus' }, ...peers],
  };
}

function nodePeers(work: 'stream' | 'rtt' | 'objects', options: SubjectOptions = {}): Subject[] {
  return [
    { kind: 'node', name: 'process.send', script: `channel/${work}-process-send`, options },
    { kind: 'node', name: 'postMessage', script: `channel/${work}-post-message`, options },
    { kind: 'node', name: 'unix-socket', script: `channel/${work}-unix-socket`, options },
  ];
}

function rustPeers(options: SubjectOptions): Subject[] {
  return [
    { kind: 'rust', name: 'rtrb', options: { ...options, work: 'rtrb' } },
    { kind: 'rust', name: 'shmem-ipc', options: { ...options, work: 'shmem' } },
    {
      kind: 'rust',
      name: 'iceoryx2',
      features: 'iceoryx2',
      options: { ...options, work: 'iceoryx2' },
    },
  ];
}

function pipe(payload: string): Subject {
  return { kind: 'native', name: 'c-pipe', program: 'pipe', options: { payload } };
}

function objects(name: string, codec: string): Subject {
  return { kind: 'node', name, script: 'channel/objects-annulus', options: { codec } };
}

function frames(name: string, by: string): Subject {
  return { kind: 'node', name, script: 'channel/frames64-annulus', options: { by } };
}

function waiting(name: string, options: SubjectOptions): Subject {
  return { kind: 'node', name, script: 'channel/rtt-wait-annulus', options };
}
