/**
 * Pages of files in memory: giving ranges of them back to the system, and asking for huge ones.
 */
import { readFileSync } from 'node:fs';

import { syscall } from './linux.ts';

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const MADV_REMOVE = 9;
const MADV_HUGEPAGE = 14;

const SETTING = '/sys/kernel/mm/transparent_hugepage/shmem_enabled';

/** Settings under which `madvise()` has the kernel use huge pages for files in memory. */
const ALLOWED: ReadonlySet<string> = new Set(['always', 'within_size', 'advise', 'force']);

/**
 * Frees the memory behind a range of a memfd, which then reads as zeroes, in every mapping of it.
 *
 * @returns 0, or a negative errno.
 */
export function punchHole(fd: number, offset: number, bytes: number): number {
  return syscall('fallocate', fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

/**
 * The same through a mapping of the file, for whole pages. Locked memory keeps its pages (`EINVAL`).
 *
 * @returns 0, or a negative errno.
 */
export function removePages(bytes: Uint8Array): number {
  return syscall('madvise', bytes, bytes.byteLength, MADV_REMOVE);
}

/** Why the kernel will not use huge pages for files in memory, or undefined if it will. */
export function whyNoHugePages(): string | undefined {
  const setting = readSetting();
  if (setting === undefined) return 'this kernel has no transparent huge pages for shared memory';
  if (ALLOWED.has(setting)) return undefined;
  return `${SETTING} is "${setting}"; an administrator can set it to "advise"`;
}

/** Asks for huge pages in a mapping of a file in memory. Returns 0, or a negative errno. */
export function adviseHugePages(bytes: Uint8Array): number {
  return syscall('madvise', bytes, bytes.byteLength, MADV_HUGEPAGE);
}

/** The setting in force: the word in brackets. */
function readSetting(): string | undefined {
  try {
    return /\[(\w+)\]/.exec(readFileSync(SETTING, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
