// Checks that src/ keeps its floors: a folder imports only from folders below it.
// Usage: check-floors.js [SRC].

import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, posix, resolve } from 'node:path';
import ts from 'typescript';
import { filesBelow, reportViolations, root, run } from './tree.js';

/** The floors, lowest first. Folders on one floor know nothing of each other. */
const floors = [
  ['sys'],
  ['memory'],
  ['channel', 'uring', 'pool'],
  ['proactor'],
  ['fs', 'net'],
  ['cli'],
];

/** src/index.ts stands above all floors it makes public; the command line is not one of them. */
const roof = 'index.ts';
const belowRoof = new Set(floors.slice(0, -1).flat());

/** Packages from the registry, by the only folder that may import them. */
const packages = new Map([['cli', ['commander', 'cli-progress']]]);

/** Built-in modules that make system calls of their own, and the folders where that makes sense. */
const ioFolders = ['sys', 'fs', 'net', 'cli'];
const ioModules = [
  'node:child_process',
  'node:cluster',
  'node:dgram',
  'node:dns',
  'node:fs',
  'node:http',
  'node:http2',
  'node:https',
  'node:net',
  'node:readline',
  'node:repl',
  'node:tls',
  'node:tty',
];

/** What these modules have that makes no system call: any folder may import it, by name. */
const pureNames = new Map([['node:net', ['isIP', 'isIPv4', 'isIPv6']]]);

/** The place of a folder: 0 is the lowest floor, -1 none.
 * @param {string} folder */
const floorOf = (folder) => floors.findIndex((floor) => floor.includes(folder));

/**
 * Says what is wrong with one import, if anything.
 *
 * @param {string} file - The importing file, relative to src/.
 * @param {string} specifier
 * @param {string[]} names - What it imports by name; empty when it may be anything.
 * @returns {string | undefined}
 */
function objection(file, specifier, names) {
  const folder = folderOf(file);
  if (specifier.startsWith('.')) return relativeObjection(file, folder, specifier);
  if (isBuiltin(specifier)) return builtinObjection(folder, specifier, names);
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (specifier.startsWith('#') || name === 'annulus') {
    return `'${specifier}' names this package: inside src/ import by relative path, so that the floors can be seen`;
  }
  if (packages.get(folder)?.includes(name)) return undefined;
  return `'${folder}' must not import the package '${name}'`;
}

/**
 * @param {string} file
 * @param {string} folder - The folder of `file`.
 * @param {string} specifier
 * @returns {string | undefined}
 */
function relativeObjection(file, folder, specifier) {
  const target = posix.join(posix.dirname(file), specifier);
  if (target.startsWith('..')) return `'${specifier}' leaves src/`;
  if (!target.endsWith('.ts')) return `'${specifier}' must end in '.ts'`;
  const targetFolder = folderOf(target);
  if (targetFolder === folder) return undefined;
  if (targetFolder === roof) return `'${folder}' must not import the roof '${roof}'`;
  if (folder === roof) {
    return belowRoof.has(targetFolder) ? undefined : `the roof must not import '${targetFolder}'`;
  }
  const [from, to] = [floorOf(folder), floorOf(targetFolder)];
  if (to === -1) return `'${targetFolder}' is on no floor`;
  if (to < from) return undefined;
  const where = to === from ? 'beside' : 'above';
  return `'${folder}' (floor ${from}) must not import '${targetFolder}' (floor ${to}) ${where} it`;
}

/**
 * @param {string} folder
 * @param {string} specifier
 * @param {string[]} names
 * @returns {string | undefined}
 */
function builtinObjection(folder, specifier, names) {
  if (!specifier.startsWith('node:')) return `'${specifier}' must be written 'node:${specifier}'`;
  const isIo = ioModules.some((name) => specifier === name || specifier.startsWith(`${name}/`));
  if (!isIo || ioFolders.includes(folder)) return undefined;
  const pure = pureNames.get(specifier) ?? [];
  if (names.length > 0 && names.every((name) => pure.includes(name))) return undefined;
  return `'${folder}' must not import '${specifier}': I/O is for ${ioFolders.join(', ')}`;
}

/**
 * @param {string} text - The text of a file.
 * @param {number} pos - Where the specifier of an import is.
 * @returns {string[]} The names between the braces of `import { ... } from`; none for every other form.
 */
function namesImportedAt(text, pos) {
  const [, list = ''] = /\bimport\s*\{([^{}]*)\}\s*from\s*$/.exec(text.slice(0, pos)) ?? [];
  return list
    .split(',')
    .flatMap((item) => item.trim().split(/\s+as\s+/, 1))
    .filter((name) => name !== '');
}

/**
 * @param {string} file - Relative to src/.
 * @returns {string} Its folder; a file directly in src/ stands for itself.
 */
function folderOf(file) {
  return file.split('/')[0] ?? file;
}

/**
 * @param {string} src - The folder to check, an absolute path.
 * @returns {string[]} One line a violation.
 */
function checkFloors(src) {
  const base = dirname(src);
  const name = src.slice(base.length + 1);
  const violations = [];
  for (const path of filesBelow(name, /\.ts$/, base)) {
    const file = path.slice(name.length + 1);
    if (file !== roof && floorOf(folderOf(file)) === -1) {
      violations.push(
        `${path}:1: '${folderOf(file)}' is on no floor; floors are ${floors.flat().join(', ')}`,
      );
      continue;
    }
    const text = readFileSync(join(base, path), 'utf8');
    // Finds imports, re-exports, dynamic imports and import types, whatever the layout; skips comments and strings.
    for (const { fileName, pos } of ts.preProcessFile(text, true, true).importedFiles) {
      const problem = objection(file, fileName, namesImportedAt(text, pos));
      if (problem) violations.push(`${path}:${text.slice(0, pos).split('\n').length}: ${problem}`);
    }
  }
  return violations;
}

await run(() => {
  const violations = checkFloors(resolve(process.argv[2] ?? join(root, 'src')));
  return reportViolations(violations);
});
