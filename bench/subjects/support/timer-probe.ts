/** Watches how punctual the event loop is. */

export interface TimerReport {
  /** Milliseconds between two calls of a repeating 1 ms timer. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
}

/** A repeating 1 ms timer that records the interval at which it is really called. */
export class TimerProbe {
  readonly #intervals: number[] = [];
  #previous = Number.NaN;
  readonly #timer: NodeJS.Timeout;

  /** @param recording - Asked at every call; false means that the warm-up is still going on. */
  constructor(recording: () => boolean) {
    this.#timer = setInterval(() => {
      const now = performance.now();
      if (recording() && !Number.isNaN(this.#previous)) this.#intervals.push(now - this.#previous);
      this.#previous = now;
    }, 1);
  }

  /**
   * Stops the timer.
   *
   * @throws {Error} when it was never called: the loop was starved for the whole window.
   */
  stop(): TimerReport {
    clearInterval(this.#timer);
    const sorted = this.#intervals.toSorted((a, b) => a - b);
    if (sorted.length === 0) throw new Error('the 1 ms timer was not called once in the window');
    return {
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      max: quantile(sorted, 1),
      samples: sorted.length,
    };
  }
}

/** The smallest value that is not below a fraction `q` of the others. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(Math.ceil(q * sorted.length) - 1, 0)] as number;
}
