/**
 * Opening, closing and describing files by path.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AT, decodeStatx, RESOLVE, Ring, S_IF } from 'annulus/uring';
import type { OpenHow } from 'annulus/uring';

import { Folder, finish, needs, resultsOf, runOne } from '../../support/uring.js';

const [ENOENT, EBADF, EEXIST, EXDEV, ENOTDIR] = [-2, -9, -17, -18, -20];
const [EINVAL, ELOOP] = [-22, -40];
const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants;

/** The file a descriptor is of, by its path. */
function nameOf(fd: number): string {
  return fs.readlinkSync(`/proc/self/fd/${fd}`);
}

function isCloseOnExec(fd: number): boolean {
  const flags = /^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return (Number.parseInt(flags![1]!, 8) & 0o2000000) !== 0;
}

/** Runs `openat2`; true if a file was opened (and is closed again), else the errno. */
function openat2(ring: Ring, path: string, how: OpenHow): number | string {
  const fd = runOne(ring, (token) => ring.openat2(token, path, how));
  if (fd < 0) return fd;
  const name = nameOf(fd);
  fs.closeSync(fd);
  return name;
}

describe('open-close', needs('OPENAT', 'CLOSE'), () => {
  it('opens, by a path from anywhere or from a directory, and closes', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('x', 'f');
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    ring.openat(1, folder.at('f'), O_RDONLY);
    ring.openat(2, 'f', O_RDWR, 0, { directory });
    ring.openat(3, 'f', O_RDWR, 0, { directory: 1_000_000 });
    const fds = resultsOf(ring, 1, 2, 3);
    assert.equal(fds[2], EBADF);
    for (const fd of fds.slice(0, 2) as number[]) {
      assert.equal(nameOf(fd), folder.at('f'));
      assert.ok(isCloseOnExec(fd));
      assert.equal(
        runOne(ring, (token) => ring.closeFd(token, fd)),
        0,
      );
      assert.equal(
        runOne(ring, (token) => ring.closeFd(token, fd)),
        EBADF,
      );
    }
    fs.closeSync(directory);
  });

  it('creates with the mode given, less the umask, and only once with O_EXCL', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const open = (): number =>
      runOne(ring, (token) =>
        ring.openat(token, folder.at('new'), O_CREAT | O_EXCL | O_WRONLY, 0o751),
      );
    const fd = open();
    assert.ok(fd >= 0);
    const mode = fs.fstatSync(fd).mode & 0o777;
    assert.equal(mode, 0o751 & ~process.umask());
    assert.equal(open(), EEXIST);
    fs.closeSync(fd);
  });

  it('fails as open(2) does', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('x', 'f');
    ring.openat(1, folder.at('none'), O_RDONLY);
    ring.openat(2, folder.at('f/below'), O_RDONLY);
    ring.openat(3, folder.at('f'), O_DIRECTORY);
    assert.deepEqual(resultsOf(ring, 1, 2, 3), [ENOENT, ENOTDIR, ENOTDIR]);
  });

  it('a path of any length lives until the request has run', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 64 });
    const names = Array.from({ length: 48 }, (_, index) => 'n'.repeat(1 + index * 5));
    for (const name of names) folder.open('', name);
    names.forEach((name, token) => ring.openat(token, folder.at(name), O_RDONLY));
    for (const [token, fd] of finish(ring)) {
      assert.equal(nameOf(fd), folder.at(names[token]!));
      fs.closeSync(fd);
    }
  });
});

describe('openat2', needs('OPENAT2'), () => {
  it('BENEATH stays below the directory it starts from', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    fs.mkdirSync(folder.at('d'));
    folder.open('', 'd/inside');
    folder.open('', 'outside');
    fs.symlinkSync('../outside', folder.at('d/out'));
    fs.symlinkSync('inside', folder.at('d/in'));
    const directory = fs.openSync(folder.at('d'), O_DIRECTORY);
    const how = { directory, resolve: RESOLVE.BENEATH };
    assert.equal(openat2(ring, 'inside', how), folder.at('d/inside'));
    assert.equal(openat2(ring, 'in', how), folder.at('d/inside'));
    assert.equal(openat2(ring, '../outside', how), EXDEV);
    assert.equal(openat2(ring, 'out', how), EXDEV);
    assert.equal(openat2(ring, folder.at('d/inside'), how), EXDEV, 'not even by its full path');
    assert.equal(openat2(ring, '../outside', { directory }), folder.at('outside'));
    fs.closeSync(directory);
  });

  it('IN_ROOT takes the directory for the root', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    const directory = fs.openSync(folder.path, O_DIRECTORY);
    const how = { directory, resolve: RESOLVE.IN_ROOT };
    assert.equal(openat2(ring, '/f', how), folder.at('f'));
    assert.equal(openat2(ring, '../../../f', how), folder.at('f'));
    assert.equal(openat2(ring, '/etc/passwd', how), ENOENT);
    fs.closeSync(directory);
  });

  it('NO_SYMLINKS and NO_MAGICLINKS refuse links', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    fs.symlinkSync('f', folder.at('link'));
    const strict = { resolve: RESOLVE.NO_SYMLINKS };
    assert.equal(openat2(ring, folder.at('link'), {}), folder.at('f'));
    assert.equal(openat2(ring, folder.at('link'), strict), ELOOP);
    const magic = { resolve: RESOLVE.NO_MAGICLINKS };
    assert.equal(openat2(ring, '/proc/self/exe', magic), ELOOP);
    assert.equal(openat2(ring, folder.at('link'), magic), folder.at('f'));
  });

  it('is strict where openat is not: unknown flags, a mode for nothing', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('', 'f');
    const unknown = 0x40000000;
    const fd = runOne(ring, (token) => ring.openat(token, folder.at('f'), unknown));
    assert.ok(fd >= 0);
    fs.closeSync(fd);
    assert.equal(openat2(ring, folder.at('f'), { flags: unknown }), EINVAL);
    assert.equal(openat2(ring, folder.at('f'), { mode: 0o600 }), EINVAL);
    assert.equal(openat2(ring, folder.at('f'), { resolve: 0x4000 }), EINVAL);
    const made = { flags: O_CREAT | O_RDWR, mode: 0o640 };
    assert.equal(openat2(ring, folder.at('new'), made), folder.at('new'));
    assert.equal(fs.statSync(folder.at('new')).mode & 0o777, 0o640 & ~process.umask());
  });

  it('takes long paths as well as short ones, and sets close-on-exec', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 64 });
    const names = Array.from({ length: 40 }, (_, index) => 'm'.repeat(1 + index * 6));
    for (const name of names) folder.open('', name);
    names.forEach((name, token) => ring.openat2(token, folder.at(name), { flags: O_RDWR }));
    for (const [token, fd] of finish(ring)) {
      assert.equal(nameOf(fd), folder.at(names[token]!));
      assert.ok(isCloseOnExec(fd));
      fs.closeSync(fd);
    }
  });
});

describe('statx', needs('STATX'), () => {
  it('says what stat(2) says, of links or of what they point to', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    folder.open('some content', 'f');
    fs.linkSync(folder.at('f'), folder.at('second'));
    fs.symlinkSync('f', folder.at('link'));
    const memory = alloc(256);
    const statx = (name: string, flags: number): ReturnType<typeof decodeStatx> => {
      assert.equal(
        runOne(ring, (token) => ring.statx(token, folder.at(name), memory, { flags })),
        0,
      );
      return decodeStatx(memory);
    };
    const expected = fs.statSync(folder.at('f'), { bigint: true });
    const found = statx('link', 0);
    assert.deepEqual(
      [found.size, found.links, found.inode, found.modifyTime, found.uid],
      [12, 2, expected.ino, expected.mtimeNs, Number(expected.uid)],
    );
    assert.equal(found.mode, Number(expected.mode));
    assert.equal(statx('link', AT.SYMLINK_NOFOLLOW).mode & S_IF.MT, S_IF.LNK);
  });

  it('describes an open file by its descriptor', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8 });
    const directory = folder.open('four');
    const memory = alloc(256);
    const options = { directory, flags: AT.EMPTY_PATH };
    assert.equal(
      runOne(ring, (token) => ring.statx(token, '', memory, options)),
      0,
    );
    assert.equal(decodeStatx(memory).size, 4);
    assert.equal(
      runOne(ring, (token) => ring.statx(token, '', memory)),
      ENOENT,
    );
  });
});
