/**
 * Requests that do nothing in particular, and commands that drivers define.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { AF, Ring, SETUP, SOCK } from 'annulus/uring';

import { DEFERRED, finish, Folder, needs, runOne, take } from '../../support/uring.ts';

const [EBADF, EFAULT, EINVAL, EOPNOTSUPP] = [-9, -14, -22, -95];

/** Sub-command of a socket: bytes that can be read. */
const SIOCINQ = 0;

/** Whether this kernel's NOP takes options: one that does not know them refuses or ignores them. */
function lacksOptions(options: Parameters<Ring['nopWith']>[1], expected: number): string | false {
  if (needs().skip !== false) return needs().skip;
  using ring = new Ring({ entries: 4 });
  const result = runOne(ring, (token) => ring.nopWith(token, options));
  return result !== expected && `this kernel's NOP does not know ${Object.keys(options).join()}`;
}

describe('a request that does nothing', needs(), () => {
  it('completes with what it is told', { skip: lacksOptions({ result: 7 }, 7) }, () => {
    using ring = new Ring({ entries: 4 });
    for (const result of [1, 0, -5, 2 ** 31 - 1, -(2 ** 31)]) {
      assert.equal(
        runOne(ring, (token) => ring.nopWith(token, { result })),
        result,
      );
    }
    assert.throws(() => ring.nopWith(1, { result: 2 ** 31 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      0,
      'the next one has no options',
    );
  });

  it('looks a file up', { skip: lacksOptions({ file: 1_000_000 }, EBADF) }, () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open();
    const [file, empty] = ring.register.files([fd, -1]);
    const results = [fd, file!, 1_000_000, empty!].map((target) =>
      runOne(ring, (token) => ring.nopWith(token, { file: target })),
    );
    assert.deepEqual(results, [0, 0, EBADF, EBADF]);
  });

  it('looks a buffer up', { skip: lacksOptions({ file: 1_000_000 }, EBADF) }, () => {
    using ring = new Ring({ entries: 4 });
    const [buffer] = ring.register.buffers([alloc(8)]);
    assert.equal(
      runOne(ring, (token) => ring.nopWith(token, { buffer: buffer! })),
      0,
    );
    ring.register.unregisterBuffers();
    assert.equal(
      runOne(ring, (token) => ring.nopWith(token, { buffer: buffer! })),
      EFAULT,
    );
  });

  it('completes from the work list', { skip: lacksOptions({ taskWork: true }, 0) }, () => {
    using ring = new Ring({ entries: 4, flags: DEFERRED });
    ring.nopWith(1, { taskWork: true });
    ring.submit();
    assert.equal(ring.ready, 0);
    assert.deepEqual(take(ring), [{ token: 1, result: 0, more: false }]);
  });

  it('completes with a wide entry in a ring of such', (test) => {
    using plain = new Ring({ entries: 4 });
    assert.throws(() => plain.nopWith(1, { extra: [1, 2] }), { code: 'ERR_INVALID_ARG_VALUE' });
    using ring = new Ring({ entries: 4, flags: SETUP.CQE32 });
    ring.nopWith(1, { extra: [7, 2 ** 40 + 1] });
    ring.nop(2);
    ring.submitAndWait(2);
    const words = new Map<number, number[]>();
    let known = true;
    ring.drain((token, result) => {
      words.set(
        token,
        [0, 1, 2, 3].map((index) => ring.extraWord(index)),
      );
      if (token === 1) known = result !== EINVAL;
    });
    if (!known) {
      test.skip("this kernel's NOP does not know extra");
      return;
    }
    assert.deepEqual(words.get(1), [7, 0, 1, 256]);
    assert.deepEqual(words.get(2), [0, 0, 0, 0]);
  });

  it('is refused in an entry of 128 bytes by kernels that have none', (test) => {
    using ring = new Ring({ entries: 4, flags: SETUP.SQE128 });
    if (needs('NOP128').skip === false) {
      test.skip('this kernel has NOP128');
      return;
    }
    for (const act of [
      (): unknown => ring.nop128(1),
      (): unknown => ring.uringCommand128(1, 0, 0),
    ]) {
      assert.throws(act, {
        code: 'ERR_ANNULUS_UNSUPPORTED',
        message: /needs Linux 6\.19 or later/,
      });
    }
    assert.equal(ring.unsubmitted, 0);
  });
});

describe('a command for a driver', needs('URING_CMD', 'BIND'), () => {
  it('is answered by a socket', () => {
    using ring = new Ring({ entries: 8 });
    const make = (): number => runOne(ring, (token) => ring.socket(token, AF.INET, SOCK.DGRAM));
    const [sender, receiver] = [make(), make()];
    const address = { address: '127.0.0.1', port: 20_000 + (process.pid % 20_000) };
    assert.equal(
      runOne(ring, (token) => ring.bind(token, receiver, address)),
      0,
    );
    runOne(ring, (token) => ring.connect(token, sender, address));
    const waiting = (): number =>
      runOne(ring, (token) => ring.uringCommand(token, receiver, SIOCINQ));
    assert.equal(waiting(), 0);
    runOne(ring, (token) => ring.send(token, sender, alloc(33)));
    assert.equal(waiting(), 33);
    const [file] = ring.register.files([receiver]);
    assert.equal(
      runOne(ring, (token) => ring.uringCommand(token, file!, SIOCINQ)),
      33,
    );
    [sender, receiver].forEach((fd) => closeSync(fd));
  });

  it('is refused by a file whose driver defines none', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const options = { payload: new Uint8Array(16), trustPayload: true };
    assert.equal(
      runOne(ring, (token) => ring.uringCommand(token, fd, 1, options)),
      EOPNOTSUPP,
    );
  });

  it('takes data in which there may be addresses only from those who say that they know', () => {
    using ring = new Ring({ entries: 8 });
    const payload = new Uint8Array(16);
    for (const options of [{ payload }, { payload, trustPayload: false }]) {
      assert.throws(() => ring.uringCommand(1, 0, 1, options), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /trustPayload/,
      });
    }
    assert.equal(ring.unsubmitted, 0);
  });

  it('carries as much data as there is room for, and keeps its memory', () => {
    using folder = new Folder();
    const fd = folder.open();
    for (const [flags, room] of [
      [0, 16],
      [SETUP.SQE128, 80],
    ] as const) {
      using ring = new Ring({ entries: 8, flags });
      const region = Region.allocate(4096);
      const payload = new Uint8Array(room).fill(1);
      ring.uringCommand(1, fd, 1, { payload, trustPayload: true, memory: region });
      assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
      const too = { payload: new Uint8Array(room + 1), trustPayload: true };
      assert.throws(() => ring.uringCommand(1, fd, 1, too), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.equal(finish(ring).get(1), EOPNOTSUPP);
      region.close();
      // What it left in its entry must not reach the next requests.
      for (let i = 0; i < 10; i++) {
        assert.equal(
          runOne(ring, (token) => ring.fsync(token, fd)),
          0,
        );
      }
    }
  });
});
