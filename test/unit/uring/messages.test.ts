/**
 * Messages and provided buffers as data: what is encoded is decoded, whatever the bytes; and memory
 * that was closed is never given to the kernel.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';

import { alloc, Region } from 'annulus';
import {
  controlBytes,
  decodeControl,
  decodePeerAddress,
  decodeReceivedMessage,
} from 'annulus/uring';
import { encodeControl, encodeSocketAddress, passDescriptors, PEER_BYTES } from 'annulus/uring';
import { bufferIdOf, CQE, passedDescriptors, Ring, SocketMessage } from 'annulus/uring';

import { needs, runOne } from '../../support/uring.ts';
import { pair } from '../support/pair.ts';
import { printedSeed } from '../../support/random.ts';

const seed = printedSeed();

const EFAULT = -14;
const closed = { code: 'ERR_ANNULUS_CLOSED' };
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const control = fc.record(
  { level: int32, type: int32, data: fc.uint8Array({ maxLength: 40 }) },
  { noNullPrototype: true },
);

describe('control messages', () => {
  it('survive the way there and back', () => {
    fc.assert(
      fc.property(fc.array(control, { maxLength: 5 }), (messages) => {
        const bytes = encodeControl(messages);
        const room = messages.map(({ data }) => controlBytes(data.length));
        assert.equal(
          bytes.length,
          room.reduce((sum, next) => sum + next, 0),
        );
        assert.deepEqual(decodeControl(bytes), messages);
      }),
      { seed },
    );
  });

  it('of any bytes are decoded without reading beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const found = decodeControl(bytes);
        const total = found.reduce((sum, { data }) => sum + 16 + data.length, 0);
        assert.ok(total <= bytes.length);
        for (const fd of passedDescriptors(found)) assert.equal(fd | 0, fd);
      }),
      { seed },
    );
  });

  it('carry descriptors, and refuse what is none', () => {
    const fds = [0, 5, 2 ** 31 - 1];
    assert.deepEqual(passedDescriptors([passDescriptors(fds)]), fds);
    for (const fd of [-1, 0.5, 2 ** 31]) {
      assert.throws(() => passDescriptors([fd]), { code: 'ERR_OUT_OF_RANGE' });
    }
  });
});

describe('what the kernel wrote', () => {
  it('of a received message is decoded within the bytes there are', () => {
    const space = fc.integer({ min: 0, max: 64 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), space, space, (bytes, a, c) => {
        const layout = { addressSpace: a, controlSpace: c };
        const needed = 16 + a + c;
        if (bytes.length < needed) {
          assert.throws(() => decodeReceivedMessage(bytes, layout), { code: 'ERR_OUT_OF_RANGE' });
          return;
        }
        const { payload, length } = decodeReceivedMessage(bytes, layout);
        assert.equal(payload.length, Math.min(length, bytes.length - needed));
      }),
      { seed },
    );
  });

  it("of a peer's address has its length behind it", () => {
    const bytes = new Uint8Array(PEER_BYTES);
    const address = { address: '::1', port: 7, scopeId: 0 };
    bytes.set(encodeSocketAddress(address));
    const view = new DataView(bytes.buffer);
    view.setUint32(128, 28, true);
    assert.deepEqual(decodePeerAddress(bytes), address);
    view.setUint32(128, 2 ** 32 - 1, true);
    assert.deepEqual(decodePeerAddress(bytes), address);
    view.setUint32(128, 0, true);
    assert.equal(decodePeerAddress(bytes), undefined);
    assert.throws(() => decodePeerAddress(bytes.subarray(1)), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('of a buffer is in the upper half of the flags', () => {
    assert.equal(bufferIdOf(0), -1);
    assert.equal(bufferIdOf(CQE.F_MORE | (7 << 16)), -1);
    assert.equal(bufferIdOf(CQE.F_BUFFER | CQE.F_MORE), 0);
    assert.equal(bufferIdOf(CQE.F_BUFFER | (65_535 << 16)), 65_535);
  });
});

describe('memory that was closed', needs('SENDMSG', 'PROVIDE_BUFFERS'), () => {
  it('under a message has no bytes to send', () => {
    using ends = pair();
    using ring = new Ring({ entries: 4 });
    const region = Region.allocate(4096);
    using message = new SocketMessage({ memories: [region, alloc(3)] });
    region.close();
    const sent = runOne(ring, (token) => ring.sendmsg(token, ends.writer, message));
    assert.ok([3, EFAULT].includes(sent), `completed with ${sent}`);
  });

  it('of a message itself is refused', () => {
    using ring = new Ring({ entries: 4 });
    const message = new SocketMessage({ memories: [alloc(3)] });
    message.close();
    assert.throws(() => ring.sendmsg(1, 0, message), closed);
    assert.throws(() => ring.recvmsg(1, 0, message), closed);
    assert.equal(ring.unsubmitted, 0);
  });

  it('under a group is refused', () => {
    using ring = new Ring({ entries: 4 });
    const memory = Region.allocate(4096);
    const group = ring.bufferGroup({ count: 2, size: 8, memory });
    memory.close();
    assert.throws(() => ring.provideBuffers(1, group), closed);
    assert.throws(() => ring.register.bufferRing({ count: 2, size: 8, memory }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.equal(ring.unsubmitted, 0);
  });
});
