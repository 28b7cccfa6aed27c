/**
 * Names of files: making, moving, linking and removing them.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { describe, it } from 'node:test';

import { AT, Ring } from 'annulus/uring';

import { Folder, needs, resultsOf, runOne } from '../../support/uring.js';

const [EPERM, ENOENT, EBADF, EEXIST, ENOTDIR] = [-1, -2, -9, -17, -20];
const [EISDIR, EINVAL, ENOTEMPTY] = [-21, -22, -39];
const RENAME = { NOREPLACE: 1, EXCHANGE: 2 };
const { O_DIRECTORY } = fs.constants;

function read(path: string): string {
  return fs.readFileSync(path, 'latin1');
}

describe('rename', needs('RENAMEAT'), () => {
  it('moves a file over another one, between directories', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('moved', 'a');
    fs.mkdirSync(folder.at('d'));
    folder.open('replaced', 'd/b');
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    const toDirectory = fs.openSync(folder.at('d'), O_DIRECTORY);
    assert.equal(
      runOne(ring, (token) => ring.renameat(token, 'a', 'b', { directory, toDirectory })),
      0,
    );
    assert.equal(read(folder.at('d/b')), 'moved');
    assert.equal(fs.existsSync(folder.at('a')), false);
    for (const fd of [directory, toDirectory]) fs.closeSync(fd);
  });

  it('NOREPLACE spares what is there, EXCHANGE swaps', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('A', 'a');
    folder.open('B', 'b');
    const rename = (flags: number): number =>
      runOne(ring, (token) => ring.renameat(token, folder.at('a'), folder.at('b'), { flags }));
    assert.equal(rename(RENAME.NOREPLACE), EEXIST);
    assert.deepEqual([read(folder.at('a')), read(folder.at('b'))], ['A', 'B']);
    assert.equal(rename(RENAME.EXCHANGE), 0);
    assert.deepEqual([read(folder.at('a')), read(folder.at('b'))], ['B', 'A']);
    assert.equal(rename(RENAME.EXCHANGE | RENAME.NOREPLACE), EINVAL);
  });

  it('fails as rename(2) does', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    fs.mkdirSync(folder.at('d'));
    folder.open('', 'd/below');
    fs.mkdirSync(folder.at('e'));
    ring.renameat(1, folder.at('none'), folder.at('x'));
    ring.renameat(2, folder.at('d'), folder.at('d/below/x'));
    ring.renameat(3, folder.at('f'), folder.at('d'));
    ring.renameat(4, folder.at('e'), folder.at('d'));
    ring.renameat(5, folder.at('d'), folder.at('f'));
    const expected = [ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, ENOTDIR];
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4, 5), expected);
  });
});

describe('unlink', needs('UNLINKAT'), () => {
  it('removes a name; the file lives as long as it is open', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('still here');
    const unlink = (): number => runOne(ring, (token) => ring.unlinkat(token, folder.at('file')));
    assert.equal(unlink(), 0);
    assert.equal(unlink(), ENOENT);
    assert.equal(fs.fstatSync(fd).nlink, 0);
    assert.equal(fs.readFileSync(fd, 'latin1'), 'still here');
  });

  it('tells directories from files', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    fs.mkdirSync(folder.at('d'));
    folder.open('', 'd/below');
    ring.unlinkat(1, folder.at('d'));
    ring.unlinkat(2, folder.at('d'), { removeDirectory: true });
    ring.unlinkat(3, folder.at('f'), { removeDirectory: true });
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [EISDIR, ENOTEMPTY, ENOTDIR]);
    fs.unlinkSync(folder.at('d/below'));
    assert.equal(
      runOne(ring, (token) => ring.unlinkat(token, folder.at('d'), { removeDirectory: true })),
      0,
    );
    assert.deepEqual(fs.readdirSync(folder.path), ['f']);
  });
});

describe('mkdir', needs('MKDIRAT'), () => {
  it('makes a directory, from a directory too, with the mode less the umask', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    assert.equal(
      runOne(ring, (token) => ring.mkdirat(token, 'd', 0o750, { directory })),
      0,
    );
    assert.equal(fs.statSync(folder.at('d')).mode & 0o777, 0o750 & ~process.umask());
    fs.closeSync(directory);
  });

  it('fails as mkdir(2) does', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    ring.mkdirat(1, folder.at('f'));
    ring.mkdirat(2, folder.at('f/d'));
    ring.mkdirat(3, folder.at('none/d'));
    ring.mkdirat(4, 'relative', 0o777, { directory: 1_000_000 });
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4), [EEXIST, ENOTDIR, ENOENT, EBADF]);
  });
});

describe('symlink', needs('SYMLINKAT'), () => {
  it('keeps the target as it is written, whether or not it exists', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    const far = `${'../'.repeat(30)}nowhere at all`;
    ring.symlinkat(1, far, folder.at('one'));
    ring.symlinkat(2, 'one', 'two', { directory });
    assert.deepEqual(resultsOf(ring, 1, 2), [0, 0]);
    assert.equal(fs.readlinkSync(folder.at('one')), far);
    assert.equal(fs.readlinkSync(folder.at('two')), 'one');
    fs.closeSync(directory);
  });

  it('fails as symlink(2) does, and refuses paths with NUL', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    ring.symlinkat(1, 'x', folder.at('f'));
    ring.symlinkat(2, '', folder.at('empty'));
    ring.symlinkat(3, 'x', folder.at('none/link'));
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [EEXIST, ENOENT, ENOENT]);
    assert.throws(() => ring.symlinkat(1, 'a\0b', 'c'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => ring.symlinkat(1, 'a', 'c\0'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.equal(ring.unsubmitted, 0);
  });
});

describe('hardlink', needs('LINKAT'), () => {
  it('gives a file a second name', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const fd = folder.open('shared', 'a');
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    const options = { directory, toDirectory: directory };
    assert.equal(
      runOne(ring, (token) => ring.linkat(token, 'a', 'b', options)),
      0,
    );
    assert.equal(fs.fstatSync(fd).nlink, 2);
    fs.appendFileSync(folder.at('b'), '!');
    assert.equal(read(folder.at('a')), 'shared!');
    fs.closeSync(directory);
  });

  it('links a symbolic link itself, or with SYMLINK_FOLLOW its target', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('target', 'f');
    fs.symlinkSync('f', folder.at('s'));
    ring.linkat(1, folder.at('s'), folder.at('same'));
    ring.linkat(2, folder.at('s'), folder.at('followed'), { flags: AT.SYMLINK_FOLLOW });
    assert.deepEqual(resultsOf(ring, 1, 2), [0, 0]);
    assert.ok(fs.lstatSync(folder.at('same')).isSymbolicLink());
    assert.ok(fs.lstatSync(folder.at('followed')).isFile());
  });

  it('fails as link(2) does', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'a');
    folder.open('', 'b');
    fs.mkdirSync(folder.at('d'));
    ring.linkat(1, folder.at('a'), folder.at('b'));
    ring.linkat(2, folder.at('none'), folder.at('c'));
    ring.linkat(3, folder.at('d'), folder.at('e'));
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [EEXIST, ENOENT, EPERM]);
  });
});
