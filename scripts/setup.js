// Makes a clone ready to run: installs the development dependencies, compiles TypeScript and C.
// Does only what is needed, and nothing at all in an installed package, which carries its output.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildNative, nativeIsStale } from './build-native.js';
import { withLock } from './lock.js';
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

/**
 * One compilation: `tsc -b project`, and how to tell whether its output is that of the present sources.
 *
 * @typedef {object} Compilation
 * @property {string} project - What `tsc -b` is given.
 * @property {string} output - The output folder.
 * @property {string[]} folders - The folders of its sources.
 * @property {string} sourceRoot - The folder that `output` mirrors.
 * @property {string[]} configuration - Other files the output depends on.
 */

/** @type {Compilation} */
const library = {
  project: 'src',
  output: 'dist',
  folders: ['src'],
  sourceRoot: 'src',
  configuration: ['tsconfig.base.json', 'src/tsconfig.json', 'package.json'],
};

/** @type {Compilation} */
const testsAndBenches = {
  project: '.',
  output: 'build',
  folders: ['test', 'bench'],
  sourceRoot: '.',
  configuration: ['tsconfig.json', ...library.configuration, ...sourcesOf(library)],
};

/**
 * Makes this clone ready. Everything it says goes to standard error. Takes about 20 ms when nothing is to be done.
 * Of several processes that start at once, one works and the others wait.
 *
 * @param {object} [options]
 * @param {boolean} [options.tests] - Also compile tests and benchmarks. Default: false.
 * @throws {ScriptError} When a step fails; its message says what to do.
 */
export function setup({ tests = false } = {}) {
  if (!existsSync(join(root, 'src'))) return;
  const compilations = tests ? [library, testsAndBenches] : [library];
  if (isReady(compilations)) return;
  withLock('build/.setup.lock', () => {
    if (modulesAreStale()) installModules();
    if (nativeIsStale()) {
      say('compiling native/ ...');
      buildNative();
    }
    for (const compilation of compilations) {
      if (isStale(compilation)) compile(compilation);
    }
  });
}

/**
 * @param {Compilation[]} compilations
 * @returns {boolean}
 */
function isReady(compilations) {
  return !modulesAreStale() && !nativeIsStale() && !compilations.some(isStale);
}

/**
 * Whether node_modules holds other versions than package-lock.json asks for. npm keeps a copy of what it installed;
 * comparing versions rather than times survives `git checkout` and any way of installing.
 *
 * @returns {boolean}
 */
function modulesAreStale() {
  const installed = lockedVersions('node_modules/.package-lock.json');
  for (const [path, wanted] of lockedVersions('package-lock.json')) {
    const found = installed.get(path);
    if (found === undefined ? !wanted.optional : found.version !== wanted.version) return true;
  }
  return false;
}

/**
 * @param {string} lockFile
 * @returns {Map<string, { version: string, optional: boolean }>} By the path of the package.
 */
function lockedVersions(lockFile) {
  const text = textOf(lockFile);
  const versions = new Map();
  if (text === '') return versions;
  /** @type {{ packages: Record<string, { version: string, optional?: boolean }> }} */
  const { packages } = JSON.parse(text);
  for (const [path, { version, optional = false }] of Object.entries(packages)) {
    if (path !== '') versions.set(path, { version, optional });
  }
  return versions;
}

function installModules() {
  say('installing the development dependencies (npm ci) ...');
  // Install scripts are neither needed nor wanted; development packages are, whatever NODE_ENV says.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--include=dev'];
  const result = spawnSync('npm', ['ci', ...flags], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.error) throw new ScriptError(`cannot run npm: ${result.error.message}`);
  if (result.status !== 0) {
    throw new ScriptError(
      `'npm ci' failed with exit code ${result.status}; its messages are above. ` +
        `It needs the npm registry once; run 'npm ci --ignore-scripts' by hand where there is a network.`,
    );
  }
}

/**
 * @param {Compilation} compilation
 * @returns {string[]}
 */
function sourcesOf({ folders }) {
  return folders.flatMap((folder) => filesBelow(folder, /\.ts$/));
}

/**
 * @param {Compilation} compilation
 * @returns {string} A hash of everything the output depends on.
 */
function fingerprint(compilation) {
  const inputs = [...compilation.configuration, ...sourcesOf(compilation)];
  return hashFiles(inputs, [installedVersion('typescript')]);
}

/**
 * @param {Compilation} compilation
 * @returns {boolean}
 */
function isStale(compilation) {
  if (sourcesOf(compilation).length === 0) return false;
  return textOf(`${compilation.output}/.stamp`) !== fingerprint(compilation);
}

/** @param {Compilation} compilation */
function compile(compilation) {
  say(`compiling ${compilation.folders.join(' and ')} ...`);
  // Taken before compiling: a source that changes meanwhile makes the next start compile again.
  const compiled = fingerprint(compilation);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-b', compilation.project], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) {
    throw new ScriptError(
      `compiling ${compilation.folders.join(' and ')} failed; the messages are above`,
    );
  }
  removeOrphans(compilation);
  mkdirSync(join(root, compilation.output), { recursive: true });
  writeFileSync(join(root, compilation.output, '.stamp'), compiled);
}

/**
 * Removes output whose source is gone: a deleted test must not run, a deleted module must not be packed.
 *
 * @param {Compilation} compilation
 */
function removeOrphans({ output, sourceRoot }) {
  for (const file of filesBelow(output, /\.(js|js\.map|d\.ts)$/)) {
    const stem = file.slice(output.length + 1).replace(/\.(js|js\.map|d\.ts)$/, '');
    if (!existsSync(join(root, sourceRoot, `${stem}.ts`))) rmSync(join(root, file));
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await run(() => setup({ tests: true }));
}
