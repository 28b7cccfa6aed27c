/**
 * Messages: several pieces of memory, addresses, control messages and passed descriptors.
 */

import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, controlBytes, MSG_FLAG, passDescriptors, passedDescriptors } from 'annulus/uring';
import { Ring, SCM, SO, SOCK, SocketMessage, SOL } from 'annulus/uring';

import { setSocketOption, syscall } from '#src/sys/linux.js';
import { census } from '../../support/census.ts';
import { addressOf, collectOf, isOpen, Sockets } from '../../support/sockets.ts';
import { Folder, memoryOf, needs, runOne, textOf } from '../../support/uring.ts';

const EBADF = -9;
const [F_GETFD, FD_CLOEXEC] = [1, 1];

/** Sends a message of one socket and receives it on another; what the two completed with. */
function exchange(
  ring: Ring,
  [near, far]: [number, number],
  message: SocketMessage,
  into: SocketMessage,
): [sent: number, received: number] {
  const sent = runOne(ring, (token) => ring.sendmsg(token, near, message));
  return [sent, runOne(ring, (token) => ring.recvmsg(token, far, into))];
}

describe('sendmsg and recvmsg', needs('SENDMSG', 'RECVMSG', 'SOCKET', 'BIND'), () => {
  it('gather from several pieces of memory and scatter into several', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    using message = new SocketMessage({ memories: ['one', 'two', 'three'].map(memoryOf) });
    const memories = [alloc(4), alloc(2), alloc(64).subarray(8)];
    using into = new SocketMessage({ memories });
    assert.deepEqual(exchange(ring, sockets.pair(), message, into), [11, 11]);
    assert.deepEqual(
      memories.map((memory) => textOf(memory).replaceAll('\0', '')),
      ['onet', 'wo', 'three'],
    );
    assert.equal(into.sender, undefined);
    assert.deepEqual(into.control, []);
  });

  for (const address of ['127.0.0.1', '::1']) {
    it(`name the destination and the sender: ${address}`, () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const near = sockets.bound({ address, port: 0 }, SOCK.DGRAM);
      const far = sockets.bound({ address, port: 0 }, SOCK.DGRAM);
      using message = new SocketMessage({
        memories: [memoryOf('gram')],
        address: addressOf(far),
      });
      const memory = alloc(8);
      using into = new SocketMessage({ memories: [memory] });
      assert.deepEqual(exchange(ring, [near, far], message, into), [4, 4]);
      assert.equal(textOf(memory, 4), 'gram');
      assert.deepEqual(into.sender, addressOf(near));
    });
  }

  it('name Unix sockets, by path and by abstract name', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const from = { path: `\0annulus-from-${process.pid}` };
    const to = { path: folder.at('to') };
    const [near, far] = [sockets.bound(from, SOCK.DGRAM), sockets.bound(to, SOCK.DGRAM)];
    using message = new SocketMessage({ memories: [memoryOf('gram')], address: to });
    using into = new SocketMessage({ memories: [alloc(8)] });
    assert.deepEqual(exchange(ring, [near, far], message, into), [4, 4]);
    assert.deepEqual(into.sender, from);
    message.setAddress(from);
    assert.deepEqual(exchange(ring, [far, near], message, into), [4, 4]);
    assert.deepEqual(into.sender, to);
  });

  it('report a message that was cut off', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    using message = new SocketMessage({ memories: [memoryOf('too long')] });
    using into = new SocketMessage({ memories: [alloc(3)] });
    const ends = sockets.pair(SOCK.DGRAM);
    assert.deepEqual(exchange(ring, ends, message, into), [8, 3]);
    assert.notEqual(into.flags & MSG_FLAG.TRUNC, 0);
    using roomy = new SocketMessage({ memories: [alloc(16)] });
    assert.deepEqual(exchange(ring, ends, message, roomy), [8, 8]);
    assert.equal(roomy.flags & MSG_FLAG.TRUNC, 0);
  });

  it('can be used again and again, by one request at a time', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const memory = alloc(4);
    using into = new SocketMessage({ memories: [memory] });
    for (const text of ['one.', 'two.', 'tri.']) {
      using message = new SocketMessage({ memories: [memoryOf(text)] });
      assert.deepEqual(exchange(ring, [near, far], message, into), [4, 4]);
      assert.equal(textOf(memory), text);
    }
    ring.recvmsg(1, far, into);
    assert.throws(() => ring.recvmsg(2, far, into), { code: 'ERR_REGION_BUSY' });
    assert.throws(() => into.close(), { code: 'ERR_REGION_BUSY' });
    ring.send(3, near, memory);
    collectOf(ring, 1, 3);
    into.close();
  });

  it('hazard 22: keep what the kernel reads and writes until they complete', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const memory = alloc(4);
    const receive = (): void => {
      // Nobody but the request has the message and its own memory.
      ring.recvmsg(1, far, new SocketMessage({ memories: [memory], controlSpace: 64 }));
    };
    receive();
    ring.submit();
    globalThis.gc?.();
    for (let i = 0; i < 64; i++) alloc(4096).fill(0xff);
    ring.send(2, near, memoryOf('kept'));
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [4, 4],
    );
    assert.equal(textOf(memory), 'kept');
  });

  it('refuse what is no message, and memory of nobody', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.sendmsg(1, 0, {} as SocketMessage), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => new SocketMessage({ memories: [new Uint8Array(8)] }), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
    assert.throws(() => new SocketMessage({ memories: Array(1025).fill(alloc(1)) }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /Received 1025/,
    });
    using message = new SocketMessage({ controlSpace: 16 });
    assert.throws(() => message.setControl([passDescriptors([0])]), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 0);
  });
});

describe('control messages', needs('SENDMSG', 'RECVMSG'), () => {
  it('pass descriptors, which arrive close-on-exec', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [reader, writer] = sockets.pair();
    const before = census().fds.length;
    using message = new SocketMessage({
      memories: [memoryOf('fds')],
      control: [passDescriptors([reader, writer])],
    });
    using into = new SocketMessage({ memories: [alloc(8)], controlSpace: controlBytes(8) });
    assert.deepEqual(exchange(ring, sockets.pair(), message, into), [3, 3]);
    const [gotReader, gotWriter] = passedDescriptors(into.control).map((fd) => sockets.own(fd));
    assert.equal(into.control.length, 1);
    for (const fd of [gotReader!, gotWriter!]) {
      assert.equal(syscall('fcntl', fd, F_GETFD, 0), FD_CLOEXEC);
    }
    writeSync(gotWriter!, 'through');
    const bytes = new Uint8Array(16);
    assert.equal(readSync(reader, bytes), 7);
    writeSync(writer, 'and back');
    assert.equal(readSync(gotReader!, bytes), 8);
    assert.equal(census().fds.length, before + 2 + 2, 'the pair they came through, and they');
  });

  it('leave nothing open of what does not fit, and say so', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const ends = sockets.pair();
    const before = census().fds.length;
    using message = new SocketMessage({
      memories: [memoryOf('fds')],
      control: [passDescriptors([ends[0], ends[1], ends[0]])],
    });
    using one = new SocketMessage({ memories: [alloc(8)], controlSpace: controlBytes(8) });
    assert.deepEqual(exchange(ring, ends, message, one), [3, 3]);
    assert.notEqual(one.flags & MSG_FLAG.CTRUNC, 0);
    const arrived = passedDescriptors(one.control).map((fd) => sockets.own(fd));
    assert.equal(arrived.length, 2);
    using none = new SocketMessage({ memories: [alloc(8)] });
    assert.deepEqual(exchange(ring, ends, message, none), [3, 3]);
    assert.notEqual(none.flags & MSG_FLAG.CTRUNC, 0);
    assert.deepEqual(none.control, []);
    assert.equal(census().fds.length, before + arrived.length);
  });

  it('fail for descriptors that are not open, and send nothing', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near] = sockets.pair();
    assert.equal(isOpen(1_000_000), false);
    using message = new SocketMessage({
      memories: [memoryOf('x')],
      control: [passDescriptors([1_000_000])],
    });
    assert.equal(
      runOne(ring, (token) => ring.sendmsg(token, near, message)),
      EBADF,
    );
  });

  it('carry the credentials of the sender', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    setSocketOption(far, SO.PASSCRED, 1, SOL.SOCKET);
    using message = new SocketMessage({ memories: [memoryOf('me')] });
    using into = new SocketMessage({ memories: [alloc(8)], controlSpace: controlBytes(12) });
    assert.deepEqual(exchange(ring, [near, far], message, into), [2, 2]);
    const [{ level, type, data } = assert.fail()] = into.control;
    assert.deepEqual([level, type], [SOL.SOCKET, SCM.CREDENTIALS]);
    const [pid, uid, gid] = new Int32Array(data.buffer);
    assert.deepEqual([pid, uid, gid], [process.pid, process.getuid!(), process.getgid!()]);
  });

  it('arrive beside each other', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair(SOCK.SEQPACKET);
    setSocketOption(far, SO.PASSCRED, 1, SOL.SOCKET);
    using message = new SocketMessage({
      memories: [memoryOf('both')],
      control: [passDescriptors([near])],
    });
    const controlSpace = controlBytes(12) + controlBytes(4);
    using into = new SocketMessage({ memories: [alloc(8)], controlSpace });
    assert.deepEqual(exchange(ring, [near, far], message, into), [4, 4]);
    const types = into.control.map(({ type }) => type).toSorted((a, b) => a - b);
    assert.deepEqual(types, [SCM.RIGHTS, SCM.CREDENTIALS]);
    for (const fd of passedDescriptors(into.control)) sockets.own(fd);
  });

  it('say which of its addresses a datagram was sent to', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const IP_PKTINFO = 8;
    const far = sockets.bound({ address: '0.0.0.0', port: 0 }, SOCK.DGRAM);
    setSocketOption(far, IP_PKTINFO, 1, SOL.IP);
    const near = sockets.open(AF.INET, SOCK.DGRAM);
    const { port } = addressOf(far) as { port: number };
    using message = new SocketMessage({
      memories: [memoryOf('x')],
      address: { address: '127.0.0.9', port },
    });
    using into = new SocketMessage({ memories: [alloc(8)], controlSpace: controlBytes(12) });
    assert.deepEqual(exchange(ring, [near, far], message, into), [1, 1]);
    const [{ level, type, data } = assert.fail()] = into.control;
    assert.deepEqual([level, type], [SOL.IP, IP_PKTINFO]);
    assert.equal(data.subarray(8, 12).join('.'), '127.0.0.9');
  });
});
