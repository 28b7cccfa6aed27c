/**
 * Workers and processes that end with requests in flight: no crash, nothing left behind, writes done.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { runProgram } from '../support/program.ts';
import type { Outcome, ProgramOptions } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const programs = new URL('programs/', import.meta.url);
const WORKERS = 200;
const PROCESSES = 52;

/** How a process ends, and what its end must look like. */
const ENDS: Record<string, { code: number | null; signal: string | null } & ProgramOptions> = {
  natural: { code: 0, signal: null },
  exit: { code: 3, signal: null },
  throw: { code: 1, signal: null },
  SIGTERM: { code: null, signal: 'SIGTERM', signalWhenReady: 'SIGTERM' },
};

async function end(index: number): Promise<void> {
  const names = Object.keys(ENDS);
  const name = names[index % names.length]!;
  const way = index % (2 * names.length) < names.length ? 'ring' : 'proactor';
  const { code, signal, ...options } = ENDS[name]!;
  const outcome = await runProgram(new URL('leave.js', programs), [way, name], options);
  const found = { code: outcome.code, signal: outcome.signal };
  assert.deepEqual(found, { code, signal }, `${way}, ${name}: ${outcome.stderr}`);
  assert.equal(outcome.stdout, 'in flight\n');
  const wanted = name === 'throw' ? /thrown on purpose/ : /^$/;
  assert.match(outcome.stderr, wanted, `${way}, ${name}`);
}

describe('hazard 18: ends with requests in flight', { skip: withoutUring }, () => {
  // On rings, proactors, rings with requests that are not counted, and rings without a descriptor.
  it(`hazard 10: ${WORKERS} workers are terminated, nothing stays behind`, async () => {
    const outcome = await runProgram(new URL('terminate.js', programs), [String(WORKERS)]);
    assert.deepEqual([outcome.code, outcome.signal], [0, null], outcome.stderr);
    assert.equal(outcome.stdout, `${WORKERS}\n`);
  });

  it(`${PROCESSES} processes end by themselves, by exit, by an error, by a signal`, async () => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < PROCESSES) await end(next++);
    };
    await Promise.all([lane(), lane()]);
  });

  for (const how of ['exit', 'throw']) {
    it(`writes in flight are on disk after ${how}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'annulus-flush-'));
      try {
        const file = join(folder, 'written');
        const program = new URL('write-and-exit.js', programs);
        const outcome: Outcome = await runProgram(program, [file, how]);
        assert.equal(outcome.code, how === 'exit' ? 0 : 1, outcome.stderr);
        const bytes = readFileSync(file);
        assert.equal(bytes.length, 64 * 65_536);
        bytes.forEach((byte, at) => {
          if (byte !== at >> 16) assert.fail(`byte ${at} is ${byte}`);
        });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
