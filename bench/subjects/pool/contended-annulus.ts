/**
 * More tasks than the budget has room for, each of which waits for its turn again and again. The
 * figure says how fair that is: how long the worst off waits, in medians.
 *
 * Two things are compared, and the worse one is the figure. In turns: how many others were served
 * while a request waited, the most of all requests against their median; that is exact. By the clock:
 * how long a task waits in the mean of all its requests, the longest of all tasks against their
 * median. A single wait by the clock is reported beside it and not judged: it has in it whatever
 * stopped the whole process meanwhile, such as the collector or another program, for everybody alike.
 */

import { setImmediate } from 'node:timers/promises';

import { BufferPool } from 'annulus/pool';
import { Meter } from '../support/meter.ts';
import { numberOption } from '../support/options.ts';
import { report } from '../support/report.ts';

const lanes = numberOption('lanes');
const pool = new BufferPool({ bufferSize: 4096, maxMemory: numberOption('buffers') * 4096 });
const meter = new Meter();
let served = 0;
/** Requests by how many others were served while they waited. */
const turns: number[] = [];
/** Nanoseconds each task has waited, and how often. */
const waited = Array.from({ length: lanes }, () => ({ total: 0, count: 0 }));

async function lane(_: unknown, index: number): Promise<void> {
  do {
    const asked = served;
    const since = process.hrtime.bigint();
    const run = await pool.allocate(1);
    if (!meter.warmingUp) {
      const others = served - asked;
      turns[others] = (turns[others] ?? 0) + 1;
      const mine = waited[index]!;
      mine.total += Number(process.hrtime.bigint() - since);
      mine.count++;
    }
    served++;
    run.bytes[0] = 1;
    await setImmediate();
    run.release();
  } while (meter.tick());
}

/** The middle one of numbers; the lower of two. */
function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1]!;
}

/** The median of a table of counts, by value. */
function medianOfCounts(counts: readonly number[]): number {
  const half = counts.reduce((sum, count) => sum + count, 0) / 2;
  let below = 0;
  for (let value = 0; value < counts.length; value++) {
    below += counts[value] ?? 0;
    if (below >= half) return value;
  }
  return Number.NaN;
}

await Promise.all(Array.from({ length: lanes }, lane));
const { waitTime } = pool.stats;
await pool.close();
const byClock = waited.map(({ total, count }) => total / count);
const clockRatio = Math.max(...byClock) / median(byClock);
const turnRatio = (turns.length - 1) / medianOfCounts(turns);
report(Math.max(clockRatio, turnRatio), 'x median', {
  byTurns: turnRatio,
  byClock: clockRatio,
  mostTurns: turns.length - 1,
  medianWaitNs: median(byClock),
  singleP99Ns: waitTime.p99,
  singleMaxNs: waitTime.max,
  perSecond: meter.perSecond,
});
