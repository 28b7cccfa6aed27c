/** Runs one subject once, in a process of its own, and reads its report. */

import { spawn, type ChildProcess } from 'node:child_process';
import type { RunOutcome, SubjectOptions } from './types.ts';

export interface Command {
  readonly file: string;
  readonly arguments: readonly string[];
}

/** Longer than any healthy subject: a window is about a second, start-up included. */
const TIMEOUT_MS = 60_000;

/** As much of a failing subject's standard error as helps. */
const ERROR_CHARACTERS = 500;

/** Groups that are running now, so that an interrupted harness leaves nothing behind. */
const running = new Set<number>();

/** Kills every subject in flight, with the processes it started. */
export function killRunningSubjects(): void {
  for (const pid of running) killGroup(pid);
}

/**
 * Runs `command` and waits for it.
 *
 * The subject leads a process group of its own: two-process subjects start helpers, and a subject
 * that is killed for taking too long must take them with it.
 */
export function execute(command: Command): Promise<RunOutcome> {
  return new Promise((resolve) => {
    const child = spawn(command.file, command.arguments, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const output = collect(child);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, TIMEOUT_MS);
    if (child.pid !== undefined) running.add(child.pid);

    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ kind: 'failed', reason: error.message });
    });
    child.on('exit', (code) => {
      // What a failed subject started may spin for ever, and holds our pipes open.
      if (code !== 0) killGroup(child.pid);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (child.pid !== undefined) running.delete(child.pid);
      if (timedOut) {
        const how = `killed after ${TIMEOUT_MS / 1_000} s`;
        resolve({ kind: 'failed', reason: `${how}: ${essence(output.stderr)}` });
      } else if (code !== 0) {
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        resolve({ kind: 'failed', reason: `${how}: ${essence(output.stderr)}` });
      } else {
        resolve(parseReport(output.stdout));
      }
    });
  });
}

/**
 * Understands the one line a subject prints: `{"value": number, ...}`, or `{"skip": "reason"}` when
 * it found out that it cannot run here, for example because io_uring is refused.
 */
export function parseReport(stdout: string): RunOutcome {
  const line = stdout.trim();
  let report: unknown;
  try {
    report = JSON.parse(line);
  } catch {
    return { kind: 'failed', reason: `expected one line of JSON, got ${JSON.stringify(line)}` };
  }
  if (typeof report !== 'object' || report === null) {
    return { kind: 'failed', reason: `expected a JSON object, got ${line}` };
  }
  const { value, skip, ...rest } = report as Record<string, unknown>;
  if (typeof skip === 'string') return { kind: 'skipped', reason: skip };
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    return { kind: 'failed', reason: `"value" is not a positive number in ${line}` };
  }
  return { kind: 'value', run: { value, extra: scalars(rest) } };
}

function scalars(fields: Record<string, unknown>): SubjectOptions {
  const kept: Record<string, number | string> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'number' || typeof value === 'string') kept[key] = value;
  }
  return kept;
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return output;
}

/** The line of an uncaught error that says what happened, else the last lines. */
function essence(stderr: string): string {
  const trimmed = stderr.trim();
  if (trimmed === '') return 'nothing on standard error';
  const message = /^(?:\w*Error\b.*: .*|Uncaught .*)$/m.exec(trimmed)?.[0] ?? trimmed;
  return message.slice(-ERROR_CHARACTERS);
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended between the decision and the signal.
  }
}
