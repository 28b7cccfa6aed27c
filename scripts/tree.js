// What the scripts share: where the repository is, which files it holds, and how to say something.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, an absolute path. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * A failure whose message is meant for the user as it stands: the cause, and what to do about it.
 */
export class ScriptError extends Error {
  /**
   * @param {string} message
   * @param {number} [exitCode]
   */
  constructor(message, exitCode = 1) {
    super(message);
    this.name = 'ScriptError';
    this.exitCode = exitCode;
  }
}

/**
 * Says something to the user. Always on standard error: standard output belongs to the command.
 *
 * @param {string} message
 */
export function say(message) {
  process.stderr.write(`annulus: ${message}\n`);
}

/**
 * Runs the body of a script; a ScriptError becomes one message and an exit code, not a stack trace.
 *
 * @param {() => number | void | Promise<number | void>} body - May return the exit code.
 */
export async function run(body) {
  try {
    const exitCode = await body();
    if (typeof exitCode === 'number') process.exitCode = exitCode;
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(error.message);
    process.exitCode = error.exitCode;
  }
}

/**
 * Ends a check: prints one line a violation.
 *
 * @param {string[]} violations
 * @returns {number} The exit code.
 */
export function reportViolations(violations) {
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  return violations.length > 0 ? 1 : 0;
}

/**
 * Lists the files below a folder, sorted, as paths relative to `base` with forward slashes.
 *
 * @param {string} folder - Relative to `base`. A folder that does not exist has no files.
 * @param {RegExp} pattern - Tested on the relative path.
 * @param {string} [base] - Default: the repository's root.
 * @returns {string[]}
 */
export function filesBelow(folder, pattern, base = root) {
  const absolute = join(base, folder);
  if (!existsSync(absolute)) return [];
  const files = [];
  for (const entry of readdirSync(absolute, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = relative(base, join(entry.parentPath, entry.name)).split(sep).join('/');
    if (pattern.test(path)) files.push(path);
  }
  return files.toSorted();
}

/**
 * Hashes files by name and content, so that a touched or checked-out file is not taken for a changed one.
 *
 * @param {string[]} files - Relative to the root.
 * @param {string[]} [extra] - Anything else the result depends on, such as versions and flags.
 * @returns {string}
 */
export function hashFiles(files, extra = []) {
  const hash = createHash('sha256');
  for (const text of extra) hash.update(`${text}\0`);
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/**
 * @param {string} file - Relative to the root.
 * @returns {string} Its text, or the empty string when there is no such file.
 */
export function textOf(file) {
  const path = join(root, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/**
 * @param {string} name - An installed package.
 * @returns {string} Its version, or the empty string when it is not installed.
 */
export function installedVersion(name) {
  const text = textOf(`node_modules/${name}/package.json`);
  return text === '' ? '' : /** @type {{ version: string }} */ (JSON.parse(text)).version;
}
