/**
 * Receiving again and again into provided buffers: bytes, messages, bundles; and sending from them.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { bufferIdOf, controlBytes, CQE, decodeReceivedMessage } from 'annulus/uring';
import { MSG_FLAG, passDescriptors, passedDescriptors, Ring, SHUT } from 'annulus/uring';
import { SOCK, SocketMessage } from 'annulus/uring';
import type { BufferRing } from 'annulus/uring';

import {
  addressOf,
  collect,
  collectOf,
  hasMore,
  nothingElse,
  Sockets,
} from '../../support/sockets.ts';
import { memoryOf, needs, registers, runOne, textOf } from '../../support/uring.ts';

const [EBADF, EINVAL, ENOBUFS, ECANCELED] = [-9, -22, -105, -125];

/** Sends outside of the ring whose completions are looked at. */
function send(fd: number, text: string): void {
  using ring = new Ring({ entries: 2 });
  assert.equal(
    runOne(ring, (token) => ring.send(token, fd, memoryOf(text))),
    text.length,
  );
}

/** The texts that completions brought, whose buffers are then given back. */
function textsOf(buffers: BufferRing, events: { result: number; flags: number }[]): string[] {
  return events.map(({ result, flags }) => {
    const text = textOf(buffers.received(flags, result));
    buffers.recycle(bufferIdOf(flags));
    return text;
  });
}

describe('recv-multishot', registers('REGISTER_PBUF_RING'), () => {
  for (const kind of ['TCP', 'Unix'] as const) {
    it(`takes what comes until the peer ends: ${kind}`, () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const [near, far] = kind === 'TCP' ? sockets.tcp() : sockets.pair();
      const buffers = ring.register.bufferRing({ count: 4, size: 16 });
      ring.recvMultishot(1, far, buffers);
      ring.submit();
      for (let i = 0; i < 10; i++) {
        send(near, `message ${i}`);
        const events = collect(ring, 1);
        assert.ok(events.every(hasMore));
        assert.deepEqual(textsOf(buffers, events), [`message ${i}`]);
      }
      sockets.close(near);
      const [end] = collect(ring, 1);
      assert.deepEqual([end!.result, hasMore(end!)], [0, false]);
      assert.equal(ring.inFlight, 0);
    });
  }

  it('hazard 14: no buffer ends it with ENOBUFS; recycled and armed again it loses nothing', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const buffers = ring.register.bufferRing({ count: 2, size: 4 });
    ring.recvMultishot(1, far, buffers);
    ring.submit();
    send(near, 'abcdefghijklm');
    const texts: string[] = [];
    let ends = 0;
    while (texts.join('').length < 13) {
      for (const event of collect(ring, 1)) {
        if (event.result === ENOBUFS) {
          assert.equal(hasMore(event), false);
          assert.equal(bufferIdOf(event.flags), -1);
          ends++;
          buffers.recycleMany([0, 1]);
          ring.recvMultishot(1, far, buffers);
        } else {
          texts.push(textOf(buffers.received(event.flags, event.result)));
        }
      }
    }
    assert.deepEqual(texts, ['abcd', 'efgh', 'ijkl', 'm']);
    assert.ok(ends >= 1);
  });

  it('hazard 13: ends when it is cancelled, or its socket is shut down', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [, far] = sockets.tcp();
    const buffers = ring.register.bufferRing({ count: 2, size: 4 });
    const key = ring.recvMultishot(1, far, buffers);
    nothingElse(ring);
    ring.cancel(2, 1, key);
    assert.deepEqual(
      collectOf(ring, 1, 2).map(({ result }) => result),
      [ECANCELED, 0],
    );
    ring.recvMultishot(3, far, buffers);
    nothingElse(ring);
    ring.shutdown(4, far, SHUT.RD);
    const [ended] = collectOf(ring, 3, 4);
    assert.deepEqual([ended!.result, hasMore(ended!)], [0, false]);
  });

  it('hazard 13: a completion queue that overflows ends it, and nothing is lost', () => {
    using ring = new Ring({ entries: 2, completionEntries: 4 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair(SOCK.SEQPACKET);
    const buffers = ring.register.bufferRing({ count: 32, size: 16 });
    ring.recvMultishot(1, far, buffers);
    ring.submit();
    for (let i = 0; i < 16; i++) send(near, `message ${i}`);
    const texts: string[] = [];
    let armed = true;
    while (texts.length < 16) {
      if (!armed) ring.recvMultishot(1, far, buffers);
      armed = true;
      for (const event of collect(ring, 1)) {
        if (event.result >= 0) texts.push(...textsOf(buffers, [event]));
        if (!hasMore(event)) armed = false;
      }
    }
    assert.deepEqual(
      texts,
      Array.from({ length: 16 }, (_, i) => `message ${i}`),
    );
  });

  it('each completion is bounded by the length asked for', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const buffers = ring.register.bufferRing({ count: 8, size: 64 });
    send(near, 'abcdefgh');
    ring.recvMultishot(1, far, buffers, { length: 3 });
    const texts: string[] = [];
    while (texts.join('').length < 8) texts.push(...textsOf(buffers, collect(ring, 1)));
    assert.deepEqual(texts, ['abc', 'def', 'gh']);
  });

  it('refuses WAITALL; a bad descriptor ends it at once', () => {
    using ring = new Ring({ entries: 8 });
    const buffers = ring.register.bufferRing({ count: 1, size: 4 });
    assert.throws(() => ring.recvMultishot(1, 0, buffers, { flags: MSG_FLAG.WAITALL }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    assert.equal(
      runOne(ring, (token) => ring.recvMultishot(token, 1_000_000, buffers)),
      EBADF,
    );
    assert.equal(ring.inFlight, 0);
  });

  it('many connections share one group', () => {
    using ring = new Ring({ entries: 32 });
    using sockets = new Sockets();
    const ends = Array.from({ length: 16 }, () => sockets.pair());
    const buffers = ring.register.bufferRing({ count: 4, size: 16 });
    for (const [index, [, far]] of ends.entries()) ring.recvMultishot(index, far, buffers);
    ring.submit();
    for (const [index, [near]] of ends.entries()) {
      send(near, `to ${index}`);
      const events = collect(ring, 1);
      assert.deepEqual(
        events.map(({ token }) => token),
        [index],
      );
      assert.deepEqual(textsOf(buffers, events), [`to ${index}`]);
    }
  });
});

describe('recvmsg into provided buffers', registers('REGISTER_PBUF_RING'), () => {
  it('once: into a selected buffer, with the sender', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const far = sockets.bound({ address: '127.0.0.1', port: 0 }, SOCK.DGRAM);
    const near = sockets.bound({ address: '127.0.0.1', port: 0 }, SOCK.DGRAM);
    const buffers = ring.register.bufferRing({ count: 2, size: 16 });
    using message = new SocketMessage({});
    ring.recvmsgSelect(1, far, buffers, message);
    ring.sendTo(2, near, memoryOf('gram'), addressOf(far));
    const [{ result, flags } = assert.fail()] = collectOf(ring, 1, 2);
    assert.equal(textOf(buffers.received(flags, result)), 'gram');
    assert.deepEqual(message.sender, addressOf(near));
  });

  for (const address of ['127.0.0.1', '::1']) {
    it(`again and again: sender, payload, and what was cut off: ${address}`, () => {
      using ring = new Ring({ entries: 8 });
      using sockets = new Sockets();
      const far = sockets.bound({ address, port: 0 }, SOCK.DGRAM);
      const near = sockets.bound({ address, port: 0 }, SOCK.DGRAM);
      const layout = { addressSpace: 28 };
      const buffers = ring.register.bufferRing({ count: 4, size: 16 + 28 + 8 });
      let key = ring.recvmsgMultishot(1, far, buffers, layout);
      for (const text of ['one', '', 'exactly8', 'more than eight']) {
        ring.sendTo(2, near, text === '' ? memoryOf('x') : memoryOf(text), addressOf(far), {
          length: text.length,
        });
        const [event] = collectOf(ring, 1, 2);
        const bytes = buffers.received(event!.flags, event!.result);
        const message = decodeReceivedMessage(bytes, layout);
        assert.deepEqual(message.sender, addressOf(near));
        assert.equal(textOf(message.payload), text.slice(0, 8));
        assert.equal((message.flags & MSG_FLAG.TRUNC) !== 0, text.length > 8);
        buffers.recycle(bufferIdOf(event!.flags));
        // Hazard 13: an empty datagram looks like the end of a stream.
        assert.equal(hasMore(event!), text !== '');
        if (!hasMore(event!)) key = ring.recvmsgMultishot(1, far, buffers, layout);
      }
      ring.cancel(3, 1, key);
      assert.equal(collectOf(ring, 1, 3)[0]!.result, ECANCELED);
    });
  }

  it('again and again: with control messages', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair(SOCK.SEQPACKET);
    const layout = { controlSpace: controlBytes(4) };
    const buffers = ring.register.bufferRing({ count: 2, size: 128 });
    ring.recvmsgMultishot(1, far, buffers, layout);
    using message = new SocketMessage({
      memories: [memoryOf('fd')],
      control: [passDescriptors([near])],
    });
    for (let i = 0; i < 4; i++) {
      ring.sendmsg(2, near, message);
      const [event] = collectOf(ring, 1, 2);
      const bytes = buffers.received(event!.flags, event!.result);
      const { payload, control, sender } = decodeReceivedMessage(bytes, layout);
      assert.deepEqual([textOf(payload), control.length, sender], ['fd', 1, undefined]);
      for (const fd of passedDescriptors(control)) sockets.close(sockets.own(fd));
      buffers.recycle(bufferIdOf(event!.flags));
    }
  });

  it('refuses a layout that leaves no room, and bytes too few for it', () => {
    using ring = new Ring({ entries: 8 });
    const buffers = ring.register.bufferRing({ count: 1, size: 32 });
    const range = { code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => ring.recvmsgMultishot(1, 0, buffers, { addressSpace: 28 }), range);
    assert.throws(() => ring.recvmsgMultishot(1, 0, buffers, { addressSpace: 129 }), range);
    assert.throws(() => decodeReceivedMessage(new Uint8Array(15), {}), range);
  });
});

const bundles = registers('REGISTER_PBUF_STATUS');

describe('recvsend_bundle', bundles, () => {
  it('a receive fills several buffers, in the order of the ring', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const buffers = ring.register.bufferRing({ count: 8, size: 4 });
    send(near, 'abcdefghijklmn');
    const pieces: [number, string][] = [];
    let most = 0;
    for (let received = 0; received < 14;) {
      ring.recvSelect(1, far, buffers, { bundle: true });
      const [{ result, flags } = assert.fail()] = collect(ring, 1);
      if (result === EINVAL) return t.skip('this kernel has no bundles');
      const before = pieces.length;
      buffers.bundle(flags, result, (bytes, id) => pieces.push([id, textOf(bytes)]));
      most = Math.max(most, pieces.length - before);
      received += result;
    }
    // How many the first one fills is the kernel's guess.
    assert.ok(most > 1, `${most} buffers at most`);
    assert.deepEqual(
      pieces.map(([id]) => id),
      pieces.map((_, index) => index),
    );
    assert.equal(pieces.map(([, text]) => text).join(''), 'abcdefghijklmn');
    assert.equal(buffers.status().available, 8 - pieces.length);
    return undefined;
  });

  it('hazard 15: and after buffers came back in another order', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const buffers = ring.register.bufferRing({ count: 4, size: 2 });
    let expected = '';
    let received = '';
    ring.recvMultishot(1, far, buffers, { bundle: true });
    ring.submit();
    for (let round = 0; round < 100; round++) {
      const text = `${round}`.padStart(1 + (round % 8), '-').slice(-8);
      expected += text;
      send(near, text);
      while (received.length < expected.length) {
        for (const event of collect(ring, 1)) {
          if (event.result === EINVAL) return t.skip('this kernel has no bundles');
          const ids: number[] = [];
          if (event.result > 0) {
            buffers.bundle(event.flags, event.result, (bytes, id) => {
              received += textOf(bytes);
              ids.push(id);
            });
            buffers.recycleMany(ids.toReversed());
          }
          if (!hasMore(event)) ring.recvMultishot(1, far, buffers, { bundle: true });
        }
      }
    }
    assert.equal(received, expected);
    return undefined;
  });

  it('a send takes the buffers that were filled', (t) => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const buffers = ring.register.bufferRing({ count: 4, size: 8, filled: false });
    for (const [id, text] of ['one', 'three', 'seven'].entries()) {
      buffers.view(id).set(Buffer.from(text));
      buffers.recycle(id, text.length);
    }
    ring.sendSelect(1, near, buffers);
    const [{ result, flags } = assert.fail()] = collect(ring, 1);
    if (result === EINVAL) return t.skip('this kernel sends no provided buffers');
    assert.deepEqual([result, buffers.take(flags)], [3, 0]);
    ring.sendSelect(2, near, buffers, { bundle: true });
    const [bundle] = collect(ring, 1);
    assert.equal(bundle!.result, 10);
    const ids: number[] = [];
    buffers.bundle(bundle!.flags, bundle!.result, (_, id) => ids.push(id));
    assert.deepEqual(ids, [1, 2]);
    const memory = memoryOf('.'.repeat(20));
    assert.equal(
      runOne(ring, (token) => ring.recv(token, far, memory)),
      13,
    );
    assert.equal(textOf(memory, 13), 'onethreeseven');
    assert.equal(
      runOne(ring, (token) => ring.sendSelect(token, near, buffers)),
      ENOBUFS,
    );
    return undefined;
  });
});

describe('what a completion says beside its result', needs('RECV'), () => {
  it('SOCK_NONEMPTY when more can be received', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.pair();
    const buffers = ring.register.bufferRing({ count: 4, size: 4 });
    send(near, 'abcdef');
    const seen = [1, 2].map((token) => {
      ring.recvSelect(token, far, buffers);
      return (collect(ring, 1)[0]!.flags & CQE.F_SOCK_NONEMPTY) !== 0;
    });
    assert.deepEqual(seen, [true, false]);
  });
});
