/** What the echo servers share: the load, in a process of its own. */

import { spawn } from 'node:child_process';
import { numberOption, textOption } from './options.ts';
import type { Meter } from './meter.ts';
import { report } from './report.ts';

/** Bytes of a request, which comes back as it is. */
export const REQUEST_BYTES = 64;

export const connections: number = numberOption('connections', 64);

/** Starts the load on `port`; returns what ends it. */
export function startLoad(port: number): () => void {
  const options = [`port=${port}`, `connections=${connections}`, `cpus=${textOption('cpus', '')}`];
  const load = spawn(textOption('helper'), options, { stdio: ['ignore', 'ignore', 'inherit'] });
  load.on('error', (error) => {
    throw error;
  });
  return () => load.kill('SIGKILL');
}

/** Reports the requests a second, and ends the process with its connections. */
export function reportServed(
  meter: Meter,
  stopLoad: () => void,
  extra: Readonly<Record<string, number | string>> = {},
): never {
  report(meter.perSecond, 'op/s', { cpu: meter.cpuNanosecondsEach, ...extra });
  stopLoad();
  process.exit(0);
}
