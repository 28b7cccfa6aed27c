// Compiles native/*.c into prebuilds/linux-<arch>/annulus.node with one call of the C compiler.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  ScriptError,
  filesBelow,
  hashFiles,
  installedVersion,
  root,
  run,
  say,
  textOf,
} from './tree.js';

/** The C compiler; `CC` may carry arguments, as in `CC="ccache gcc"`. */
const compiler = (process.env['CC'] || 'cc').split(' ').filter((word) => word !== '');

const flags = [
  '-std=c11',
  '-O2',
  '-g0',
  '-fPIC',
  '-shared',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-pthread',
  // Node-API 9: one binary for Node 20, 22, 24 and 26.
  '-DNAPI_VERSION=9',
  '-Inode_modules/node-api-headers/include',
];

const folder = `prebuilds/linux-${process.arch}`;
const binary = `${folder}/annulus.node`;
const stamp = `${folder}/.stamp`;

/** @returns {string[]} The C sources. None on platforms other than Linux: the shim is Linux system calls. */
function sources() {
  return process.platform === 'linux' ? filesBelow('native', /\.c$/) : [];
}

/** @returns {string} A hash of everything the binary depends on. */
function fingerprint() {
  const inputs = filesBelow('native', /\.[ch]$/);
  return hashFiles(inputs, [...compiler, ...flags, installedVersion('node-api-headers')]);
}

/** @returns {boolean} Whether the binary is missing or was built from other sources. */
export function nativeIsStale() {
  if (sources().length === 0) return false;
  return !existsSync(join(root, binary)) || textOf(stamp) !== fingerprint();
}

/**
 * Builds the binary whether or not it is stale. Does nothing on platforms other than Linux.
 *
 * @throws {ScriptError} When there is no compiler or it refuses the sources.
 */
export function buildNative() {
  const inputs = sources();
  if (inputs.length === 0) return;
  const built = fingerprint();
  mkdirSync(join(root, folder), { recursive: true });
  // Built beside its place and renamed: a process that has the old binary mapped keeps it intact.
  const temporary = `${binary}.${process.pid}.tmp`;
  const [command = 'cc', ...prefix] = compiler;
  const result = spawnSync(command, [...prefix, ...flags, '-o', temporary, ...inputs], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    rmSync(join(root, temporary), { force: true });
    throw new ScriptError(describeFailure(command, result));
  }
  renameSync(join(root, temporary), join(root, binary));
  writeFileSync(join(root, stamp), built);
}

/**
 * @param {string} command
 * @param {{ error?: NodeJS.ErrnoException | undefined, status: number | null, signal: NodeJS.Signals | null }} result
 * @returns {string}
 */
function describeFailure(command, result) {
  if (result.error?.code === 'ENOENT') {
    return (
      `the C compiler '${command}' was not found, and native/ must be compiled once. ` +
      `Install one (Debian, Ubuntu: apt-get install gcc libc6-dev; Alpine: apk add gcc musl-dev; ` +
      `Fedora: dnf install gcc) or name yours in the variable CC.`
    );
  }
  if (result.error) return `cannot run the C compiler '${command}': ${result.error.message}`;
  if (result.signal) return `the C compiler '${command}' was ended by ${result.signal}`;
  return (
    `the C compiler '${command}' refused native/ with exit code ${result.status}; its messages are above. ` +
    `If it misses <stdint.h> or <linux/io_uring.h>, install the headers (Debian, Ubuntu: apt-get install libc6-dev).`
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await run(() => {
    if (sources().length === 0) say(`nothing to compile for ${process.platform}`);
    buildNative();
  });
}
