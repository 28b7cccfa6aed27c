/** The other half of a subject with two processes or two threads. */

import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import path from 'node:path';
import { textOption, pinnedCpus } from './options.ts';

/** Which half this process or thread is: the harness starts the `parent`. */
export const role: string = textOption('role', 'parent');

/** Arguments for the other half: our own, with its role. */
export function argumentsFor(childRole: string, more: readonly string[] = []): string[] {
  return [...process.argv.slice(2), `role=${childRole}`, ...more];
}

/**
 * Starts this same script again as `childRole`, with an IPC channel, on the second pinned CPU.
 *
 * `advanced` serialization always: it is the one that can carry bytes at all.
 */
export function startChild(
  childRole: string,
  stdio: StdioOptions = ['ignore', 'inherit', 'inherit', 'ipc'],
  more: readonly string[] = [],
): ChildProcess {
  const script = process.argv[1] as string;
  const command = [process.execPath, script, ...argumentsFor(childRole, more)];
  const cpu = pinnedCpus()[1];
  if (cpu !== undefined) command.unshift('taskset', '-c', String(cpu));
  const child = spawn(command[0] as string, command.slice(1), { stdio, serialization: 'advanced' });
  child.on('error', (error) => {
    throw error;
  });
  child.on('exit', (code, signal) => {
    if (code !== 0 && signal !== 'SIGKILL') {
      process.stderr.write(`the ${childRole} ended with ${signal ?? `exit code ${code}`}\n`);
      process.exit(1);
    }
  });
  return child;
}

/** Ends with the parent, also when the parent was killed. Needs the IPC channel. */
export function exitWithParent(): void {
  process.on('disconnect', () => process.exit(0));
}

/**
 * Moves the calling thread to the second pinned CPU: a worker starts on the CPUs of its process,
 * and `taskset` outside cannot tell its threads apart.
 */
export function pinThisThread(): void {
  const cpu = pinnedCpus()[1];
  if (cpu === undefined) return;
  const tid = path.basename(readlinkSync('/proc/thread-self'));
  execFileSync('taskset', ['-c', '-p', String(cpu), tid], { stdio: 'ignore' });
}
