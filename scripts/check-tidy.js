// Checks the rules of style that neither the formatter nor the linter knows. CONTRIBUTING.md lists them.

import { readdirSync } from 'node:fs';
import { filesBelow, reportViolations, root, run, textOf } from './tree.js';

const columnsMax = 120;
const nativeLinesMax = 1_000;
const functionLinesMax = 70;

// Written so that these patterns do not find themselves.
const leftover = /\b(?:TOD[O]|FIXM[E]|XX[X])\b/;
const machinePath = /(?:^|[^\w.:])\/(?:work|root|home\/\w+|tmp\/plan)(?:\/|\b)(?![\w-])/;

/** @type {string[]} */
const violations = [];

/**
 * @param {string} file
 * @param {number} line - From 1.
 * @param {string} problem
 */
function report(file, line, problem) {
  violations.push(`${file}:${line}: ${problem}`);
}

/** @returns {string[]} Every file that is written by hand. */
function writtenFiles() {
  const folders = ['.ci', 'bench', 'bin', 'docs', 'native', 'scripts', 'src', 'test'];
  const here = readdirSync(root, { withFileTypes: true });
  const atRoot = here.filter((entry) => entry.isFile()).map((entry) => entry.name);
  return [...atRoot, ...folders.flatMap((folder) => filesBelow(folder, /./))];
}

/**
 * @param {string} file
 * @param {string[]} lines
 */
function checkLines(file, lines) {
  const isCode = /^(?:src|native|test|scripts|bench|bin)\/.*\.(?:[cm]?[jt]s|[ch]|sh|pml)$/.test(
    file,
  );
  for (const [index, line] of lines.entries()) {
    if (isCode && line.length > columnsMax) {
      report(file, index + 1, `${line.length} columns, at most ${columnsMax}`);
    }
    if (isCode && leftover.test(line)) report(file, index + 1, 'finish it, or open an issue');
    if (machinePath.test(line)) report(file, index + 1, 'a path of one machine');
  }
}

/**
 * Functions are found by layout: a body opens with a brace and closes with one in the first column.
 *
 * @param {string} file
 * @param {string[]} lines
 */
function checkNativeFunctions(file, lines) {
  let start = -1;
  for (const [index, line] of lines.entries()) {
    if (start === -1 && /^[A-Za-z_].*\(/.test(line) && !line.trimEnd().endsWith(';')) start = index;
    if (start === -1 || !line.startsWith('}')) continue;
    const length = index - start + 1;
    if (length > functionLinesMax) {
      report(file, start + 1, `a function of ${length} lines, at most ${functionLinesMax}`);
    }
    start = -1;
  }
}

function checkNativeTotal() {
  const files = filesBelow('native', /\.[ch]$/);
  const total = files.reduce((sum, file) => sum + textOf(file).split('\n').length - 1, 0);
  if (total < nativeLinesMax) return;
  report('native', 1, `${total} lines of C, must be under ${nativeLinesMax}`);
}

function checkLockFile() {
  // Any mirror of the registry must serve the lock file: see .npmrc.
  if (textOf('package-lock.json').includes('"resolved"')) {
    report('package-lock.json', 1, `names a registry; delete the "resolved" fields`);
  }
}

await run(() => {
  for (const file of writtenFiles()) {
    const text = textOf(file);
    const lines = text.split('\n');
    checkLines(file, lines);
    if (/^native\/.*\.[ch]$/.test(file)) checkNativeFunctions(file, lines);
    if (/^src\/.*\.ts$/.test(file) && !text.startsWith('/**')) {
      report(file, 1, 'begin with a doc comment that says the one subject of the file');
    }
  }
  checkNativeTotal();
  checkLockFile();
  return reportViolations(violations);
});
