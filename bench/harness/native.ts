/** Compiles the C subjects on demand. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { PEER_BINARIES, PEER_SOURCES } from './paths.ts';
import type { NativeLibrary, NativeSubject } from './types.ts';

/** A compiled program, or why there is none. */
export type Compiled =
  | { readonly kind: 'ready'; readonly path: string }
  | { readonly kind: 'skipped' | 'failed'; readonly reason: string };

const COMPILER = 'cc';
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];

const finished = new Map<string, Compiled>();

/** Compiles the program of `subject`, once per harness run; nothing to do when it is up to date. */
export function compile(subject: NativeSubject): Compiled {
  let compiled = finished.get(subject.program);
  if (compiled === undefined) {
    compiled = compileNow(subject);
    finished.set(subject.program, compiled);
  }
  return compiled;
}

function compileNow({ program, library }: NativeSubject): Compiled {
  const flags = library === undefined ? FLAGS : [...FLAGS, `-l${library.link}`];
  const path = `${PEER_BINARIES}${program}-${fingerprint(program, flags)}`;
  if (existsSync(path)) return { kind: 'ready', path };

  const missing = whatIsMissing(library);
  if (missing !== undefined) return { kind: 'skipped', reason: missing };

  mkdirSync(PEER_BINARIES, { recursive: true });
  const result = spawnSync(COMPILER, [`${PEER_SOURCES}${program}.c`, '-o', path, ...flags], {
    encoding: 'utf8',
  });
  if (result.status === 0) return { kind: 'ready', path };
  return { kind: 'failed', reason: `${COMPILER} failed: ${result.stderr.trim()}` };
}

/** Any of the few sources may include any of the headers, so all headers count. */
function fingerprint(program: string, flags: readonly string[]): string {
  const hash = createHash('sha256').update(flags.join(' '));
  const headers = readdirSync(PEER_SOURCES).filter((name) => name.endsWith('.h'));
  for (const name of [`${program}.c`, ...headers.toSorted()]) {
    hash.update(readFileSync(PEER_SOURCES + name));
  }
  return hash.digest('hex').slice(0, 12);
}

function whatIsMissing(library: NativeLibrary | undefined): string | undefined {
  if (spawnSync(COMPILER, ['--version'], { stdio: 'ignore' }).error !== undefined) {
    return `${COMPILER} not found (Debian: gcc)`;
  }
  if (library === undefined) return undefined;
  const preprocess = spawnSync(COMPILER, ['-E', '-x', 'c', '-'], {
    input: `#include <${library.header}>\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (preprocess.status === 0) return undefined;
  return `${library.header} not found (Debian: ${library.debianPackage})`;
}
