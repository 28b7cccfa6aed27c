/**
 * Walk: finds everything below SRC before anything is written, and refuses what cannot be relayed.
 */
import { isUtf8 } from 'node:buffer';
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';

import { failed, CommandError } from '../failure.ts';
import { KIND } from './frame.ts';
import type { Kind } from './frame.ts';

/** One thing to relay. */
export interface Entry {
  readonly kind: Kind;
  /** Relative to SRC; empty for SRC itself. */
  readonly path: string;
  readonly mode: number;
  /** A file's size when it was found. */
  readonly size: number;
  /** Where a link points. */
  readonly target?: string;
}

/** Everything there is to relay, a directory always before what is in it. */
export function walk(source: string): Entry[] {
  try {
    const entries = [entryOf(source, '', statSync(source))];
    if (entries[0]?.kind === KIND.DIRECTORY) visit(source, '', entries);
    return entries;
  } catch (error) {
    throw failed(`cannot read '${source}'`, error);
  }
}

/** Mode bits to give a copy: another owner's set-id bits are not for files of ours. */
export function modeFor(status: Stats): number {
  const mode = status.mode & 0o7777;
  if (status.isDirectory()) return mode;
  const uid = status.uid === process.geteuid?.() ? 0 : 0o4000;
  const gid = status.gid === process.getegid?.() ? 0 : 0o2000;
  return mode & ~(uid | gid);
}

function visit(root: string, below: string, entries: Entry[]): void {
  const folder = join(root, below);
  let names: Buffer[];
  try {
    names = readdirSync(folder, { encoding: 'buffer' });
  } catch (error) {
    throw failed(`cannot read the directory '${folder}'`, error);
  }
  // The order of bytes, so that two machines agree.
  names.sort((a, b) => Buffer.compare(a, b));
  for (const name of names) {
    if (!isUtf8(name)) {
      throw new CommandError(
        `the name ${JSON.stringify(name.toString('latin1'))} in '${folder}' is not UTF-8. Rename it first`,
      );
    }
    const path = below === '' ? name.toString() : `${below}/${name.toString()}`;
    const entry = describe(root, path);
    entries.push(entry);
    if (entry.kind === KIND.DIRECTORY) visit(root, path, entries);
  }
}

function describe(root: string, path: string): Entry {
  const full = join(root, path);
  try {
    return entryOf(full, path, lstatSync(full));
  } catch (error) {
    throw failed(`cannot read '${full}'`, error);
  }
}

function entryOf(full: string, path: string, status: Stats): Entry {
  const mode = modeFor(status);
  if (status.isFile()) return { kind: KIND.FILE, path, mode, size: status.size };
  if (status.isDirectory()) return { kind: KIND.DIRECTORY, path, mode, size: 0 };
  if (status.isSymbolicLink()) {
    const target = readlinkSync(full, { encoding: 'buffer' });
    if (!isUtf8(target)) throw new CommandError(`the target of the link '${full}' is not UTF-8`);
    return { kind: KIND.LINK, path, mode, size: target.length, target: target.toString() };
  }
  throw new CommandError(
    `'${full}' is ${nameOf(status)}: only regular files, directories and symbolic links can be relayed`,
  );
}

function nameOf(status: Stats): string {
  if (status.isFIFO()) return 'a named pipe';
  if (status.isSocket()) return 'a socket';
  if (status.isBlockDevice()) return 'a block device';
  return status.isCharacterDevice() ? 'a character device' : 'of an unknown type';
}
