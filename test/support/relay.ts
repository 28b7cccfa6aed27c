/**
 * Running `annulus relay` as a user would, in a folder of its own.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { removeOutput } from '#src/cli/relay/output.js';
import { cliCommand } from './cli.ts';

/** How a relay ended. */
export interface RelayEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A relay that is running. */
export interface RunningRelay {
  readonly child: ChildProcess;
  readonly end: Promise<RelayEnd>;
}

/** The command line of a relay. */
export function relayCommand(args: readonly string[]): string[] {
  return cliCommand(['relay', ...args]);
}

/** @param launcher - Command line to put before it. */
export function startRelay(
  args: readonly string[],
  launcher: readonly string[] = [],
): RunningRelay {
  const [file, ...rest] = [...launcher, ...relayCommand(args)];
  const child = spawn(file!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const end = once(child, 'close').then(([code, signal]): RelayEnd => {
    return { code: code as number | null, signal: signal as NodeJS.Signals, stdout, stderr };
  });
  return { child, end };
}

/** Runs a relay without the comparison by streams. */
export function relay(args: readonly string[], launcher?: readonly string[]): Promise<RelayEnd> {
  return startRelay(['--no-compare', ...args], launcher).end;
}

/** A folder that goes away with the test. Everybody may write there. */
export function relayFolder(context: { after(remove: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-relay-'));
  chmodSync(folder, 0o777);
  // Unlike rmSync, this removes directories nobody may write to as well.
  context.after(() => removeOutput(folder));
  return folder;
}

/** The processes a process has started and not buried. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** Whether a process runs; one that nobody has buried does not. */
export function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits until something is so. What never becomes so is ended by the runner's limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Names in a folder that a relay's temporary output has. */
export function leftovers(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes('.annulus-'));
}

/** Waits until a relay into `folder` is half-way; returns the pid of its writer. */
export async function halfWay(relaying: RunningRelay, folder: string): Promise<number> {
  let hasEnded = false;
  void relaying.end.then(() => {
    hasEnded = true;
  });
  await until(() => hasEnded || leftovers(folder).some((name) => sizeOf(join(folder, name)) > 0));
  const writer = childrenOf(relaying.child.pid!)[0];
  if (writer === undefined) {
    const { code, stderr } = await relaying.end;
    throw new Error(`the relay ended before it was half-way: exit code ${code}, ${stderr}`);
  }
  return writer;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
