/** Node's own way to have uninitialised memory: no budget, and the garbage collector releases. */

import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';

const bytes = numberOption('buffers') * 4096;
const meter = new Meter(256);

do {
  const buffer = Buffer.allocUnsafe(bytes);
  buffer[0] = 1;
} while (meter.tick());

report(meter.perSecond, 'op/s', { nanoseconds: Math.round(1e9 / meter.perSecond) });
