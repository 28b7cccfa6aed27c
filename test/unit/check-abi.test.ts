/**
 * The check of src/ against the C headers accepts what is right and finds one wrong number of each kind.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { root } from './support/processes.js';

function check(...args: string[]): { status: number | null; stdout: string } {
  const script = join(root, 'scripts/check-abi.js');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
}

/** Runs the check on a copy of dist/ in which one piece of text is another. */
function checkWith(file: string, before: string, after: string): ReturnType<typeof check> {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-abi-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const dist = join(folder, 'dist');
    cpSync(join(root, 'dist'), dist, { recursive: true });
    const text = readFileSync(join(dist, file), 'utf8');
    assert.equal(text.split(before).length, 2, `'${before}' is in ${file} once`);
    writeFileSync(join(dist, file), text.replace(before, after));
    return check(dist);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the ABI check', () => {
  it('accepts the numbers of this repository, and says how many it compared', () => {
    const { status, stdout } = check();
    const [, checked] = /^(\d+) numbers checked/m.exec(stdout) ?? [];
    assert.ok(Number(checked) > 200, stdout);
    assert.equal(status, 0);
  });

  it('finds a wrong constant', () => {
    const { status, stdout } = checkWith(
      'sys/abi.js',
      'SINGLE_ISSUER: 0x1000',
      'SINGLE_ISSUER: 0x1001',
    );
    assert.match(stdout, /SETUP\.SINGLE_ISSUER is 4097, which IORING_SETUP_SINGLE_ISSUER is not/);
    assert.equal(status, 1);
  });

  it('finds opcodes that have the number of another', () => {
    const { status, stdout } = checkWith(
      'uring/opcodes.js',
      `['MADVISE', '5.6', 'madvise', 'addr: memory; len or off: length; flags: MADVISE'],`,
      `['MADVISE', '5.6', '', ''], ['ADVICE', '5.6', '', ''],`,
    );
    assert.match(stdout, /OP\.SEND is 27/);
    assert.match(stdout, /OP\.RECV is 28/);
    assert.equal(status, 1);
  });

  it('finds a wrong struct offset', () => {
    const { status, stdout } = checkWith('sys/abi.js', 'BUF_INDEX: 10', 'BUF_INDEX: 11');
    assert.match(stdout, /SQE_WORD\.BUF_INDEX is 44, which io_uring_sqe\.buf_index is not/);
    assert.equal(status, 1);
  });

  it('refuses a struct word nobody has said the C name of', () => {
    const { status } = checkWith('sys/abi.js', 'BUF_INDEX: 10', 'NOVELTY: 10');
    assert.equal(status, 1);
  });
});
