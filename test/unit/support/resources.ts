/**
 * What this process holds: descriptors, and mappings of ours.
 */

import { readdirSync, readFileSync } from 'node:fs';

import { dropSpares } from '#src/memory/spares.js';

/** Open descriptors, and mappings of memory files and rings. */
export interface Held {
  readonly descriptors: number;
  readonly mappings: number;
}

/** Counts what this process holds now. */
export function held(): Held {
  dropSpares(); // which closed rings leave for a second
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: maps.filter((line) => /memfd:annulus|io_uring/.test(line)).length,
  };
}
