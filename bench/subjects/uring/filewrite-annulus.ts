/** Writes to a file through our raw ring, `depth` under way: each that ends makes room for the next. */

import { Region } from 'annulus/memory';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { flagsOf, openRing } from '../support/ring.ts';
import { WriteFile } from '../support/write-file.ts';

const size = numberOption('size');
const depth = numberOption('depth');
// Waiting for all would leave the kernel's worker idle while the next batch is prepared.
const batch = Math.max(depth >> 2, 1);
const file = new WriteFile(size);
const region = Region.allocate(depth * size);
const words = new Int32Array(region.bytes.buffer, region.bytes.byteOffset, region.byteLength >> 2);
const ring = openRing(depth);
const meter = new Meter(256);
const range = { offset: 0, length: size, position: 0 };
let number = 0;
let underWay = 0;
let more = true;

function start(slot: number): void {
  words[(slot * size) >> 2] = number;
  range.offset = slot * size;
  range.position = file.position(number++);
  ring.write(slot, file.fd, region, range);
  underWay++;
}

function onCompletion(slot: number, result: number): void {
  if (result !== size) throw new Error(`write ${slot} returned ${result}, expected ${size}`);
  underWay--;
  if (more) start(slot);
}

for (let slot = 0; slot < depth; slot++) start(slot);
while (underWay > 0) {
  ring.submitAndWait(Math.min(batch, underWay));
  const ended = ring.drain(onCompletion);
  if (more) more = meter.tick(ended);
}

const flags = flagsOf(ring);
ring.close();
file.verify(number);
report(meter.perSecond, 'op/s', { flags, cpu: meter.cpuNanosecondsEach });
