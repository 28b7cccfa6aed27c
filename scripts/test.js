// `npm test [-- KIND... NAME... --node-test-flag...]`: builds, then runs the tests with Node's own runner.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { setup } from './setup.js';
import { ScriptError, filesBelow, root, run } from './tree.js';

/** The kinds of tests; a kind is a folder below test/. */
const kinds = ['unit', 'conformance', 'concurrency', 'lifecycle', 'hostile'];

/**
 * A test that hangs fails within the time CI has. Far above what any test takes: a limit, not a measurement.
 */
const timeoutMs = 300_000;

/**
 * Chooses test files: of the kinds named (else of all), those whose path contains any of the other words (else all).
 *
 * @param {string[]} words
 * @returns {string[]} Paths relative to the root.
 */
function chooseFiles(words) {
  const wantedKinds = words.filter((word) => kinds.includes(word));
  const names = words.filter((word) => !kinds.includes(word));
  const folders = wantedKinds.length > 0 ? wantedKinds : kinds;
  const files = folders.flatMap((kind) => filesBelow(`build/test/${kind}`, /\.test\.js$/));
  const chosen = files.filter(
    (file) => names.length === 0 || names.some((name) => file.includes(name)),
  );
  if (chosen.length > 0) return chosen;
  throw new ScriptError(
    files.length === 0
      ? `there are no tests in test/{${folders.join(',')}}`
      : `no test file's path contains ${names.map((name) => `'${name}'`).join(' or ')}; kinds are ${kinds.join(', ')}`,
  );
}

await run(async () => {
  const given = process.argv.slice(2);
  const flags = given.filter((word) => word.startsWith('-'));
  setup({ tests: true });
  const files = chooseFiles(given.filter((word) => !word.startsWith('-')));
  // Node 20's runner knows no patterns: the files are listed. Each runs in a process of its own.
  const runner = [
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=2',
    `--test-timeout=${timeoutMs}`,
  ];
  const child = spawn(process.execPath, [...runner, ...flags, ...files], {
    cwd: root,
    stdio: 'inherit',
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  const [exitCode, signal] = /** @type {[number | null, NodeJS.Signals | null]} */ (
    await once(child, 'exit')
  );
  return exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL'];
});
