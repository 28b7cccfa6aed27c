/**
 * Running requests of a ring to their completion, and skipping what this kernel does not have.
 */

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { alloc, probe } from 'annulus';
import { CQE, Ring, SETUP } from 'annulus/uring';
import type { OpcodeName, RegisterName } from 'annulus/uring';

const kernel = probe();

/** The `skip` option of a test that needs io_uring, and these opcodes. */
export function needs(...opcodes: OpcodeName[]): { skip: string | false } {
  if (!kernel.available) return { skip: kernel.reason ?? 'io_uring is not available' };
  const missing = opcodes.filter((name) => !kernel.opcodes.has(name));
  return { skip: missing.length > 0 && `this kernel has no ${missing.join(', ')}` };
}

/** One completion. */
export interface Completion {
  readonly token: number;
  readonly result: number;
  readonly more: boolean;
}

/** Waits for `count` completions and takes all that are ready. */
export function take(ring: Ring, count: number = 1): Completion[] {
  const completions: Completion[] = [];
  ring.submitAndWait(count);
  ring.drain((token, result, flags) =>
    completions.push({ token, result, more: (flags & CQE.F_MORE) !== 0 }),
  );
  return completions;
}

/** Submits, waits for everything in flight; the results by token. */
export function finish(ring: Ring): Map<number, number> {
  const results = new Map<number, number>();
  for (let left = ring.inFlight; left > 0; left = ring.inFlight) {
    for (const { token, result } of take(ring)) results.set(token, result);
  }
  return results;
}

/** Runs the one request that `prepare` makes; its result. */
export function runOne(ring: Ring, prepare: (token: number) => void): number {
  prepare(77);
  return finish(ring).get(77)!;
}

/** A string in new memory that the kernel can be given. */
export function memoryOf(text: string): Uint8Array {
  const memory = alloc(text.length);
  memory.set(Buffer.from(text));
  return memory;
}

/** The text in memory, or in its first bytes. */
export function textOf(memory: Uint8Array, length: number = memory.length): string {
  return Buffer.from(memory.subarray(0, length)).toString();
}

/** Tokens and results of completions, by token. */
export function byToken(
  completions: readonly Pick<Completion, 'token' | 'result'>[],
): [token: number, result: number][] {
  const pairs = completions.map(({ token, result }): [number, number] => [token, result]);
  return pairs.toSorted((a, b) => a[0] - b[0]);
}

/** Numbers from the least to the greatest. */
export function ascending(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

/** Results in the order of the tokens given. */
export function resultsOf(ring: Ring, ...tokens: number[]): (number | undefined)[] {
  const results = finish(ring);
  return tokens.map((token) => results.get(token));
}

/** A folder that is removed at the end, and files in it. */
export class Folder {
  readonly path: string = mkdtempSync(join(tmpdir(), 'annulus-test-'));
  readonly #fds: number[] = [];

  /** The path of a name in the folder. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** Opens a file with this content, for reading and writing. */
  open(content: string | Uint8Array = '', name: string = 'file'): number {
    writeFileSync(this.at(name), content);
    const fd = openSync(this.at(name), 'r+');
    this.#fds.push(fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) closeSync(fd);
    rmSync(this.path, { recursive: true });
  }
}

/** The `skip` option of a test that needs these registrations. */
export function registers(...names: RegisterName[]): { skip: string | false } {
  if (!kernel.available) return { skip: kernel.reason ?? 'io_uring is not available' };
  using ring = new Ring({ entries: 4 });
  const missing = names.filter((name) => {
    try {
      ring.register.requireOperation(name);
      return false;
    } catch {
      return true;
    }
  });
  return { skip: missing.length > 0 && `this kernel has no ${missing.join(', ')}` };
}

/** Flags of a ring whose completions wait until its thread asks for them. */
export const DEFERRED: number =
  SETUP.SINGLE_ISSUER | SETUP.DEFER_TASKRUN | SETUP.SUBMIT_ALL | SETUP.TASKRUN_FLAG;
