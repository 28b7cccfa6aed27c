/**
 * Every request on files and paths: its success, and its failure with the kernel's errno.
 */

import assert from 'node:assert/strict';
import { constants, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { AT, decodeStatx, Ring, S_IF } from 'annulus/uring';
import type { FixedFile } from 'annulus/uring';
import { Folder, finish, needs, runOne } from '../support/requests.js';
import { pair } from '../support/pair.js';

const EBADF = -9;
const bad = 1_000_000;

/** A string in new memory that the kernel can be given. */
function memoryOf(text: string): Uint8Array {
  const memory = alloc(text.length);
  memory.set(Buffer.from(text));
  return memory;
}

function textOf(memory: Uint8Array, length: number = memory.length): string {
  return Buffer.from(memory.subarray(0, length)).toString();
}

describe('requests on memory', needs('READ', 'WRITE'), () => {
  it('read: whole, in part, at a position, at the end', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('0123456789');
    const memory = alloc(8);
    const read = (
      ...args: Parameters<Ring['read']> extends [number, ...infer R] ? R : never
    ): number => runOne(ring, (token) => ring.read(token, ...args));
    assert.equal(read(fd, memory, { position: 0 }), 8);
    assert.equal(textOf(memory), '01234567');
    assert.equal(read(fd, memory, { position: 4, offset: 2, length: 3 }), 3);
    assert.equal(textOf(memory), '01456567');
    assert.equal(read(fd, memory, { position: 10 }), 0);
    assert.equal(read(fd, memory, { length: 6 }), 6, "at the file's position");
    assert.equal(read(fd, memory), 4);
    assert.equal(textOf(memory, 4), '6789');
    assert.equal(read(bad, memory), EBADF);
    using whole = Region.allocate(4096);
    assert.equal(read(fd, whole, { position: 0 }), 10);
  });

  it('read: refuses ranges outside of the memory, with the values', () => {
    using ring = new Ring({ entries: 8 });
    const memory = alloc(8);
    for (const range of [
      { offset: 9 },
      { offset: 4, length: 5 },
      { offset: -1 },
      { length: 0.5 },
      { length: NaN },
    ]) {
      assert.throws(() => ring.read(1, 0, memory, range), {
        code: 'ERR_OUT_OF_RANGE',
        message: /inside the 8 bytes of the memory\. Received offset/,
      });
    }
    for (const position of [-2, 0.5, 2 ** 53]) {
      assert.throws(() => ring.read(1, 0, memory, { position }), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => ring.read(1, 0, new Uint8Array(8)), { code: 'ERR_ANNULUS_NOT_A_REGION' });
    assert.equal(ring.unsubmitted, 0);
  });

  it('write: whole, in part, beyond 4 GiB', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const memory = memoryOf('abcdef');
    assert.equal(
      runOne(ring, (token) => ring.write(token, fd, memory, { position: 1, offset: 2, length: 3 })),
      3,
    );
    assert.equal(readFileSync(folder.at('file'), 'latin1'), '\0cde');
    const far = 2 ** 33 + 5;
    assert.equal(
      runOne(ring, (token) => ring.write(token, fd, memory, { position: far })),
      6,
    );
    assert.equal(statSync(folder.at('file')).size, far + 6);
    assert.equal(
      runOne(ring, (token) => ring.write(token, bad, memory)),
      EBADF,
    );
  });

  it('readv and writev: several pieces in order', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const pieces = [memoryOf('one'), memoryOf('two'), memoryOf('three')];
    assert.equal(
      runOne(ring, (token) => ring.writev(token, fd, pieces, 0)),
      11,
    );
    assert.equal(readFileSync(folder.at('file'), 'latin1'), 'onetwothree');
    const into = [alloc(4), alloc(7)];
    assert.equal(
      runOne(ring, (token) => ring.readv(token, fd, into, 0)),
      11,
    );
    assert.deepEqual(
      into.map((piece) => textOf(piece)),
      ['onet', 'wothree'],
    );
    assert.equal(
      runOne(ring, (token) => ring.readv(token, bad, into)),
      EBADF,
    );
    assert.throws(() => ring.readv(1, fd, []), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.readv(1, fd, new Array(1025).fill(into[0])), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /Received 1025/,
    });
    assert.throws(() => ring.writev(1, fd, into, -2), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('readFixed and writeFixed: registered memory', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    const source = memoryOf('registered');
    const target = Region.allocate(4096);
    const [from, to] = ring.register.buffers([source, target]);
    assert.equal(
      runOne(ring, (token) => ring.writeFixed(token, fd, from!, { position: 0 })),
      10,
    );
    assert.equal(
      runOne(ring, (token) =>
        ring.readFixed(token, fd, to!, { position: 2, offset: 100, length: 5 }),
      ),
      5,
    );
    assert.equal(textOf(target.bytes.subarray(100, 105)), 'giste');
    assert.equal(
      runOne(ring, (token) => ring.readFixed(token, bad, to!)),
      EBADF,
    );
    assert.throws(() => target.close(), { code: 'ERR_REGION_BUSY' });
    assert.throws(() => ring.register.buffers([source]), {
      code: 'EBUSY',
      message: /take it back/,
    });
    ring.register.unregisterBuffers();
    target.close();
    assert.throws(() => ring.register.unregisterBuffers(), { code: 'ENXIO' });
    assert.throws(() => ring.register.buffers([]), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.register.buffers([new Uint8Array(8)]), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
  });

  it('registered files stand for descriptors', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fds = [folder.open('first', 'a'), folder.open('second', 'b')];
    const [first, empty] = ring.register.files([fds[0]!, -1]);
    const memory = alloc(8);
    const read = (file: FixedFile): number =>
      runOne(ring, (token) => ring.read(token, file, memory, { position: 0 }));
    assert.equal(read(first!), 5);
    assert.equal(read(empty!), EBADF);
    const second = ring.register.updateFile(empty!, fds[1]!);
    assert.equal(read(second), 6);
    assert.equal(textOf(memory, 6), 'second');
    assert.equal(
      runOne(ring, (token) => ring.fsync(token, first!)),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, first!)),
      0,
    );
    assert.equal(read(ring.register.fixedFile(0)), EBADF);
    assert.equal(read(second), 6, 'a wiped entry does not close the next file');
    assert.throws(() => ring.register.updateFiles(9, [0]), { code: 'EINVAL' });
    ring.register.unregisterFiles();
    assert.throws(() => read(second), { code: 'ERR_ANNULUS_STALE_FILE' });
  });

  it('pins memory until the request has completed', () => {
    using ends = pair();
    using ring = new Ring({ entries: 8 });
    using region = Region.allocate(4096);
    ring.read(1, ends.reader, region);
    ring.readv(2, ends.reader, [region, region.bytes.subarray(10)]);
    ring.submit();
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    ends.write('x');
    ring.submitAndWait(1);
    ring.drain(() => {});
    assert.equal(region.busy, true);
    ends.write('y');
    finish(ring);
    assert.equal(region.busy, false);
  });
});

describe('requests on files', needs('FALLOCATE'), () => {
  it('nop, fsync, fdatasync', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('x');
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      0,
    );
    for (const datasync of [false, true]) {
      assert.equal(
        runOne(ring, (token) => ring.fsync(token, fd, { datasync })),
        0,
      );
      assert.equal(
        runOne(ring, (token) => ring.fsync(token, bad, { datasync })),
        EBADF,
      );
    }
  });

  it('fallocate', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open();
    assert.equal(
      runOne(ring, (token) => ring.fallocate(token, fd, 100, 5000)),
      0,
    );
    assert.equal(statSync(folder.at('file')).size, 5100);
    assert.equal(
      runOne(ring, (token) => ring.fallocate(token, bad, 0, 1)),
      EBADF,
    );
    assert.throws(() => ring.fallocate(1, fd, 0, 0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.fallocate(1, fd, -1, 1), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('ftruncate', needs('FTRUNCATE'), () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('0123456789');
    for (const length of [4, 2 ** 33]) {
      assert.equal(
        runOne(ring, (token) => ring.ftruncate(token, fd, length)),
        0,
      );
      assert.equal(statSync(folder.at('file')).size, length);
    }
    assert.equal(
      runOne(ring, (token) => ring.ftruncate(token, bad, 1)),
      EBADF,
    );
  });
});

describe('requests on paths', needs('OPENAT', 'MKDIRAT', 'UNLINKAT', 'RENAMEAT', 'STATX'), () => {
  const ENOENT = -2;

  it('openat and close', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const path = folder.at('new ü file');
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
    const fd = runOne(ring, (token) => ring.openat(token, path, flags, 0o640));
    assert.ok(fd > 2);
    assert.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask());
    const again = runOne(ring, (token) => ring.openat(token, path, flags));
    assert.equal(again, -17);
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, fd)),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, fd)),
      EBADF,
    );
    assert.equal(
      runOne(ring, (token) => ring.openat(token, folder.at('none'), 0)),
      ENOENT,
    );
    const long = folder.at('x'.repeat(200));
    assert.equal(
      runOne(ring, (token) => ring.openat(token, long, 0)),
      ENOENT,
    );
  });

  it('relative to a directory', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const directory = runOne(ring, (token) => ring.openat(token, folder.path, 0));
    const options = { directory };
    const run = (prepare: (token: number) => void): number => runOne(ring, prepare);
    assert.equal(
      run((token) => ring.mkdirat(token, 'a', 0o700, options)),
      0,
    );
    assert.equal(
      run((token) => ring.renameat(token, 'a', 'b', { ...options, toDirectory: directory })),
      0,
    );
    assert.ok(existsSync(folder.at('b')));
    assert.equal(
      run((token) => ring.unlinkat(token, 'b', { ...options, removeDirectory: true })),
      0,
    );
    run((token) => ring.closeFd(token, directory));
  });

  it('mkdirat, renameat, unlinkat', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('x', 'from');
    const at = (name: string): string => folder.at(name);
    const run = (prepare: (token: number) => void): number => runOne(ring, prepare);
    assert.equal(
      run((token) => ring.mkdirat(token, at('d'))),
      0,
    );
    assert.equal(
      run((token) => ring.mkdirat(token, at('d'))),
      -17,
    );
    const long = `d/${'y'.repeat(250)}`;
    assert.equal(
      run((token) => ring.renameat(token, at('from'), at(long))),
      0,
    );
    assert.ok(existsSync(at(long)));
    assert.equal(
      run((token) => ring.renameat(token, at('from'), at('z'))),
      ENOENT,
    );
    assert.equal(
      run((token) => ring.unlinkat(token, at('d'))),
      -21,
      'EISDIR',
    );
    assert.equal(
      run((token) => ring.unlinkat(token, at('d'), { removeDirectory: true })),
      -39,
      'ENOTEMPTY',
    );
    assert.equal(
      run((token) => ring.unlinkat(token, at(long))),
      0,
    );
    assert.equal(
      run((token) => ring.unlinkat(token, at(long))),
      ENOENT,
    );
  });

  it('statx', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('0123456789', 'a');
    symlinkSync('a', folder.at('link'));
    const memory = alloc(256);
    const run = (path: string, flags: number): number =>
      runOne(ring, (token) => ring.statx(token, folder.at(path), memory, { flags }));
    assert.equal(run('link', 0), 0);
    const status = decodeStatx(memory);
    const expected = statSync(folder.at('a'), { bigint: true });
    assert.deepEqual(
      [status.inode, BigInt(status.size), BigInt(status.mode), BigInt(status.links)],
      [expected.ino, expected.size, expected.mode, expected.nlink],
    );
    assert.equal(status.modifyTime, expected.mtimeNs);
    assert.equal(status.changeTime, expected.ctimeNs);
    assert.deepEqual([status.uid, status.gid], [Number(expected.uid), Number(expected.gid)]);
    assert.equal(run('link', AT.SYMLINK_NOFOLLOW), 0);
    assert.equal(decodeStatx(memory).mode & S_IF.MT, S_IF.LNK);
    assert.equal(run('none', 0), ENOENT);
    assert.throws(() => ring.statx(1, '/', alloc(255)), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('refuses paths that are none', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.openat(1, 'a\0b', 0), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /NUL/,
    });
    assert.throws(() => ring.openat(1, 'ü'.repeat(2048), 0), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /shorter than 4096 bytes\. Received 4096 bytes/,
    });
    assert.throws(() => ring.mkdirat(1, 5 as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => ring.renameat(1, 'a', 'b\0'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.openat(1, 'a', -1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.mkdirat(1, 'a', 0o10000), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.unlinkat(1, 'a', { directory: -5 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 0);
  });

  it('keeps a path of its own: the text may be collected and the cell reused', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 64 });
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 64; i++) ring.mkdirat(i, folder.at(`${round}-${i}`));
      assert.ok([...finish(ring).values()].every((result) => result === 0));
    }
    assert.ok(existsSync(folder.at('19-63')));
  });
});
