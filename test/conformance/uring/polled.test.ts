/**
 * Rings with a polling thread, rings that poll devices, rings whose completions wait for their thread.
 */

import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { ENTER, Ring, SETUP, SQ } from 'annulus/uring';

import { pair } from '../../unit/support/pair.ts';
import { blockingPipe, closeAll } from '../../support/pipes.ts';
import { DEFERRED, finish, needs, runOne, take } from '../../support/uring.ts';

/** Entries run so far by a poller that takes its time. */
function polled(idle: number = 100): Ring {
  return new Ring({ entries: 4, flags: SETUP.SQPOLL, sqThreadIdle: idle });
}

describe('hazard 21: SQPOLL', needs(), () => {
  it('sqpoll: runs what is submitted, awake or asleep', () => {
    using ring = polled(1);
    for (let round = 0; round < 20; round++) {
      for (let token = 0; token < 4; token++) ring.nop(token);
      assert.equal(ring.submit(), 4);
      assert.equal(finish(ring).size, 4);
      // Now and then it falls asleep in between.
      if (round % 5 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4);
    }
    assert.equal(ring.stats.submitted, 80);
    assert.equal(ring.stats.inFlight, 0);
  });

  it('sqpoll: a full queue is waited for', () => {
    using ring = polled();
    let prepared = 0;
    while (prepared < 200) {
      if (!ring.hasSpace(1)) assert.ok(ring.waitForSpace() > 0);
      ring.nop(prepared++);
      ring.submit();
      ring.drain(() => {});
    }
    finish(ring);
    assert.equal(ring.stats.completed, 200);
  });

  it('sqpoll: structures live until completion, whenever the poller reads them', () => {
    using ring = polled();
    using ends = pair();
    const [first, second] = [alloc(3), alloc(3)];
    ring.writev(1, ends.writer, [first.fill(1), second.fill(2)]);
    ring.submit();
    assert.equal(finish(ring).get(1), 6);
    const received = alloc(8);
    assert.equal(
      runOne(ring, (token) => ring.read(token, ends.reader, received)),
      6,
    );
    assert.deepEqual([...received.subarray(0, 6)], [1, 1, 1, 2, 2, 2]);
  });

  it('sqpoll: stays on a processor, and is shared with a ring attached', () => {
    using ring = new Ring({ entries: 4, flags: SETUP.SQPOLL, sqThreadCpu: 0 });
    assert.equal(ring.flags & SETUP.SQ_AFF, SETUP.SQ_AFF);
    using other = new Ring({ entries: 4, flags: SETUP.SQPOLL, attach: ring });
    assert.equal(
      runOne(other, (token) => other.nop(token)),
      0,
    );
    assert.throws(() => new Ring({ flags: SETUP.SQPOLL, sqThreadCpu: 4096 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('sqpoll: waits with a time limit', () => {
    using ring = polled();
    ring.timeout(1, 60_000);
    assert.equal(ring.submitAndWait(1, { timeout: 5 }), 1);
    assert.equal(ring.ready, 0);
  });

  it(
    'hazard 18: sqpoll: closing ends what a worker thread of the poller runs',
    needs('TEE'),
    () => {
      const pipes = [blockingPipe(), blockingPipe()] as const;
      const ring = polled();
      // Waits in a worker thread for something to copy.
      ring.tee(1, ...pipes, 16);
      ring.nop(2);
      assert.deepEqual(
        take(ring).map(({ token }) => token),
        [2],
      );
      assert.equal(ring.inFlight, 1);
      ring.close();
      assert.equal(ring.stats.inFlight, 0);
      closeAll(pipes);
    },
  );

  it('the flags of waking and waiting are those of the header', () => {
    assert.deepEqual([SQ.NEED_WAKEUP, ENTER.SQ_WAKEUP, ENTER.SQ_WAIT], [1, 2, 4]);
  });
});

/** Reads a block of a file past the page cache, by polling the device; the result. */
function readPolled(flags: number): number {
  const folder = mkdtempSync(join(process.cwd(), '.annulus-iopoll-'));
  const path = join(folder, 'file');
  writeFileSync(path, new Uint8Array(8192).fill(7));
  let fd = -1;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
    using ring = new Ring({ entries: 4, flags });
    using memory = Region.allocate(4096);
    const result = runOne(ring, (token) => ring.read(token, fd, memory, { position: 0 }));
    if (result > 0) assert.ok(memory.bytes.every((byte) => byte === 7));
    return result;
  } finally {
    if (fd >= 0) closeSync(fd);
    rmSync(folder, { recursive: true });
  }
}

describe('IOPOLL', needs(), () => {
  for (const [name, flags] of [
    ['iopoll', SETUP.IOPOLL],
    ['hybrid iopoll', SETUP.IOPOLL | SETUP.HYBRID_IOPOLL],
  ] as const) {
    it(`${name}: finds completions of the device, where the file system can poll`, (t) => {
      let result: number;
      try {
        result = readPolled(flags);
      } catch (error) {
        return t.skip(`cannot be set up or opened here: ${String(error)}`);
      }
      if (result === -95) return t.skip('the file system or the device cannot be polled');
      assert.equal(result, 4096);
    });
  }

  it('runs what needs no device', () => {
    using ring = new Ring({ entries: 4, flags: SETUP.IOPOLL });
    ring.nop(1);
    ring.submit();
    let reaped = 0;
    ring.drain(() => reaped++);
    assert.equal(reaped, 1);
  });

  it('refuses requests that cannot be polled', () => {
    using ring = new Ring({ entries: 4, flags: SETUP.IOPOLL });
    using ends = pair();
    const result = runOne(ring, (token) => ring.recv(token, ends.reader, alloc(8)));
    assert.ok(result < 0, String(result));
  });
});

describe('DEFER_TASKRUN', needs(), () => {
  it('defer-taskrun: completions are not there until the thread enters', () => {
    using ring = new Ring({ entries: 8, flags: DEFERRED });
    using ends = pair();
    ring.read(1, ends.reader, alloc(8));
    ring.submit();
    ends.write('now');
    assert.equal(ring.ready, 0);
    const tokens: number[] = [];
    for (let i = 0; i < 1000 && tokens.length === 0; i++) ring.drain((token) => tokens.push(token));
    assert.deepEqual(tokens, [1]);
  });

  it('single-issuer with R_DISABLED: the thread that enables the ring owns it', () => {
    using ring = new Ring({ entries: 8, flags: DEFERRED | SETUP.R_DISABLED });
    ring.register.enable();
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      0,
    );
  });

  it('closing ends what is in flight', () => {
    const ring = new Ring({ entries: 8, flags: DEFERRED });
    using ends = pair();
    const region = Region.allocate(4096);
    ring.read(1, ends.reader, region);
    ring.submit();
    ring.close();
    assert.equal(region.busy, false);
    region.close();
  });
});
