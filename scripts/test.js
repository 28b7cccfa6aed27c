// `npm test [-- KIND... NAME... --node-test-flag...]`: builds, then runs the tests with Node's own runner.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { setup } from './setup.js';
import { ScriptError, filesBelow, root, run, say } from './tree.js';

/** The kinds of tests; a kind is a folder below test/. */
const kinds = ['unit', 'conformance', 'concurrency', 'lifecycle', 'hostile'];

/**
 * Limits, not measurements: far above what a sound test or all tests together take. Node's runner ends a test that
 * waits for ever, but, on Node 24 and 26, not a file that blocks its thread or keeps its loop alive; for those is the
 * second limit.
 */
const testMsMax = 300_000;
const runMsMax = 600_000;

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

/**
 * @param {number} group - A process group.
 * @returns {string[]} The test files that its processes are running.
 */
function filesRunningIn(group) {
  const { stdout } = spawnSync('ps', ['-eo', 'pgid=,args='], { encoding: 'utf8' });
  const lines = (stdout ?? '').split('\n').filter((line) => Number.parseInt(line, 10) === group);
  // The runner's own line names many files; a file's process names one, last.
  const single = lines.filter((line) => line.match(/\.test\.js/g)?.length === 1);
  return single.map((line) => line.slice(line.lastIndexOf(' ') + 1));
}

/**
 * @param {number} group - A process group.
 * @param {NodeJS.Signals} signal
 * @returns {boolean} False when the group has no process any more.
 */
function signalGroup(group, signal) {
  try {
    return process.kill(-group, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Runs Node's test runner in a process group of its own, so that whatever the tests start ends with it.
 *
 * @param {string[]} flags
 * @param {string[]} files
 * @returns {Promise<number>} The exit code.
 */
async function runTests(flags, files) {
  const runner = ['--test', '--test-reporter=spec', '--test-concurrency=2'];
  // Node 20's runner knows no patterns: the files are listed. Each runs in a process of its own.
  const args = [...runner, `--test-timeout=${testMsMax}`, ...flags, ...files];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const group = child.pid;
  if (group === undefined) throw new ScriptError('cannot start Node');
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => signalGroup(group, signal));
  }
  const limit = setTimeout(() => {
    const unfinished = filesRunningIn(group).join(', ') || 'unknown';
    say(`the tests have run for ${runMsMax / 1_000} s and are ended; unfinished: ${unfinished}`);
    signalGroup(group, 'SIGKILL');
  }, runMsMax);
  const [exitCode, signal] = /** @type {[number | null, NodeJS.Signals | null]} */ (
    await once(child, 'exit')
  );
  clearTimeout(limit);
  if (signalGroup(group, 'SIGKILL')) say('ended processes that the tests had left behind');
  return exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL'];
}

await run(() => {
  const given = process.argv.slice(2);
  const flags = given.filter((word) => word.startsWith('-'));
  setup({ tests: true });
  return runTests(flags, chooseFiles(given.filter((word) => !word.startsWith('-'))));
});
