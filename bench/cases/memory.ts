/** The mirrored ring against rings without a mirror, and against concatenating buffers. */

import type { BenchmarkCase, Gate, Subject, SubjectOptions } from '../harness/types.ts';

/** What a socket delivers at a time over Ethernet. */
const SOCKET_CHUNK = 1460;

/** Rings of the cases that stay in memory: more than a record, less than a cache. */
const CAPACITY = 1 << 16;

/** The ring in Go that this one descends from, and the same written for this benchmark. */
const GO_RINGS = ['mmu-ring', 'go-ring'] as const;

export const memoryCases: readonly BenchmarkCase[] = [
  readwrite(),
  frames('memory.ring.frames', 5, { record: 100, chunk: SOCKET_CHUNK, capacity: CAPACITY }),
  frames('memory.ring.frames16k', 15, { record: 16_384, chunk: SOCKET_CHUNK, capacity: CAPACITY }),
  {
    ...frames('memory.ring.frames.file', 2, {
      record: 100,
      chunk: 1 << 16,
      capacity: 1 << 17,
      from: 'file',
    }),
    readsDataFile: true,
  },
  ndjson('memory.ring.ndjson', 'finding a line', { chunk: SOCKET_CHUNK, capacity: CAPACITY }, [
    { peer: 'Buffer.concat', atLeast: 3 },
    ...notSlower('two-slice'),
  ]),
  ndjson('memory.ring.ndjson.parse', 'finding a line and parsing it as JSON', {
    chunk: SOCKET_CHUNK,
    capacity: CAPACITY,
    work: 'parse',
  }),
  views(),
  create(),
];

function readwrite(): BenchmarkCase {
  const options = { chunk: SOCKET_CHUNK, capacity: CAPACITY };
  return {
    name: 'memory.ring.readwrite',
    measures: `copying ${SOCKET_CHUNK} bytes into a ring, and out of it`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    gates: notSlower('two-slice'),
    subjects: [
      { kind: 'node', name: 'annulus', script: 'memory/readwrite-annulus', options },
      { kind: 'node', name: 'two-slice', script: 'memory/readwrite-two-slice', options },
      { kind: 'node', name: 'ringbuf.js', script: 'memory/readwrite-ringbuf', options },
      { kind: 'node', name: 'Buffer.allocUnsafe', script: 'memory/readwrite-buffer', options },
      ...goRings({ ...options, work: 'readwrite' }),
    ],
  };
}

function frames(name: string, timesConcat: number, options: SubjectOptions): BenchmarkCase {
  const { record, chunk, from } = options;
  const subjects: Subject[] = [
    { kind: 'node', name: 'annulus', script: 'memory/frames-annulus', options },
    { kind: 'node', name: 'Buffer.concat', script: 'memory/frames-concat', options },
    {
      kind: 'node',
      name: 'concat-offsets',
      script: 'memory/frames-concat',
      options: { ...options, manner: 'offsets' },
    },
    { kind: 'node', name: 'two-slice', script: 'memory/frames-two-slice', options },
    { kind: 'node', name: 'ringbuf.js', script: 'memory/frames-ringbuf', options },
  ];
  if (from !== 'file') subjects.push(...goRings({ ...options, work: 'frames' }));
  return {
    name,
    measures: `a record of ${record} bytes after its length, in chunks of ${chunk} bytes`,
    unit: 'record/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    gates: [
      { peer: 'Buffer.concat', atLeast: timesConcat },
      { peer: 'concat-offsets', atLeast: timesConcat },
      ...notSlower('two-slice'),
    ],
    subjects,
  };
}

function ndjson(
  name: string,
  measures: string,
  options: SubjectOptions,
  gates: readonly Gate[] = [],
): BenchmarkCase {
  const subjects: Subject[] = [
    { kind: 'node', name: 'annulus', script: 'memory/ndjson-annulus', options },
    { kind: 'node', name: 'Buffer.concat', script: 'memory/ndjson-concat', options },
    {
      kind: 'node',
      name: 'concat-offsets',
      script: 'memory/ndjson-concat',
      options: { ...options, manner: 'offsets' },
    },
    { kind: 'node', name: 'two-slice', script: 'memory/ndjson-two-slice', options },
  ];
  if (options['work'] === 'parse') {
    subjects.push({ kind: 'node', name: 'string', script: 'memory/ndjson-string', options });
  }
  return {
    name,
    measures: `${measures}, in chunks of ${options['chunk']} bytes`,
    unit: 'line/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    gates,
    subjects,
  };
}

function views(): BenchmarkCase {
  return {
    name: 'memory.ring.views',
    measures: 'advance(), content() and consume() together; of subarray, one call',
    unit: 'ns',
    better: 'lower',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    alsoOurs: ['annulus-offsets'],
    gates: [
      ...notSlower('subarray'),
      ...GO_RINGS.map((peer) => ({ peer, atLeast: 0.33, subject: 'annulus-offsets' })),
    ],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'memory/views-annulus' },
      {
        kind: 'node',
        name: 'annulus-offsets',
        script: 'memory/views-annulus',
        options: { manner: 'offsets' },
      },
      { kind: 'node', name: 'subarray', script: 'memory/views-subarray' },
      ...goRings({ work: 'views' }),
    ],
  };
}

function create(): BenchmarkCase {
  const options = { capacity: CAPACITY };
  const peer = (name: string, of: string): Subject => ({
    kind: 'node',
    name,
    script: 'memory/create-peers',
    options: { ...options, of },
  });
  return {
    name: 'memory.ring.create',
    measures: `making a ring of ${CAPACITY} bytes, touching and closing it`,
    unit: 'op/s',
    better: 'higher',
    threads: 1,
    placements: ['unpinned', 'pinned'],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'memory/create-annulus', options },
      peer('two-slice', 'two-slice'),
      peer('ringbuf.js', 'ringbuf'),
      peer('Buffer.allocUnsafe', 'buffer'),
      ...goRings({ ...options, work: 'create' }),
    ],
  };
}

function goRings(options: SubjectOptions): Subject[] {
  return [
    { kind: 'go', name: 'mmu-ring', tags: 'mmuring', options },
    { kind: 'go', name: 'go-ring', options },
  ];
}

function notSlower(...peers: readonly string[]): Gate[] {
  return peers.map((peer) => ({ peer, atLeast: 1 }));
}
