/**
 * The garbage collector, on call, without a flag on the command line.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects everything that can be collected, at once. */
export const collectGarbage: () => void = runInNewContext('gc') as () => void;
