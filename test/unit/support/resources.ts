/**
 * What this process holds: descriptors, mappings of ours; and the seed of its random tests.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** Open descriptors, and mappings of memory files and rings. */
export interface Held {
  readonly descriptors: number;
  readonly mappings: number;
}

/** Counts what this process holds now. */
export function held(): Held {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: maps.filter((line) => /memfd:annulus|io_uring/.test(line)).length,
  };
}

/** The seed of this run's random tests: `ANNULUS_SEED`, or a new one that is printed. */
export const seed: number = Number(process.env['ANNULUS_SEED'] ?? Date.now() % 2 ** 31);
process.stdout.write(`seed: run again with ANNULUS_SEED=${seed}\n`);

/** Random integers from a seed: the same every time (mulberry32). */
export function randomFrom(start: number): (below: number) => number {
  let state = start | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
