/**
 * Measures round trips, one of which is under way at a time.
 *
 * First how long one takes on average, with the clock left alone; then how long each of them takes,
 * for a quarter of a second, with the clock read at each.
 */

import { Meter } from './meter.ts';
import { report } from './report.ts';

/** How long single round trips are timed. */
const TIMED_MS = 250;

/** Room for the fastest: a round trip of 0.25 us. */
const MOST = 1 << 20;

export class RoundTrips {
  readonly #meter: Meter;
  readonly #times = new Float64Array(MOST);
  #count = 0;
  #until = 0;
  #last = 0;

  /** @param stride - Round trips between two looks at the clock. */
  constructor(stride: number) {
    this.#meter = new Meter(stride);
  }

  /** Counts a round trip that has ended; false when there is nothing more to measure. */
  tick(): boolean {
    if (!this.#meter.over) {
      if (this.#meter.tick()) return true;
      this.#last = performance.now();
      this.#until = this.#last + TIMED_MS;
      return true;
    }
    const now = performance.now();
    this.#times[this.#count++] = now - this.#last;
    this.#last = now;
    return now < this.#until && this.#count < MOST;
  }

  /** Reports the average, and percentiles beside it, in microseconds. */
  report(): void {
    const sorted = corrected(this.#times.subarray(0, this.#count));
    const at = (part: number): number => {
      const time = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
      return Number((time * 1_000).toPrecision(4));
    };
    report(this.#meter.microsecondsEach, 'us', { p50: at(0.5), p99: at(0.99), p999: at(0.999) });
  }
}

/**
 * Coordinated omission corrected: while one round trip is late, those that would have begun meanwhile,
 * one each median, would have been late too, each by a median less than the one before. The same as
 * HdrHistogram's correction with the median as expected interval.
 */
function corrected(times: Float64Array): Float64Array {
  const sorted = times.toSorted();
  const interval = sorted[sorted.length >> 1]!;
  const missing: number[] = [];
  for (const time of sorted) {
    for (let late = time - interval; late >= interval; late -= interval) missing.push(late);
  }
  const all = new Float64Array(sorted.length + missing.length);
  all.set(sorted);
  all.set(missing, sorted.length);
  return all.toSorted();
}
