/**
 * Extended attributes, by path and by descriptor.
 */

import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import { alloc } from 'annulus';
import { Ring, XATTR } from 'annulus/uring';

import { Folder, memoryOf, needs, resultsOf, runOne, textOf } from '../../support/uring.js';

const [ENOENT, EEXIST, EINVAL, ERANGE, ENODATA, ENOTSUP] = [-2, -17, -22, -34, -61, -95];

/** A file with the attribute `user.note`; undefined, and the test skipped, where there are none. */
function annotated(
  test: TestContext,
  folder: Folder,
  ring: Ring,
  note: string,
): number | undefined {
  const fd = folder.open();
  const set = runOne(ring, (token) => ring.fsetxattr(token, fd, 'user.note', memoryOf(note)));
  if (set === ENOTSUP) {
    test.skip('the file system of the temporary folder has no attributes');
    return undefined;
  }
  assert.equal(set, 0);
  return fd;
}

describe('xattr', needs('FSETXATTR', 'SETXATTR', 'FGETXATTR', 'GETXATTR'), () => {
  it('what is set by one way is read by the other', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = annotated(test, folder, ring, 'by descriptor');
    if (fd === undefined) return;
    const memory = alloc(64);
    const path = folder.at('file');
    assert.equal(
      runOne(ring, (token) => ring.getxattr(token, path, 'user.note', memory)),
      13,
    );
    assert.equal(textOf(memory, 13), 'by descriptor');
    assert.equal(
      runOne(ring, (token) => ring.setxattr(token, path, 'user.note', memoryOf('by path'))),
      0,
    );
    assert.equal(
      runOne(ring, (token) => ring.fgetxattr(token, fd, 'user.note', memory)),
      7,
    );
    assert.equal(textOf(memory, 7), 'by path');
  });

  it('asks for the size; memory that is too small stays as it is', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = annotated(test, folder, ring, 'twelve bytes');
    if (fd === undefined) return;
    const memory = alloc(11).fill(0x2d);
    ring.fgetxattr(1, fd, 'user.note');
    ring.getxattr(2, folder.at('file'), 'user.note');
    ring.fgetxattr(3, fd, 'user.note', memory);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [12, 12, ERANGE]);
    assert.equal(textOf(memory), '-'.repeat(11));
  });

  it('CREATE wants a new one, REPLACE an old one', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = annotated(test, folder, ring, 'first');
    if (fd === undefined) return;
    const value = memoryOf('second');
    ring.fsetxattr(1, fd, 'user.note', value, XATTR.CREATE);
    ring.fsetxattr(2, fd, 'user.other', value, XATTR.REPLACE);
    ring.fsetxattr(3, fd, 'user.note', value, XATTR.REPLACE);
    ring.fsetxattr(4, fd, 'user.other', value, XATTR.CREATE);
    ring.fsetxattr(5, fd, 'user.other', value, 0x40);
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4, 5), [EEXIST, ENODATA, 0, 0, EINVAL]);
  });

  it('says what is missing: the attribute, the file, the name space', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = annotated(test, folder, ring, 'x');
    if (fd === undefined) return;
    const memory = alloc(8);
    ring.fgetxattr(1, fd, 'user.none', memory);
    ring.getxattr(2, folder.at('none'), 'user.note', memory);
    ring.fsetxattr(3, fd, 'nonsense', memory);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ENODATA, ENOENT, ENOTSUP]);
    const name = `user.${'x'.repeat(251)}`;
    for (const bad of [name, 'user.a\0b']) {
      assert.throws(() => ring.fgetxattr(4, fd, bad), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.equal(ring.unsubmitted, 0);
  });

  it('follows symbolic links, and takes names and values up to their limits', (test) => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    if (annotated(test, folder, ring, 'x') === undefined) return;
    symlinkSync('file', folder.at('link'));
    const name = `user.${'n'.repeat(250)}`;
    const value = alloc(1024).fill(0x76);
    assert.equal(
      runOne(ring, (token) => ring.setxattr(token, folder.at('link'), name, value)),
      0,
    );
    const memory = alloc(2048);
    assert.equal(
      runOne(ring, (token) => ring.getxattr(token, folder.at('file'), name, memory)),
      1024,
    );
    assert.equal(textOf(memory, 1024), 'v'.repeat(1024));
    assert.equal(memory[1024], 0);
  });
});
