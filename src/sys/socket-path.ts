/**
 * The path of a Unix socket in the file system: who may take it, and giving it back.
 *
 * A process that is killed leaves the file of its socket behind, and a path whose file nobody listens
 * on may be taken over. Two processes that find the same dead file must not remove each other's new
 * one, so whoever takes a path holds a lock (`flock`) on its folder from looking to listening.
 */
import { chmodSync, constants, lstatSync, openSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';

import { ERRNO, SystemError } from './errors.ts';
import { close, syscall } from './linux.ts';
import { bindSocket, connectSocket, listenSocket, meetingSocket } from './sockets.ts';

const LOCK_EX_NB = 2 | 4;

/** A path that has been taken. */
export interface TakenPath {
  /** Removes the file, if it is still this socket's. */
  release(): void;
}

/**
 * Binds a socket to a path and makes it listen. A file that a dead process left is replaced.
 *
 * @param mode - Permissions of the file: to connect, one must be allowed to write it.
 * @returns Nothing when another process is just taking a path in this folder: try again soon.
 * @throws {SystemError} `EADDRINUSE` when somebody listens there, or it is another kind of file.
 */
export function takePath(
  fd: number,
  path: string,
  address: Uint8Array,
  { mode, backlog }: { readonly mode: number | undefined; readonly backlog: number },
): TakenPath | undefined {
  const lock = lockFolder(dirname(path));
  if (lock === undefined) return undefined;
  try {
    // Without a lock nothing is replaced.
    if (lock !== UNLOCKED && isDead(path, address)) unlinkSync(path);
    bindSocket(fd, address);
    // Nobody can connect before it listens, so there is no moment with wrong permissions.
    if (mode !== undefined) chmodSync(path, mode);
    listenSocket(fd, backlog);
    const { dev, ino } = lstatSync(path);
    return { release: () => removeIfSame(path, dev, ino) };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(error.errno, error.syscall, { path, cause: error });
  } finally {
    if (lock !== UNLOCKED) close(lock);
  }
}

/** Stands for the lock of a folder that cannot be locked: it may be written but not read. */
const UNLOCKED = -1;

/** The descriptor that holds the lock, or undefined while another one does. */
function lockFolder(folder: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return UNLOCKED; // binding says what is wrong with the folder, if anything
  }
  const result = syscall('flock', fd, LOCK_EX_NB);
  if (result === 0) return fd;
  close(fd);
  return result === ERRNO.EAGAIN ? undefined : UNLOCKED;
}

/** Whether a path is a socket nobody listens on. */
function isDead(path: string, address: Uint8Array): boolean {
  // Another kind of file refuses connections too.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const fd = meetingSocket();
  try {
    return connectSocket(fd, address) === ERRNO.ECONNREFUSED;
  } finally {
    close(fd);
  }
}

function removeIfSame(path: string, dev: number, ino: number): void {
  try {
    const found = lstatSync(path);
    if (found.dev === dev && found.ino === ino) unlinkSync(path);
  } catch {
    // It is gone already, or not ours to remove any more.
  }
}
