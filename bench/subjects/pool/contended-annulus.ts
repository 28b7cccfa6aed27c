/** More requests than the budget has room for, each of which waits for its turn. */

import { setImmediate } from 'node:timers/promises';

import { BufferPool } from 'annulus/pool';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';

const lanes = numberOption('lanes');
const pool = new BufferPool({ bufferSize: 4096, maxMemory: numberOption('buffers') * 4096 });
const meter = new Meter();
/** How many others were served while each request waited. */
let served = 0;
let [fewest, most] = [Infinity, 0];

async function lane(): Promise<void> {
  do {
    const asked = served;
    const run = await pool.allocate(1);
    if (!meter.warmingUp) {
      fewest = Math.min(fewest, served - asked);
      most = Math.max(most, served - asked);
    }
    served++;
    run.bytes[0] = 1;
    await setImmediate();
    run.release();
  } while (meter.tick());
}

await Promise.all(Array.from({ length: lanes }, lane));
const { waitTime } = pool.stats;
await pool.close();
report(meter.perSecond, 'op/s', {
  servedMeanwhile: `${fewest}-${most}`,
  waitMedian: waitTime.p50,
  waitP99: waitTime.p99,
  waitMax: waitTime.max,
});
