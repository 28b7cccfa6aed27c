/**
 * Sockets that listen and that meet, by plain system calls: they do not wait, and every kernel has
 * them.
 */
import { readFileSync } from 'node:fs';

import { SO, SOL } from './abi.ts';
import { check, invalidArgValue } from './errors.ts';
import { syscall } from './linux.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOCK_CLOEXEC_NONBLOCK = 0o2004000;
const SOCK_SEQPACKET = 5;
const UNIX_PATH_MAX = 108;
const TCP_FASTOPEN_SETTING = '/proc/sys/net/ipv4/tcp_fastopen';

/** Makes a stream socket of this family, closed by `exec`. */
export function streamSocket(family: number): number {
  return check(syscall('socket', family, SOCK_STREAM_CLOEXEC, 0), 'socket');
}

/** Makes a Unix socket that keeps message boundaries, never blocks, and is closed by `exec`. */
export function meetingSocket(): number {
  return check(syscall('socket', AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC_NONBLOCK, 0), 'socket');
}

/**
 * The `sockaddr_un` of a path; a leading NUL makes it an abstract name.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a path that does not fit.
 */
export function unixAddress(path: string): Uint8Array {
  const text = Buffer.from(path, 'utf8');
  const abstract = path.startsWith('\0');
  if (text.length === 0 || text.length + (abstract ? 0 : 1) > UNIX_PATH_MAX) {
    throw invalidArgValue('path', `must be 1 to ${UNIX_PATH_MAX - 1} bytes of UTF-8`, text.length);
  }
  // The length of an abstract name counts; a path ends at its zero byte.
  const bytes = new Uint8Array(2 + text.length + (abstract ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(text, 2);
  return bytes;
}

/** Gives a socket its address, an encoded `sockaddr`. */
export function bindSocket(fd: number, address: Uint8Array): void {
  check(syscall('bind', fd, address, address.byteLength), 'bind');
}

/** Makes a socket listen; `backlog` connections wait to be accepted at most. */
export function listenSocket(fd: number, backlog: number): void {
  check(syscall('listen', fd, backlog), 'listen');
}

/** Connects a socket: 0, or a negative errno. A Unix socket is connected at once or not at all. */
export function connectSocket(fd: number, address: Uint8Array): number {
  return syscall('connect', fd, address, address.byteLength);
}

/** Takes a connection that waits, as a non-blocking socket: its descriptor, or a negative errno. */
export function acceptSocket(fd: number): number {
  return syscall('accept4', fd, null, null, SOCK_CLOEXEC_NONBLOCK);
}

/** Who is at the other end of a Unix socket, as the kernel recorded it when they met. */
export interface PeerCredentials {
  /** Process ID as seen from here; 0 where its namespace of processes cannot be seen. */
  readonly pid: number;
  /** Effective user. */
  readonly uid: number;
  /** Effective group. */
  readonly gid: number;
}

/** `SO_PEERCRED`: of who connected, or of who called `listen()`, at that moment. */
export function peerCredentials(fd: number): PeerCredentials {
  const [pid, uid, gid] = socketOption(fd, SO.PEERCRED, 3);
  return { pid: pid!, uid: uid! >>> 0, gid: gid! >>> 0 };
}

/** A socket option of `words` 32-bit words at the level `SOL_SOCKET`. */
export function socketOption(fd: number, option: number, words: number): Int32Array {
  const value = new Int32Array(words);
  const length = Int32Array.of(value.byteLength);
  check(syscall('getsockopt', fd, SOL.SOCKET, option, value, length), 'getsockopt');
  return value;
}

/** The system's `tcp_fastopen` bits: 1 for clients, 2 for servers; 0 where there is no setting. */
export function fastOpenSetting(): number {
  try {
    return Number.parseInt(readFileSync(TCP_FASTOPEN_SETTING, 'utf8'), 10);
  } catch {
    return 0;
  }
}
