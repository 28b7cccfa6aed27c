// `npm run bench [-- CASE...] [--json FILE]`: builds, then runs the benchmarks.

import { setup } from './setup.js';
import { run } from './tree.js';

await run(async () => {
  setup({ tests: true });
  await import(new URL('../build/bench/run.js', import.meta.url).href);
});
