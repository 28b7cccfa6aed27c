/**
 * Shared memory as POSIX has it: a file under a name, which is removed once it is open.
 */
import { check, ERRNO, SystemError } from './errors.ts';
import { close, cString, ftruncate, syscall } from './linux.ts';

const AT_FDCWD = -100;
/** `O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC`; exclusive, so no link of somebody else's is followed. */
const FLAGS = 0o2 | 0o100 | 0o200 | 0o2000000;
const ONLY_US = 0o600;

/** Where `shm_open()` has its files on Linux. */
const FOLDER = '/dev/shm';

/**
 * Creates shared memory by `shm_open()`, `shm_unlink()` and `ftruncate()`, which are files of a tmpfs on
 * Linux, and sets all its pages aside: touching one that the file system has no room for is a SIGBUS.
 *
 * @returns Its descriptor.
 */
export function openSharedFile(bytes: number): number {
  const path = `${FOLDER}/annulus-${crypto.randomUUID()}`;
  const name = cString(path);
  const fd = check(syscall('openat', AT_FDCWD, name, FLAGS, ONLY_US), 'shm_open', { path });
  try {
    check(syscall('unlinkat', AT_FDCWD, name, 0), 'shm_unlink', { path });
    ftruncate(fd, bytes);
    const result = syscall('fallocate', fd, 0, 0, bytes);
    if (result === ERRNO.ENOTSUP) return fd; // no tmpfs, but something that reserves nothing
    if (result < 0) throw new SystemError(result, 'fallocate', { message: explain(result, bytes) });
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function explain(errno: number, bytes: number): string | undefined {
  if (errno !== ERRNO.ENOSPC && errno !== ERRNO.ENOMEM) return undefined;
  return (
    `no room for ${bytes} bytes in ${FOLDER}, of which containers often have 64 MiB; ` +
    'make it larger (docker run --shm-size), or use memfd'
  );
}
