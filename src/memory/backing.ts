/**
 * Files in memory that rings are made of.
 */
import { ERRNO, invalidArgValue, SystemError } from '../sys/errors.ts';
import { close, ftruncate, memfdCreate, resourceLimit, RLIMIT, syscall } from '../sys/linux.ts';
import { openSharedFile } from '../sys/shared-files.ts';
import type { Backing } from './runs.ts';

/** What a ring's memory is: anonymous (`memfd_create()`), or shared memory of POSIX (`shm_open()`). */
export type RingBacking = 'memfd' | 'posix';

const RLIMIT_FSIZE = 1;

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
  try {
    return kind === 'posix' ? openPosix(bytes) : openMemfd(bytes);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    // No such call before Linux 3.17, and in emulations of Linux.
    if (error.errno === ERRNO.ENOSYS && kind === undefined) return openPosix(bytes);
    throw explained(error, bytes);
  }
}

function openPosix(bytes: number): OpenBacking {
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

/** The error with the limit that was hit, if that is what happened. */
function explained(error: SystemError, bytes: number): SystemError {
  const message = explainLimit(error.errno, bytes);
  if (message === undefined) return error;
  return new SystemError(error.errno, error.syscall, { message, path: error.path, cause: error });
}

function explainLimit(errno: number, bytes: number): string | undefined {
  switch (errno) {
    case ERRNO.EMFILE: {
      const limit = resourceLimit(RLIMIT.NOFILE).soft;
      return `too many open files; RLIMIT_NOFILE is ${limit}, and a ring needs one for a moment`;
    }
    case ERRNO.EFBIG: {
      const limit = resourceLimit(RLIMIT_FSIZE).soft;
      return `RLIMIT_FSIZE is ${limit}, which bounds files in memory too; ${bytes} bytes are needed`;
    }
    default:
      return undefined;
  }
}
