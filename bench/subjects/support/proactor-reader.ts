/** Promise reads through our proactor, into memory that the kernel fills directly. */

import { openSync } from 'node:fs';
import { Region } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import type { PageReader } from './lanes.ts';
import { PAGE_BYTES } from './pages.ts';
import { orSkip } from './ring.ts';

/** The reader, and its counters. */
export interface ProactorReader extends PageReader<number> {
  /** `io_uring_enter` calls for a hundred requests so far. */
  entersPer100(): number;
}

export function openProactorReader(file: string, depth: number): ProactorReader {
  const io = orSkip(() => new Proactor());
  const fd = openSync(file, 'r');
  const region = Region.allocate(depth * PAGE_BYTES);
  // One object a lane, reused: what a program with a hot loop does.
  const ranges = Array.from({ length: depth }, (_, lane) => ({
    offset: lane * PAGE_BYTES,
    length: PAGE_BYTES,
    position: 0,
  }));
  return {
    pages: new Int32Array(region.bytes.buffer, region.bytes.byteOffset, region.byteLength >> 2),
    read(lane, position) {
      const range = ranges[lane] as (typeof ranges)[number];
      range.position = position;
      return io.read(fd, region, range);
    },
    count: (result) => result,
    close: () => io.close(),
    entersPer100() {
      const { enters, submitted } = io.stats;
      return (enters * 100) / submitted;
    },
  };
}
