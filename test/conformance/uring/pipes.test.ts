/**
 * Pipes, and moving bytes between descriptors without memory of ours: splice, tee.
 */

import assert from 'node:assert/strict';
import { closeSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { decodePipe, Ring, SPLICE } from 'annulus/uring';

import { Folder, memoryOf, needs, resultsOf, runOne, take, textOf } from '../../support/uring.js';

const [EAGAIN, EBADF, EINVAL, ESPIPE] = [-11, -9, -22, -29];
const O_NONBLOCK = 0o4000;

/** A pipe made by the ring, closed at the end. */
class Pipe {
  readonly reader: number;
  readonly writer: number;
  #open = true;

  constructor(ring: Ring, content: string = '') {
    const memory = alloc(8);
    assert.equal(
      runOne(ring, (token) => ring.pipe(token, memory)),
      0,
    );
    ({ reader: this.reader, writer: this.writer } = decodePipe(memory));
    if (content.length > 0) writeSync(this.writer, content);
  }

  read(): string {
    const bytes = Buffer.alloc(256);
    return bytes.toString('latin1', 0, readSync(this.reader, bytes));
  }

  closeWriter(): void {
    this.#open = false;
    closeSync(this.writer);
  }

  [Symbol.dispose](): void {
    closeSync(this.reader);
    if (this.#open) closeSync(this.writer);
  }
}

describe('pipe', needs('PIPE'), () => {
  it('gives two ends, close-on-exec, of one pipe', () => {
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring, 'through');
    assert.equal(pipe.read(), 'through');
    for (const fd of [pipe.reader, pipe.writer]) {
      const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!;
      assert.notEqual(Number.parseInt(flags, 8) & 0o2000000, 0);
    }
  });

  it('O_NONBLOCK holds for both ends; unknown flags make no pipe', () => {
    using ring = new Ring({ entries: 8 });
    const memory = alloc(16).fill(7);
    ring.pipe(1, memory.subarray(8), O_NONBLOCK);
    ring.pipe(2, memory.subarray(0, 8), 0o20);
    assert.deepEqual(resultsOf(ring, 1, 2), [0, EINVAL]);
    assert.deepEqual(decodePipe(memory), { reader: -1, writer: -1 });
    const { reader, writer } = decodePipe(memory.subarray(8));
    assert.throws(() => readSync(reader, Buffer.alloc(1)), { code: 'EAGAIN' });
    closeSync(reader);
    closeSync(writer);
  });

  it('descriptors of pipes nobody reaped are closed with the ring', () => {
    const before = readdirSync('/proc/self/fd').length;
    const region = Region.allocate(4096);
    const ring = new Ring({ entries: 8 });
    ring.pipe(1, region);
    ring.submitAndWait(1);
    ring.pipe(2, region.bytes.subarray(8));
    ring.submitAndWait(2);
    ring.pipe(3, region.bytes.subarray(16));
    assert.equal(readdirSync('/proc/self/fd').length, before + 5, 'the ring and two pipes');
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ring.close();
    assert.equal(readdirSync('/proc/self/fd').length, before);
    region.close();
  });

  it('wants 8 bytes of a Region', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.pipe(1, alloc(7)), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.pipe(1, new Uint8Array(8)), { code: 'ERR_ANNULUS_NOT_A_REGION' });
    assert.throws(() => decodePipe(new Uint8Array(7)), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 0);
  });

  it('pipe-eof: a read that waits completes with 0 when the last writer goes', () => {
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring);
    ring.read(1, pipe.reader, alloc(8));
    ring.submit();
    assert.equal(ring.ready, 0);
    pipe.closeWriter();
    assert.deepEqual(take(ring), [{ token: 1, result: 0, more: false }]);
  });
});

describe('splice', needs('SPLICE', 'PIPE'), () => {
  it('moves bytes from a place in a file through a pipe to a place in another', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring);
    const from = folder.open('0123456789', 'from');
    const to = folder.open('..........', 'to');
    assert.equal(
      runOne(ring, (token) => ring.splice(token, from, 3, pipe.writer, -1, 5)),
      5,
    );
    assert.equal(
      runOne(ring, (token) => ring.splice(token, pipe.reader, -1, to, 2, 64)),
      5,
    );
    assert.equal(readFileSync(folder.at('to'), 'latin1'), '..34567...');
  });

  it("without a position it moves the file's own", () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring);
    const from = folder.open('abcdef');
    for (const expected of ['abc', 'def']) {
      assert.equal(
        runOne(ring, (token) => ring.splice(token, from, -1, pipe.writer, -1, 3)),
        3,
      );
      assert.equal(pipe.read(), expected);
    }
    assert.equal(
      runOne(ring, (token) => ring.splice(token, from, -1, pipe.writer, -1, 3)),
      0,
      'the end of the file',
    );
  });

  it('takes registered files on both sides', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring);
    const [from, writer] = ring.register.files([folder.open('registered'), pipe.writer]);
    assert.equal(
      runOne(ring, (token) => ring.splice(token, from!, 4, writer!, -1, 3)),
      3,
    );
    assert.equal(pipe.read(), 'ste');
    assert.equal(
      runOne(ring, (token) => ring.splice(token, from!, 0, pipe.writer, -1, 2)),
      2,
      'or on one',
    );
    assert.equal(pipe.read(), 're');
  });

  it('NONBLOCK does not wait for a pipe', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring);
    const to = folder.open();
    const flags = SPLICE.NONBLOCK;
    assert.equal(
      runOne(ring, (token) => ring.splice(token, pipe.reader, -1, to, 0, 8, flags)),
      EAGAIN,
    );
  });

  it('refuses two files, positions in pipes, bad descriptors', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using pipe = new Pipe(ring, 'x');
    const [one, two] = [folder.open('x', 'one'), folder.open('x', 'two')];
    ring.splice(1, one, 0, two, 0, 1);
    ring.splice(2, pipe.reader, 0, one, 0, 1);
    ring.splice(3, 1_000_000, 0, pipe.writer, -1, 1);
    ring.splice(4, one, 0, pipe.writer, -1, 0);
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4), [EINVAL, ESPIPE, EBADF, 0]);
    assert.throws(() => ring.splice(1, one, -2, two, 0, 1), { code: 'ERR_OUT_OF_RANGE' });
  });
});

describe('tee', needs('TEE', 'PIPE'), () => {
  it('copies from one pipe to another and leaves the first as it was', () => {
    using ring = new Ring({ entries: 8 });
    using from = new Pipe(ring, 'kept');
    using to = new Pipe(ring);
    assert.equal(
      runOne(ring, (token) => ring.tee(token, from.reader, to.writer, 3)),
      3,
    );
    assert.equal(to.read(), 'kep');
    assert.equal(from.read(), 'kept');
  });

  it('takes registered ends, and nothing but pipes', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    using from = new Pipe(ring, 'copied');
    using to = new Pipe(ring);
    const [reader, writer] = ring.register.files([from.reader, to.writer]);
    assert.equal(
      runOne(ring, (token) => ring.tee(token, reader!, writer!, 64)),
      6,
    );
    assert.equal(to.read(), 'copied');
    const file = folder.open('x');
    assert.equal(
      runOne(ring, (token) => ring.tee(token, file, to.writer, 1)),
      EINVAL,
    );
    const memory = memoryOf('------');
    assert.equal(
      runOne(ring, (token) => ring.read(token, from.reader, memory)),
      6,
    );
    assert.equal(textOf(memory), 'copied');
  });
});
