/**
 * Reasons to skip a test, by probe: `it(name, { skip: withoutUring }, ...)`.
 */

import { probe } from 'annulus/uring';

const found = probe();

/** Why tests that need io_uring cannot run here, or false. */
export const withoutUring: string | false = found.available
  ? false
  : (found.reason ?? 'io_uring is not available');
