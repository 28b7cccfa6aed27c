/**
 * Runs a program in a process of its own, so that a crash is a result and not the end of the test.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Far above what any program here takes: what reaches it hangs. */
const HANG_MS = 120_000;

/** How a process ended, and what it said. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link runProgram} and {@link runCommand}. */
export interface ProgramOptions {
  /** Command line to put before Node's. */
  readonly launcher?: readonly string[];
  /** Flags of Node. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Sends the signal once the program has written its first output. */
  readonly signalWhenReady?: NodeJS.Signals;
}

/** Runs a module under this Node. */
export function runProgram(
  module: URL,
  args: readonly string[] = [],
  options: ProgramOptions = {},
): Promise<Outcome> {
  const node = [process.execPath, ...(options.flags ?? []), fileURLToPath(module), ...args];
  return runCommand([...(options.launcher ?? []), ...node], options);
}

/** Runs any command. */
export async function runCommand(
  command: readonly string[],
  options: ProgramOptions = {},
): Promise<Outcome> {
  const [file, ...args] = command;
  const child = spawn(file!, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The runner's own variables would make a Node child report as a test file.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...options.env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout === '' && options.signalWhenReady) child.kill(options.signalWhenReady);
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(limit);
  return { code, signal, stdout, stderr };
}
