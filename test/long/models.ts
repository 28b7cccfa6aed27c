/**
 * The models of test/concurrency, free of errors within larger bounds than in the tests:
 * `node build/test/long/models.js [part of a model's name]`. Needs SPIN and 2 GB of memory.
 */

import { explore, withoutSpin } from '../concurrency/support/model.js';

/** Models, and their bounds by the names that they give to them. */
const runs: readonly (readonly [string, ...string[]])[] = [
  ['pool', 'ROUNDS=3'],
  ['channel-wakeup', 'ITEMS=6', 'CAPACITY=3'],
  ['channel-bytes', 'MESSAGES=5'],
  ['channel-bytes', 'MESSAGES=4', 'CAPACITY=4'],
  ['shared-ring-submission', 'RUNS=3'],
  ['shared-ring-reaping', 'COMPLETIONS=5', 'CLAIM_MAX=2'],
  ['shared-ring-wakeup', 'COMPLETIONS=5'],
  ['shared-ring-seats', 'ROUNDS=3'],
];

if (withoutSpin !== false) throw new Error(withoutSpin);
const part = process.argv[2] ?? '';
for (const [model, ...define] of runs.filter(([name]) => name.includes(part))) {
  const start = performance.now();
  const { states, error } = explore(model, { define, large: true });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (error !== undefined) throw new Error(`${model} ${define.join(' ')}: ${error}`);
  process.stdout.write(`${model} ${define.join(' ')}: ${states} states in ${seconds} s\n`);
}
