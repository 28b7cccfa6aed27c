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

/** The likely cause of a refused `io_uring_setup`, and the remedy, as one message. */
export function explainUnavailable(errno: number): string {
  return `io_uring is not available: io_uring_setup failed with ${describeErrno(errno)[0]}. ${remedy(errno)}`;
}

function remedy(errno: number): string {
  const sysctl = uringDisabledSysctl();
  switch (errno) {
    case ERRNO.EPERM:
      // The sysctl refuses, or a seccomp filter answers with EPERM (Docker 25, containerd 2).
      if (sysctl === 2) {
        return 'The sysctl kernel.io_uring_disabled is 2 (off for everybody); an administrator can set it to 0.';
      }
      if (sysctl === 1) {
        return (
          'The sysctl kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and members of ' +
          'kernel.io_uring_group may use it; join that group, or have the sysctl set to 0.'
        );
      }
      return seccompRemedy();
    case ERRNO.ENOSYS:
      // No such call: an old kernel, a kernel built without it, gVisor, or a filter that says so.
      return underSeccomp()
        ? seccompRemedy()
        : `This kernel (${release()}) does not have it; Linux 5.6 or newer is needed, 6.1 recommended.`;
    case ERRNO.ENOMEM:
      // Before 5.12 rings count against RLIMIT_MEMLOCK; later against the memory cgroup.
      return 'There is not enough memory: raise the memory cgroup, or RLIMIT_MEMLOCK (ulimit -l) before Linux 5.12.';
    case ERRNO.EMFILE:
      return 'This process has too many open files (ulimit -n).';
    default:
      return 'The kernel gave no further reason.';
  }
}

function seccompRemedy(): string {
  return underSeccomp()
    ? 'A seccomp filter forbids it: the default profile of Docker 25+ and containerd 2 does. Run the ' +
        'container with a profile that allows io_uring_setup, io_uring_enter and io_uring_register ' +
        '(docker run --security-opt seccomp=PROFILE.json).'
    : 'A security module or the sandbox this runs in forbids it.';
}
