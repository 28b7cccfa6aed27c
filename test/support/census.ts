/**
 * What a process holds: its descriptors, and the memory mapped for the kernel's use.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What is open and mapped now. */
export interface Census {
  /** What each descriptor is open on, sorted, without the numbers that make each unique. */
  readonly fds: string[];
  /** Mappings of rings. */
  readonly rings: number;
}

/** Counts descriptors and ring mappings of this process. */
export function census(): Census {
  return { fds: openFiles(), rings: ringMaps().length };
}

/** Bytes of address space this process has mapped. */
export function addressSpace(): number {
  const [, kib] = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  return Number(kib) * 1024;
}

/** Bytes of files in memory that this process has in memory: what pools are made of. */
export function sharedBytes(): number {
  const [, kib] = /^RssShmem:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  return Number(kib) * 1024;
}

/** What each descriptor is open on: `anon_inode:[io_uring]`, `socket:`, `pipe:`, a path. */
export function openFiles(): string[] {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/:\[\d+\]$/, ':')];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
  return targets.toSorted((a, b) => (a < b ? -1 : 1));
}

/** One mapping of this process. */
export interface Mapped {
  readonly start: number;
  readonly end: number;
  readonly path: string;
  /** Whether a fork leaves it out: `MADV_DONTFORK`. */
  readonly unforked: boolean;
}

/** Every mapping of this process. */
export function mappings(): Mapped[] {
  const entries = readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  return entries.map((entry) => {
    const [, start, end, path] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)/.exec(entry)!;
    return {
      start: Number.parseInt(start!, 16),
      end: Number.parseInt(end!, 16),
      path: path!,
      unforked: /^VmFlags:.*\bdc\b/m.test(entry),
    };
  });
}

/** Mappings of rings. */
export function ringMaps(): Mapped[] {
  return mappings().filter(({ path }) => path.includes('[io_uring]'));
}
