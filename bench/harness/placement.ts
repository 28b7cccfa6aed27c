/** Which CPUs a pinned subject gets. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Placement } from './types.ts';

/** The CPUs of the pinned variants, and why a variant is impossible here. */
export interface PinPlan {
  /** For subjects with one measured thread. */
  readonly one: readonly number[] | string;
  /** For subjects with two. */
  readonly two: readonly number[] | string;
}

/**
 * Chooses CPUs among those this process may use.
 *
 * The last allowed CPU for one thread, because device interrupts tend to land on the first; for
 * two threads two CPUs that are not hyper-threads of one core, where the machine has them, because
 * siblings share the execution units that a spinning peer burns.
 */
export function planPins(): PinPlan {
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).error !== undefined) {
    const reason = 'taskset not found (Debian: util-linux)';
    return { one: reason, two: reason };
  }
  const allowed = allowedCpus();
  const last = allowed.at(-1);
  if (last === undefined) {
    const reason = 'the list of allowed CPUs is empty in /proc/self/status';
    return { one: reason, two: reason };
  }
  const others = allowed.filter((cpu) => cpu !== last);
  const siblings = siblingsOf(last);
  const partner = others.find((cpu) => !siblings.includes(cpu)) ?? others[0];
  return {
    one: [last],
    two: partner === undefined ? 'needs two CPUs, this process may use one' : [last, partner],
  };
}

/** The CPUs for one case, empty when nothing is pinned, or the reason why it cannot be pinned. */
export function cpusFor(
  plan: PinPlan,
  placement: Placement,
  threads: 1 | 2,
): readonly number[] | string {
  if (placement === 'unpinned') return [];
  return threads === 1 ? plan.one : plan.two;
}

function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '');
}

function siblingsOf(cpu: number): number[] {
  const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
  try {
    return parseCpuList(readFileSync(path, 'utf8').trim());
  } catch {
    // Some sandboxes hide the topology; any second CPU then is as good a choice as another.
    return [cpu];
  }
}

/** Parses the kernel's list format: `0-3,8,10-11`. */
export function parseCpuList(list: string): number[] {
  return list
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}
