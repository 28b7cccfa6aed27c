/**
 * Spinner: whether it pays to look again and again for a moment before going to sleep.
 *
 * Being woken costs tens of microseconds, so a short spin is cheap if the other side answers within
 * it. Where it did not, the next waits do without: one more each time it fails again, up to a
 * thousand, and none once it pays. So an idle side spins for a thousandth of its waits.
 *
 * Nobody asks how many processors there are: a process that is bound to one sees one, while its peer
 * runs on another. Where both share the only one, no spin pays, and soon there are none.
 */

/** How a side waits: looking all the time, looking for a moment first if that pays, or not at all. */
export type Waiting = 'spin' | 'adaptive' | 'sleep';

/** Most waits in a row that do without spinning. */
const SKIP_MAX = 1024;

/** Longest spin of a thread that may block. */
export const BLOCKING_SPIN_MS = 0.05;

/** Longest spin of an event loop, which others wait for. */
export const LOOP_SPIN_MS = 0.02;

/** Looks between two looks at the clock. */
const LOOKS = 50;

/** Decides for one end. */
export class Spinner {
  readonly #waiting: Waiting;
  #skip = 0;
  #skipped = 0;

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  /** Whether a blocked thread spins all the time. */
  get neverSleeps(): boolean {
    return this.#waiting === 'spin';
  }

  /** How long to spin now: `longest`, or 0, which is not at all. */
  limit(longest: number): number {
    if (this.#waiting === 'spin') return longest;
    if (this.#waiting === 'sleep') return 0;
    if (this.#skipped < this.#skip) {
      this.#skipped++;
      return 0;
    }
    this.#skipped = 0;
    return longest;
  }

  /** Tells whether the last spin found something. */
  tell(paid: boolean): void {
    this.#skip = paid ? 0 : Math.min(SKIP_MAX, this.#skip * 2 + 1);
  }
}

/** Looks until `found` says so or the time is over; whether it was found. */
export function spin(found: () => boolean, limitMs: number): boolean {
  const until = performance.now() + limitMs;
  do {
    for (let i = 0; i < LOOKS; i++) if (found()) return true;
  } while (performance.now() < until);
  return false;
}
