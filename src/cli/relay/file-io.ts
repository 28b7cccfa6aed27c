/**
 * FileIo: what a relay asks of files, by io_uring; or by Node's thread pool on the same memory where
 * this user may not lock even the few pages a ring takes.
 *
 * Kernels since 6.14 count rings against RLIMIT_MEMLOCK, so a limit of 0 refuses them.
 */
import { close, open, read, write } from 'node:fs';
import { promisify } from 'node:util';

import { Proactor } from '../../proactor/index.ts';
import { probe } from '../../uring/index.ts';
import type { FixedBuffer, MemoryRange } from '../../uring/index.ts';
import { resourceLimit, RLIMIT } from '../../sys/linux.ts';
import { codeOf, EXIT, messageOf, CommandError } from '../failure.ts';
import { formatBytes } from '../units.ts';

/** Small rings: two processes of one user must fit into a limit of 64 KiB. */
const RING = { entries: 64, completionEntries: 256 } as const;

/** Requests on files. */
export interface FileIo {
  /** Why there is no io_uring; undefined if there is. */
  readonly substituteFor?: string;
  open(path: string, flags: number, mode?: number): Promise<number>;
  /** Reads once; resolves with the bytes read. */
  read(fd: number, view: Uint8Array, range: MemoryRange): Promise<number>;
  /** Writes once; resolves with the bytes written. */
  write(fd: number, view: Uint8Array, range: MemoryRange): Promise<number>;
  readFixed(fd: number, buffer: FixedBuffer, range: MemoryRange): Promise<number>;
  writeFixed(fd: number, buffer: FixedBuffer, range: MemoryRange): Promise<number>;
  closeFd(fd: number): Promise<void>;
  /** @throws {SystemError} `ENOMEM` or `EPERM` when the memory may not be locked. */
  registerBuffers(memories: readonly Uint8Array[]): FixedBuffer[];
  close(): Promise<void>;
}

/** @throws {CommandError} that says why io_uring is refused. */
export function openFileIo(): FileIo {
  try {
    return new Proactor(RING);
  } catch (error) {
    // Asked only now: the probe's own ring would count against the limit for a while.
    if (codeOf((error as Error).cause) === 'ENOMEM') {
      return new ThreadPoolIo(lockLimit('io_uring cannot have its rings'));
    }
    const why = (probe().reason ?? messageOf(error)).replace(/\.$/, '');
    throw new CommandError(`${why}. Nothing was written`, { cause: error, exitCode: EXIT.REFUSED });
  }
}

/** Says what the limit on locked memory forbids. */
export function lockLimit(what: string): string {
  const { soft } = resourceLimit(RLIMIT.MEMLOCK);
  return `${what}: RLIMIT_MEMLOCK is ${formatBytes(soft)} for all of this user; raise it (ulimit -l)`;
}

/** Node's thread pool. It works on the same memory, so it copies nothing either. */
class ThreadPoolIo implements FileIo {
  readonly substituteFor: string;

  constructor(reason: string) {
    this.substituteFor = reason;
  }

  open(path: string, flags: number, mode?: number): Promise<number> {
    return promisify(open)(path, flags, mode);
  }

  async read(fd: number, view: Uint8Array, range: MemoryRange): Promise<number> {
    const { offset = 0, length = view.length - offset, position = null } = range;
    return (await promisify(read)(fd, view, offset, length, position)).bytesRead;
  }

  async write(fd: number, view: Uint8Array, range: MemoryRange): Promise<number> {
    const { offset = 0, length = view.length - offset, position = null } = range;
    return (await promisify(write)(fd, view, offset, length, position)).bytesWritten;
  }

  readFixed(): Promise<number> {
    return Promise.reject(new Error('there are no registered buffers'));
  }

  writeFixed(): Promise<number> {
    return Promise.reject(new Error('there are no registered buffers'));
  }

  closeFd(fd: number): Promise<void> {
    return promisify(close)(fd);
  }

  registerBuffers(): FixedBuffer[] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
