/**
 * Connecting, and the ways in which it fails.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, Ring, SO, SOCK, SOL } from 'annulus/uring';

import { addressOf, collectOf, nothingElse, Sockets } from '../../support/sockets.ts';
import { Folder, memoryOf, needs, runOne, textOf } from '../../support/uring.ts';

const [ENOENT, EISCONN, ECONNREFUSED, EINPROGRESS] = [-2, -106, -111, -115];
const [EINTR, EALREADY, ECANCELED] = [-4, -114, -125];
const POLLOUT = 4;

describe('connect', needs('SOCKET', 'BIND', 'LISTEN'), () => {
  it('connects once; the second time says so', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    const client = sockets.client(listener);
    const again = runOne(ring, (token) => ring.connect(token, client, addressOf(listener)));
    assert.equal(again, EISCONN);
  });

  it('is refused where nobody listens, in every family', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    for (const address of ['127.0.0.1', '::1']) {
      // Bound and not listening: nobody else can have the port meanwhile.
      const port = addressOf(sockets.bound({ address, port: 0 }));
      const client = sockets.open(address === '::1' ? AF.INET6 : AF.INET);
      assert.equal(
        runOne(ring, (token) => ring.connect(token, client, port)),
        ECONNREFUSED,
      );
    }
    const client = sockets.open(AF.UNIX);
    const path = folder.at('none');
    assert.equal(
      runOne(ring, (token) => ring.connect(token, client, { path })),
      ENOENT,
    );
    sockets.bound({ path });
    assert.equal(
      runOne(ring, (token) => ring.connect(token, client, { path })),
      ECONNREFUSED,
    );
  });

  it(
    'conn-unreach: a refusal that was polled for is the error of the socket',
    needs('URING_CMD'),
    () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const nobody = addressOf(sockets.bound({ address: '127.0.0.1', port: 0 }));
      const client = sockets.open(AF.INET, SOCK.STREAM | SOCK.NONBLOCK);
      const first = runOne(ring, (token) => ring.connect(token, client, nobody));
      assert.ok([EINPROGRESS, ECONNREFUSED].includes(first), `completed with ${first}`);
      const error = alloc(4);
      const events = runOne(ring, (token) => ring.pollAdd(token, client, POLLOUT));
      assert.notEqual(events & POLLOUT, 0);
      const got = runOne(ring, (token) =>
        ring.getSocketOption(token, client, SOL.SOCKET, SO.ERROR, error),
      );
      assert.equal(got, 4);
      const reported = first === ECONNREFUSED ? 0 : -ECONNREFUSED;
      assert.equal(new DataView(error.buffer).getInt32(0, true), reported);
    },
  );

  it('waits for room in the queue of a Unix listener, and can be cancelled there', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const path = `\0annulus-backlog-${process.pid}`;
    const listener = sockets.bound({ path });
    assert.equal(
      runOne(ring, (token) => ring.listen(token, listener, 0)),
      0,
    );
    const connect = (token: number): number => ring.connect(token, sockets.open(AF.UNIX), { path });
    assert.equal(runOne(ring, connect), 0);
    const key = connect(8);
    ring.submit();
    ring.cancel(9, 8, key);
    const [connected, cancelled] = collectOf(ring, 8, 9);
    // A worker thread waits there, and is interrupted.
    assert.ok([EINTR, ECANCELED].includes(connected!.result), `${connected!.result}`);
    assert.ok([0, EALREADY].includes(cancelled!.result), `completed with ${cancelled!.result}`);
    nothingElse(ring);
  });

  it('gives a datagram socket the address its sends go to', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const far = sockets.bound({ address: '127.0.0.1', port: 0 }, SOCK.DGRAM);
    const near = sockets.open(AF.INET, SOCK.DGRAM);
    assert.equal(
      runOne(ring, (token) => ring.connect(token, near, addressOf(far))),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.send(token, near, memoryOf('gram'))),
      4,
    );
    const memory = alloc(16);
    assert.equal(
      runOne(ring, (token) => ring.recv(token, far, memory)),
      4,
    );
    assert.equal(textOf(memory, 4), 'gram');
  });
});
