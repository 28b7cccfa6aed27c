/**
 * Accepting connections: once or again and again, with the peer's address, and how it waits.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { AF, CQE, decodePeerAddress, PEER_BYTES, Ring, SOCK } from 'annulus/uring';

import { syscall } from '#src/sys/linux.js';
import { census } from '../../support/census.ts';
import {
  addressOf,
  collect,
  collectOf,
  hasMore,
  nothingElse,
  Sockets,
} from '../../support/sockets.ts';
import { needs, runOne } from '../../support/uring.ts';

const [EBADF, EAGAIN, EINVAL, ENOTSOCK, ECANCELED] = [-9, -11, -22, -88, -125];
const [F_GETFD, F_GETFL, FD_CLOEXEC] = [1, 3, 1];

describe('accept', needs('LISTEN', 'BIND', 'SOCKET'), () => {
  for (const address of ['127.0.0.1', '::1']) {
    it(`writes the peer's address into memory: ${address}`, () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const listener = sockets.listener({ address, port: 0 });
      const client = sockets.client(listener);
      const memory = alloc(PEER_BYTES + 8).fill(0xa5);
      const peer = memory.subarray(4, 4 + PEER_BYTES);
      sockets.own(runOne(ring, (token) => ring.accept(token, listener, { address: peer })));
      assert.deepEqual(decodePeerAddress(peer), addressOf(client));
      assert.deepEqual(
        [...memory.subarray(0, 4), ...memory.subarray(4 + PEER_BYTES)],
        Array(8).fill(0xa5),
      );
    });
  }

  it("writes a Unix peer's name, and nothing for one without", () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener({ path: `\0annulus-accept-${process.pid}` });
    const name = { path: `\0annulus-client-${process.pid}` };
    const peer = alloc(PEER_BYTES);
    for (const bound of [name, undefined]) {
      const client = bound === undefined ? sockets.open(AF.UNIX) : sockets.bound(bound);
      assert.equal(
        runOne(ring, (token) => ring.connect(token, client, addressOf(listener))),
        0,
      );
      sockets.own(runOne(ring, (token) => ring.accept(token, listener, { address: peer })));
      assert.deepEqual(decodePeerAddress(peer), bound);
    }
  });

  it('refuses memory too small for an address, and memory of nobody', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.accept(1, 0, { address: alloc(PEER_BYTES - 1) }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => ring.accept(1, 0, { address: new Uint8Array(PEER_BYTES) }), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
    assert.equal(ring.unsubmitted, 0);
  });

  it('keeps the memory of the address until it has completed', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    const region = Region.allocate(PEER_BYTES);
    const key = ring.accept(1, listener, { address: region });
    ring.submit();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.cancel(2, 1, key);
    assert.equal(collectOf(ring, 1, 2)[0]!.result, ECANCELED);
    region.close();
  });

  it('gives descriptors that are close-on-exec, and blocking unless asked', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    for (const nonBlocking of [false, true]) {
      sockets.client(listener);
      const fd = sockets.own(
        runOne(ring, (token) => ring.accept(token, listener, { nonBlocking })),
      );
      assert.equal(syscall('fcntl', fd, F_GETFD, 0), FD_CLOEXEC);
      assert.equal((syscall('fcntl', fd, F_GETFL, 0) & SOCK.NONBLOCK) !== 0, nonBlocking);
    }
  });

  it('dontWait completes at once where there is no connection', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    const accept = (): number =>
      runOne(ring, (token) => ring.accept(token, listener, { dontWait: true }));
    assert.equal(accept(), EAGAIN);
    sockets.client(listener);
    sockets.own(accept());
  });

  it('pollFirst waits for the next connection', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    ring.accept(1, listener, { pollFirst: true });
    nothingElse(ring);
    const client = sockets.open();
    ring.connect(2, client, addressOf(listener));
    const [accepted] = collectOf(ring, 1, 2);
    sockets.own(accepted!.result);
  });

  it('says whether more connections wait', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    sockets.client(listener);
    sockets.client(listener);
    const nonEmpty: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      ring.accept(1, listener);
      const { result, flags } = collect(ring, 1)[0]!;
      sockets.own(result);
      nonEmpty.push((flags & CQE.F_SOCK_NONEMPTY) !== 0);
    }
    assert.deepEqual(nonEmpty, [true, false]);
  });

  it('fails on what does not listen, is no socket, or is not open', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [reader] = sockets.pipe();
    for (const [fd, errno] of [
      [sockets.open(), EINVAL],
      [reader, ENOTSOCK],
      [1_000_000, EBADF],
    ] as const) {
      assert.equal(
        runOne(ring, (token) => ring.accept(token, fd)),
        errno,
      );
      assert.equal(
        runOne(ring, (token) => ring.acceptMultishot(token, fd)),
        errno,
      );
    }
  });
});

describe('hazard 13: multishot accept', needs('LISTEN', 'BIND', 'SOCKET'), () => {
  it('takes waiting and coming connections with one request, until it is cancelled', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    sockets.client(listener);
    const key = ring.acceptMultishot(5, listener, { nonBlocking: true });
    const first = collect(ring, 1);
    const client = sockets.open();
    ring.connect(6, client, addressOf(listener));
    const [second] = collectOf(ring, 5, 6);
    for (const event of [first[0]!, second!]) {
      assert.ok(hasMore(event));
      const fd = sockets.own(event.result);
      assert.notEqual(syscall('fcntl', fd, F_GETFL, 0) & SOCK.NONBLOCK, 0);
    }
    assert.equal(ring.inFlight, 1);
    ring.cancel(7, 5, key);
    const [ended] = collectOf(ring, 5, 7);
    assert.deepEqual([ended!.result, hasMore(ended!)], [ECANCELED, false]);
    assert.equal(ring.inFlight, 0);
  });

  it('ends with an error when the listener is shut down', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    ring.acceptMultishot(5, listener);
    ring.submit();
    ring.shutdown(6, listener, 2);
    const [ended, shut] = collectOf(ring, 5, 6);
    assert.deepEqual([ended!.result, hasMore(ended!), shut!.result], [EINVAL, false, 0]);
  });

  it('leaves no descriptor open in a ring that is closed before it is drained', () => {
    using sockets = new Sockets();
    const listener = sockets.listener();
    const before = census().fds.length;
    const ring = new Ring({ entries: 8 });
    ring.acceptMultishot(5, listener);
    ring.submit();
    for (let i = 0; i < 3; i++) sockets.client(listener);
    ring.close();
    assert.equal(census().fds.length, before + 3, 'the three clients');
  });
});
