/**
 * Sets of signals, as the kernel has them.
 */
import { constants } from 'node:os';

import { invalidArgValue } from './errors.ts';

/** The kernel's set of these signals: bit n - 1 is signal n. */
export function signalSet(signals: readonly NodeJS.Signals[]): bigint {
  return signals.reduce((set, signal) => {
    const number = constants.signals[signal];
    if (number === undefined) throw invalidArgValue('signals', 'must be names of signals', signal);
    return set | (1n << BigInt(number - 1));
  }, 0n);
}
