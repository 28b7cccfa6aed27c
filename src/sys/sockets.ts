/**
 * Sockets that listen, by plain system calls: they do not wait, and every kernel has them.
 */
import { readFileSync } from 'node:fs';

import { check } from './errors.ts';
import { syscall } from './linux.ts';

const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const TCP_FASTOPEN_SETTING = '/proc/sys/net/ipv4/tcp_fastopen';

/** Makes a stream socket of this family, closed by `exec`. */
export function streamSocket(family: number): number {
  return check(syscall('socket', family, SOCK_STREAM_CLOEXEC, 0), 'socket');
}

/** Gives a socket its address, an encoded `sockaddr`. */
export function bindSocket(fd: number, address: Uint8Array): void {
  check(syscall('bind', fd, address, address.byteLength), 'bind');
}

/** Makes a socket listen; `backlog` connections wait to be accepted at most. */
export function listenSocket(fd: number, backlog: number): void {
  check(syscall('listen', fd, backlog), 'listen');
}

/** The system's `tcp_fastopen` bits: 1 for clients, 2 for servers; 0 where there is no setting. */
export function fastOpenSetting(): number {
  try {
    return Number.parseInt(readFileSync(TCP_FASTOPEN_SETTING, 'utf8'), 10);
  } catch {
    return 0;
  }
}
