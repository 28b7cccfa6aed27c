/**
 * Requests that wait: sockets over loopback, polls, timers, cancellations, and the eventfd.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, decodeSocketAddress, Ring, SHUT, SOCK } from 'annulus/uring';
import { eventfd, read, socketName } from '#src/sys/linux.js';
import { pair } from '../support/pair.js';
import { finish, needs, runOne, take } from '../support/requests.js';

const ECANCELED = -125;
const ETIME = -62;
const ENOENT = -2;
const EBADF = -9;
const bad = 1_000_000;

const server = needs('SOCKET', 'BIND', 'LISTEN', 'ACCEPT', 'CONNECT', 'SEND', 'RECV', 'SHUTDOWN');

/** A socket that listens on loopback, and its address. */
function listen(ring: Ring): { fd: number; address: { address: string; port: number } } {
  const run = (prepare: (token: number) => void): number => runOne(ring, prepare);
  const fd = run((token) => ring.socket(token, AF.INET, SOCK.STREAM));
  assert.ok(fd > 2);
  assert.equal(
    run((token) => ring.bind(token, fd, { address: '127.0.0.1', port: 0 })),
    0,
  );
  assert.equal(
    run((token) => ring.listen(token, fd, 8)),
    0,
  );
  const address = decodeSocketAddress(socketName(fd)) as { address: string; port: number };
  assert.equal(address.address, '127.0.0.1');
  return { fd, address };
}

describe('requests on sockets', server, () => {
  it('make a connection, carry bytes and end', () => {
    using ring = new Ring({ entries: 8 });
    const { fd, address } = listen(ring);
    const client = runOne(ring, (token) => ring.socket(token, AF.INET, SOCK.STREAM));
    ring.accept(1, fd);
    ring.connect(2, client, address);
    const results = finish(ring);
    const peer = results.get(1)!;
    assert.ok(peer > 2);
    assert.equal(results.get(2), 0);

    const memory = alloc(64);
    memory.set(Buffer.from('hello'));
    ring.send(1, client, memory, { length: 5 });
    ring.recv(2, peer, memory, { offset: 10 });
    assert.deepEqual(
      [...finish(ring)],
      [
        [1, 5],
        [2, 5],
      ],
    );
    assert.equal(Buffer.from(memory.subarray(10, 15)).toString(), 'hello');
    ring.shutdown(1, client, SHUT.WR);
    ring.recv(2, peer, memory);
    assert.deepEqual([...finish(ring).values()], [0, 0]);
    for (const each of [fd, client, peer]) closeSync(each);
  });

  it('fail with the errno', () => {
    using ring = new Ring({ entries: 8 });
    const memory = alloc(8);
    const run = (prepare: (token: number) => void): number => runOne(ring, prepare);
    assert.equal(
      run((token) => ring.socket(token, 99, SOCK.STREAM)),
      -97,
      'EAFNOSUPPORT',
    );
    const fd = run((token) => ring.socket(token, AF.INET, SOCK.STREAM));
    assert.equal(
      run((token) => ring.bind(token, fd, { address: '192.0.2.1', port: 1 })),
      -99,
    );
    assert.equal(
      run((token) => ring.connect(token, fd, { address: '127.0.0.1', port: 1 })),
      -111,
    );
    assert.equal(
      run((token) => ring.accept(token, fd)),
      -22,
    );
    assert.equal(
      run((token) => ring.shutdown(token, fd, SHUT.RD)),
      -107,
    );
    for (const prepare of [
      (token: number) => ring.listen(token, bad, 1),
      (token: number) => ring.accept(token, bad),
      (token: number) => ring.acceptMultishot(token, bad),
      (token: number) => ring.send(token, bad, memory),
      (token: number) => ring.recv(token, bad, memory),
    ]) {
      assert.equal(run(prepare), EBADF);
    }
    closeSync(fd);
    using ends = pair();
    closeSync(ends.reader);
    assert.equal(
      run((token) => ring.send(token, ends.writer, memory)),
      -32,
      'EPIPE, and no signal',
    );
    assert.throws(() => ring.shutdown(1, 1, 3), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.listen(1, 1, -1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.connect(1, 1, { address: 'localhost', port: 1 }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    // The pair closes both ends: its reader's number must be open again.
    assert.equal(
      run((token) => ring.socket(token, AF.INET, SOCK.STREAM)),
      ends.reader,
    );
  });

  it('accept again and again by one request', () => {
    using ring = new Ring({ entries: 32 });
    const { fd, address } = listen(ring);
    const key = ring.acceptMultishot(1, fd);
    const opened = [fd];
    for (let i = 0; i < 5; i++) {
      const client = ring.inFlight;
      assert.equal(client, 1);
      ring.socket(2, AF.INET, SOCK.STREAM);
      const made = take(ring).find(({ token }) => token === 2)!.result;
      ring.connect(3, made, address);
      const completions = [...take(ring, 2)];
      const accepted = completions.find(({ token }) => token === 1)!;
      assert.equal(accepted.more, true);
      opened.push(made, accepted.result);
    }
    ring.cancel(4, 1, key);
    const last = take(ring, 2).find(({ token }) => token === 1);
    assert.deepEqual(last, { token: 1, result: ECANCELED, more: false });
    opened.forEach((each) => closeSync(each));
  });
});

describe('polls', needs('POLL_ADD'), () => {
  it('report what is ready', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    assert.equal(
      runOne(ring, (token) => ring.pollAdd(token, ends.writer, 4)),
      4,
    );
    ring.pollAdd(1, ends.reader, 1);
    ring.submit();
    assert.equal(ring.ready, 0);
    ends.write('x');
    assert.deepEqual(take(ring), [{ token: 1, result: 1, more: false }]);
    assert.equal(
      runOne(ring, (token) => ring.pollAdd(token, bad, 1)),
      EBADF,
    );
    assert.throws(() => ring.pollAdd(1, 1, 0), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('are removed', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    const key = ring.pollAdd(1, ends.reader, 1);
    ring.pollRemove(2, 1, key);
    ring.pollRemove(3, 99);
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2), results.get(3)], [ECANCELED, 0, ENOENT]);
  });
});

describe('timers', needs('TIMEOUT'), () => {
  it('fire in the order of their times, not sooner', () => {
    using ring = new Ring({ entries: 8 });
    const start = performance.now();
    ring.timeout(30, 30);
    ring.timeout(1, 1.5);
    const order: number[] = [];
    while (ring.inFlight > 0) {
      for (const { token, result } of take(ring)) {
        order.push(token);
        assert.equal(result, ETIME);
      }
    }
    assert.deepEqual(order, [1, 30]);
    assert.ok(performance.now() - start >= 29);
  });

  it('end after so many other completions', () => {
    using ring = new Ring({ entries: 8 });
    ring.timeout(1, 60_000, { count: 2 });
    ring.nop(2);
    ring.nop(3);
    assert.equal(finish(ring).get(1), 0);
  });

  it('are removed', () => {
    using ring = new Ring({ entries: 8 });
    const key = ring.timeout(1, 60_000);
    ring.timeoutRemove(2, 1, key);
    ring.timeoutRemove(3, 1, key);
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2), results.get(3)], [ECANCELED, 0, ENOENT]);
  });

  it('bound the request before', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    ring.read(1, ends.reader, alloc(8));
    ring.linkTimeout(2, 2);
    let results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2)], [ECANCELED, ETIME]);
    ring.nop(1);
    ring.linkTimeout(2, 60_000);
    results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2)], [0, ECANCELED]);
  });

  it('refuse times that are none, and leave the request before unlinked', () => {
    using ring = new Ring({ entries: 8 });
    for (const milliseconds of [-1, NaN, Infinity]) {
      assert.throws(() => ring.timeout(1, milliseconds), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => ring.timeout(1, 1, { count: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    ring.read(1, bad, alloc(1));
    assert.throws(() => ring.linkTimeout(2, -1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.linkTimeout(-2, 1), { code: 'ERR_OUT_OF_RANGE' });
    ring.nop(3);
    assert.equal(finish(ring).get(3), 0, 'not linked to the failed read');
  });
});

describe('cancellation', needs('ASYNC_CANCEL'), () => {
  it('finds a request by token and key', () => {
    using ring = new Ring({ entries: 8 });
    using ends = pair();
    const first = alloc(8);
    const second = alloc(8);
    const key = ring.read(1, ends.reader, first);
    const other = ring.read(2, ends.reader, second);
    ring.submit();
    ring.cancel(3, 1, other);
    assert.deepEqual(take(ring), [{ token: 3, result: ENOENT, more: false }], 'not by a wrong key');
    ring.cancel(3, 1, key);
    const results = new Map(take(ring, 2).map(({ token, result }) => [token, result]));
    assert.deepEqual([results.get(1), results.get(3)], [ECANCELED, 0]);
    assert.equal(ring.inFlight, 1);
    ring.cancel(3, 2, other);
    finish(ring);
  });

  it('finds all requests of a descriptor, and all of the ring', () => {
    using ring = new Ring({ entries: 16 });
    using ends = pair();
    using others = pair();
    const memory = alloc(8);
    for (let token = 0; token < 3; token++) ring.read(token, ends.reader, memory);
    for (let token = 3; token < 5; token++) ring.read(token, others.reader, memory);
    ring.submit();
    ring.cancelFd(9, ends.reader);
    const first = new Map(take(ring, 4).map(({ token, result }) => [token, result]));
    assert.equal(first.get(9), 3);
    ring.timeout(5, 60_000);
    ring.submit();
    ring.cancelAll(9);
    assert.equal(finish(ring).get(9), 3);
  });
});

describe('a registered eventfd', needs(), () => {
  it('counts completions', () => {
    using ring = new Ring({ entries: 8 });
    const fd = eventfd();
    const counter = new Uint8Array(8);
    ring.register.eventfd(fd);
    assert.equal(read(fd, counter), -11);
    ring.nop(1);
    finish(ring);
    assert.equal(read(fd, counter), 8);
    assert.ok(counter[0]! >= 1);
    ring.register.unregisterEventfd();
    ring.nop(1);
    finish(ring);
    assert.equal(read(fd, counter), -11);
    assert.throws(() => ring.register.eventfd(bad), { code: 'EBADF' });
    closeSync(fd);
  });
});
