/**
 * Plan: what is relayed and where it goes, or why it cannot. Nothing is written yet.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { codeOf, failed, CommandError } from '../failure.ts';
import { KIND } from './frame.ts';
import { walk } from './walk.ts';
import type { Entry } from './walk.ts';

/** A relay that can begin. */
export interface Plan {
  /** SRC, with links resolved. */
  readonly source: string;
  readonly isTree: boolean;
  readonly entries: readonly Entry[];
  /** Bytes of all files. */
  readonly bytes: number;
  readonly destination: string;
  /** Where the copy is made until it is complete. */
  readonly temporary: string;
  /** The destination is a directory that must stay: the copy's content moves into it. */
  readonly into: boolean;
}

interface Target {
  readonly destination: string;
  readonly temporary: string;
  readonly into: boolean;
}

/** @throws {CommandError} that says what is wrong with SRC or DST. */
export function makePlan(src: string, dst: string): Plan {
  const source = resolved(src);
  const status = statSync(source);
  const isTree = status.isDirectory();
  const target = isTree ? targetOfTree(source, dst) : targetOfFile(source, dst, status);
  const entries = walk(source);
  const bytes = entries.reduce((sum, { kind, size }) => sum + (kind === KIND.FILE ? size : 0), 0);
  return { source, isTree, entries, bytes, ...target };
}

/** A name beside `path` that nothing has. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), temporaryName(basename(path)));
}

function temporaryName(name: string): string {
  // Names have at most 255 bytes, characters at most 4.
  const unique = randomBytes(4).toString('hex');
  return `.${Array.from(name).slice(0, 50).join('')}.annulus-${process.pid}-${unique}`;
}

function resolved(src: string): string {
  try {
    return realpathSync(src);
  } catch (error) {
    throw failed(`cannot read '${src}'`, error);
  }
}

function targetOfFile(source: string, dst: string, from: Stats): Target {
  const there = statusOf(dst);
  let destination = there === undefined ? newPath(dst, false) : realpathSync(dst);
  let old = there;
  if (there?.isDirectory() === true) {
    destination = join(destination, basename(source));
    old = statusOf(destination);
    if (old !== undefined) destination = realpathSync(destination);
  }
  if (old !== undefined) {
    if (old.ino === from.ino && old.dev === from.dev) {
      throw new CommandError(`'${source}' and '${destination}' are the same file`);
    }
    if (!old.isFile()) {
      throw new CommandError(
        `'${destination}' exists and is not a regular file. Choose another DST`,
      );
    }
  }
  checkWritable(dirname(destination));
  return { destination, temporary: temporaryBeside(destination), into: false };
}

function targetOfTree(source: string, dst: string): Target {
  const there = statusOf(dst);
  const destination = there === undefined ? newPath(dst, true) : realpathSync(dst);
  if (`${destination}/`.startsWith(source === '/' ? '/' : `${source}/`)) {
    throw new CommandError(
      destination === source
        ? `'${source}' and '${dst}' are the same directory`
        : `'${destination}' is inside '${source}'. Choose a DST elsewhere`,
    );
  }
  if (there === undefined) {
    checkWritable(dirname(destination));
    return { destination, temporary: temporaryBeside(destination), into: false };
  }
  if (!there.isDirectory()) {
    throw new CommandError(`'${destination}' exists and is not a directory. Choose another DST`);
  }
  checkEmpty(destination);
  if (canBeReplaced(destination, there)) {
    return { destination, temporary: temporaryBeside(destination), into: false };
  }
  checkWritable(destination);
  const temporary = join(destination, temporaryName(basename(destination)));
  return { destination, temporary, into: true };
}

function checkEmpty(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    throw failed(`cannot read the directory '${directory}'`, error);
  }
  if (names.length === 0) return;
  throw new CommandError(
    `'${directory}' is not empty: a directory is relayed to a new or an empty one only. ` +
      `Choose another DST, such as '${join(directory, 'copy')}'`,
  );
}

/** Whether an empty directory can be renamed over: no mount point, and the one above is ours. */
function canBeReplaced(directory: string, status: Stats): boolean {
  const above = dirname(directory);
  if (above === directory || statSync(above).dev !== status.dev) return false;
  if (status.uid !== process.geteuid?.()) return false;
  try {
    accessSync(above, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is at a path; undefined if nothing is. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw failed(`cannot write '${path}'`, error);
  }
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  throw new CommandError(`'${path}' is a link to nothing. Remove it, or choose another DST`);
}

/** The full path of something new, whose directory must exist. */
function newPath(dst: string, isTree: boolean): string {
  if (dst.endsWith('/') && !isTree) {
    throw new CommandError(`the directory '${dst}' does not exist. Make it first (mkdir)`);
  }
  const path = resolve(dst);
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch (error) {
    throw failed(`cannot write '${dst}': '${dirname(path)}'`, error);
  }
}

function checkWritable(directory: string): void {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw failed(`cannot write in '${directory}'`, error);
  }
}
