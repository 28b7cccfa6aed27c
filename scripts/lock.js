// A lock between processes: a file that names its owner, so that the lock of a dead process can be taken over.

import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { root, say } from './tree.js';

const pollMs = 100;
const silentWaitMs = 2_000;
const takeoverStaleMs = 10_000;

/**
 * Runs `body` while no other process holds the lock; waits for it as long as its owner lives.
 *
 * @template T
 * @param {string} name - The lock's file, absolute or relative to the root.
 * @param {() => T} body - Synchronous.
 * @returns {T}
 */
export function withLock(name, body) {
  const path = resolve(root, name);
  acquire(path);
  try {
    return body();
  } finally {
    rmSync(path, { force: true });
  }
}

/** @param {string} path */
function acquire(path) {
  mkdirSync(dirname(path), { recursive: true });
  // A link appears with its content in one step, so that nobody ever reads a lock without an owner.
  const own = `${path}.${process.pid}`;
  writeFileSync(own, identityOf(process.pid));
  try {
    for (let waitedMs = 0; !tryLink(own, path); waitedMs += pollMs) {
      removeIfAbandoned(path);
      if (waitedMs === silentWaitMs) say('waiting for another process that is setting up ...');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pollMs);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * @param {string} existing
 * @param {string} path
 * @returns {boolean} False when `path` exists already.
 */
function tryLink(existing, path) {
  try {
    linkSync(existing, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a dead process. Under a second lock, because between one waiter's look and its removal
 * another waiter may have removed the abandoned lock and taken a fresh one.
 *
 * @param {string} path
 */
function removeIfAbandoned(path) {
  if (!isAbandoned(path)) return;
  const takeover = `${path}.takeover`;
  try {
    mkdirSync(takeover);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    if (ageMs(takeover) > takeoverStaleMs) rmdirSync(takeover);
    return;
  }
  try {
    if (isAbandoned(path)) rmSync(path, { force: true });
  } finally {
    rmdirSync(takeover);
  }
}

/**
 * @param {string} path
 * @returns {boolean} Whether the lock exists and its owner does not.
 */
function isAbandoned(path) {
  const owner = readIfThere(path);
  return owner !== undefined && owner !== identityOf(Number.parseInt(owner, 10));
}

/**
 * Names a process so that a later one with the same pid is not taken for it.
 *
 * @param {number} pid
 * @returns {string} The pid and, where /proc tells it, the start time; empty when there is no such process.
 */
function identityOf(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return '';
  }
  // Field 22 of /proc/<pid>/stat is the start time; the name in field 2 may itself hold spaces and parentheses.
  const stat = readIfThere(`/proc/${pid}/stat`);
  const startTime = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return startTime === undefined ? `${pid}` : `${pid} ${startTime}`;
}

/**
 * @param {string} path
 * @returns {string | undefined}
 */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/**
 * @param {string} path
 * @returns {number}
 */
function ageMs(path) {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
}

/**
 * @param {unknown} error
 * @returns {string | undefined}
 */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
