/**
 * Closing a descriptor that requests are on: it ends none of them, and its number may mean another file
 * before they have run.
 */

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SHUT, SQE } from 'annulus/uring';

import { collect, collectOf, isOpen, Sockets } from '../../support/sockets.ts';
import { Folder, needs, resultsOf, textOf } from '../../support/uring.ts';

const ECANCELED = -125;
const [POLLIN, POLLRDHUP] = [1, 0x2000];

/** A descriptor that `openSync` gives the same number as the one just closed. */
function reopen(closed: number, path: string): number {
  const fd = openSync(path, 'r');
  assert.equal(fd, closed, 'the lowest free number is used again');
  return fd;
}

describe('hazard 11: a descriptor closed under requests', needs('SOCKET', 'BIND'), () => {
  it('a receive in flight keeps the connection, and takes nothing from the number’s next file', () => {
    using ring = new Ring({ entries: 8 });
    using folder = new Folder();
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    const memory = alloc(16);
    const path = folder.at('other');
    closeSync(openSync(path, 'w'));
    ring.recv(1, near, memory);
    ring.submit();
    sockets.close(near);
    const other = reopen(near, path);
    // No end of the stream has come: the peer's bytes still reach the receive.
    writeSync(far, 'late');
    assert.deepEqual(
      collectOf(ring, 1).map(({ result }) => result),
      [4],
    );
    assert.equal(textOf(memory, 4), 'late');
    closeSync(other);
  });

  it('cancelled by its descriptor first, the connection ends with the close', () => {
    using ring = new Ring({ entries: 8 });
    using sockets = new Sockets();
    const [near, far] = sockets.tcp();
    ring.recv(1, near, alloc(16));
    ring.submit();
    ring.pollAdd(2, far, POLLIN | POLLRDHUP);
    ring.cancelFd(3, near);
    ring.flagLast(SQE.IO_HARDLINK);
    ring.shutdown(4, near, SHUT.RDWR);
    ring.flagLast(SQE.IO_HARDLINK);
    ring.closeFd(5, near);
    const [received, polled, cancelled, shut, closed] = collectOf(ring, 1, 2, 3, 4, 5).map(
      ({ result }) => result,
    );
    assert.deepEqual([received, cancelled, shut, closed], [ECANCELED, 1, 0, 0]);
    assert.equal((polled! & POLLRDHUP) !== 0, true, 'the peer hears of it');
    assert.equal(isOpen(near), false);
    sockets.forget(near);
    const memory = alloc(1);
    ring.recv(6, far, memory);
    assert.deepEqual(
      collect(ring, 1).map(({ result }) => result),
      [0],
    );
  });

  it('a request not submitted yet runs on what the number means then', () => {
    using ring = new Ring({ entries: 8 });
    using folder = new Folder();
    const path = folder.at('new');
    const fd = openSync(folder.at('old'), 'w+');
    writeSync(fd, 'old');
    const written = openSync(path, 'w');
    writeSync(written, 'new');
    closeSync(written);
    const memory = alloc(3);
    ring.read(1, fd, memory, { position: 0 });
    closeSync(fd);
    const other = reopen(fd, path);
    assert.deepEqual(resultsOf(ring, 1), [3]);
    assert.equal(textOf(memory), 'new');
    closeSync(other);
  });

  it('a handle of a registered file is refused from its close on, in the same batch', () => {
    using ring = new Ring({ entries: 8 });
    using folder = new Folder();
    const [file] = ring.register.files([folder.open('text')]);
    const memory = alloc(4);
    ring.read(1, file!, memory, { position: 0 });
    ring.flagLast(SQE.IO_HARDLINK);
    ring.closeFd(2, file!);
    assert.throws(() => ring.read(3, file!, memory), { code: 'ERR_ANNULUS_STALE_FILE' });
    assert.deepEqual(resultsOf(ring, 1, 2), [4, 0]);
    assert.equal(textOf(memory), 'text');
  });
});
