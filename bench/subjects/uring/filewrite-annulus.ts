/** Writes to a file through our raw ring, `depth` a system call. */

import { Region } from 'annulus/memory';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { flagsOf, openRing } from '../support/ring.ts';
import { WriteFile } from '../support/write-file.ts';

const size = numberOption('size');
const depth = numberOption('depth');
const file = new WriteFile(size);
const region = Region.allocate(depth * size);
const words = new Int32Array(region.bytes.buffer, region.bytes.byteOffset, region.byteLength >> 2);
const ring = openRing(depth);
const meter = new Meter(256);
const range = { offset: 0, length: size, position: 0 };
let number = 0;

function onCompletion(slot: number, result: number): void {
  if (result !== size) throw new Error(`write ${slot} returned ${result}, expected ${size}`);
}

do {
  for (let slot = 0; slot < depth; slot++) {
    words[(slot * size) >> 2] = number;
    range.offset = slot * size;
    range.position = file.position(number++);
    ring.write(slot, file.fd, region, range);
  }
  ring.submitAndWait(depth);
  for (let reaped = 0; reaped < depth;) reaped += ring.drain(onCompletion);
} while (meter.tick(depth));

const flags = flagsOf(ring);
ring.close();
file.verify(number);
report(meter.perSecond, 'op/s', { flags, cpu: meter.cpuNanosecondsEach });
