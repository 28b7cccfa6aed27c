/**
 * Waiting for child processes.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { CLD, decodeChildStatus, P, Ring, W } from 'annulus/uring';

import { finish, needs, resultsOf, runOne } from '../../support/uring.js';

const [ECHILD, EINVAL, ECANCELED] = [-10, -22, -125];

/** Node collects its children, so they are only looked at. */
const ENDED = W.EXITED | W.NOWAIT;

/** A shell that runs a script; it is ended when the test is over. */
class Shell {
  readonly child: ReturnType<typeof spawn>;
  readonly pid: number;

  constructor(script: string) {
    this.child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
    this.pid = this.child.pid!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) {
      await once(this.child, 'exit');
    }
  }
}

describe('waitid', needs('WAITID'), () => {
  it('tells the exit code of a child, by its number', async () => {
    using ring = new Ring({ entries: 8 });
    await using shell = new Shell('exit 42');
    const memory = alloc(128);
    assert.equal(
      runOne(ring, (token) => ring.waitid(token, P.PID, shell.pid, ENDED, memory)),
      0,
    );
    assert.deepEqual(decodeChildStatus(memory), {
      pid: shell.pid,
      uid: process.getuid!(),
      code: CLD.EXITED,
      status: 42,
    });
    await once(shell.child, 'exit');
    assert.equal(shell.child.exitCode, 42, 'Node has collected it all the same');
  });

  it('waits, and tells the signal that ended a child', async () => {
    using ring = new Ring({ entries: 8 });
    await using shell = new Shell('read line');
    const memory = alloc(128);
    ring.waitid(1, P.PID, shell.pid, ENDED, memory);
    ring.submit();
    assert.equal(ring.ready, 0);
    shell.child.kill('SIGKILL');
    assert.equal(finish(ring).get(1), 0);
    const { pid, code, status } = decodeChildStatus(memory);
    assert.deepEqual([pid, code, status], [shell.pid, CLD.KILLED, 9]);
  });

  it('tells of a child that stops and goes on', async () => {
    using ring = new Ring({ entries: 8 });
    await using shell = new Shell('read line');
    const memory = alloc(128);
    const wait = (options: number): number => {
      assert.equal(
        runOne(ring, (token) => ring.waitid(token, P.PID, shell.pid, options, memory)),
        0,
      );
      return decodeChildStatus(memory).code;
    };
    shell.child.kill('SIGSTOP');
    assert.equal(wait(W.STOPPED), CLD.STOPPED);
    assert.equal(decodeChildStatus(memory).status, 19);
    shell.child.kill('SIGCONT');
    assert.equal(wait(W.CONTINUED), CLD.CONTINUED);
    shell.child.kill('SIGKILL');
    assert.equal(wait(ENDED), CLD.KILLED);
  });

  it('NOHANG does not wait: no child is told of', async () => {
    using ring = new Ring({ entries: 8 });
    await using shell = new Shell('read line');
    const memory = alloc(128).fill(0xff);
    const options = ENDED | W.NOHANG;
    assert.equal(
      runOne(ring, (token) => ring.waitid(token, P.PID, shell.pid, options, memory)),
      0,
    );
    assert.equal(decodeChildStatus(memory).pid, 0);
  });

  it('is cancelled while it waits, and keeps its memory until then', async () => {
    using ring = new Ring({ entries: 8 });
    await using shell = new Shell('read line');
    const region = Region.allocate(4096);
    const key = ring.waitid(1, P.PID, shell.pid, ENDED, region);
    ring.submit();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.cancel(2, 1, key);
    const [wait, cancellation] = resultsOf(ring, 1, 2);
    assert.equal(wait, ECANCELED);
    // Kernels up to 6.18 say how many were cancelled, here, instead of 0.
    assert.ok([0, 1].includes(cancellation!));
    region.close();
  });

  it('wants a child, something to wait for, and memory for the answer', () => {
    using ring = new Ring({ entries: 8 });
    const memory = alloc(128);
    ring.waitid(1, P.PID, process.pid, W.EXITED, memory);
    ring.waitid(2, P.PID, 1, 0, memory);
    ring.waitid(3, 77, 1, W.EXITED, memory);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ECHILD, EINVAL, EINVAL]);
    assert.throws(() => ring.waitid(1, P.ALL, 0, W.EXITED, alloc(127)), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => decodeChildStatus(new Uint8Array(127)), { code: 'ERR_OUT_OF_RANGE' });
  });
});
