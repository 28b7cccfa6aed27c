/** Requests that do nothing, through our raw ring: fill `depth`, one system call, reap all. */

import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';
import { flagsOf, openRing } from '../support/ring.ts';

const depth = numberOption('depth');
const ring = openRing(depth);
const meter = new Meter(4_096);
/** Sum of the tokens that this batch brought back. */
const sum = { tokens: 0 };

function onCompletion(token: number, result: number): void {
  if (result !== 0) throw new Error(`nop ${token} completed with ${result}, expected 0`);
  sum.tokens = (sum.tokens + token) | 0;
}

function runBatch(): void {
  sum.tokens = 0;
  for (let token = 0; token < depth; token++) ring.nop(token);
  ring.submitAndWait(depth);
  for (let reaped = 0; reaped < depth;) reaped += ring.drain(onCompletion);
  if (sum.tokens !== (depth * (depth - 1)) / 2) throw new Error('a token is missing or doubled');
}

do runBatch();
while (meter.tick(depth));

const flags = flagsOf(ring);
ring.close();
report(meter.perSecond, 'op/s', { flags, cpu: meter.cpuNanosecondsEach });
