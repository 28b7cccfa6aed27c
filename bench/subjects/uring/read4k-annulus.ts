/**
 * Random 4 KiB reads of a hot file through our raw ring: fill `depth`, one system call, reap all.
 * With `fixed=1` into registered memory; with `poll=1` the kernel's poller submits, and no system
 * call is made at all.
 */

import { openSync } from 'node:fs';
import { Region } from 'annulus/memory';
import type { FixedBuffer } from 'annulus/uring';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import {
  ORDER_LENGTH,
  PAGE_BYTES,
  pageMatches,
  pageMatchesFully,
  pageOrder,
} from '../support/pages.ts';
import { report } from '../support/report.ts';
import { flagsOf, openPolledRing, openRing } from '../support/ring.ts';

// Copies of what the loop uses: V8 compiles these into it, and looks imported values up at every use.
const pageBytes: number = PAGE_BYTES;
const orderMask: number = ORDER_LENGTH - 1;
const matches: typeof pageMatches = pageMatches;
const matchesFully: typeof pageMatchesFully = pageMatchesFully;
/** Pages compared word by word before only both ends are looked at, as in the C peer. */
const thorough = 4_096;

const depth = numberOption('depth');
const fixed = numberOption('fixed', 0) === 1;
const polled = numberOption('poll', 0) === 1;
const fd = openSync(textOption('file'), 'r');
const order = pageOrder();
const region = Region.allocate(depth * PAGE_BYTES);
const words = new Int32Array(region.bytes.buffer, region.bytes.byteOffset, region.byteLength >> 2);
const ring = polled ? openPolledRing(depth) : openRing(depth);
const buffer = fixed ? ring.register.buffers([region])[0] : undefined;
const meter = new Meter(4_096);
const range = { offset: 0, length: PAGE_BYTES, position: 0 };
/** Reads before this batch. */
const progress = { next: 0 };

/** The token is the slot, and slot `n` of this batch reads page `next + n` of the order. */
function onCompletion(slot: number, result: number): void {
  if (result !== pageBytes) throw new Error(`read returned ${result}, expected ${pageBytes}`);
  const { next } = progress;
  const page = order[(next + slot) & orderMask] as number;
  const right =
    next < thorough ? matchesFully(words, slot << 10, page) : matches(words, slot << 10, page);
  if (!right) throw wrongPage(slot, page);
}

function wrongPage(slot: number, page: number): Error {
  return new Error(`slot ${slot} does not hold page ${page}`);
}

function runBatch(): void {
  const { next } = progress;
  for (let slot = 0; slot < depth; slot++) {
    range.offset = slot << 12;
    range.position = (order[(next + slot) & orderMask] as number) * pageBytes;
    if (fixed) ring.readFixed(slot, fd, buffer as FixedBuffer, range);
    else ring.read(slot, fd, region, range);
  }
  if (polled) ring.submit();
  else ring.submitAndWait(depth);
  for (let reaped = 0; reaped < depth;) reaped += ring.drain(onCompletion);
  progress.next = next + depth;
}

while (progress.next < thorough) runBatch();
do runBatch();
while (meter.tick(depth));

const flags = flagsOf(ring);
const { enters, submitted } = ring.stats;
ring.close();
const entersPer100 = (enters * 100) / submitted;
report(meter.perSecond, 'op/s', { flags, entersPer100, cpu: meter.cpuNanosecondsEach });
