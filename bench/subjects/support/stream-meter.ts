/** The receiving end of a one-way case. */

import { Meter } from './meter.ts';
import { report } from './report.ts';

/** The unit of a one-way case: messages where they are small, bytes where they are large. */
function figure(meter: Meter, bytes: number): { value: number; unit: string } {
  if (bytes <= 4096) return { value: meter.perSecond, unit: 'msg/s' };
  return { value: meter.perSecond * bytes, unit: 'B/s' };
}

/** Counts payloads of `bytes` bytes; calls `finish` once, after reporting, when the time is up. */
export class StreamMeter {
  readonly #meter: Meter;
  readonly #bytes: number;
  readonly #finish: () => void;

  constructor(bytes: number, stride: number, finish: () => void) {
    this.#meter = new Meter(stride);
    this.#bytes = bytes;
    this.#finish = finish;
  }

  /** Counts `payloads`; false when the receiver should stop. */
  tick(payloads: number): boolean {
    if (this.#meter.over) return false;
    if (this.#meter.tick(payloads)) return true;
    const { value, unit } = figure(this.#meter, this.#bytes);
    report(value, unit);
    this.#finish();
    return false;
  }
}
