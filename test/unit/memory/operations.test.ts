/**
 * A ring's views are valid for any operation: whatever takes bytes takes them, also across the end.
 */

import assert from 'node:assert/strict';
import { createHash, createHmac, randomFillSync } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';

import { MirroredRing } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { pageSize } from '#src/sys/linux.js';
import { withoutUring } from '../../support/skip.js';
import { pair } from '../support/pair.js';
import { byteAt, differsAt, shift, writeStream } from './support/rings.js';

/** What the types of Node leave to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (options: { initial: number }) => { readonly buffer: ArrayBuffer };
};

const page = pageSize();
const folder = mkdtempSync(join(tmpdir(), 'annulus-memory-'));
after(() => rmSync(folder, { recursive: true }));

/** Content of this many bytes lies around the end of the ring. */
const LENGTH = page + 100;
const expected = Uint8Array.from({ length: LENGTH }, (_, i) => byteAt(i));

/** A ring whose content, or free space, crosses the end. */
function crossing(length: number): MirroredRing {
  const ring = MirroredRing.create(2 * page);
  shift(ring, 2 * page - 50);
  writeStream(ring, 0, length);
  return ring;
}

/** A file with the expected bytes, opened. */
function sourceFile(): number {
  const path = join(folder, 'source');
  const fd = openSync(path, 'w+');
  writeSync(fd, expected, 0, LENGTH, 0);
  return fd;
}

describe('Views of a ring are valid for', () => {
  let fd: number;
  before(() => {
    fd = sourceFile();
  });
  after(() => closeSync(fd));

  it('reading and writing files, synchronously and by promises', async () => {
    using ring = crossing(0);
    ring.advance(readSync(fd, ring.unused(), 0, LENGTH, 0));
    assert.equal(differsAt(ring.content(), 0), -1);
    assert.equal(ring.length, LENGTH);
    const path = join(folder, 'copy');
    const copy = openSync(path, 'w');
    ring.consume(writeSync(copy, ring.content()));
    closeSync(copy);
    assert.deepEqual(new Uint8Array(readFileSync(path)), expected);

    await using file = await open(join(folder, 'source'), 'r');
    const { bytesRead } = await file.read(ring.unused(), 0, LENGTH, 0);
    ring.advance(bytesRead);
    assert.equal(differsAt(ring.content(), 0), -1);
  });

  it('sockets of Node', async () => {
    using ring = crossing(LENGTH);
    using received = crossing(0);
    const server = createServer((socket: Socket) => {
      socket.on('data', (chunk) => {
        received.write((free) => {
          free.set(chunk);
          return chunk.length;
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const ended = once(server, 'connection').then(([peer]) => once(peer as Socket, 'close'));
    socket.end(ring.content());
    await ended;
    server.close();
    assert.equal(received.length, LENGTH);
    assert.equal(differsAt(received.content(), 0), -1);
  });

  it('text, in both directions', () => {
    const text = 'ein ring über zwei seiten: ∞ '.repeat(200).slice(0, 4000);
    using ring = crossing(0);
    const { written } = new TextEncoder().encodeInto(text, ring.unused());
    ring.advance(written);
    assert.equal(new TextDecoder().decode(ring.content()), text);
    assert.equal(Buffer.from(ring.bytes.buffer, ring.contentOffset, ring.length).toString(), text);
  });

  it('zlib and crypto', () => {
    using ring = crossing(LENGTH);
    assert.deepEqual(new Uint8Array(gunzipSync(gzipSync(ring.content()))), expected);
    const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    assert.equal(hash(ring.content()), hash(expected));
    const hmac = (key: Uint8Array): string => createHmac('sha1', key).update('x').digest('hex');
    assert.equal(hmac(ring.content()), hmac(expected));
    ring.consume(LENGTH);
    randomFillSync(ring.unused());
    ring.advance(2 * page);
    assert.ok(ring.content().some((byte) => byte !== 0));
    assert.deepEqual(ring.bytes.subarray(0, 2 * page), ring.bytes.subarray(2 * page));
  });

  it('Atomics and other typed arrays', () => {
    using ring = MirroredRing.create(page);
    const { buffer } = ring.bytes;
    const words = new Int32Array(buffer);
    assert.equal(words.length, (2 * page) / 4);
    Atomics.store(words, 3, 41);
    assert.equal(Atomics.add(words, page / 4 + 3, 1), 41);
    assert.equal(Atomics.load(words, 3), 42);
    new DataView(buffer).setFloat64(page - 4, Math.PI); // across the end
    assert.equal(new DataView(buffer).getUint32(0), new DataView(buffer).getUint32(page));
    assert.equal(new DataView(buffer).getFloat64(page - 4), Math.PI);
  });

  it('copies into and out of WebAssembly', () => {
    const memory = new WebAssembly.Memory({ initial: 1 }); // 64 KiB
    const inside = new Uint8Array(memory.buffer);
    using ring = crossing(LENGTH);
    inside.set(ring.content(), 10);
    assert.deepEqual(inside.slice(10, 10 + LENGTH), expected);
    ring.consume(LENGTH);
    ring.unused().set(inside.subarray(10, 10 + LENGTH));
    ring.advance(LENGTH);
    assert.equal(differsAt(ring.content(), 0), -1);
  });

  it('requests, which copy nothing', { skip: withoutUring }, async () => {
    await using io = new Proactor({ entries: 8 });
    using ring = crossing(0);
    const count = await io.read(fd, ring.unused(), { position: 0 });
    ring.advance(count);
    assert.deepEqual([count, io.stats.bounced], [LENGTH, 0]);
    assert.equal(differsAt(ring.content(), 0), -1);
    using ends = pair();
    const sent = await io.send(ends.writer, ring.content());
    const received = new Uint8Array(sent);
    readSync(ends.reader, received);
    assert.equal(differsAt(received, 0), -1);
  });

  it('registered buffers: one half is enough', { skip: withoutUring }, async () => {
    await using io = new Proactor({ entries: 8 });
    using ring = crossing(0);
    const [half] = io.registerBuffers([ring.bytes.subarray(0, ring.capacity)]);
    let position = 0;
    while (position < LENGTH) {
      // A request stays in the registered half; what crosses the end is two of them.
      const offset = ring.unusedOffset;
      const length = Math.min(ring.unusedLength, ring.capacity - offset);
      const count = await io.readFixed(fd, half!, { offset, length, position });
      ring.advance(count);
      position += count;
    }
    assert.equal(differsAt(ring.content(), 0), -1);
    assert.equal(ring.length, LENGTH);
    assert.throws(() => ring.close(), { code: 'ERR_REGION_BUSY' });
    assert.throws(() => ring.resize(9 * page), { code: 'ERR_REGION_BUSY' });
    io.unregisterBuffers();
  });
});

describe('readFrom() and writeTo()', () => {
  it('move bytes between descriptors and the ring', () => {
    const fd = sourceFile();
    using ring = crossing(0);
    assert.equal(ring.readFrom(fd, { position: 0, length: 10 }), 10);
    assert.equal(ring.readFrom(fd, { position: 10 }), LENGTH - 10);
    assert.equal(differsAt(ring.content(), 0), -1);
    assert.equal(ring.readFrom(fd, { position: LENGTH }), 0);

    const path = join(folder, 'written');
    const copy = openSync(path, 'w');
    assert.equal(ring.writeTo(copy, { length: 7 }), 7);
    assert.equal(ring.writeTo(copy, { position: 7 }), LENGTH - 7);
    assert.equal(ring.writeTo(copy), 0);
    closeSync(copy);
    assert.deepEqual(new Uint8Array(readFileSync(path)), expected);

    assert.equal(ring.readFrom(openAgain(fd)), LENGTH); // from the file's own position
    assert.equal(differsAt(ring.content(), 0), -1);
    closeSync(fd);
  });

  it('carry a stream through sockets', () => {
    using ends = pair();
    using near = MirroredRing.create(page);
    using far = MirroredRing.create(page);
    let received = 0;
    for (let sent = 0; received < 20 * page;) {
      const count = Math.min(near.unusedLength, 1000);
      writeStream(near, sent, count);
      sent += count;
      near.writeTo(ends.writer);
      far.readFrom(ends.reader);
      assert.equal(differsAt(far.content(), received), -1);
      received += far.length;
      far.consume(far.length);
    }
  });

  it('refuse what cannot be, and lose nothing', () => {
    using ring = MirroredRing.create(page);
    writeStream(ring, 0, page);
    assert.throws(() => ring.readFrom(0), {
      code: 'ERR_INVALID_STATE',
      message: new RegExp(`ring of ${page} bytes is full`),
    });
    assert.throws(() => ring.writeTo(1_000_000), { code: 'EBADF', syscall: 'write' });
    const readOnly = openSync('/dev/null', 'r');
    assert.throws(() => ring.writeTo(readOnly), { code: 'EBADF', syscall: 'write' });
    closeSync(readOnly);
    assert.throws(() => ring.writeTo(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.writeTo(1, { length: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.writeTo(1, { position: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.writeTo('1' as unknown as number), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(differsAt(ring.content(), 0), -1);
    assert.equal(ring.length, page);
    ring.consume(1);
    assert.throws(() => ring.readFrom(1_000_000), { code: 'EBADF', syscall: 'read' });
    ring.end();
    assert.throws(() => ring.readFrom(0), { code: 'ERR_INVALID_STATE', message: /has ended/ });
    ring.close();
    assert.throws(() => ring.readFrom(0), { code: 'ERR_ANNULUS_CLOSED' });
    assert.throws(() => ring.writeTo(1), { code: 'ERR_ANNULUS_CLOSED' });
  });
});

/** The same file with a position of its own, at its start. */
function openAgain(fd: number): number {
  const again = openSync(`/proc/self/fd/${fd}`, 'r');
  after(() => closeSync(again));
  return again;
}
