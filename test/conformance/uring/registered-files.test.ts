/**
 * Registered files: slots, their replacement, tags, and where the kernel puts files it chooses for.
 */

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, FILE_INDEX_ALLOC, Ring, SOCK } from 'annulus/uring';
import type { FixedFile } from 'annulus/uring';

import { census } from '../../support/census.ts';
import { duplicate } from '#src/sys/linux.js';
import { finish, Folder, needs, registers, runOne, take } from '../../support/uring.ts';
import { pair } from '../../unit/support/pair.ts';

const [EBADF, ENFILE] = [-9, -23];
const stale = { code: 'ERR_ANNULUS_STALE_FILE' };

/** The first byte of a registered file, or the errno. */
function firstByte(ring: Ring, file: FixedFile): string | number {
  const memory = alloc(1);
  const result = runOne(ring, (token) => ring.read(token, file, memory, { position: 0 }));
  return result < 0 ? result : String.fromCodePoint(memory[0]!);
}

describe('registering files', needs(), () => {
  it('keeps a file open whose descriptor is closed', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    folder.open('a', 'a');
    const fd = openSync(folder.at('a'), 'r');
    const [file] = ring.register.files([fd]);
    closeSync(fd);
    assert.equal(firstByte(ring, file!), 'a');
  });

  it('refuses a second table, and a bad descriptor, without a trace', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('a');
    assert.throws(() => ring.register.files([fd, 1_000_000]), { code: 'EBADF' });
    const [file] = ring.register.files([fd]);
    assert.throws(() => ring.register.files([fd]), { code: 'EBUSY' });
    assert.equal(firstByte(ring, file!), 'a');
    ring.register.unregisterFiles();
    assert.throws(() => ring.register.unregisterFiles(), { code: 'ENXIO' });
    ring.register.files([fd]);
  });

  it('completes with EBADF on an empty slot', registers('REGISTER_FILES2'), () => {
    using ring = new Ring({ entries: 4 });
    const [empty] = ring.register.files([-1]);
    assert.equal(firstByte(ring, empty!), EBADF);
    ring.register.unregisterFiles();
    ring.register.sparseFiles(3);
    assert.equal(firstByte(ring, ring.register.fixedFile(2)), EBADF);
    assert.throws(() => ring.register.fixedFile(3), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('lets go of its files when the ring is closed', async () => {
    using ends = pair();
    const before = census();
    const ring = new Ring({ entries: 4 });
    const writer = duplicate(ends.writer);
    const [file] = ring.register.files([writer]);
    closeSync(writer);
    ring.close();
    assert.throws(() => ring.read(1, file!, alloc(1)), { code: 'ERR_ANNULUS_CLOSED' });
    assert.throws(() => ring.register.updateFile(file!, -1), { code: 'ERR_ANNULUS_CLOSED' });
    assert.deepEqual(census(), before);
  });
});

describe('replacing registered files', needs(), () => {
  it('fills, skips and empties slots in one call', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => folder.open(name, name));
    const [first, second, third] = ring.register.files([a!, a!, a!]);
    const files = ring.register.updateFiles(0, [b!, null, -1]);
    assert.deepEqual(
      files.map((file) => firstByte(ring, file)),
      ['b', 'a', EBADF],
    );
    assert.throws(() => firstByte(ring, first!), stale);
    assert.equal(firstByte(ring, second!), 'a', 'a skipped slot keeps its handle');
    assert.throws(() => ring.register.updateFile(third!, c!), stale);
    assert.equal(firstByte(ring, ring.register.updateFile(files[2]!, c!)), 'c');
  });

  it('fills the slots before a bad descriptor, and no others', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const [a, b] = ['a', 'b'].map((name) => folder.open(name, name));
    const [first, , third] = ring.register.files([a!, a!, a!]);
    assert.throws(() => ring.register.updateFiles(0, [b!, 1_000_000, b!]), { code: 'EBADF' });
    assert.throws(() => firstByte(ring, first!), stale);
    assert.equal(firstByte(ring, ring.register.fixedFile(0)), 'b');
    assert.equal(firstByte(ring, third!), 'a');
  });

  it('refuses slots that are not there', () => {
    using ring = new Ring({ entries: 4 });
    assert.throws(() => ring.register.updateFiles(0, [-1]), { code: 'ENXIO' });
    ring.register.files([-1]);
    assert.throws(() => ring.register.updateFiles(1, [-1]), { code: 'EINVAL' });
    assert.throws(() => ring.register.updateFiles(-1, [-1]), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.register.updateFiles(0, [0.5]), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('leaves requests in flight the file they were submitted with', () => {
    using ring = new Ring({ entries: 4 });
    using one = pair();
    using other = pair();
    const [file] = ring.register.files([one.reader]);
    const memory = alloc(4);
    ring.read(1, file!, memory);
    ring.submit();
    ring.register.updateFile(file!, other.reader);
    other.write('no');
    one.write('yes');
    assert.equal(finish(ring).get(1), 3);
    assert.equal(Buffer.from(memory.subarray(0, 3)).toString(), 'yes');
  });
});

describe('hazard 12: a slot that has another file now', needs(), () => {
  it('is not reached by the handle of the file before', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const [a, b] = ['a', 'b'].map((name) => folder.open(name, name));
    const [file] = ring.register.files([a!]);
    ring.closeFd(1, file!);
    assert.throws(() => ring.read(2, file!, alloc(1)), stale);
    assert.throws(() => ring.closeFd(2, file!), stale);
    assert.equal(finish(ring).get(1), 0);
    const [replaced] = ring.register.updateFiles(0, [b!]);
    for (const act of [
      (): unknown => ring.read(2, file!, alloc(1)),
      (): unknown => ring.write(2, file!, alloc(1)),
      (): unknown => ring.fsync(2, file!),
      (): unknown => ring.register.updateFile(file!, a!),
    ]) {
      assert.throws(act, stale);
    }
    assert.equal(firstByte(ring, replaced!), 'b');
    assert.equal(ring.unsubmitted, 0);
  });

  it('closes a registered file once, and not the descriptor of that number', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('a');
    const [file] = ring.register.files([fd]);
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, file!)),
      0,
    );
    const again = ring.register.fixedFile(0);
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, again)),
      EBADF,
    );
    assert.equal(
      runOne(ring, (token) => ring.fsync(token, fd)),
      0,
      'the descriptor is open',
    );
  });

  it('tells a new table from the one before, and one ring from another', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    using other = new Ring({ entries: 4 });
    const fd = folder.open('a');
    const [old] = ring.register.files([fd]);
    ring.register.unregisterFiles();
    assert.throws(() => firstByte(ring, old!), stale);
    ring.register.files([fd]);
    assert.throws(() => firstByte(ring, old!), stale);
    const [foreign] = other.register.files([fd]);
    assert.throws(() => firstByte(ring, foreign!), { ...stale, message: /another ring/ });
  });

  it('is refused to forgeries', () => {
    using ring = new Ring({ entries: 4 });
    ring.register.files([-1]);
    const forged = { index: 0 } as unknown as FixedFile;
    assert.throws(() => ring.read(1, forged, alloc(1)), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => ring.register.updateFile(forged, -1), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('tagged files', registers('REGISTER_FILES2', 'REGISTER_FILES_UPDATE2'), () => {
  it('complete with their tag once nothing uses them any more', () => {
    using ring = new Ring({ entries: 4 });
    using ends = pair();
    const [file] = ring.register.files([ends.reader], { tags: [7] });
    ring.read(1, file!, alloc(4));
    ring.submit();
    ring.register.updateFile(file!, -1);
    assert.equal(ring.inFlight, 1, 'a tag is no request');
    assert.equal(ring.ready, 0, 'the read still uses the file');
    ends.write('x');
    const tokens = new Set<number>();
    while (tokens.size < 2) {
      ring.submitAndWait(1, { timeout: 1000 });
      ring.drain((token) => tokens.add(token));
    }
    assert.deepEqual(tokens, new Set([1, 7]));
    assert.equal(ring.inFlight, 0);
  });

  it('complete for what is replaced and unregistered, and not for what has no tag', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('a');
    ring.register.files([fd, fd, fd], { tags: [1, -1, 3] });
    ring.register.updateFiles(0, [fd, fd], { tags: [4, -1] });
    assert.deepEqual(take(ring, 0), [{ token: 1, result: 0, more: false }]);
    ring.register.unregisterFiles();
    const tokens = take(ring, 0).map(({ token }) => token);
    assert.deepEqual(new Set(tokens), new Set([3, 4]));
    assert.equal(ring.inFlight, 0);
  });

  it('are refused by number, and leave nothing behind', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('a');
    assert.throws(() => ring.register.files([fd], { tags: [] }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.register.files([fd], { tags: [2 ** 31] }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => ring.register.files([1_000_000], { tags: [1] }), { code: 'EBADF' });
    assert.deepEqual(take(ring, 0), []);
  });
});

describe('slots the kernel chooses', registers('REGISTER_FILE_ALLOC_RANGE'), () => {
  it('lie in the range the program leaves to it', needs('SOCKET'), () => {
    using ring = new Ring({ entries: 8 });
    ring.register.sparseFiles(8);
    ring.register.fileAllocRange(3, 2);
    const chosen = [1, 2, 3].map(() =>
      runOne(ring, (token) => ring.socketDirect(token, FILE_INDEX_ALLOC, AF.INET, SOCK.STREAM)),
    );
    assert.deepEqual(chosen, [3, 4, ENFILE]);
    const third = ring.register.fixedFile(3);
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, third)),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.socketDirect(token, FILE_INDEX_ALLOC, AF.INET, SOCK.STREAM)),
      3,
    );
  });

  it('are none once the table is gone', needs('SOCKET'), () => {
    using ring = new Ring({ entries: 8 });
    const choose = (): number =>
      runOne(ring, (token) => ring.socketDirect(token, FILE_INDEX_ALLOC, AF.INET, SOCK.STREAM));
    assert.equal(choose(), ENFILE);
    ring.register.sparseFiles(4);
    assert.deepEqual([choose(), choose()], [0, 1]);
    ring.register.unregisterFiles();
    assert.equal(choose(), ENFILE);
    ring.register.sparseFiles(1);
    assert.deepEqual([choose(), choose()], [0, ENFILE]);
  });

  it('are refused outside of the table', () => {
    using ring = new Ring({ entries: 4 });
    ring.register.sparseFiles(4);
    assert.throws(() => ring.register.fileAllocRange(3, 2), {
      code: 'EINVAL',
      message: /3 to 5 is not within the registered slots/,
    });
    ring.register.fileAllocRange(0, 4);
  });
});
