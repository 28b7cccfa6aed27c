/**
 * Making sockets, giving them addresses, and listening.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { AF, Ring, SOCK } from 'annulus/uring';
import type { SocketAddress } from 'annulus/uring';

import { syscall } from '#src/sys/linux.js';
import { addressOf, Sockets } from '../../support/sockets.ts';
import { Folder, needs, runOne } from '../../support/uring.ts';

const [EINVAL, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EOPNOTSUPP] = [-22, -98, -99, -97, -95];
const [F_GETFD, FD_CLOEXEC] = [1, 1];

describe('socket', needs('SOCKET'), () => {
  it('makes close-on-exec sockets of every family and type', () => {
    using sockets = new Sockets();
    for (const family of [AF.INET, AF.INET6, AF.UNIX]) {
      for (const type of [SOCK.STREAM, SOCK.DGRAM]) {
        assert.equal(syscall('fcntl', sockets.open(family, type), F_GETFD, 0), FD_CLOEXEC);
      }
    }
  });

  it('fails for a family or type that does not exist', () => {
    using ring = new Ring({ entries: 4 });
    assert.equal(
      runOne(ring, (token) => ring.socket(token, 255, SOCK.STREAM)),
      EAFNOSUPPORT,
    );
    assert.equal(
      runOne(ring, (token) => ring.socket(token, AF.INET, 13)),
      EINVAL,
    );
  });
});

describe('bind and listen', needs('SOCKET', 'BIND', 'LISTEN'), () => {
  it('give a socket the address asked for, in every family', () => {
    using folder = new Folder();
    using sockets = new Sockets();
    for (const address of [
      { address: '127.0.0.1', port: 0 },
      { address: '::1', port: 0, scopeId: 0 },
      { path: folder.at('socket') },
      { path: `\0annulus-bind-${process.pid}` },
    ] satisfies SocketAddress[]) {
      const bound = addressOf(sockets.listener(address));
      if ('port' in address && 'port' in bound) {
        assert.ok(bound.port > 0);
        assert.deepEqual({ ...bound, port: 0 }, address);
      } else {
        assert.deepEqual(bound, address);
      }
    }
  });

  it('fail for an address that is taken, is not of this machine, or is the second', () => {
    using ring = new Ring({ entries: 4 });
    using sockets = new Sockets();
    const listener = sockets.listener();
    const bind = (fd: number, address: SocketAddress): number =>
      runOne(ring, (token) => ring.bind(token, fd, address));
    assert.equal(bind(sockets.open(), addressOf(listener)), EADDRINUSE);
    assert.equal(bind(sockets.open(), { address: '192.0.2.1', port: 0 }), EADDRNOTAVAIL);
    assert.equal(bind(listener, { address: '127.0.0.1', port: 0 }), EINVAL);
  });

  it('listening needs a kind of socket that has connections', () => {
    using ring = new Ring({ entries: 4 });
    using sockets = new Sockets();
    const datagrams = sockets.open(AF.INET, SOCK.DGRAM);
    assert.equal(
      runOne(ring, (token) => ring.listen(token, datagrams, 1)),
      EOPNOTSUPP,
    );
    assert.throws(() => ring.listen(1, datagrams, -1), { code: 'ERR_OUT_OF_RANGE' });
  });
});
