/**
 * Files in memory that rings are made of.
 */
import { ERRNO, invalidArgValue, SystemError } from '../sys/errors.ts';
import { close, ftruncate, memfdCreate, syscall } from '../sys/linux.ts';
import { openSharedFile } from '../sys/shared-files.ts';
import type { Backing } from './runs.ts';

/** What a ring's memory is: anonymous (`memfd_create()`), or shared memory of POSIX (`shm_open()`). */
export type RingBacking = 'memfd' | 'posix';

const KINDS: ReadonlySet<unknown> = new Set(['memfd', 'posix', undefined]);

/**
 * Bytes of a memfd, whatever the ring's: pages that are not touched cost nothing, and a ring that grows
 * can go on in the same file.
 */
const SPARSE_BYTES = 2 ** 32;

/** A file that is open; who maps it closes it. */
export interface OpenBacking {
  readonly fd: number;
  readonly file: Backing;
}

/** Throws `ERR_INVALID_ARG_VALUE` for a kind of memory there is not. */
export function checkBacking(kind: RingBacking | undefined): void {
  if (KINDS.has(kind)) return;
  throw invalidArgValue('options.backing', "must be 'memfd' or 'posix'", kind);
}

/** Creates a file in memory with room for `bytes`; of POSIX if asked for, or if there is no other. */
export function openBacking(kind: RingBacking | undefined, bytes: number): OpenBacking {
  if (kind !== 'posix') {
    try {
      return openMemfd(bytes);
    } catch (error) {
      // No such call before Linux 3.17, and in emulations of Linux.
      if (kind === 'memfd' || !(error instanceof SystemError) || error.errno !== ERRNO.ENOSYS) {
        throw error;
      }
    }
  }
  return { fd: openSharedFile(bytes), file: { size: bytes, reserved: true } };
}

function openMemfd(bytes: number): OpenBacking {
  const fd = memfdCreate('annulus-ring');
  if (syscall('ftruncate', fd, SPARSE_BYTES) === 0) {
    return { fd, file: { size: SPARSE_BYTES, reserved: false } };
  }
  try {
    ftruncate(fd, bytes); // RLIMIT_FSIZE bounds files in memory too
    return { fd, file: { size: bytes, reserved: false } };
  } catch (error) {
    close(fd);
    throw error;
  }
}
