/**
 * Submitting under adverse conditions: signals, bad requests, a full queue, a failing enter.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus/memory';
import { Ring, SETUP, SQE } from 'annulus/uring';

import { blockingPipe, blockingSockets, closeAll } from '../support/pipes.ts';
import { withoutUring } from '../support/skip.ts';

const EBADF = -9;
const ETIME = -62;

/** Reaps `count` completions: results by token, each of which must come once. */
function reap(ring: Ring, count: number): Map<number, number> {
  const results = new Map<number, number>();
  while (results.size < count) {
    ring.submitAndWait(1);
    ring.drain((token, result) => {
      assert.equal(results.has(token), false, `token ${token} completed twice`);
      results.set(token, result);
    });
  }
  assert.equal(ring.inFlight, 0);
  return results;
}

/** A request the kernel refuses while it takes it in: opening has no registered directory. */
function prepareBad(ring: Ring, token: number): void {
  ring.openat(token, '/dev/null', constants.O_RDONLY);
  ring.flagLast(SQE.FIXED_FILE);
}

describe('submitting', { skip: withoutUring }, () => {
  for (const [name, flags] of [
    ['with SUBMIT_ALL', SETUP.SUBMIT_ALL],
    ['without SUBMIT_ALL, where the kernel stops at it', 0],
  ] as const) {
    it(`hazard 7: a bad request in the middle of a batch, ${name}`, () => {
      using ring = new Ring({ entries: 16, flags });
      for (let round = 0; round < 50; round++) {
        for (let token = 0; token < 10; token++) {
          if (token === 4) prepareBad(ring, token);
          else ring.nop(token);
        }
        const before = ring.stats.submitted;
        assert.equal(ring.submit(), 10, 'what the kernel left is submitted again');
        assert.equal(ring.stats.submitted - before, 10);
        for (const [token, result] of reap(ring, 10)) assert.equal(result, token === 4 ? EBADF : 0);
      }
    });
  }

  it('hazard 7: a full submission queue refuses one more, and loses none', () => {
    using ring = new Ring({ entries: 8 });
    for (let round = 0; round < 100; round++) {
      for (let token = 0; token < 8; token++) ring.nop(token);
      const region = Region.allocate(4096);
      assert.throws(() => ring.nop(8), { code: 'ERR_ANNULUS_SQ_FULL' });
      assert.throws(() => ring.read(8, 0, region), { code: 'ERR_ANNULUS_SQ_FULL' });
      assert.throws(() => ring.timeout(8, 1), { code: 'ERR_ANNULUS_SQ_FULL' });
      region.close(); // what was refused pins nothing
      assert.equal(ring.submit(), 8);
      assert.equal(reap(ring, 8).size, 8);
    }
  });

  it('hazard 7: signals interrupt a wait, which goes on', async () => {
    using ring = new Ring({ entries: 8 });
    const pipe = blockingPipe();
    let signals = 0;
    const count = (): void => void signals++;
    process.on('SIGWINCH', count);
    try {
      const memory = alloc(16);
      ring.read(1, pipe, memory);
      ring.timeout(2, 10_000);
      // 40 signals, then the byte that ends the wait.
      const script = `i=0; while [ $i -lt 40 ]; do kill -WINCH "$1"; i=$((i+1)); done
        printf x > "/proc/$1/fd/$2"`;
      const args = ['-c', script, 'sh', String(process.pid), String(pipe)];
      const child = spawn('sh', args, { stdio: 'ignore' });
      ring.submitAndWait(1);
      ring.drain((token, result) => assert.deepEqual([token, result], [1, 1]));
      assert.equal(memory[0], 'x'.codePointAt(0));
      await once(child, 'exit');
      await new Promise(setImmediate);
      assert.ok(signals > 0, 'no signal arrived');
    } finally {
      process.off('SIGWINCH', count);
      closeSync(pipe);
    }
  });

  it('hazard 7: a timed wait says when time is up, and the request stays in flight', () => {
    const [near, far] = blockingSockets();
    using ring = new Ring({ entries: 8 });
    ring.read(1, near, alloc(16));
    ring.submitAndWait(1, { timeout: 1 });
    assert.equal(ring.ready, 0);
    assert.equal(ring.inFlight, 1);
    ring.timeout(2, 1);
    ring.submitAndWait(1);
    ring.drain((token, result) => assert.deepEqual([token, result], [2, ETIME]));
    ring.close();
    closeAll([near, far]);
  });

  it('hazard 4: requests are still there after a failed enter', () => {
    using ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    const { register } = ring;
    const { fd } = register;
    const [near, far] = blockingSockets();
    ring.write(1, far, region, { length: 4 });
    ring.read(2, near, region, { offset: 100, length: 4 });
    register.fd = 1_000_000;
    assert.throws(() => ring.submit(), { code: 'EBADF', syscall: 'io_uring_enter' });
    register.fd = fd;
    // The tail was published: the kernel may have seen the requests, so they hold their memory.
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    assert.equal(ring.inFlight, 2);
    assert.deepEqual([...reap(ring, 2).values()], [4, 4]);
    region.close();
    closeAll([near, far]);
  });
});
