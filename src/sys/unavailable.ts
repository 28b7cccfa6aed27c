/**
 * Why io_uring is refused on this machine, and what to do about it.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';

import { describeErrno, ERRNO } from './errors.ts';

/** What `kernel.io_uring_disabled` says: 0 open, 1 privileged only, 2 closed; undefined before 6.6. */
export function uringDisabledSysctl(): number | undefined {
  return readNumber('/proc/sys/kernel/io_uring_disabled');
}

/** Whether this process runs under a seccomp filter. */
export function underSeccomp(): boolean {
  try {
    return /^Seccomp:\s*2$/m.test(readFileSync('/proc/self/status', 'utf8'));
  } catch {
    return false;
  }
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** What kind of thing stands in the way of io_uring. */
export type UnavailableCause =
  'platform' | 'native' | 'seccomp' | 'security-module' | 'sysctl' | 'kernel' | 'limit' | 'unknown';

/** Why io_uring cannot be used, as a word to decide by and as a text that ends with the remedy. */
export interface Unavailable {
  readonly cause: UnavailableCause;
  readonly reason: string;
}

/** The likely cause of a refused call, and the remedy, as one message. */
export function explainUnavailable(errno: number, call: string = 'io_uring_setup'): Unavailable {
  const [cause, remedy] = remedyFor(errno);
  const code = describeErrno(errno)[0];
  return { cause, reason: `io_uring is not available: ${call} failed with ${code}. ${remedy}` };
}

function remedyFor(errno: number): [UnavailableCause, string] {
  switch (errno) {
    case ERRNO.EPERM:
      // The sysctl refuses, or a seccomp filter answers with EPERM (Docker 25, containerd 2).
      return sysctlRemedy() ?? filterRemedy();
    case ERRNO.EACCES:
      // SELinux answers so.
      return filterRemedy();
    case ERRNO.ENOSYS:
      // No such call: an old kernel, a kernel built without it, gVisor, or a filter that says so.
      return underSeccomp() ? filterRemedy() : ['kernel', kernelRemedy()];
    case ERRNO.ENOMEM:
      // Before 5.12, and again on newer kernels (seen on 6.18), rings count against RLIMIT_MEMLOCK of
      // users without CAP_IPC_LOCK; on all others against the memory cgroup.
      return [
        'limit',
        'The memory of a ring may not be locked: raise RLIMIT_MEMLOCK (ulimit -l), which is counted ' +
          'per user over all processes, make smaller rings, or raise the memory cgroup.',
      ];
    case ERRNO.EMFILE:
      return ['limit', 'This process has too many open files: raise RLIMIT_NOFILE (ulimit -n).'];
    default:
      return ['unknown', 'The kernel gave no further reason.'];
  }
}

function kernelRemedy(): string {
  return `This kernel (${release()}) does not have it; Linux 5.6 or newer is needed, 6.1 recommended.`;
}

function sysctlRemedy(): [UnavailableCause, string] | undefined {
  const disabled = uringDisabledSysctl();
  if (disabled === 2) {
    return [
      'sysctl',
      'The sysctl kernel.io_uring_disabled is 2 (off for everybody); an administrator can set it to 0.',
    ];
  }
  if (disabled !== 1) return undefined;
  return [
    'sysctl',
    'The sysctl kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and members of ' +
      'kernel.io_uring_group may use it; join that group, or have the sysctl set to 0.',
  ];
}

function filterRemedy(): [UnavailableCause, string] {
  if (!underSeccomp()) {
    return ['security-module', 'A security module or the sandbox this runs in forbids it.'];
  }
  return [
    'seccomp',
    'A seccomp filter forbids it: the default profile of Docker 25+ and containerd 2 does. Run the ' +
      'container with a profile that allows io_uring_setup, io_uring_enter and io_uring_register ' +
      '(docker run --security-opt seccomp=PROFILE.json).',
  ];
}
