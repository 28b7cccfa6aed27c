/**
 * Discovering channels: each lives in a memfd that a process holds, and Linux says which processes hold
 * what. There is no registry that could be out of date, or that a channel had to be entered in.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { readlinkSync } from 'node:fs';

import { inspectMemory } from '../../channel/inspect.ts';
import type { ChannelReport } from '../../channel/inspect.ts';
import { codeOf } from '../failure.ts';

/** A channel that some process holds. */
export interface Found {
  /** Inode of its memory: names it as long as it lives. */
  readonly inode: number;
  /** Processes that hold it. */
  readonly holders: readonly number[];
  /** What its memory says; missing where that makes no sense. */
  readonly report: ChannelReport | undefined;
}

/** All channels there are. */
export interface Discovery {
  readonly channels: readonly Found[];
  /** Processes that may not be looked into. */
  readonly hidden: number;
}

/** Looks into every process that may be looked into, but for this one. */
export function discover(): Discovery {
  const found = new Map<number, { holders: Set<number>; report: ChannelReport | undefined }>();
  let hidden = 0;
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const paths = memfdsOf(pid);
    if (paths === undefined) hidden++;
    for (const path of paths ?? []) {
      const seen = look(path);
      if (seen === undefined) continue;
      const known = found.get(seen.inode) ?? { holders: new Set(), report: seen.report };
      known.holders.add(pid);
      found.set(seen.inode, known);
    }
  }
  const channels = [...found].map(([inode, { holders, report }]) => {
    return { inode, holders: [...holders].toSorted((a, b) => a - b), report };
  });
  return { channels: channels.toSorted((a, b) => a.inode - b.inode), hidden };
}

/** The name of a process's program; undefined if it is gone. */
export function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Memfds a process holds, as paths to open them by; undefined if it may not be looked into. */
function memfdsOf(pid: number): string[] | undefined {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const code = codeOf(error);
    return code === 'EACCES' || code === 'EPERM' ? undefined : []; // it has ended meanwhile
  }
  return names.flatMap((name) => {
    const path = `${folder}/${name}`;
    try {
      return readlinkSync(path).startsWith('/memfd:') ? [path] : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** What a memfd is, if it is a channel. */
function look(path: string): { inode: number; report: ChannelReport | undefined } | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined; // closed meanwhile, or nobody else may read it
  }
  try {
    const { ino: inode } = fstatSync(fd);
    try {
      const report = inspectMemory(fd);
      return report === undefined ? undefined : { inode, report };
    } catch (error) {
      return codeOf(error) === 'ERR_ANNULUS_CHANNEL_CORRUPT'
        ? { inode, report: undefined }
        : undefined;
    }
  } finally {
    closeSync(fd);
  }
}
