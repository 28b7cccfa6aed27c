/** The main job, against the same job by streams and a pipe. */

import type { BenchmarkCase } from '../harness/types.ts';

export const relayCases: readonly BenchmarkCase[] = [
  {
    name: 'relay.file',
    measures: 'a hot 256 MiB file to another process and to disk, SHA-256 at both ends',
    unit: 'B/s',
    better: 'higher',
    threads: 2,
    // The command places its two processes itself: as a user runs it.
    placements: ['unpinned'],
    readsDataFile: true,
    gates: [{ peer: 'streams', atLeast: 1 }],
    subjects: [
      { kind: 'node', name: 'annulus', script: 'relay/file-annulus' },
      { kind: 'node', name: 'streams', script: 'relay/file-streams' },
    ],
  },
];
