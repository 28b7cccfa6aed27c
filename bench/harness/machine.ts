/** What the figures were measured on. */

import os from 'node:os';
import type { PinPlan } from './placement.ts';

export interface Machine {
  readonly kernel: string;
  readonly architecture: string;
  readonly cpu: string;
  /** CPUs this process may use. */
  readonly cores: number;
  readonly memoryMiB: number;
  readonly node: string;
  readonly date: string;
  /** One-minute load when the run began: a busy machine widens every spread. */
  readonly load: number;
  /** The CPUs of pinned variants, or why there are none. */
  readonly pinned: PinPlan;
}

export function describeMachine(pinned: PinPlan): Machine {
  return {
    kernel: `${os.type()} ${os.release()}`,
    architecture: os.arch(),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryMiB: Math.round(os.totalmem() / 2 ** 20),
    node: process.version,
    date: new Date().toISOString(),
    load: os.loadavg()[0] ?? 0,
    pinned,
  };
}
