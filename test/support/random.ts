/**
 * Random numbers of tests: the same every time from a seed that is printed.
 */

/** A random integer from 0 to `below` - 1. */
export type RandomInteger = (below: number) => number;

/** The seed of this run's random tests, which it prints: `ANNULUS_SEED`, or a new one. */
export function printedSeed(): number {
  const seed = Number(process.env['ANNULUS_SEED'] ?? Date.now() % 2 ** 31);
  process.stdout.write(`seed: run again with ANNULUS_SEED=${seed}\n`);
  return seed;
}

/** Random integers from a seed, by mulberry32. */
export function randomFrom(seed: number): RandomInteger {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
