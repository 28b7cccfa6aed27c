/**
 * Commands on sockets, and what wants hardware: their answers, and clean refusals.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { AF, decodePeerAddress, MSG_FLAG, PEER_BYTES, Ring, SO, SOCK, SOL } from 'annulus/uring';

import { addressOf, collectOf, nothingElse, Sockets } from '../../support/sockets.ts';
import { memoryOf, needs, runOne } from '../../support/uring.ts';

const [EBADF, EINVAL, ENOTSOCK, ENOPROTOOPT, EOPNOTSUPP] = [-9, -22, -88, -92, -95];

/** An option's value in new memory. */
function word(value: number): Uint8Array {
  const memory = alloc(4);
  new DataView(memory.buffer).setInt32(0, value, true);
  return memory;
}

function wordOf(memory: Uint8Array): number {
  return new DataView(memory.buffer, memory.byteOffset).getInt32(0, true);
}

describe('socket-io-cmd', needs('URING_CMD', 'SOCKET', 'BIND', 'LISTEN'), () => {
  it('counts what can be received', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const unread = (): number => runOne(ring, (token) => ring.unreadBytes(token, far));
    assert.equal(unread(), 0);
    runOne(ring, (token) => ring.send(token, near, memoryOf('twelve bytes')));
    assert.equal(unread(), 12);
    runOne(ring, (token) => ring.recv(token, far, alloc(5)));
    assert.equal(unread(), 7);
  });

  it('counts what is not sent yet', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const unsent = (): number => runOne(ring, (token) => ring.unsentBytes(token, near));
    assert.equal(unsent(), 0);
    // Nobody receives, so that the queues fill.
    const memory = alloc(1 << 20);
    let sent = 0;
    for (let result = 1; result > 0; sent += Math.max(0, result)) {
      result = runOne(ring, (token) =>
        ring.send(token, near, memory, { flags: MSG_FLAG.DONTWAIT }),
      );
    }
    const left = unsent();
    assert.ok(left > 0 && left < sent, `${left} of ${sent}`);
    // Each byte has arrived or is unsent; one whose arrival is not acknowledged is both.
    const unread = runOne(ring, (token) => ring.unreadBytes(token, far));
    assert.ok(unread > 0 && unread <= sent && unread + left >= sent, `${unread} of ${sent}`);
  });

  it('fails on what is no socket, and where the protocol has no answer', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    assert.equal(
      runOne(ring, (token) => ring.unreadBytes(token, 1_000_000)),
      EBADF,
    );
    const [reader] = sockets.pipe();
    const refused = runOne(ring, (token) => ring.unreadBytes(token, reader));
    assert.ok([EOPNOTSUPP, ENOTSOCK].includes(refused), `completed with ${refused}`);
    const [near] = sockets.pair();
    assert.equal(
      runOne(ring, (token) => ring.unreadBytes(token, near)),
      EOPNOTSUPP,
    );
  });
});

describe('socket-getsetsock-cmd', needs('URING_CMD', 'SOCKET'), () => {
  it('reads options, with the length they have', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const fd = sockets.open(AF.INET6, SOCK.DGRAM);
    const memory = alloc(16).fill(0xa5);
    const get = (option: number): number =>
      runOne(ring, (token) => ring.getSocketOption(token, fd, SOL.SOCKET, option, memory));
    const first = get(SO.TYPE);
    if (first === EOPNOTSUPP) return t.skip('this kernel has no socket options by command');
    assert.equal(first, 4);
    assert.equal(wordOf(memory), SOCK.DGRAM);
    assert.equal(get(SO.DOMAIN), 4);
    assert.equal(wordOf(memory), AF.INET6);
    assert.deepEqual([...memory.subarray(4)], Array(12).fill(0xa5));
    return undefined;
  });

  it('sets options', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const fd = sockets.open();
    const set = runOne(ring, (token) =>
      ring.setSocketOption(token, fd, SOL.SOCKET, SO.KEEPALIVE, word(1)),
    );
    if (set === EOPNOTSUPP) return t.skip('this kernel has no socket options by command');
    assert.equal(set, 0);
    const memory = word(0);
    runOne(ring, (token) => ring.getSocketOption(token, fd, SOL.SOCKET, SO.KEEPALIVE, memory));
    assert.equal(wordOf(memory), 1);
    const TCP_NODELAY = 1;
    const nodelay = runOne(ring, (token) =>
      ring.setSocketOption(token, fd, SOL.TCP, TCP_NODELAY, word(1)),
    );
    assert.equal(nodelay, 0, 'of any level');
    return undefined;
  });

  it('refuses options there are not, and levels it does not read', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const fd = sockets.open();
    const memory = word(1);
    assert.equal(
      runOne(ring, (token) => ring.setSocketOption(token, fd, SOL.SOCKET, 9999, memory)),
      ENOPROTOOPT,
    );
    assert.equal(
      runOne(ring, (token) => ring.getSocketOption(token, fd, SOL.TCP, 1, memory)),
      EOPNOTSUPP,
    );
    assert.throws(() => ring.getSocketOption(1, fd, SOL.SOCKET, -1, memory), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => ring.getSocketOption(1, fd, SOL.SOCKET, 1, new Uint8Array(4)), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
  });

  it('keeps the memory of a value until it has completed', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const region = Region.allocate(4096);
    ring.getSocketOption(1, sockets.open(), SOL.SOCKET, SO.TYPE, region);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    collectOf(ring, 1);
    region.close();
  });
});

describe('commands newer than many kernels', needs('URING_CMD', 'SOCKET'), () => {
  it('socketName gives both addresses of a connection, or is refused cleanly', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const memory = alloc(PEER_BYTES).fill(0xa5);
    const name = (peer: boolean): number =>
      runOne(ring, (token) => ring.socketName(token, near, memory, { peer }));
    const result = name(false);
    if (result !== 0) {
      assert.equal(result, EOPNOTSUPP);
      assert.ok(
        memory.subarray(0, 128).every((byte) => byte === 0xa5),
        'nothing was written',
      );
      t.diagnostic('this kernel has no SOCKET_URING_OP_GETSOCKNAME');
    } else {
      assert.deepEqual(decodePeerAddress(memory), addressOf(near));
      assert.equal(name(true), 0);
      assert.deepEqual(decodePeerAddress(memory), addressOf(far));
    }
    assert.throws(() => ring.socketName(1, near, alloc(PEER_BYTES - 1)), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('sendTimestamps needs wide completions', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const fd = sockets.open(AF.INET, SOCK.DGRAM);
    const result = runOne(ring, (token) => ring.sendTimestamps(token, fd));
    assert.ok([EINVAL, EOPNOTSUPP].includes(result), `completed with ${result}`);
  });

  it('a receive without a copy is refused where no queue is registered', needs('RECV_ZC'), () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    assert.equal(
      runOne(ring, (token) => ring.recvZc(token, far, 0)),
      EINVAL,
    );
    assert.throws(() => ring.recvZc(1, far, -1), { code: 'ERR_OUT_OF_RANGE' });
    // The entry it was in serves others as before.
    for (let i = 0; i < 8; i++) {
      ring.send(1, near, memoryOf('x'));
      ring.recv(2, far, alloc(1));
      assert.deepEqual(
        collectOf(ring, 1, 2).map(({ result }) => result),
        [1, 1],
      );
    }
    nothingElse(ring);
  });
});
