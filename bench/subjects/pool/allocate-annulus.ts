/** Allocate a run, touch it, release it: what a request beyond the budget would have to wait for. */

import { BufferPool } from 'annulus/pool';
import { Meter } from '../support/meter.ts';
import { numberOption, textOption } from '../support/options.ts';
import { report } from '../support/report.ts';

const BUFFER_SIZE = 4096;

const length = numberOption('buffers');
const manner = textOption('manner', 'await');
const pool = new BufferPool({ bufferSize: BUFFER_SIZE, maxMemory: 4096 * BUFFER_SIZE });
const meter = new Meter(4_096);

if (manner === 'await') {
  do {
    const run = await pool.allocate(length);
    run.bytes[0] = 1;
    run.release();
  } while (meter.tick());
} else {
  do {
    const run = pool.tryAllocate(length);
    if (run === undefined) throw new Error('the pool has lost budget');
    run.bytes[0] = 1;
    run.release();
  } while (meter.tick());
}

const { used, allocations } = pool.stats;
if (used !== 0 || allocations !== 0) throw new Error(`${used} bytes are left in use`);
await pool.close();
report(meter.perSecond, 'op/s', { nanoseconds: Math.round(1e9 / meter.perSecond) });
