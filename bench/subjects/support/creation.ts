/** What the `create` case does with each new ring. */

import { Meter } from './meter.ts';
import { report } from './report.ts';

/** Repeats `useOne`, which makes a ring, uses it and lets go of it, for the timed window. */
export function measureCreations(useOne: () => void): void {
  const meter = new Meter(16);
  do useOne();
  while (meter.tick());
  report(meter.perSecond, 'op/s', { microseconds: meter.microsecondsEach });
}

/** Writes and reads one byte, so that a page is there. */
export function touch(bytes: Uint8Array): void {
  bytes[0] = 1;
  if (bytes[0] !== 1) throw new Error('the memory keeps nothing');
}
