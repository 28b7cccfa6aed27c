/**
 * Paths, vectors, addresses and time spans live until the request that names them has completed,
 * whatever the garbage collector does in between.
 */

import assert from 'node:assert/strict';
import { closeSync, constants, existsSync, mkdtempSync, openSync, readSync } from 'node:fs';
import { rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { alloc, Region } from 'annulus/memory';
import { decodeStatx, Ring, SQE } from 'annulus/uring';

import { collectGarbage } from '../support/gc.ts';
import { blockingSockets, closeAll } from '../support/pipes.ts';
import { withoutUring } from '../support/skip.ts';

const ETIME = -62;
const ROUNDS = 8;

/** Collects, and fills what has become free with something else. */
function disturb(): void {
  collectGarbage();
  for (let i = 0; i < 16; i++) {
    using region = Region.allocate(4096);
    region.bytes.fill(0xff);
    new Uint8Array(4096).fill(0xff);
  }
}

describe(
  'hazard 22: collecting between preparing, submitting and completing',
  {
    skip: withoutUring,
  },
  () => {
    let folder = '';
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'annulus-structures-'));
    });
    after(() => rmSync(folder, { recursive: true }));

    /** Runs what was prepared, on another thread of the kernel where that is possible. */
    function run(ring: Ring, between: () => void = () => {}): number {
      let outcome = 0;
      ring.flagLast(SQE.ASYNC);
      disturb();
      ring.submit();
      disturb();
      between();
      ring.submitAndWait(1);
      ring.drain((_, result) => (outcome = result));
      return outcome;
    }

    it('paths, short and long', () => {
      using ring = new Ring({ entries: 8 });
      for (let round = 0; round < ROUNDS; round++) {
        for (const length of [8, 200]) {
          const name = String(round).padEnd(length, 'n');
          ring.mkdirat(1, join(folder, `${name}d`));
          assert.equal(run(ring), 0);
          ring.openat(1, join(folder, name), constants.O_CREAT | constants.O_WRONLY);
          const fd = run(ring);
          assert.ok(fd >= 0, `openat: ${fd}`);
          closeSync(fd);
          ring.renameat(1, join(folder, name), join(folder, `${name}d`, 'renamed'));
          assert.equal(run(ring), 0);
          assert.equal(existsSync(join(folder, `${name}d`, 'renamed')), true);
          ring.unlinkat(1, join(folder, `${name}d`, 'renamed'));
          assert.equal(run(ring), 0);
        }
      }
    });

    it('the answer of statx', () => {
      using ring = new Ring({ entries: 8 });
      for (let round = 0; round < ROUNDS; round++) {
        const path = join(folder, `sized-${round}`);
        writeFileSync(path, 'x'.repeat(round));
        const answer = alloc(256);
        ring.statx(1, path, answer);
        assert.equal(run(ring), 0);
        assert.equal(decodeStatx(answer).size, round);
      }
    });

    it('vectors', () => {
      const [near, far] = blockingSockets();
      using ring = new Ring({ entries: 8 });
      for (let round = 0; round < ROUNDS; round++) {
        const pieces = Array.from({ length: 5 }, (_, i) => alloc(4).fill(i + round));
        ring.writev(1, far, pieces);
        assert.equal(run(ring), 20);
        const received = new Uint8Array(64);
        assert.equal(readSync(near, received), 20);
        assert.deepEqual(
          [...received.subarray(0, 20)],
          pieces.flatMap((piece) => [...piece]),
        );
        const targets = Array.from({ length: 5 }, () => alloc(4));
        ring.readv(1, near, targets);
        assert.equal(
          run(ring, () => writeSync(far, received.subarray(0, 20))),
          20,
        );
        assert.deepEqual(targets, pieces);
      }
      closeAll([near, far]);
    });

    it('time spans', () => {
      const file = openSync('/dev/null', 'r');
      const [near, far] = blockingSockets();
      using ring = new Ring({ entries: 8 });
      for (let round = 0; round < ROUNDS; round++) {
        ring.timeout(1, 1);
        disturb();
        ring.submit();
        disturb();
        ring.submitAndWait(1);
        ring.drain((_, result) => assert.equal(result, ETIME));
        ring.read(1, near, alloc(16));
        ring.linkTimeout(2, 1);
        disturb();
        ring.submit();
        disturb();
        ring.submitAndWait(2);
        const results = new Map<number, number>();
        ring.drain((token, result) => results.set(token, result));
        assert.equal(results.get(1), -125);
        assert.equal(results.get(2), ETIME);
      }
      closeAll([near, far, file]);
    });
  },
);
