/**
 * Drive: what has a ring's requests submitted and its completions reaped by the event loop.
 */
import { SystemError } from '../sys/errors.ts';
import { native, SOURCE } from '../sys/native.ts';
import type { Ring } from '../uring/ring.ts';

/** How the engine and the event loop take turns with a ring. */
export interface Drive {
  /** A request was prepared; `keep` says whether it keeps the event loop alive. */
  prepared(keep: boolean): void;
  /** Whether requests in flight keep the event loop alive. */
  keepAlive(keep: boolean): void;
  /** From now on requests wait for `handOver()`. */
  holdBack(): void;
  /** Has what is prepared submitted with the turn's end. */
  handOver(): void;
  /** Errno of an enter that failed since completions were reaped, or 0. */
  failure(): number;
  /** What requests that were not submitted for it are refused with. */
  reasonOf(errno: number): Error;
  /** The proactor closes, and has asked what waits to end. */
  closing(): void;
  /** The ring is about to be closed. */
  close(): void;
}

/** Drives a ring of this thread by the shim's pump. */
export class PumpDrive implements Drive {
  readonly #ring: Ring;
  readonly #source: number;

  /** @param reap - Called when completions are ready, or when entering the kernel failed for good. */
  constructor(ring: Ring, reap: () => void) {
    this.#ring = ring;
    this.#source = ring.startPump(reap);
  }

  /** The shim submits with the turn's end, and lets the loop go when the kernel has nothing of ours. */
  prepared(keep: boolean): void {
    if (!this.#ring.referenced && keep) native().source(this.#source, SOURCE.REF);
  }

  keepAlive(keep: boolean): void {
    native().source(this.#source, keep ? SOURCE.REF : SOURCE.UNREF);
  }

  holdBack(): void {
    this.#ring.holdBack();
  }

  handOver(): void {
    this.#ring.publish();
  }

  failure(): number {
    return this.#ring.ready === 0 ? -this.#ring.pumpError : 0;
  }

  reasonOf(errno: number): Error {
    return new SystemError(errno, 'io_uring_enter');
  }

  closing(): void {
    // What the shim submits ends what waits.
  }

  /** The ring ends its pump. */
  close(): void {}
}
