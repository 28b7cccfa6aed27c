/**
 * Rings with a polling thread that is at work.
 */

import type { Region } from 'annulus/memory';
import { Ring, SETUP, SQE } from 'annulus/uring';

/** What a worker leaves its poller at. */
export interface Polled {
  readonly file: number;
  /** Mappings of the memory for what is read from it. */
  readonly mappings: readonly number[];
}

/** A ring whose poller is awake. */
export function polledRing(): Ring {
  const ring = new Ring({ entries: 8, flags: SETUP.SQPOLL, sqThreadIdle: 10_000 });
  ring.nop(0);
  ring.submitAndWait(1);
  ring.drain(() => {});
  return ring;
}

/**
 * Has the poller read much itself, which takes it a while, and then leave as much and more to worker
 * threads. Until all is begun the kernel says of none of it that it has taken it.
 */
export function leaveBusy(ring: Ring, file: number, first: Region, second: Region): void {
  ring.read(1, file, first, { position: 0 });
  for (let token = 2; token < 8; token++) {
    ring.read(token, file, second, { position: 0 });
    ring.flagLast(SQE.ASYNC);
  }
  ring.submit();
}
