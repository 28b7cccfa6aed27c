/** Opens our raw ring as the benchmarks use it. */

import { Ring, SETUP } from 'annulus/uring';
import { reportSkip } from './report.ts';

/** The default ring, just large enough for `depth` requests a batch, as in the C peers. */
export function openRing(depth: number): Ring {
  return orSkip(() => new Ring({ entries: Math.max(depth, 8) }));
}

/**
 * A ring whose requests a thread of the kernel takes, as long as it is awake. It has room for two
 * batches: completions of the first may come before its entries are given back.
 */
export function openPolledRing(depth: number): Ring {
  const flags = SETUP.SQPOLL | SETUP.SUBMIT_ALL | SETUP.SINGLE_ISSUER | SETUP.NO_SQARRAY;
  const entries = Math.max(depth * 2, 8);
  return orSkip(
    () => new Ring({ entries, completionEntries: entries * 4, flags, sqThreadIdle: 1_000 }),
  );
}

/** What `open` returns; where io_uring is refused the subject is skipped with our explanation. */
export function orSkip<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_ANNULUS_URING_UNAVAILABLE') throw error;
    reportSkip(message);
    return process.exit(0);
  }
}

/** Names of the set-up flags that the kernel agreed to. */
export function flagsOf(ring: Ring): string {
  return Object.entries(SETUP)
    .filter(([, bit]) => (ring.flags & bit) !== 0)
    .map(([name]) => name)
    .join('|');
}
