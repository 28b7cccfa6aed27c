/**
 * Descriptors a read has to wait on: pairs of sockets and named pipes, made to block, because a
 * request on a non-blocking descriptor fails with EAGAIN instead of waiting.
 */

import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Proactor } from 'annulus/proactor';
import { AF, probe, SOCK } from 'annulus/uring';

import { socketpair, syscall } from '#src/sys/linux.js';

const F_SETFL = 4;

/** A connected pair of sockets that keep message boundaries. */
export function blockingSockets(): [number, number] {
  const [near, far] = socketpair();
  syscall('fcntl', near, F_SETFL, 0);
  syscall('fcntl', far, F_SETFL, 0);
  return [near, far];
}

/** A pipe open in both directions on one descriptor. */
export function blockingPipe(): number {
  return withNamedPipe((path) => openSync(path, 'r+'));
}

/** The two ends of a pipe, neither of which blocks. */
export function openPipe(): { read: number; write: number } {
  return withNamedPipe((path) => ({
    read: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    write: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK),
  }));
}

function withNamedPipe<T>(open: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-pipe-'));
  try {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    return open(join(folder, 'pipe'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Closes several descriptors. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}

/** A listening socket nobody connects to, or -1 where io_uring cannot make one. */
export async function quietListener(): Promise<number> {
  if (!probe().opcodes.has('LISTEN')) return -1;
  const io = new Proactor({ entries: 8 });
  const fd = await io.socket(AF.INET, SOCK.STREAM);
  await io.bind(fd, { address: '127.0.0.1', port: 0 });
  await io.listen(fd, 64);
  await io.close();
  return fd;
}
