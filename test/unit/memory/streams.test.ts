/**
 * A ring as a pair of Node streams: everything arrives, back pressure holds, and no end is missed.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { MirroredRing } from 'annulus/memory';
import { pageSize } from '#src/sys/linux.js';
import { byteAt, differsAt, shift, writeStream } from './support/rings.js';

const page = pageSize();

// Chunks of the stream of bytes, of many sizes.
function* chunks(total: number): Generator<Buffer> {
  let at = 0;
  for (let i = 0; at < total; i++) {
    const length = Math.min(total - at, [1, 100, page, 3 * page + 5, 17][i % 5]!);
    const start = at;
    yield Buffer.from(Uint8Array.from({ length }, (_, k) => byteAt(start + k)));
    at += length;
  }
}

/** Takes everything, and checks it. */
class Collector extends Writable {
  total = 0;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    assert.equal(differsAt(chunk, this.total), -1);
    this.total += chunk.length;
    globalThis.setImmediate(done);
  }
}

describe('toWritable() and toReadable()', () => {
  it('carry everything through a ring smaller than its chunks', async () => {
    const total = 100 * page;
    using ring = MirroredRing.create(2 * page);
    const collector = new Collector();
    await Promise.all([
      pipeline(Readable.from(chunks(total)), ring.toWritable()),
      pipeline(ring.toReadable(), collector),
    ]);
    assert.equal(collector.total, total);
    assert.deepEqual([ring.ended, ring.length], [true, 0]);
  });

  it('go on while the ring is resized', async () => {
    const total = 60 * page;
    using ring = MirroredRing.create(page);
    const collector = new Collector();
    let turn = 0;
    const resizing = (async () => {
      while (!ring.ended) {
        ring.resize(Math.max(ring.length, (1 + (turn++ % 4)) * page));
        await setImmediate();
      }
    })();
    await Promise.all([
      pipeline(Readable.from(chunks(total)), ring.toWritable()),
      pipeline(ring.toReadable(), collector),
      resizing,
    ]);
    assert.equal(collector.total, total);
    assert.ok(turn > 10);
  });

  it('wait while the ring is full, and for whoever consumes', async () => {
    using ring = MirroredRing.create(page);
    const stream = ring.toWritable();
    let written = 0;
    for (const chunk of chunks(2 * page)) stream.write(chunk, () => (written += chunk.length));
    await setImmediate();
    assert.equal(ring.length, page);
    assert.ok(written < 2 * page);
    let received = 0;
    while (received < 2 * page) {
      assert.equal(differsAt(ring.content(), received), -1);
      received += ring.length;
      ring.consume(ring.length);
      await setImmediate();
    }
    stream.end();
    await finished(stream);
    assert.deepEqual([written, ring.ended], [2 * page, true]);
    assert.throws(() => ring.advance(1), { code: 'ERR_INVALID_STATE', message: /has ended/ });
  });

  it('deliver what is written by hand, and the end', async () => {
    using ring = MirroredRing.create(page);
    shift(ring, page - 5);
    const received: Buffer[] = [];
    const stream = ring.toReadable().on('data', (chunk: Buffer) => received.push(chunk));
    writeStream(ring, 0, 10);
    assert.equal(received.length, 0); // no listener runs inside advance()
    await setImmediate();
    assert.equal(Buffer.concat(received).length, 10);
    writeStream(ring, 10, page);
    ring.end();
    await finished(stream);
    const all = Buffer.concat(received);
    assert.deepEqual([all.length, differsAt(all, 0)], [page + 10, -1]);
    ring.unused().fill(0); // chunks are the reader's own
    assert.equal(differsAt(all, 0), -1);
  });

  it('end at once if the ring has', async () => {
    using ring = MirroredRing.create(page);
    ring.end();
    ring.end();
    assert.deepEqual(await ring.toReadable().toArray(), []);
    assert.throws(() => ring.toWritable(), { code: 'ERR_INVALID_STATE', message: /has ended/ });
  });

  it('are one a direction', () => {
    using ring = MirroredRing.create(page);
    const [writable, readable] = [ring.toWritable(), ring.toReadable()];
    assert.throws(() => ring.toWritable(), { code: 'ERR_INVALID_STATE' });
    assert.throws(() => ring.toReadable(), { code: 'ERR_INVALID_STATE' });
    const ignore = (): void => {};
    writable.on('error', ignore).destroy();
    readable.on('error', ignore).destroy();
    ring.toWritable().on('error', ignore);
    ring.toReadable().on('error', ignore);
  });

  it('hand on the failure of the other one', async () => {
    const failure = new Error('mine');
    for (const broken of ['toWritable', 'toReadable'] as const) {
      using ring = MirroredRing.create(page);
      const other = broken === 'toWritable' ? ring.toReadable() : ring.toWritable();
      const stream = ring[broken]().on('error', () => {});
      const told = once(other, 'error');
      stream.destroy(failure);
      const [error] = (await told) as [Error & { code: string }];
      assert.deepEqual([error.code, error.cause], ['ERR_ANNULUS_PEER_CLOSED', failure]);
    }
  });

  it('are destroyed by close(), but not what has its end', async () => {
    const ring = MirroredRing.create(page);
    const writable = ring.toWritable();
    const readable = ring.toReadable();
    const told = Promise.all([once(writable, 'error'), once(readable, 'error')]);
    writable.write(Buffer.alloc(3 * page));
    ring.close();
    for (const [error] of await told) {
      assert.equal((error as { code: string }).code, 'ERR_ANNULUS_CLOSED');
    }

    const complete = MirroredRing.create(page);
    const content = complete.toReadable();
    writeStream(complete, 0, 10);
    complete.end();
    content.read(0);
    await setImmediate();
    complete.close();
    assert.equal(Buffer.concat((await content.toArray()) as Buffer[]).length, 10);
  });

  it('tell a writer whose ring somebody else ends', async () => {
    using ring = MirroredRing.create(page);
    const writable = ring.toWritable();
    const told = once(writable, 'error');
    writable.write(Buffer.alloc(page + 1));
    ring.end();
    ring.consume(page);
    const [error] = (await told) as [Error & { code: string }];
    assert.equal(error.code, 'ERR_INVALID_STATE');
  });
});
