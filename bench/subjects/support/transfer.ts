/** What the `readwrite` case carries: a chunk in, the same chunk out. */

import { Meter } from './meter.ts';
import { numberOption } from './options.ts';
import { report } from './report.ts';

/**
 * Repeats `carry`, which is to bring the bytes of `source` to `sink`, for the timed window. Every
 * chunk bears a number at both ends, which is verified; in the warm-up all bytes are.
 */
export function measureTransfers(
  carry: (source: Uint8Array, sink: Uint8Array, bytes: number) => void,
): void {
  const bytes = numberOption('chunk');
  const source = Buffer.alloc(bytes);
  const sink = Buffer.alloc(bytes);
  for (let index = 0; index < bytes; index++) source[index] = index * 7;
  const meter = new Meter(1_024);
  let number = 0;
  do {
    number = (number + 1) | 0;
    source[0] = number;
    source[bytes - 1] = number >> 8;
    carry(source, sink, bytes);
    const arrived = sink[0] === (number & 255) && sink[bytes - 1] === ((number >> 8) & 255);
    if (!arrived || (number < 4_096 && !sink.equals(source))) {
      throw new Error(`chunk ${number} is wrong`);
    }
  } while (meter.tick());
  report(meter.perSecond, 'op/s', { nanoseconds: 1e9 / meter.perSecond });
}
