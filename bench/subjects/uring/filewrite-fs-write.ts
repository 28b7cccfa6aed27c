/** Writes to a file with `fs.write`, `depth` under way: the thread pool does them. */

import { write } from 'node:fs';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { WriteFile } from '../support/write-file.ts';

const size = numberOption('size');
const depth = numberOption('depth');
const file = new WriteFile(size);
const meter = new Meter(64);
let number = 0;
let lanes = depth;

/** One write after another, from a buffer of the lane's own. */
function startLane(): void {
  const words = new Int32Array(size >> 2);

  function next(): void {
    words[0] = number;
    write(file.fd, words, 0, size, file.position(number++), onWritten);
  }

  function onWritten(error: Error | null, written: number): void {
    if (error !== null) throw error;
    if (written !== size) throw new Error(`write returned ${written}, expected ${size}`);
    if (meter.tick()) next();
    else if (--lanes === 0) finish();
  }

  next();
}

function finish(): void {
  file.verify(number);
  report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach });
}

for (let lane = 0; lane < depth; lane++) startLane();
