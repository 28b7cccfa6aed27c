/**
 * Batching: when requests that are queued go to the kernel.
 */
import { checkInteger, invalidArgValue } from '../sys/errors.ts';
import { Alarm } from '../sys/alarm.ts';

/** Longest time requests can be held back: a minute. */
const MAX_DEADLINE = 60_000_000;

/** A batch is due when either is reached; at least one must be given. */
export interface BatchLimits {
  /** Requests queued: 1 to the smaller of `entries` and `maxInFlight`. */
  readonly requests?: number;
  /** Microseconds since the first of them was queued: 1 to 60,000,000. */
  readonly deadlineUs?: number;
}

/**
 * When queued requests go to the kernel: at the end of each turn of the event loop (`'turn'`), when
 * `submit()` is called (`'manual'`), or when a batch is due. What is due goes with the
 * turn's end, so that everything queued by then goes with it.
 */
export type Batching = 'turn' | 'manual' | BatchLimits;

/** Holds requests back until their batch is due. Not made for `'turn'`, which holds nothing back. */
export class Batcher {
  readonly #limits: BatchLimits;
  readonly #manual: boolean;
  readonly #queued: () => number;
  readonly #release: () => void;
  readonly #alarm: Alarm | undefined;

  /**
   * @param queued - Entries prepared that the kernel has not consumed.
   * @param release - Has them submitted with the turn's end.
   */
  constructor(
    policy: 'manual' | BatchLimits,
    most: number,
    queued: () => number,
    release: () => void,
  ) {
    this.#manual = policy === 'manual';
    this.#limits = policy === 'manual' ? {} : checkLimits(policy, most);
    this.#queued = queued;
    this.#release = release;
    if (this.#limits.deadlineUs !== undefined) this.#alarm = new Alarm(release);
  }

  /** A request was prepared, and, if `full`, none can follow it: no batch grows any more. */
  prepared(keepAlive: boolean, full: boolean): void {
    if (this.#manual) return;
    const { requests, deadlineUs } = this.#limits;
    // Entries the pump is about to submit count, too: whatever comes in the same turn goes with them.
    if (full || (requests !== undefined && this.#queued() >= requests)) {
      this.#alarm?.cancel();
      this.#release();
    } else if (deadlineUs !== undefined && this.#alarm?.armed === false) {
      this.#alarm.set(deadlineUs, keepAlive);
    }
  }

  /** Requests have to wait for a slot: those held back may be what the slots wait for. */
  crowded(): void {
    if (!this.#manual) this.#release();
  }

  /** Everything was submitted. */
  emptied(): void {
    this.#alarm?.cancel();
  }

  /** Whether the deadline keeps the process alive. */
  keepAlive(on: boolean): void {
    this.#alarm?.keepAlive(on);
  }

  close(): void {
    this.#alarm?.close();
  }
}

function checkLimits(limits: BatchLimits, most: number): BatchLimits {
  if (typeof limits !== 'object' || limits === null) {
    throw invalidArgValue('batching', "must be 'turn', 'manual' or an object", limits);
  }
  const { requests, deadlineUs } = limits;
  if (requests === undefined && deadlineUs === undefined) {
    throw invalidArgValue('batching', 'must have "requests", "deadlineUs" or both', 'neither');
  }
  if (requests !== undefined) checkInteger('batching.requests', requests, 1, most);
  if (deadlineUs !== undefined) {
    checkInteger('batching.deadlineUs', deadlineUs, 1, MAX_DEADLINE);
  }
  return { ...(requests && { requests }), ...(deadlineUs && { deadlineUs }) };
}
