/** Writes to a file with `fs.writeSync`: one at a time, no event loop. */

import { writeSync } from 'node:fs';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { WriteFile } from '../support/write-file.ts';

const size = numberOption('size');
const file = new WriteFile(size);
const words = new Int32Array(size >> 2);
const meter = new Meter(256);
let number = 0;

do {
  words[0] = number;
  const written = writeSync(file.fd, words, 0, size, file.position(number++));
  if (written !== size) throw new Error(`write returned ${written}, expected ${size}`);
} while (meter.tick());

file.verify(number);
report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach });
