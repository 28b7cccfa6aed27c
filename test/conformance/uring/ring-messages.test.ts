/**
 * Messages between rings: completions, registered files, and rings of other threads.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { alloc } from 'annulus';
import { Ring, sendMessage, SETUP } from 'annulus/uring';

import { DEFERRED, Folder, needs, registers, runOne, take } from '../../support/uring.ts';
import { root } from '../../unit/support/processes.ts';

const [EBADF, ENFILE, EINVAL, EBADFD] = [-9, -23, -22, -77];
const stale = { code: 'ERR_ANNULUS_STALE_FILE' };

describe('a message to a ring', needs('MSG_RING'), () => {
  it('completes there with the token and the result given', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    for (const result of [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      assert.equal(
        runOne(source, (token) => source.messageRing(token, target, 5, result)),
        0,
      );
      assert.deepEqual(take(target, 0), [{ token: 5, result, more: false }]);
    }
    assert.equal(target.inFlight, 0, 'a message is no request of the target');
  });

  it('can be sent by descriptor, and to oneself', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    runOne(source, (token) => source.messageRing(token, target.fd, 1, 10));
    assert.equal(take(target, 0)[0]!.result, 10);
    source.messageRing(2, source, 3, 30);
    const results = new Map(take(source, 2).map(({ token, result }) => [token, result]));
    assert.deepEqual([results.get(2), results.get(3)], [0, 30]);
    assert.equal(source.inFlight, 0);
  });

  it('wakes a ring that waits for its requests', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    target.timeout(1, 60_000);
    target.submit();
    runOne(source, (token) => source.messageRing(token, target, 2, 0));
    assert.deepEqual(take(target), [{ token: 2, result: 0, more: false }]);
    assert.equal(target.inFlight, 1);
  });

  it('is refused where the target is no ring', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 8 });
    const fd = folder.open();
    assert.equal(
      runOne(source, (token) => source.messageRing(token, fd, 1, 0)),
      EBADFD,
    );
    assert.equal(
      runOne(source, (token) => source.messageRing(token, 1_000_000, 1, 0)),
      EBADF,
    );
  });

  it('is refused where the target is disabled or closed', () => {
    using source = new Ring({ entries: 8 });
    using disabled = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    assert.equal(
      runOne(source, (token) => source.messageRing(token, disabled, 1, 0)),
      EBADFD,
    );
    disabled.register.enable();
    assert.equal(
      runOne(source, (token) => source.messageRing(token, disabled, 1, 0)),
      0,
    );
    const closed = new Ring({ entries: 8 });
    closed.close();
    assert.throws(() => source.messageRing(1, closed, 1, 0), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('is refused with arguments that cannot be, and prepares nothing', () => {
    using ring = new Ring({ entries: 8 });
    for (const [token, result] of [
      [-1, 0],
      [2 ** 31, 0],
      [0, 2 ** 31],
      [0, 0.5],
    ] as const) {
      assert.throws(() => ring.messageRing(1, ring, token, result), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => ring.messageRing(1, ring, 1, 0, { flags: 1 << 5 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.equal(ring.unsubmitted, 0);
  });

  it('passes completion flags on', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const flags = 0x12340000 | 2;
    runOne(source, (token) => source.messageRing(token, target, 1, 0, { flags }));
    let seen = 0;
    target.drain((_token, _result, bits) => (seen = bits));
    assert.equal(seen, flags);
    runOne(source, (token) => source.messageRing(token, target, 1, 0));
    target.drain((_token, _result, bits) => (seen = bits));
    assert.equal(seen, 0, 'and the next entry has none');
  });

  it('reaches a ring whose completions wait for its thread', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8, flags: DEFERRED });
    runOne(source, (token) => source.messageRing(token, target, 4, 40));
    assert.equal(target.ready, 0);
    assert.deepEqual(take(target, 0), [{ token: 4, result: 40, more: false }]);
  });

  it('overflows into the backlog of the target, and none is lost', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 1, completionEntries: 2 });
    for (let i = 0; i < 40; i++) {
      runOne(source, (token) => source.messageRing(token, target, i, i * 3));
    }
    const seen = new Map<number, number>();
    while (seen.size < 40) {
      if (target.drain((token, result) => seen.set(token, result)) === 0) break;
    }
    assert.deepEqual(
      [...seen],
      Array.from({ length: 40 }, (_, i) => [i, i * 3]),
    );
    assert.ok(target.stats.overflows > 0);
  });

  it('crosses threads', async () => {
    using ring = new Ring({ entries: 8 });
    const worker = new Worker(
      `const { workerData } = require('node:worker_threads');
       import(workerData.module).then(({ Ring }) => {
         const ring = new Ring({ entries: 8 });
         for (let i = 0; i < 100; i++) {
           ring.messageRing(1, workerData.fd, i, i);
           ring.submitAndWait(1);
           ring.drain((_, result) => { if (result !== 0) throw new Error(String(result)); });
         }
         ring.close();
       });`,
      {
        eval: true,
        workerData: { fd: ring.fd, module: new URL('dist/uring/index.js', `file://${root}`).href },
      },
    );
    const [code] = (await once(worker, 'exit')) as [number];
    assert.equal(code, 0);
    const seen: number[] = [];
    while (ring.drain((token, result) => seen.push(token, result)) > 0);
    assert.deepEqual(
      seen,
      Array.from({ length: 200 }, (_, i) => i >> 1),
    );
  });
});

describe('a file sent to a ring', needs('MSG_RING'), () => {
  it('arrives in a slot of the receiver, and stays with the sender', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const [file] = source.register.files([folder.open('sent')]);
    target.register.sparseFiles(4);
    const slot = 2;
    assert.equal(
      runOne(source, (token) => source.messageFile(token, target, file!, { targetToken: 6, slot })),
      0,
    );
    assert.deepEqual(take(target, 0), [{ token: 6, result: 0, more: false }]);
    const memory = alloc(4);
    const arrived = target.register.fixedFile(slot);
    for (const [ring, handle] of [
      [target, arrived],
      [source, file!],
    ] as const) {
      assert.equal(
        runOne(ring, (token) => ring.read(token, handle, memory, { position: 0 })),
        4,
      );
    }
    assert.equal(Buffer.from(memory).toString(), 'sent');
  });

  it('makes the handle of what it replaces out of date', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const [file] = source.register.files([fd]);
    const [first, second] = target.register.files([fd, fd]);
    runOne(source, (token) => source.messageFile(token, target, file!, { slot: 0 }));
    assert.throws(() => target.fsync(1, first!), stale);
    // By descriptor, as from another thread, the receiver has to say so itself.
    runOne(source, (token) => source.messageFile(token, target.fd, file!, { slot: 1 }));
    target.fsync(1, second!);
    const arrived = target.register.arrivedFile(1);
    assert.throws(() => target.fsync(2, second!), stale);
    target.fsync(2, arrived);
  });

  it('takes a slot the kernel chooses, until there is none', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const [file] = source.register.files([folder.open('x')]);
    target.register.sparseFiles(2);
    const results = [0, 1, 2].map((targetToken) =>
      runOne(source, (token) => source.messageFile(token, target, file!, { targetToken })),
    );
    assert.deepEqual(results, [0, 1, ENFILE]);
    assert.deepEqual(
      take(target, 0).map(({ token, result }) => [token, result]),
      [
        [0, 0],
        [1, 1],
      ],
    );
  });

  it('arrives without a word if asked to', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const [file] = source.register.files([folder.open('x')]);
    target.register.sparseFiles(1);
    assert.equal(
      runOne(source, (token) => source.messageFile(token, target, file!, { silent: true })),
      0,
    );
    assert.deepEqual(take(target, 0), []);
    assert.equal(
      runOne(target, (token) => target.fsync(token, target.register.fixedFile(0))),
      0,
    );
  });

  it('is refused from an empty slot, and to oneself', () => {
    using source = new Ring({ entries: 8 });
    using target = new Ring({ entries: 8 });
    const [empty] = source.register.files([-1]);
    target.register.sparseFiles(1);
    assert.equal(
      runOne(source, (token) => source.messageFile(token, target, empty!)),
      EBADF,
    );
    assert.equal(
      runOne(source, (token) => source.messageFile(token, source, empty!)),
      EINVAL,
    );
  });
});

describe('a message without a ring', registers('REGISTER_SEND_MSG_RING'), () => {
  it('completes at the target like any other', () => {
    using target = new Ring({ entries: 8 });
    sendMessage(target, 3, -7);
    sendMessage(target.fd, 4, 8, { flags: 0x10000 });
    assert.deepEqual(
      take(target, 0).map(({ token, result }) => [token, result]),
      [
        [3, -7],
        [4, 8],
      ],
    );
    assert.equal(target.inFlight, 0);
  });

  it('throws where the target is none', () => {
    using folder = new Folder();
    assert.throws(() => sendMessage(folder.open(), 1, 0), { code: 'EBADFD' });
    assert.throws(() => sendMessage(1_000_000, 1, 0), { code: 'EBADF' });
    assert.throws(() => sendMessage(-1, 1, 0), { code: 'ERR_OUT_OF_RANGE' });
  });
});
