/**
 * Five million random requests: `node build/test/long/uring-fuzz.js [requests]`. Each 200,000 have a
 * seed of their own, one more than those before.
 */

import { fuzz, MANNERS } from '../hostile/support/fuzz-run.js';
import { printedSeed } from '../support/random.js';

const PER_SEED = 200_000;

const requests = Number(process.argv[2] ?? 5_000_000);
let seed = printedSeed();
for (let done = 0; done < requests; seed++) {
  for (const [name, { share }] of Object.entries(MANNERS)) {
    const { prepared, refused, failed } = fuzz(name, seed, PER_SEED * share);
    done += prepared;
    process.stdout.write(`${seed} ${name}: ${prepared}, ${refused} refused, ${failed} failed\n`);
  }
}
