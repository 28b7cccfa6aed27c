/**
 * How often a busy proactor enters the kernel, counted from outside.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { runProgram } from '../support/program.ts';
import { withoutUring } from '../support/skip.ts';

const program = new URL('programs/read-deep.js', import.meta.url);

function withoutStrace(): string | false {
  const { error, status, stderr } = spawnSync('strace', ['-o', '/dev/null', 'true'], {
    encoding: 'utf8',
  });
  if (error !== undefined) return 'strace is not installed';
  return status === 0 ? false : `strace may not trace here: ${stderr.trim()}`;
}

describe('a proactor with 128 reads in flight', { skip: withoutUring || withoutStrace() }, () => {
  it('enters the kernel at most twice in a hundred reads', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'annulus-strace-'));
    try {
      const summary = join(folder, 'summary');
      const launcher = ['strace', '-c', '-f', '-e', 'trace=io_uring_enter', '-o', summary];
      const { code, stdout, stderr } = await runProgram(program, [], { launcher });
      assert.equal(code, 0, stderr);
      const [, calls] = /^\s*\S+\s+\S+\s+\S+\s+(\d+).*io_uring_enter$/m.exec(
        readFileSync(summary, 'utf8'),
      )!;
      const reads = Number(stdout);
      test.diagnostic(`${calls} enters for ${reads} reads`);
      assert.ok(Number(calls) * 100 <= reads * 2, `${calls} enters for ${reads} reads`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const polling = new URL('programs/poll-submissions.js', import.meta.url);

describe(
  'hazard 21: a polling thread that is awake',
  { skip: withoutUring || withoutStrace() },
  () => {
    it('is submitted to and reaped from without a system call', async (test) => {
      const folder = mkdtempSync(join(tmpdir(), 'annulus-strace-'));
      try {
        const log = join(folder, 'log');
        const launcher = ['strace', '-f', '-e', 'trace=io_uring_setup,io_uring_enter', '-o', log];
        const { code, stdout, stderr } = await runProgram(polling, [], { launcher });
        assert.equal(code, 0, stderr);
        const [reads, enters, waking] = stdout.split(' ').map(Number);
        // Node may have a ring of its own: only calls on ours, the last that was made, are counted.
        const lines = readFileSync(log, 'utf8').split('\n');
        const [, fd] = /io_uring_setup\(64, .*= (\d+)$/.exec(
          lines.findLast((line) => line.includes('io_uring_setup(64, '))!,
        )!;
        const calls = lines.filter((line) => line.includes(`io_uring_enter(${fd}, `)).length;
        test.diagnostic(`${calls} enters for ${reads} reads, ${waking} of them to wake the thread`);
        assert.equal(calls, enters);
        assert.equal(calls, waking);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  },
);
