/** Random 4 KiB reads of a hot file with `fs.readSync`: one at a time, no event loop. */

import { openSync, readSync } from 'node:fs';
import { Meter } from '../support/meter.ts';
import { textOption } from '../support/options.ts';
import {
  ORDER_LENGTH,
  PAGE_BYTES,
  pageMatches,
  pageMatchesFully,
  pageOrder,
} from '../support/pages.ts';
import { report } from '../support/report.ts';

const fd = openSync(textOption('file'), 'r');
const order = pageOrder();
const buffer = new Uint8Array(PAGE_BYTES);
const words = new Int32Array(buffer.buffer);
const meter = new Meter(4_096);
let next = 0;

do {
  const page = order[next & (ORDER_LENGTH - 1)] as number;
  const count = readSync(fd, buffer, 0, PAGE_BYTES, page * PAGE_BYTES);
  if (count !== PAGE_BYTES) throw new Error(`read returned ${count}, expected ${PAGE_BYTES}`);
  const matches = next < 4_096 ? pageMatchesFully(words, 0, page) : pageMatches(words, 0, page);
  if (!matches) throw new Error(`the buffer does not hold page ${page}`);
  next++;
} while (meter.tick());

report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach });
