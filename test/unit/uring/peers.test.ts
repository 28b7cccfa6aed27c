/**
 * Who is at the other end: the sender of a message, the peer of a connection.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Proactor } from 'annulus/proactor';
import {
  AF,
  decodePeerAddress,
  decodeSocketAddress,
  PEER_BYTES,
  Ring,
  SOCK,
  SocketMessage,
} from 'annulus/uring';
import { socketName } from '#src/sys/linux.js';
import { finish, needs, runOne } from '../support/requests.js';

const here = { address: '127.0.0.1', port: 0 };

describe('peers', needs('SOCKET', 'BIND', 'SENDMSG', 'RECVMSG', 'ACCEPT'), () => {
  it('of a datagram: the message has its sender', () => {
    using ring = new Ring({ entries: 8 });
    const fds = [0, 1].map(() => runOne(ring, (token) => ring.socket(token, AF.INET, SOCK.DGRAM)));
    const [from, to] = fds as [number, number];
    const bound = fds.map((fd) => runOne(ring, (token) => ring.bind(token, fd, here)));
    assert.deepEqual(bound, [0, 0]);
    const [sender, receiver] = [from, to].map((fd) => decodeSocketAddress(socketName(fd))!);
    const text = alloc(5);
    text.set(Buffer.from('hello'));
    const pieces = [alloc(2), alloc(8)];
    using outgoing = new SocketMessage({ memories: [text], address: receiver! });
    using incoming = new SocketMessage({ memories: pieces });
    ring.recvmsg(1, to, incoming);
    ring.sendmsg(2, from, outgoing);
    const results = finish(ring);
    assert.deepEqual([results.get(1), results.get(2)], [5, 5]);
    assert.deepEqual(incoming.sender, sender);
    assert.equal(Buffer.concat(pieces).subarray(0, 5).toString(), 'hello');
    for (const fd of fds) closeSync(fd);
  });

  it('of a connection: accepting tells its address', async () => {
    await using io = new Proactor({ entries: 8 });
    await using listener = io.openListener(here);
    using ring = new Ring({ entries: 8 });
    const client = runOne(ring, (token) => ring.socket(token, AF.INET, SOCK.STREAM));
    const memory = alloc(PEER_BYTES);
    ring.accept(1, listener.fd, { address: memory });
    ring.connect(2, client, listener.address);
    const connection = finish(ring).get(1)!;
    assert.ok(connection >= 0, String(connection));
    assert.deepEqual(decodePeerAddress(memory), decodeSocketAddress(socketName(client)));
    for (const fd of [client, connection]) closeSync(fd);
  });
});
