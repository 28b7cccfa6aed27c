/** Counts work inside a timed window, after a warm-up. */

import { warmupSeconds, windowSeconds } from './options.ts';

/**
 * Starts at the first `tick`, so neither the start of a process nor the set-up of a connection is
 * measured, and looks at the clock once every `stride` units, so neither is the clock.
 */
export class Meter {
  readonly #stride: number;
  readonly #warmup: number = warmupSeconds() * 1_000;
  readonly #window: number = windowSeconds() * 1_000;
  #count = 0;
  #nextLook = 0;
  #deadline = Number.NaN;
  #startTime = 0;
  #startCount = 0;
  #elapsed = 0;
  #startCpu = 0;
  #cpu = 0;
  #phase: 'idle' | 'warm-up' | 'window' | 'over' = 'idle';

  constructor(stride = 1) {
    this.#stride = stride;
  }

  /** True until the timed window has begun: the time for checks that are too dear to time. */
  get warmingUp(): boolean {
    return this.#phase === 'idle' || this.#phase === 'warm-up';
  }

  get over(): boolean {
    return this.#phase === 'over';
  }

  /** Units counted in the window. */
  get count(): number {
    return this.#count - this.#startCount;
  }

  get perSecond(): number {
    return (this.count * 1_000) / this.#elapsed;
  }

  /** User and system time of the process a unit, all its threads together. */
  get cpuNanosecondsEach(): number {
    return (this.#cpu * 1_000) / this.count;
  }

  get microsecondsEach(): number {
    return (this.#elapsed * 1_000) / this.count;
  }

  /** Counts `units`; false when the window is over and the caller should stop. */
  tick(units = 1): boolean {
    if (this.#phase === 'over') return false;
    this.#count += units;
    if (this.#count < this.#nextLook) return true;
    this.#nextLook = this.#count + this.#stride;
    return this.#look(performance.now());
  }

  #look(now: number): boolean {
    if (this.#phase === 'idle') {
      this.#phase = 'warm-up';
      this.#deadline = now + this.#warmup;
    }
    if (now < this.#deadline) return true;
    if (this.#phase === 'warm-up') {
      this.#phase = 'window';
      this.#startTime = now;
      this.#startCpu = cpuMicroseconds();
      this.#startCount = this.#count;
      this.#deadline = now + this.#window;
      return true;
    }
    this.#phase = 'over';
    this.#elapsed = now - this.#startTime;
    this.#cpu = cpuMicroseconds() - this.#startCpu;
    return false;
  }
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
