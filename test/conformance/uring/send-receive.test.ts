/**
 * Sending and receiving bytes: parts of memory, flags, waiting, ends, and datagrams.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, CQE, MSG_FLAG, Ring, SHUT, SO, SOCK, SOL } from 'annulus/uring';

import { setSocketOption, syscall } from '#src/sys/linux.js';
import { addressOf, collect, collectOf, nothingElse, Sockets } from '../../support/sockets.ts';
import { memoryOf, needs, runOne, textOf } from '../../support/uring.ts';

const [EAGAIN, EPIPE, EINVAL, ENOTCONN] = [-11, -32, -22, -107];
const [EDESTADDRREQ, EMSGSIZE, ECONNRESET] = [-89, -90, -104];
const F_SETFL = 4;

/** Makes a descriptor non-blocking. */
function unblock(fd: number): void {
  assert.equal(syscall('fcntl', fd, F_SETFL, SOCK.NONBLOCK), 0);
}

for (const kind of ['TCP', 'Unix'] as const) {
  describe(`send and recv over ${kind}`, needs('SEND', 'RECV', 'SOCKET', 'BIND', 'LISTEN'), () => {
    const connected = (sockets: Sockets): [number, number] =>
      kind === 'TCP' ? sockets.tcp() : sockets.pair();

    it('move parts of memory, and nothing beside them', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      const text = memoryOf('0123456789');
      const range = { offset: 2, length: 5 };
      assert.equal(
        runOne(ring, (token) => ring.send(token, near, text, range)),
        5,
      );
      const memory = alloc(16).fill(0x2e);
      assert.equal(
        runOne(ring, (token) => ring.recv(token, far, memory, { offset: 3, length: 8 })),
        5,
      );
      assert.equal(textOf(memory), '...23456........');
    });

    it('PEEK leaves the bytes where they are', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      runOne(ring, (token) => ring.send(token, near, memoryOf('peeked')));
      const memory = alloc(16);
      for (const flags of [MSG_FLAG.PEEK, 0]) {
        const result = runOne(ring, (token) => ring.recv(token, far, memory.fill(0), { flags }));
        assert.deepEqual([result, textOf(memory, 6)], [6, 'peeked']);
      }
    });

    it('DONTWAIT completes at once where there is nothing', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [, far] = connected(sockets);
      const flags = MSG_FLAG.DONTWAIT;
      assert.equal(
        runOne(ring, (token) => ring.recv(token, far, alloc(4), { flags })),
        EAGAIN,
      );
    });

    it('socket-rw-eagain: a receive waits on a non-blocking descriptor, too', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      unblock(far);
      ring.recv(1, far, alloc(4));
      nothingElse(ring);
      ring.send(2, near, memoryOf('late'));
      assert.deepEqual(
        collectOf(ring, 1, 2).map(({ result }) => result),
        [4, 4],
      );
    });

    it('recv-msgall: WAITALL fills the memory, whatever the pieces', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      const memory = alloc(12);
      ring.recv(1, far, memory, { flags: MSG_FLAG.WAITALL });
      for (const piece of ['one-', 'two-']) {
        ring.send(2, near, memoryOf(piece));
        assert.equal(collectOf(ring, 2)[0]!.result, 4);
      }
      nothingElse(ring);
      ring.send(2, near, memoryOf('tri-more'));
      assert.deepEqual(
        collectOf(ring, 1, 2).map(({ result }) => result),
        [12, 8],
      );
      assert.equal(textOf(memory), 'one-two-tri-');
    });

    it('recv-msgall: the end of the stream cuts WAITALL short', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      const memory = alloc(12);
      ring.recv(1, far, memory, { flags: MSG_FLAG.WAITALL });
      ring.send(2, near, memoryOf('short'));
      collectOf(ring, 2);
      ring.shutdown(3, near, SHUT.WR);
      assert.deepEqual(
        collectOf(ring, 1, 3).map(({ result }) => result),
        [5, 0],
      );
      assert.equal(textOf(memory, 5), 'short');
    });

    it('without WAITALL a receive takes what there is', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      runOne(ring, (token) => ring.send(token, near, memoryOf('some')));
      assert.equal(
        runOne(ring, (token) => ring.recv(token, far, alloc(4096))),
        4,
      );
    });

    it('pollFirst waits for bytes, and for room', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      ring.recv(1, far, alloc(8), { pollFirst: true });
      nothingElse(ring);
      ring.send(2, near, memoryOf('polled'), { pollFirst: true });
      assert.deepEqual(
        collectOf(ring, 1, 2).map(({ result }) => result),
        [6, 6],
      );
    });

    it('says whether there is more to receive', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      runOne(ring, (token) => ring.send(token, near, memoryOf('abcdef')));
      const seen = [4, 2].map((length) => {
        ring.recv(1, far, alloc(8), { length });
        return (collect(ring, 1)[0]!.flags & CQE.F_SOCK_NONEMPTY) !== 0;
      });
      assert.deepEqual(seen, [true, false]);
    });

    it('hazard 26: a send to a peer that is gone is EPIPE, and no signal', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      let signals = 0;
      // Node ignores SIGPIPE itself, unless somebody listens.
      const count = (): void => void signals++;
      process.on('SIGPIPE', count);
      sockets.close(far);
      const results = [1, 2, 3].map(() =>
        runOne(ring, (token) => ring.send(token, near, memoryOf('x'))),
      );
      assert.ok([EPIPE, ECONNRESET].includes(results.at(-1)!), `completed with ${results.join()}`);
      return new Promise<void>((resolve) => {
        setImmediate(() => {
          process.off('SIGPIPE', count);
          assert.equal(signals, 0);
          resolve();
        });
      });
    });

    it('hazard 8: a send larger than the room there is completes in full with WAITALL', () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = connected(sockets);
      setSocketOption(near, SO.SNDBUF, 8192, SOL.SOCKET);
      const bytes = alloc(1 << 20);
      for (let i = 0; i < bytes.length; i += 4096) bytes[i] = i >> 12;
      ring.send(1, near, bytes, { flags: MSG_FLAG.WAITALL });
      ring.submit();
      const into = alloc(1 << 20);
      let sent: number | undefined;
      for (let offset = 0, last = -1; offset < bytes.length || sent === undefined;) {
        if (offset !== last && offset < bytes.length) ring.recv(2, far, into, { offset });
        last = offset;
        for (const { token, result } of collect(ring, 1)) {
          if (token === 1) sent = result;
          else offset += result;
        }
      }
      assert.equal(sent, bytes.length);
      assert.ok(Buffer.from(bytes.buffer).equals(Buffer.from(into.buffer)));
    });
  });
}

describe('sends of several pieces', needs('SEND', 'RECV'), () => {
  it('sendv gathers them in order, or the kernel says that it cannot', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const pieces = ['one', 'two', 'three'].map(memoryOf);
    const result = runOne(ring, (token) => ring.sendv(token, near, pieces));
    if (result === EINVAL) return t.skip('this kernel has no IORING_SEND_VECTORIZED');
    assert.equal(result, 11);
    const memory = alloc(16);
    assert.equal(
      runOne(ring, (token) => ring.recv(token, far, memory)),
      11,
    );
    assert.equal(textOf(memory, 11), 'onetwothree');
    assert.throws(() => ring.sendv(1, near, []), { code: 'ERR_OUT_OF_RANGE' });
    return undefined;
  });
});

describe('datagrams', needs('SEND', 'RECV', 'SOCKET', 'BIND'), () => {
  for (const address of ['127.0.0.1', '::1']) {
    it(`sendTo names the destination of each: ${address}`, needs('SEND_ZC'), () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const family = address === '::1' ? AF.INET6 : AF.INET;
      const near = sockets.open(family, SOCK.DGRAM);
      const far = ['a', 'b'].map(() => sockets.bound({ address, port: 0 }, SOCK.DGRAM));
      const text = memoryOf('to a; to b');
      const range = { offset: 0, length: 4 };
      for (const [index, fd] of far.entries()) {
        range.offset = index * 6;
        const result = runOne(ring, (token) =>
          ring.sendTo(token, near, text, addressOf(fd), range),
        );
        assert.equal(result, 4);
      }
      const received = far.map((fd) => {
        const memory = alloc(8);
        return textOf(
          memory,
          runOne(ring, (token) => ring.recv(token, fd, memory)),
        );
      });
      assert.deepEqual(received, ['to a', 'to b']);
    });
  }

  it('keep their boundaries; what does not fit is lost', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair(SOCK.DGRAM);
    for (const text of ['first', 'second']) {
      assert.equal(
        runOne(ring, (token) => ring.send(token, near, memoryOf(text))),
        text.length,
      );
    }
    const memory = alloc(8);
    const receive = (flags: number): number =>
      runOne(ring, (token) => ring.recv(token, far, memory, { length: 3, flags }));
    assert.equal(receive(MSG_FLAG.TRUNC | MSG_FLAG.PEEK), 5, 'the length it has');
    assert.equal(receive(0), 3);
    assert.equal(textOf(memory, 3), 'fir');
    assert.equal(receive(0), 3);
    assert.equal(textOf(memory, 3), 'sec');
  });

  it('may be empty', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair(SOCK.DGRAM);
    assert.equal(
      runOne(ring, (token) => ring.send(token, near, alloc(8), { length: 0 })),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.recv(token, far, alloc(8))),
      0,
    );
  });

  it('fail without a destination, and beyond the largest size', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const socket = sockets.open(AF.INET, SOCK.DGRAM);
    const send = (bytes: number): number =>
      runOne(ring, (token) => ring.send(token, socket, alloc(bytes)));
    assert.equal(send(1), EDESTADDRREQ);
    const far = sockets.bound({ address: '127.0.0.1', port: 0 }, SOCK.DGRAM);
    runOne(ring, (token) => ring.connect(token, socket, addressOf(far)));
    assert.equal(send(70_000), EMSGSIZE);
  });
});

describe('shutdown', needs('SHUTDOWN', 'SOCKET'), () => {
  it('of the writing side ends the stream and leaves the other direction', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    ring.recv(1, far, alloc(8));
    ring.shutdown(2, near, SHUT.WR);
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [0, 0],
    );
    assert.equal(
      runOne(ring, (token) => ring.send(token, near, memoryOf('x'))),
      EPIPE,
    );
    assert.equal(
      runOne(ring, (token) => ring.send(token, far, memoryOf('back'))),
      4,
    );
    assert.equal(
      runOne(ring, (token) => ring.recv(token, near, alloc(8))),
      4,
    );
  });

  it('of the reading side ends a receive in flight', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [, far] = sockets.pair();
    ring.recv(1, far, alloc(8));
    ring.submit();
    ring.shutdown(2, far, SHUT.RD);
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [0, 0],
    );
  });

  it('fails on what is not connected, and for directions there are not', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const socket = sockets.open();
    assert.equal(
      runOne(ring, (token) => ring.shutdown(token, socket, SHUT.RDWR)),
      ENOTCONN,
    );
    assert.throws(() => ring.shutdown(1, socket, 3), { code: 'ERR_OUT_OF_RANGE' });
  });
});
