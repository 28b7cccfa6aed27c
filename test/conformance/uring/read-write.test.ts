/**
 * Reading and writing files: how much, from where, and what the flags of one request change.
 */

import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { FEATURE, Ring, RWF, SQE } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import { Folder, memoryOf, needs, resultsOf, runOne, textOf } from '../../support/uring.js';

const [EAGAIN, EBADF, EISDIR, EINVAL, EOPNOTSUPP] = [-11, -9, -21, -22, -95];

describe('read-write', needs('READ', 'WRITE'), () => {
  it('plain, vectored and registered transfers leave the same bytes', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const memory = memoryOf('the same eighteen.');
    const [fixed] = ring.register.buffers([memory]);
    ring.write(1, fd, memory, { position: 0 });
    ring.writev(2, fd, [memory.subarray(0, 5), memory.subarray(5)], 18);
    ring.writeFixed(3, fd, fixed!, { position: 36 });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [18, 18, 18]);
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'the same eighteen.'.repeat(3));
    for (const position of [0, 18, 36]) {
      const [one, two] = [alloc(18), alloc(18)];
      memory.fill(0);
      ring.read(1, fd, one, { position });
      ring.readv(2, fd, [two.subarray(0, 1), two.subarray(1)], position);
      ring.readFixed(3, fd, fixed!, { position });
      assert.deepEqual(resultsOf(ring, 1, 2, 3), [18, 18, 18]);
      for (const each of [one, two, memory]) assert.equal(textOf(each), 'the same eighteen.');
    }
  });

  it('a write beyond the end leaves zeros between', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('ab');
    assert.equal(
      runOne(ring, (token) => ring.write(token, fd, memoryOf('z'), { position: 4 })),
      1,
    );
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'ab\0\0z');
  });

  it('a descriptor opened for the other direction, and a directory, are refused', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('content');
    const reader = openSync(folder.at('file'), 'r');
    const writer = openSync(folder.at('file'), 'a');
    const directory = openSync(folder.path, 'r');
    const memory = alloc(8);
    ring.write(1, reader, memory);
    ring.read(2, writer, memory);
    ring.read(3, directory, memory);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [EBADF, EBADF, EISDIR]);
    for (const fd of [reader, writer, directory]) closeSync(fd);
  });

  it('RWF.APPEND writes at the end, wherever the position is', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('start,');
    const options = { position: 0, flags: RWF.APPEND };
    assert.equal(
      runOne(ring, (token) => ring.write(token, fd, memoryOf('end'), options)),
      3,
    );
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'start,end');
  });

  it('RWF.NOWAIT does not wait for data that is not there', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const memory = alloc(4);
    const flags = RWF.NOWAIT;
    const read = (token: number): number => ring.read(token, ends.reader, memory, { flags });
    assert.equal(runOne(ring, read), EAGAIN);
    ends.write('now');
    assert.equal(runOne(ring, read), 3);
  });

  it('RWF.DSYNC and RWF.SYNC are taken by every kind of write', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const memory = memoryOf('durable');
    const [fixed] = ring.register.buffers([memory]);
    ring.write(1, fd, memory, { position: 0, flags: RWF.DSYNC });
    ring.writev(2, fd, [memory], 7, RWF.SYNC);
    ring.writeFixed(3, fd, fixed!, { position: 14, flags: RWF.DSYNC | RWF.SYNC });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [7, 7, 7]);
  });

  it('a flag the kernel does not know is refused, not ignored', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const flags = 0x40000000;
    assert.equal(
      runOne(ring, (token) => ring.read(token, fd, alloc(1), { position: 0, flags })),
      EOPNOTSUPP,
    );
  });
});

describe('read and write attributes', needs('READ', 'WRITE'), () => {
  it('protection information is refused by files that have none', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    if ((ring.features & FEATURE.RW_ATTR) === 0) {
      return test.skip('this kernel has no attributes of reads and writes (6.14)');
    }
    const fd = folder.open('content');
    const memory = alloc(512);
    const integrity = { memory: alloc(64), flags: 1, appTag: 7, seed: 2 ** 40 };
    ring.readIntegrity(1, fd, memory, integrity, 0);
    ring.writeIntegrity(2, fd, memory, integrity, 0);
    for (const result of resultsOf(ring, 1, 2)) assert.ok([EINVAL, EOPNOTSUPP].includes(result!));
    ring.read(3, fd, memory, { position: 0 });
    assert.equal(resultsOf(ring, 3)[0], 7, 'nothing of it is left in the entries');
    assert.throws(() => ring.readIntegrity(1, fd, memory, { memory, appTag: 2 ** 16 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });
});

describe('short-read', needs('READ'), () => {
  it('a read across the end gives what there is, the next one 0', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('12345');
    const memory = alloc(16).fill(0x2e);
    ring.read(1, fd, memory, { position: 3 });
    ring.read(2, fd, memory.subarray(8), { position: 5 });
    ring.read(3, fd, memory.subarray(8), { position: 2 ** 40 });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [2, 0, 0]);
    assert.equal(textOf(memory), '45..............', 'nothing beyond the result is touched');
  });

  it('pieces of a vectored read are filled in order, the last one in part', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('abcdefg');
    const pieces = [alloc(3), alloc(3), alloc(3)];
    for (const piece of pieces) piece.fill(0x2d);
    assert.equal(
      runOne(ring, (token) => ring.readv(token, fd, pieces, 0)),
      7,
    );
    assert.deepEqual(
      pieces.map((piece) => textOf(piece)),
      ['abc', 'def', 'g--'],
    );
  });

  it('a read of no bytes completes with 0', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('abc');
    assert.equal(
      runOne(ring, (token) => ring.read(token, fd, alloc(4), { position: 0, length: 0 })),
      0,
    );
  });
});

describe('fpos', needs('READ', 'WRITE'), () => {
  it('without a position, requests move the one of the file as read(2) does', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('0123456789');
    const memory = alloc(3);
    const next = (): string => {
      const count = runOne(ring, (token) => ring.read(token, fd, memory));
      return textOf(memory, count);
    };
    assert.equal(next(), '012');
    const byte = Buffer.alloc(1);
    assert.equal(readSync(fd, byte), 1);
    assert.equal(byte.toString(), '3', 'the position is shared with the rest of the process');
    assert.deepEqual([next(), next(), next()], ['456', '789', '']);
  });

  it('with a position, they leave it alone', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('0123456789');
    const memory = alloc(2);
    assert.equal(
      runOne(ring, (token) => ring.read(token, fd, memory, { position: 6 })),
      2,
    );
    assert.equal(
      runOne(ring, (token) => ring.read(token, fd, memory)),
      2,
    );
    assert.equal(textOf(memory), '01');
  });

  it('linked requests without a position follow each other', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 16 });
    const fd = folder.open('aabbccdd');
    const memory = alloc(8);
    for (let part = 0; part < 4; part++) {
      ring.read(part, fd, memory, { offset: part * 2, length: 2 });
      if (part < 3) ring.flagLast(SQE.IO_LINK);
    }
    assert.deepEqual(resultsOf(ring, 0, 1, 2, 3), [2, 2, 2, 2]);
    assert.equal(textOf(memory), 'aabbccdd');
  });

  it('a file opened for appending is written at its end', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('kept ');
    const fd = openSync(folder.at('file'), constants.O_WRONLY | constants.O_APPEND);
    assert.equal(
      runOne(ring, (token) => ring.write(token, fd, memoryOf('new'), { position: 0 })),
      3,
    );
    writeSync(fd, '!');
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'kept new!');
    closeSync(fd);
  });
});

describe('vec-regbuf', needs('READV_FIXED', 'WRITEV_FIXED'), () => {
  it('parts of one registered buffer are gathered and scattered in order', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const memory = memoryOf('0123456789');
    const [buffer] = ring.register.buffers([memory]);
    const parts = [
      { offset: 8, length: 2 },
      { offset: 0, length: 3 },
      { offset: 4, length: 1 },
    ];
    assert.equal(
      runOne(ring, (token) => ring.writevFixed(token, fd, buffer!, parts, 1)),
      6,
    );
    assert.equal(readFileSync(folder.at('file'), 'latin1'), '\x00890124');
    memory.fill(0x2d);
    assert.equal(
      runOne(ring, (token) => ring.readvFixed(token, fd, buffer!, parts, 1)),
      6,
    );
    assert.equal(textOf(memory), '012-4---89');
  });

  it('refuses parts outside of the buffer before the kernel sees them', () => {
    using ring = new Ring({ entries: 8 });
    const [buffer] = ring.register.buffers([alloc(64)]);
    for (const part of [
      { offset: 60, length: 5 },
      { offset: -1, length: 2 },
      { offset: 0, length: 0.5 },
      { offset: 65, length: 0 },
    ]) {
      assert.throws(() => ring.readvFixed(1, 0, buffer!, [part]), {
        code: 'ERR_OUT_OF_RANGE',
        message: /inside the 64 bytes/,
      });
    }
    assert.throws(() => ring.writevFixed(1, 0, buffer!, []), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.equal(ring.unsubmitted, 0);
  });
});
