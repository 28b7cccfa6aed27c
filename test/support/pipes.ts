/**
 * Descriptors a read has to wait on: pairs of sockets and pipes, made to block, because a
 * request on a non-blocking descriptor fails with EAGAIN instead of waiting.
 */

import { closeSync, openSync } from 'node:fs';

import { Proactor } from 'annulus/proactor';
import { AF, probe, SOCK } from 'annulus/uring';

import { pipe, socketpair, syscall } from '#src/sys/linux.js';

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
  const ends = pipe();
  // Opened anew by way of /proc, an end gets flags of its own.
  const both = openSync(`/proc/self/fd/${ends[0]}`, 'r+');
  closeAll(ends);
  return both;
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
