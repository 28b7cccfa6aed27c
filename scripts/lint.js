// `npm run lint [-- NAME...]`: builds, then runs every check, or those named.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setup } from './setup.js';
import { ScriptError, root, run } from './tree.js';

const bin = 'node_modules/.bin';

/** The checks, by name: a script, or a tool with its arguments. */
const checks = new Map([
  ['format', [`${bin}/prettier`, '--check', '--log-level=warn', '.']],
  [
    'oxlint',
    [`${bin}/oxlint`, '--type-aware', '--deny-warnings', '--report-unused-disable-directives'],
  ],
  ['types', [`${bin}/tsc`, '-p', 'scripts']],
  ['floors', ['scripts/check-floors.js']],
  ['abi', ['scripts/check-abi.js']],
  ['tidy', ['scripts/check-tidy.js']],
  ['docs', ['scripts/check-docs.js']],
  ['support', ['scripts/support-matrix.js', '--check']],
  ['typedoc', [`${bin}/typedoc`]],
  ['package', ['scripts/check-package.js']],
  ['publint', [`${bin}/publint`, 'run', '--strict']],
  ['attw', [`${bin}/attw`, '--pack', '.', '--profile', 'esm-only', '--format', 'ascii', '--quiet']],
]);

await run(() => {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !checks.has(name));
  if (unknown.length > 0) {
    throw new ScriptError(
      `no check named ${unknown.join(', ')}; checks are ${[...checks.keys()].join(', ')}`,
    );
  }
  // Compiling src, test and bench is the first check: it stops here when a type is wrong.
  setup({ tests: true });
  const failed = [];
  for (const [name, [program = '', ...args]] of checks) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const start = performance.now();
    const { status } = spawnSync(process.execPath, [join(root, program), ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    const seconds = ((performance.now() - start) / 1_000).toFixed(1);
    process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
    if (status !== 0) failed.push(name);
  }
  if (failed.length === 0) return 0;
  throw new ScriptError(`failed: ${failed.join(', ')}; run one alone with 'npm run lint -- NAME'`);
});
