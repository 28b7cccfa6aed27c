/**
 * The system calls Annulus makes, typed. Each throws a `SystemError` that names the call.
 */
import { fstatSync } from 'node:fs';

import { SO } from './abi.ts';
import { check, ERRNO } from './errors.ts';
import { native } from './native.ts';
import type { SyscallArgument } from './native.ts';
import { SYSCALLS } from './syscalls.ts';
import type { SyscallName } from './syscalls.ts';

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC_NONBLOCK = 5 | 0o2004000;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const O_CLOEXEC_NONBLOCK = 0o2004000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** `fcntl` command: the lowest free number from the argument on. */
export const F_DUPFD_CLOEXEC = 1030;
const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const SEEK_CUR = 1;
const SEEK_END = 2;

/** `poll(2)` events. */
export const POLL = { IN: 0x001, OUT: 0x004, ERR: 0x008, HUP: 0x010, RDHUP: 0x2000 } as const;

/** File seals: what nobody, not even the creator, can do to a memfd any more. */
export const SEAL = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8 } as const;

/** Resource limits by number. */
export const RLIMIT = { NOFILE: 7, MEMLOCK: 8, AS: 9 } as const;

/** Makes a system call by name; the raw result, negative errno on failure. */
export function syscall(name: SyscallName, ...args: SyscallArgument[]): number {
  return native().syscall(SYSCALLS[name], ...args);
}

/** A string as the kernel reads it: UTF-8 with a final zero. */
export function cString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, 'utf8');
}

/** Bytes of a memory page. */
export function pageSize(): number {
  return native().pageSize;
}

/** Rounds up to whole pages. */
export function toPages(bytes: number): number {
  const page = pageSize();
  return Math.ceil(bytes / page) * page;
}

/**
 * Creates an anonymous file in memory; `name` shows up in /proc only.
 *
 * @param hugePages - Whether it is made of huge pages of the default size, of which the machine must
 *   have enough (`vm.nr_hugepages`).
 */
export function memfdCreate(name: string, hugePages: boolean = false): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (hugePages ? MFD_HUGETLB : 0);
  return check(syscall('memfd_create', cString(name), flags), 'memfd_create');
}

/** What the kernel says of an open file. */
export interface FileDescription {
  /** Bytes. */
  readonly size: number;
  /** Bytes of the pages it is made of, where it is memory. */
  readonly pageBytes: number;
  readonly isRegular: boolean;
}

/** Asks the kernel about an open file. */
export function describeFile(fd: number): FileDescription {
  const stat = fstatSync(fd);
  return { size: stat.size, pageBytes: stat.blksize, isRegular: stat.isFile() };
}

/** Keeps memory from being swapped out; `RLIMIT_MEMLOCK` bounds how much. */
export function lockMemory(bytes: Uint8Array): void {
  check(syscall('mlock', bytes, bytes.byteLength), 'mlock', {
    message: `${bytes.byteLength} bytes cannot be locked; RLIMIT_MEMLOCK is ${resourceLimit(RLIMIT.MEMLOCK).soft}`,
  });
}

/** Sets a file's size in bytes. */
export function ftruncate(fd: number, bytes: number): void {
  check(syscall('ftruncate', fd, bytes), 'ftruncate');
}

/** A file's size in bytes, by its descriptor. */
export function fileSize(fd: number): number {
  return check(syscall('lseek', fd, 0, SEEK_END), 'lseek');
}

/** Whether a file has positions: a regular file or a disk, but no pipe, socket or terminal. */
export function isSeekable(fd: number): boolean {
  return syscall('lseek', fd, 0, SEEK_CUR) >= 0;
}

/** Adds seals to a memfd. */
export function addSeals(fd: number, seals: number): void {
  check(syscall('fcntl', fd, F_ADD_SEALS, seals), 'fcntl');
}

/** The seals of a memfd. Throws `EINVAL` if the descriptor is not one. */
export function getSeals(fd: number): number {
  return check(syscall('fcntl', fd, F_GET_SEALS, 0), 'fcntl');
}

/** Has a descriptor closed by `exec`; false if it is not open. */
export function closeOnExec(fd: number): boolean {
  return syscall('fcntl', fd, F_SETFD, FD_CLOEXEC) === 0;
}

/** Whether a descriptor is open. */
export function isOpen(fd: number): boolean {
  return syscall('fcntl', fd, F_GETFD, 0) >= 0;
}

/** Creates a non-blocking event counter. */
export function eventfd(): number {
  return check(syscall('eventfd2', 0, EFD_CLOEXEC_NONBLOCK), 'eventfd2');
}

/** Creates a connected pair of non-blocking Unix sockets that keep message boundaries. */
export function socketpair(): [number, number] {
  const pair = new Int32Array(2);
  check(syscall('socketpair', AF_UNIX, SOCK_SEQPACKET_CLOEXEC_NONBLOCK, 0, pair), 'socketpair');
  return [pair[0]!, pair[1]!];
}

/** Creates a connected pair of Unix sockets that carry a stream; they block. */
export function streamPair(): [number, number] {
  const pair = new Int32Array(2);
  check(syscall('socketpair', AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair), 'socketpair');
  return [pair[0]!, pair[1]!];
}

/** Creates a pipe that does not block: its reading and its writing end. */
export function pipe(): [number, number] {
  const pair = new Int32Array(2);
  check(syscall('pipe2', pair, O_CLOEXEC_NONBLOCK), 'pipe2');
  return [pair[0]!, pair[1]!];
}

/** Sends bytes without ever waiting, whatever the socket's flags: the count, or a negative errno. */
export function sendNow(fd: number, bytes: Uint8Array): number {
  return syscall('sendto', fd, bytes, bytes.byteLength, MSG_NOSIGNAL | MSG_DONTWAIT, null, 0);
}

/**
 * Receives bytes: the count, 0 at the end, or a negative errno.
 *
 * @param wait - Whether to block until there are some, unless the socket is set not to.
 */
export function receive(fd: number, bytes: Uint8Array, wait: boolean): number {
  return syscall('recvfrom', fd, bytes, bytes.byteLength, wait ? 0 : MSG_DONTWAIT, null, 0);
}

/** Makes a second descriptor for the same open file. */
export function duplicate(fd: number): number {
  return check(syscall('fcntl', fd, F_DUPFD_CLOEXEC, 3), 'fcntl');
}

/** Has a descriptor closed when this thread's environment ends, however it ends. */
export function own(fd: number): void {
  check(native().ownFd(fd), 'open');
}

/** Leaves an owned descriptor to somebody else. */
export function disown(fd: number): void {
  native().disownFd(fd, 0);
}

/** Closes an owned descriptor; nothing happens if it is not owned any more. */
export function closeOwned(fd: number): void {
  native().disownFd(fd, 1);
}

/** Closes a descriptor; a bad one throws `EBADF`. */
export function close(fd: number): void {
  check(syscall('close', fd), 'close');
}

/** Reads into `bytes`: the count, or a negative errno. */
export function read(fd: number, bytes: Uint8Array): number {
  return syscall('read', fd, bytes, bytes.byteLength);
}

/** Reads into `bytes` from a byte position of a file: the count, or a negative errno. */
export function readAt(fd: number, bytes: Uint8Array, position: number): number {
  return syscall('pread64', fd, bytes, bytes.byteLength, position);
}

/** Writes `bytes`: the count, or a negative errno. */
export function write(fd: number, bytes: Uint8Array): number {
  return syscall('write', fd, bytes, bytes.byteLength);
}

/** One descriptor and what to wait for in `poll()`. */
export interface PollEntry {
  readonly fd: number;
  readonly events: number;
}

/**
 * Blocks the thread until a descriptor is ready.
 *
 * @param timeout - Milliseconds, or -1 to wait without end.
 * @returns The events that happened, one number an entry; all 0 after the time-out.
 */
export function poll(entries: readonly PollEntry[], timeout: number): number[] {
  const table = new Int32Array(entries.length * 2);
  const until = timeout < 0 ? 0 : performance.now() + timeout;
  for (;;) {
    entries.forEach((entry, index) => {
      table[index * 2] = entry.fd;
      table[index * 2 + 1] = entry.events;
    });
    const left = timeout < 0 ? null : timespec(Math.max(0, until - performance.now()));
    const result = syscall('ppoll', table, entries.length, left, null, 0);
    if (result === ERRNO.EINTR) continue;
    check(result, 'ppoll');
    return entries.map((_, index) => table[index * 2 + 1]! >>> 16);
  }
}

/** A `struct timespec` of so many milliseconds. */
export function timespec(milliseconds: number): BigInt64Array {
  const seconds = Math.floor(milliseconds / 1000);
  const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1e6);
  return BigInt64Array.of(BigInt(seconds), BigInt(nanoseconds));
}

/** A resource limit in its own unit; `Infinity` where there is none. */
export function resourceLimit(resource: number): { soft: number; hard: number } {
  const limits = new BigInt64Array(2);
  check(syscall('prlimit64', 0, resource, null, limits), 'prlimit64');
  const [soft, hard] = [...limits].map((value) => (value < 0n ? Infinity : Number(value)));
  return { soft: soft!, hard: hard! };
}

const SOL_SOCKET = 1;

/** Sets an integer socket option. */
export function setSocketOption(fd: number, option: number, value: number, level?: number): void {
  const word = Int32Array.of(value);
  check(syscall('setsockopt', fd, level ?? SOL_SOCKET, option, word, 4), 'setsockopt');
}

/**
 * Has the kernel refuse descriptors that somebody sends to a Unix socket (Linux 6.16), and to those
 * accepted from it. They could not be ignored: whoever receives closes them, and closing a socket
 * that lingers waits for as long as its sender likes.
 *
 * @returns Whether the kernel does.
 */
export function refuseDescriptors(fd: number): boolean {
  return syscall('setsockopt', fd, SOL_SOCKET, SO.PASSRIGHTS, Int32Array.of(0), 4) === 0;
}

/** The raw `sockaddr` a socket is bound to. */
export function socketName(fd: number): Uint8Array {
  const address = new Uint8Array(128);
  const length = Int32Array.of(address.byteLength);
  check(syscall('getsockname', fd, address, length), 'getsockname');
  return address.subarray(0, Math.min(length[0]!, address.byteLength));
}
