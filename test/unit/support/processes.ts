/**
 * Running a piece of a program in a Node process of its own.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Far above what any child needs: it ends one that hangs, so that its test fails. */
const LIMIT_MS = 60_000;

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a module text; it can import the package by its public names and as `#src/...`. */
export function start(program: string, stdio: StdioOptions, flags: string[] = []): ChildProcess {
  const args = [...flags, '--no-warnings', '--input-type=module', '--eval', program];
  return spawn(process.execPath, args, {
    cwd: root,
    stdio,
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
}

/** Runs a module text to its end. */
export async function run(program: string, flags: string[] = []): Promise<Ended> {
  return ended(start(program, ['ignore', 'pipe', 'pipe'], flags));
}

/** Waits for a child whose output is piped. */
export async function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}
