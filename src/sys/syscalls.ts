/**
 * Numbers of the system calls Annulus makes, which differ between architectures.
 *
 * `npm run lint` compiles those of the machine's architecture against its C header.
 */
import { arch } from 'node:process';

/** System call numbers of x86-64. */
export const SYSCALLS_X64 = {
  accept4: 288,
  bind: 49,
  close: 3,
  connect: 42,
  epoll_create1: 291,
  eventfd2: 290,
  fallocate: 285,
  fcntl: 72,
  flock: 73,
  ftruncate: 77,
  getsockname: 51,
  getsockopt: 55,
  io_uring_enter: 426,
  io_uring_register: 427,
  io_uring_setup: 425,
  listen: 50,
  lseek: 8,
  madvise: 28,
  memfd_create: 319,
  mlock: 149,
  mremap: 25,
  openat: 257,
  pipe2: 293,
  ppoll: 271,
  prctl: 157,
  pread64: 17,
  prlimit64: 302,
  pwrite64: 18,
  read: 0,
  recvfrom: 45,
  recvmsg: 47,
  sendmsg: 46,
  sendto: 44,
  setsockopt: 54,
  socket: 41,
  socketpair: 53,
  timerfd_create: 283,
  timerfd_settime: 286,
  unlinkat: 263,
  write: 1,
} as const;

/** A system call Annulus makes. */
export type SyscallName = keyof typeof SYSCALLS_X64;

/** System call numbers of 64-bit ARM, which are the kernel's generic ones. */
export const SYSCALLS_ARM64: Readonly<Record<SyscallName, number>> = {
  accept4: 242,
  bind: 200,
  close: 57,
  connect: 203,
  epoll_create1: 20,
  eventfd2: 19,
  fallocate: 47,
  fcntl: 25,
  flock: 32,
  ftruncate: 46,
  getsockname: 204,
  getsockopt: 209,
  io_uring_enter: 426,
  io_uring_register: 427,
  io_uring_setup: 425,
  listen: 201,
  lseek: 62,
  madvise: 233,
  memfd_create: 279,
  mlock: 228,
  mremap: 216,
  openat: 56,
  pipe2: 59,
  ppoll: 73,
  prctl: 167,
  pread64: 67,
  prlimit64: 261,
  pwrite64: 68,
  read: 63,
  recvfrom: 207,
  recvmsg: 212,
  sendmsg: 211,
  sendto: 206,
  setsockopt: 208,
  socket: 198,
  socketpair: 199,
  timerfd_create: 85,
  timerfd_settime: 86,
  unlinkat: 35,
  write: 64,
};

/** The numbers of this process's architecture. */
export const SYSCALLS: Readonly<Record<SyscallName, number>> =
  arch === 'arm64' ? SYSCALLS_ARM64 : SYSCALLS_X64;
