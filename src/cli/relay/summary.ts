/**
 * Summary: one SHA-256 for everything that was relayed.
 */
import { createHash } from 'node:crypto';

import { KIND } from './frame.ts';
import type { Plan } from './plan.ts';

/** A file of a tree and its hash. */
export interface FileHash {
  /** Relative to the tree. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Puts paths and hashes together. */
export function fileHashes(plan: Plan, hashes: readonly string[]): FileHash[] {
  return plan.entries
    .filter((entry) => entry.kind === KIND.FILE)
    .map(({ path, size }, index) => ({ path, bytes: size, sha256: hashes[index] ?? '' }));
}

/**
 * The hash of a file; for a tree what this prints there:
 * `find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum -z | sha256sum`
 */
export function combinedHash(plan: Plan, hashes: readonly string[]): string {
  if (!plan.isTree) return hashes[0] ?? '';
  const files = fileHashes(plan, hashes).map(({ path, sha256 }) => ({
    name: Buffer.from(`./${path}`),
    sha256,
  }));
  files.sort((a, b) => Buffer.compare(a.name, b.name));
  const all = createHash('sha256');
  for (const { name, sha256 } of files) all.update(`${sha256}  `).update(name).update('\0');
  return all.digest('hex');
}
