/** What the `views` case looks at: blocks of 64 bytes, each filled with its number. */

import { Meter } from './meter.ts';
import { report } from './report.ts';

export const BLOCK_BYTES = 64;

/** Capacity of the rings: as many blocks as a byte can number. */
export const BLOCKS_BYTES: number = 256 * BLOCK_BYTES;

export function fillBlocks(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = at / BLOCK_BYTES;
}

/** Blocks between two looks at the clock. */
const TURN = 4_096;

/** Repeats `lookAtBlocks`, which looks at `count` blocks in turn from number 0 on. */
export function measureViews(lookAtBlocks: (count: number) => void): void {
  const meter = new Meter();
  do lookAtBlocks(TURN);
  while (meter.tick(TURN));
  report(meter.microsecondsEach * 1_000, 'ns');
}

/** Throws unless `byte` is of block `number`. */
export function checkBlock(byte: number | undefined, number: number): void {
  if (byte !== (number & 255)) throw new Error(`block ${number & 255} holds ${byte}`);
}
