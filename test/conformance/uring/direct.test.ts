/**
 * Direct descriptors: files that requests make straight in registered slots, and only there.
 */

import assert from 'node:assert/strict';
import { closeSync, constants, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { AF, decodePipe, FILE_INDEX_ALLOC, RESOLVE, Ring, SOCK, SQE } from 'annulus/uring';

import { socketName } from '#src/sys/linux.js';
import { decodeSocketAddress } from '#src/uring/sockaddr.js';

import {
  ascending,
  Folder,
  finish,
  memoryOf,
  needs,
  resultsOf,
  runOne,
} from '../../support/uring.js';
import { take, textOf } from '../../support/uring.js';

const [ENXIO, EBADF, EINVAL, ENFILE, ECANCELED] = [-6, -9, -22, -23, -125];
const { O_CREAT, O_RDONLY, O_RDWR } = constants;

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** A ring with so many empty slots. */
function ringWithSlots(count: number): Ring {
  const ring = new Ring({ entries: 32 });
  ring.register.sparseFiles(count);
  return ring;
}

/** The content of the file in a slot. */
function contentOf(ring: Ring, slot: number): string | number {
  const memory = alloc(64);
  const file = ring.register.fixedFile(slot);
  const count = runOne(ring, (token) => ring.read(token, file, memory, { position: 0 }));
  return count < 0 ? count : textOf(memory, count);
}

describe('open-direct', needs('OPENAT2'), () => {
  it('opens into the slot that is named, and no descriptor of the process', () => {
    using folder = new Folder();
    using ring = ringWithSlots(4);
    folder.open('first', 'a');
    folder.open('second', 'b');
    const before = openDescriptors();
    ring.openatDirect(1, 2, folder.at('a'), O_RDONLY);
    ring.openat2Direct(2, 3, folder.at('b'), { resolve: RESOLVE.NO_SYMLINKS });
    assert.deepEqual(resultsOf(ring, 1, 2), [0, 0]);
    assert.deepEqual([contentOf(ring, 2), contentOf(ring, 3)], ['first', 'second']);
    assert.equal(contentOf(ring, 0), EBADF);
    assert.equal(openDescriptors(), before);
  });

  it('replaces what the slot has; its old handle is refused from then on', () => {
    using folder = new Folder();
    using ring = ringWithSlots(1);
    folder.open('old', 'a');
    folder.open('new', 'b');
    runOne(ring, (token) => ring.openatDirect(token, 0, folder.at('a'), O_RDONLY));
    const old = ring.register.fixedFile(0);
    assert.equal(contentOf(ring, 0), 'old');
    runOne(ring, (token) => ring.openatDirect(token, 0, folder.at('b'), O_RDONLY));
    assert.equal(contentOf(ring, 0), 'new');
    assert.throws(() => ring.read(1, old, alloc(8)), { code: 'ERR_ANNULUS_STALE_FILE' });
  });

  it('open-direct-pick: the kernel chooses slots until there is none', () => {
    using folder = new Folder();
    using ring = ringWithSlots(3);
    folder.open('x', 'f');
    const open = (): number =>
      runOne(ring, (token) => ring.openatDirect(token, FILE_INDEX_ALLOC, folder.at('f'), O_RDONLY));
    const slots = [open(), open(), open()];
    assert.deepEqual(ascending(slots), [0, 1, 2]);
    assert.equal(open(), ENFILE);
    for (const slot of slots) assert.equal(contentOf(ring, slot), 'x');
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, ring.register.fixedFile(1))),
      0,
    );
    assert.equal(contentOf(ring, 1), EBADF);
    assert.equal(open(), 1, 'the one that is free again');
  });

  it('open-direct-link: open, write, read and close in one chain', () => {
    using folder = new Folder();
    using ring = ringWithSlots(2);
    const memory = alloc(7);
    ring.openatDirect(1, 1, folder.at('new'), O_CREAT | O_RDWR, 0o600);
    ring.flagLast(SQE.IO_LINK);
    const file = ring.register.fixedFile(1);
    ring.write(2, file, memoryOf('chained'), { position: 0 });
    ring.flagLast(SQE.IO_LINK);
    ring.read(3, file, memory, { position: 0 });
    ring.flagLast(SQE.IO_LINK);
    ring.closeFd(4, file);
    assert.deepEqual(resultsOf(ring, 1, 2, 3, 4), [0, 7, 7, 0]);
    assert.equal(textOf(memory), 'chained');
    assert.equal(readFileSync(folder.at('new'), 'latin1'), 'chained');
    ring.openatDirect(1, 1, folder.at('none'), O_RDONLY);
    ring.flagLast(SQE.IO_LINK);
    ring.read(2, ring.register.fixedFile(1), memory);
    assert.equal(resultsOf(ring, 1, 2)[1], ECANCELED);
  });

  it('slots that do not exist are refused', () => {
    using folder = new Folder();
    folder.open('x', 'f');
    const before = openDescriptors();
    {
      using ring = ringWithSlots(2);
      using none = new Ring({ entries: 8 });
      const open = (on: Ring, slot: number): number =>
        runOne(on, (token) => on.openatDirect(token, slot, folder.at('f'), O_RDONLY));
      assert.equal(open(ring, 2), EINVAL);
      assert.equal(open(none, 0), ENXIO);
      assert.equal(open(none, FILE_INDEX_ALLOC), ENFILE);
      for (const slot of [-1, 1.5, 32768]) {
        assert.throws(() => open(ring, slot), { code: 'ERR_OUT_OF_RANGE' });
      }
    }
    assert.equal(openDescriptors(), before);
  });
});

describe('fd-install', needs('FIXED_FD_INSTALL'), () => {
  it('gives a registered file a descriptor of its own, close-on-exec or not', () => {
    using folder = new Folder();
    using ring = ringWithSlots(2);
    folder.open('installed', 'f');
    runOne(ring, (token) => ring.openatDirect(token, 1, folder.at('f'), O_RDONLY));
    const file = ring.register.fixedFile(1);
    ring.installFd(1, file);
    ring.installFd(2, file, { cloexec: false });
    const fds = resultsOf(ring, 1, 2) as number[];
    assert.equal(
      runOne(ring, (token) => ring.closeFd(token, file)),
      0,
    );
    const flags = fds.map((fd) => {
      assert.equal(readFileSync(fd, 'latin1').length === 9 || fd === fds[1], true);
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      closeSync(fd);
      return Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)![1]!, 8) & 0o2000000;
    });
    assert.deepEqual(flags, [0o2000000, 0]);
  });

  it('wants a slot with a file, and no plain descriptor', () => {
    using ring = ringWithSlots(1);
    assert.equal(
      runOne(ring, (token) => ring.installFd(token, ring.register.fixedFile(0))),
      EBADF,
    );
    assert.throws(() => ring.installFd(1, 0 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('a descriptor that nobody reaped is closed with the ring', () => {
    using folder = new Folder();
    folder.open('x', 'f');
    const before = openDescriptors();
    const ring = ringWithSlots(1);
    runOne(ring, (token) => ring.openatDirect(token, 0, folder.at('f'), O_RDONLY));
    ring.installFd(1, ring.register.fixedFile(0));
    ring.submitAndWait(1);
    assert.equal(openDescriptors(), before + 2, 'the ring and the descriptor');
    ring.close();
    assert.equal(openDescriptors(), before);
  });
});

describe('file-update', needs('FILES_UPDATE'), () => {
  it('registers descriptors by a request, in slots named or chosen', () => {
    using folder = new Folder();
    using ring = ringWithSlots(8);
    const fds = ['a', 'b', 'c'].map((name) => folder.open(name.toUpperCase(), name));
    const memory = alloc(12);
    const words = new Int32Array(memory.buffer, memory.byteOffset, 3);
    words.set(fds);
    assert.equal(
      runOne(ring, (token) => ring.filesUpdate(token, 3, memory)),
      3,
    );
    assert.deepEqual(
      [3, 4, 5].map((slot) => contentOf(ring, slot)),
      ['A', 'B', 'C'],
    );
    const chosen = runOne(ring, (token) => ring.filesUpdate(token, FILE_INDEX_ALLOC, memory));
    assert.equal(chosen, 3);
    assert.deepEqual(
      [...words].map((slot) => contentOf(ring, slot)),
      ['A', 'B', 'C'],
    );
    words.fill(-1);
    const old = ring.register.fixedFile(4);
    assert.equal(
      runOne(ring, (token) => ring.filesUpdate(token, 3, memory)),
      3,
    );
    assert.equal(contentOf(ring, 4), EBADF, 'emptied');
    assert.throws(() => ring.read(1, old, memory), { code: 'ERR_ANNULUS_STALE_FILE' });
  });

  it('a bad descriptor ends the update there; memory must hold whole numbers', () => {
    using folder = new Folder();
    using ring = ringWithSlots(4);
    const memory = alloc(8);
    new Int32Array(memory.buffer, 0, 2).set([folder.open('good'), 1_000_000]);
    assert.equal(
      runOne(ring, (token) => ring.filesUpdate(token, 0, memory)),
      1,
    );
    assert.equal(contentOf(ring, 0), 'good');
    for (const bytes of [0, 6]) {
      assert.throws(() => ring.filesUpdate(1, 0, memory.subarray(0, bytes)), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
  });
});

describe('direct pipes', needs('PIPE'), () => {
  it('both ends lie in slots: adjacent ones, or chosen ones', () => {
    using ring = ringWithSlots(6);
    const before = openDescriptors();
    const memory = alloc(8);
    for (const slot of [2, FILE_INDEX_ALLOC]) {
      assert.equal(
        runOne(ring, (token) => ring.pipeDirect(token, slot, memory)),
        0,
      );
      const { reader, writer } = decodePipe(memory);
      if (slot === 2) assert.deepEqual([reader, writer], [2, 3]);
      const [into, from] = [ring.register.fixedFile(writer), ring.register.fixedFile(reader)];
      const bytes = memoryOf('pipe');
      ring.write(1, into, bytes);
      ring.flagLast(SQE.IO_LINK);
      ring.read(2, from, bytes);
      assert.deepEqual(resultsOf(ring, 1, 2), [4, 4]);
    }
    assert.equal(openDescriptors(), before);
  });

  it('a table without room for both gets neither', () => {
    using ring = ringWithSlots(1);
    const memory = alloc(8);
    const result = runOne(ring, (token) => ring.pipeDirect(token, FILE_INDEX_ALLOC, memory));
    assert.equal(result, ENFILE);
    assert.equal(contentOf(ring, 0), EBADF);
  });
});

/** A listening socket in slot 0 of a ring, and its port. */
function listenDirect(ring: Ring): number {
  ring.socketDirect(1, 0, AF.INET, SOCK.STREAM);
  ring.flagLast(SQE.IO_LINK);
  const listener = ring.register.fixedFile(0);
  ring.bind(2, listener, { address: '127.0.0.1', port: 0 });
  ring.flagLast(SQE.IO_LINK);
  ring.listen(3, listener, 8);
  assert.deepEqual(resultsOf(ring, 1, 2, 3), [0, 0, 0]);
  const fd = runOne(ring, (token) => ring.installFd(token, listener));
  const address = decodeSocketAddress(socketName(fd));
  closeSync(fd);
  return (address as { port: number }).port;
}

/** A connection that needs no event loop: by another ring. */
function connected(port: number): number {
  using ring = new Ring({ entries: 8 });
  const fd = runOne(ring, (token) => ring.socket(token, AF.INET, SOCK.STREAM));
  assert.equal(
    runOne(ring, (token) => ring.connect(token, fd, { address: '127.0.0.1', port })),
    0,
  );
  return fd;
}

describe('direct sockets', needs('LISTEN', 'BIND', 'FIXED_FD_INSTALL'), () => {
  it('a server can do without descriptors: socket, bind, listen, accept, receive, send', () => {
    using ring = ringWithSlots(4);
    const client = connected(listenDirect(ring));
    const before = openDescriptors();
    ring.acceptDirect(1, 3, ring.register.fixedFile(0));
    assert.equal(finish(ring).get(1), 0);
    const connection = ring.register.fixedFile(3);
    const memory = alloc(8);
    writeSync(client, 'ping');
    assert.equal(
      runOne(ring, (token) => ring.recv(token, connection, memory)),
      4,
    );
    assert.equal(
      runOne(ring, (token) => ring.send(token, connection, memory, { length: 4 })),
      4,
    );
    const answer = Buffer.alloc(8);
    assert.equal(answer.toString('latin1', 0, readSync(client, answer)), 'ping');
    assert.equal(openDescriptors(), before);
    closeSync(client);
  });

  it('accepts again and again into chosen slots, until none is free', () => {
    using ring = ringWithSlots(3);
    const port = listenDirect(ring);
    ring.acceptMultishotDirect(1, ring.register.fixedFile(0));
    ring.submit();
    const clients = [connected(port), connected(port)];
    const found = take(ring, 2);
    assert.deepEqual(ascending(found.map(({ result }) => result)), [1, 2]);
    assert.ok(found.every(({ more }) => more));
    clients.push(connected(port));
    assert.deepEqual(take(ring), [{ token: 1, result: ENFILE, more: false }]);
    for (const fd of clients) closeSync(fd);
  });
});
