/**
 * The space of a file and the pages of memory: flushing, allocating, cutting, and advice.
 */

import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { Region } from 'annulus';
import { FADVISE, FALLOC, MADVISE, Ring, SYNC_RANGE } from 'annulus/uring';

import { pair } from '../../unit/support/pair.js';
import { Folder, needs, runOne } from '../../support/uring.js';

const [EBADF, EINVAL, ENODEV, ESPIPE] = [-9, -22, -19, -29];
const PAGE = 4096;

describe('fsync', needs('FSYNC'), () => {
  it('flushes a file, its data only, or a range of it', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x'.repeat(PAGE * 2));
    for (const options of [
      {},
      { datasync: true },
      { offset: PAGE, length: PAGE },
      { offset: 2 ** 40, length: 1, datasync: true },
    ]) {
      assert.equal(
        runOne(ring, (token) => ring.fsync(token, fd, options)),
        0,
      );
    }
  });

  it('what has nothing to flush says so', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    assert.equal(
      runOne(ring, (token) => ring.fsync(token, ends.reader)),
      EINVAL,
    );
  });

  it('sync_file_range starts and awaits writing, and refuses unknown flags and sockets', () => {
    using folder = new Folder();
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x'.repeat(PAGE));
    const all = SYNC_RANGE.WAIT_BEFORE | SYNC_RANGE.WRITE | SYNC_RANGE.WAIT_AFTER;
    const sync = (file: number, length: number, flags: number): number =>
      runOne(ring, (token) => ring.syncFileRange(token, file, 0, length, flags));
    assert.equal(sync(fd, PAGE, all), 0);
    assert.equal(sync(fd, 0, SYNC_RANGE.WRITE), 0);
    assert.equal(sync(fd, 2 ** 32 - 1, SYNC_RANGE.WRITE), 0);
    assert.equal(sync(fd, PAGE, 0x100), EINVAL);
    assert.equal(sync(ends.reader, PAGE, SYNC_RANGE.WRITE), ESPIPE);
    assert.throws(() => ring.syncFileRange(1, fd, 0, 2 ** 32, 0), { code: 'ERR_OUT_OF_RANGE' });
  });
});

describe('fallocate', needs('FALLOCATE'), () => {
  it('makes room: the file grows, and the room is zero', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('abc');
    assert.equal(
      runOne(ring, (token) => ring.fallocate(token, fd, 0, 3 * PAGE)),
      0,
    );
    const { size, blocks } = fstatSync(fd);
    assert.equal(size, 3 * PAGE);
    assert.ok(blocks * 512 >= 3 * PAGE, `${blocks} blocks`);
    assert.equal(readFileSync(folder.at('file')).lastIndexOf('c'), 2);
  });

  it('KEEP_SIZE leaves the size, PUNCH_HOLE makes zeros of content', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x'.repeat(3 * PAGE));
    const fallocate = (offset: number, mode: number): number =>
      runOne(ring, (token) => ring.fallocate(token, fd, offset, PAGE, mode));
    assert.equal(fallocate(8 * PAGE, FALLOC.KEEP_SIZE), 0);
    assert.equal(fstatSync(fd).size, 3 * PAGE);
    assert.equal(fallocate(PAGE, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE), 0);
    const content = readFileSync(folder.at('file'));
    assert.ok(content.subarray(PAGE, 2 * PAGE).every((byte) => byte === 0));
    assert.ok(content.subarray(2 * PAGE).every((byte) => byte === 0x78));
  });

  it('wants a file that can be written, and a mode that makes sense', () => {
    using folder = new Folder();
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const reader = openSync(folder.at('file'), 'r');
    const fallocate = (file: number, mode: number): number =>
      runOne(ring, (token) => ring.fallocate(token, file, 0, PAGE, mode));
    assert.equal(fallocate(reader, 0), EBADF);
    assert.ok([ENODEV, ESPIPE].includes(fallocate(ends.writer, 0)));
    assert.ok(fallocate(fd, FALLOC.PUNCH_HOLE) < 0, 'holes need KEEP_SIZE');
    closeSync(reader);
  });
});

describe('truncate', needs('FTRUNCATE'), () => {
  it('cuts a file, and lengthens one with zeros, beyond 4 GiB too', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('content');
    const truncate = (length: number): number =>
      runOne(ring, (token) => ring.ftruncate(token, fd, length));
    assert.equal(truncate(3), 0);
    assert.equal(truncate(5), 0);
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'con\0\0');
    assert.equal(truncate(2 ** 33 + 1), 0);
    assert.equal(fstatSync(fd).size, 2 ** 33 + 1);
    assert.equal(truncate(0), 0);
  });

  it('refuses what is not open for writing, and lengths below 0', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('content');
    const reader = openSync(folder.at('file'), 'r');
    assert.equal(
      runOne(ring, (token) => ring.ftruncate(token, reader, 0)),
      EINVAL,
    );
    assert.throws(() => ring.ftruncate(1, reader, -1), { code: 'ERR_OUT_OF_RANGE' });
    closeSync(reader);
  });
});

describe('fadvise', needs('FADVISE'), () => {
  it('every advice is taken, of a part and to the end', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x'.repeat(PAGE * 4));
    for (const [name, advice] of Object.entries(FADVISE)) {
      for (const length of [0, PAGE, 2 ** 32 - 1]) {
        const result = runOne(ring, (token) => ring.fadvise(token, fd, PAGE, length, advice));
        assert.equal(result, 0, `${name} of ${length} bytes`);
      }
    }
  });

  it('lengths beyond 32 bits are told in full', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    const result = runOne(ring, (token) => ring.fadvise(token, fd, 0, 2 ** 33, FADVISE.DONTNEED));
    // Before 6.10 the kernel has no field for it.
    if (result === EINVAL) return test.skip('this kernel has 32-bit lengths only');
    assert.equal(result, 0);
  });

  it('unknown advice and bad descriptors are refused', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    assert.equal(
      runOne(ring, (token) => ring.fadvise(token, fd, 0, 0, 99)),
      EINVAL,
    );
    assert.equal(
      runOne(ring, (token) => ring.fadvise(token, 1_000_000, 0, 0, FADVISE.NORMAL)),
      EBADF,
    );
  });
});

describe('madvise', needs('MADVISE'), () => {
  it('DONTNEED gives pages back: they are zero again', () => {
    using ring = new Ring({ entries: 8 });
    using region = Region.allocate(4 * PAGE);
    region.bytes.fill(7);
    const part = region.bytes.subarray(PAGE, 3 * PAGE);
    assert.equal(
      runOne(ring, (token) => ring.madvise(token, part, MADVISE.DONTNEED)),
      0,
    );
    const sums = [0, 1, 2, 3].map((page) => region.bytes[page * PAGE + 17]);
    assert.deepEqual(sums, [7, 0, 0, 7]);
  });

  it('other advice leaves the content alone', () => {
    using ring = new Ring({ entries: 8 });
    using region = Region.allocate(2 * PAGE);
    region.bytes.fill(9);
    for (const advice of [MADVISE.WILLNEED, MADVISE.SEQUENTIAL, MADVISE.COLD, MADVISE.NORMAL]) {
      assert.equal(
        runOne(ring, (token) => ring.madvise(token, region, advice)),
        0,
      );
    }
    assert.ok(region.bytes.every((byte) => byte === 9));
  });

  it('wants whole pages, memory of a Region, and advice that leaves it usable', () => {
    using ring = new Ring({ entries: 8 });
    using region = Region.allocate(2 * PAGE);
    assert.equal(
      runOne(ring, (token) => ring.madvise(token, region.bytes.subarray(1), MADVISE.WILLNEED)),
      EINVAL,
    );
    // The kernel would empty the rest of the last page, too, which is not the view's.
    for (const advice of [MADVISE.DONTNEED, MADVISE.FREE, MADVISE.REMOVE]) {
      assert.throws(() => ring.madvise(1, region.bytes.subarray(0, 100), advice), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
    assert.throws(() => ring.madvise(1, new Uint8Array(PAGE), MADVISE.COLD), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
    // Guard pages (102) would make the next access a crash; 10 and 11 are the fork's affair.
    for (const advice of [10, 11, 18, 100, 102]) {
      assert.throws(() => ring.madvise(1, region, advice), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.equal(ring.unsubmitted, 0);
  });
});
