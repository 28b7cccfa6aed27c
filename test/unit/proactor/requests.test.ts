/**
 * Every method of the proactor, on direct and on ordinary memory; and how requests end early.
 */

import assert from 'node:assert/strict';
import { closeSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { alloc, Proactor, Region } from 'annulus';
import { AF, decodeSocketAddress, SHUT, SOCK } from 'annulus/uring';
import type { SocketAddress } from 'annulus/uring';
import type { BouncePool } from '#src/proactor/bounce.js';
import { socketName } from '#src/sys/linux.js';
import { pair } from '../support/pair.js';
import { Folder, needs } from '../support/requests.js';
import { held } from '../support/resources.js';

/** TypeScript's library of this target does not know the second argument. */
const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer;

const bad = 1_000_000;
const available = needs('READ', 'WRITE', 'OPENAT', 'SOCKET', 'BIND', 'LISTEN', 'FTRUNCATE');
const io = available.skip === false ? new Proactor({ entries: 64 }) : undefined!;
after(() => io?.close());

const textOf = (bytes: Uint8Array, length: number = bytes.length): string =>
  Buffer.from(bytes.subarray(0, length)).toString();
const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' };
const timedOut = { code: 'ERR_ANNULUS_TIMEOUT', message: /within 2 ms/ };

/** A listening socket on loopback. */
async function listen(): Promise<{ fd: number; address: SocketAddress }> {
  const fd = await io.socket(AF.INET, SOCK.STREAM);
  await io.bind(fd, { address: '127.0.0.1', port: 0 });
  await io.listen(fd);
  return { fd, address: decodeSocketAddress(socketName(fd))! };
}

describe('requests of the proactor', available, () => {
  it('read and write, in place and through a copy', async () => {
    using folder = new Folder();
    const fd = folder.open();
    const { bounced } = io.stats;
    using region = Region.allocate(4096);
    region.bytes.set(Buffer.from('in place'));
    assert.equal(await io.write(fd, region, { length: 8, position: 0 }), 8);
    const direct = alloc(8);
    assert.equal(await io.read(fd, direct, { position: 0 }), 8);
    assert.equal(textOf(direct), 'in place');
    assert.equal(io.stats.bounced, bounced);

    const ordinary = Buffer.from('ordinary');
    assert.equal(await io.write(fd, ordinary, { position: 8 }), 8);
    ordinary.fill(0);
    assert.equal(await io.read(fd, ordinary, { offset: 2, length: 4, position: 8 }), 4);
    assert.equal(ordinary.toString('latin1'), '\0\0ordi\0\0');
    const words = new Uint32Array(2);
    assert.equal(await io.read(fd, new DataView(words.buffer, 4), { position: 8 }), 4);
    assert.equal(words[0], 0);
    assert.equal(textOf(new Uint8Array(words.buffer, 4)), 'ordi');
    assert.equal(await io.read(fd, new Uint8Array(0)), 0);
    assert.equal(io.stats.bounced, bounced + 4);
  });

  it('read and write much ordinary memory at once', async () => {
    using folder = new Folder();
    const fd = folder.open();
    const large = new Uint8Array(3 * 2 ** 20 + 5).map((_, i) => i * 7);
    assert.equal(await io.write(fd, large, { position: 0 }), large.length);
    const back = new Uint8Array(large.length);
    assert.equal(await io.read(fd, back, { position: 0 }), large.length);
    assert.equal(Buffer.compare(back, large), 0);
    const parts = Array.from({ length: 200 }, () => new Uint8Array(1000));
    const counts = await Promise.all(
      parts.map((part, i) => io.read(fd, part, { position: i * 1000 })),
    );
    assert.ok(counts.every((count) => count === 1000));
    assert.equal(Buffer.compare(Buffer.concat(parts), large.subarray(0, 200_000)), 0);
  });

  it('readv, writev, fixed buffers', async () => {
    using folder = new Folder();
    const fd = folder.open('0123456789');
    const pieces = [alloc(4), alloc(6)];
    assert.equal(await io.readv(fd, pieces, { position: 0 }), 10);
    assert.equal(await io.writev(fd, pieces.toReversed(), { position: 0 }), 10);
    assert.equal(readFileSync(folder.at('file'), 'latin1'), '4567890123');
    const [fixed] = io.registerBuffers([alloc(16)]);
    assert.equal(await io.readFixed(fd, fixed!, { position: 0 }), 10);
    assert.equal(await io.writeFixed(fd, fixed!, { position: 10, length: 10 }), 10);
    io.unregisterBuffers();
    assert.equal(statSync(folder.at('file')).size, 20);
    await assert.rejects(io.readv(fd, [new Uint8Array(4)]), { code: 'ERR_ANNULUS_NOT_A_REGION' });
  });

  it('files and paths', async () => {
    using folder = new Folder();
    const path = folder.at('f');
    const fd = await io.open(path, constants.O_CREAT | constants.O_RDWR, 0o600);
    await io.fallocate(fd, 0, 100);
    await io.ftruncate(fd, 42);
    await io.fsync(fd);
    await io.fsync(fd, { datasync: true });
    await io.closeFd(fd);
    const status = await io.statx(path);
    assert.deepEqual([status.size, status.mode & 0o777], [42, 0o600]);
    assert.equal(status.inode, statSync(path, { bigint: true }).ino);
    await io.mkdir(folder.at('d'));
    await io.rename(path, folder.at('d/g'));
    await assert.rejects(io.unlink(folder.at('d'), { removeDirectory: true }), {
      code: 'ENOTEMPTY',
      syscall: 'unlinkat',
      path: folder.at('d'),
    });
    await io.unlink(folder.at('d/g'));
    await io.unlink(folder.at('d'), { removeDirectory: true });
    assert.equal(existsSync(folder.at('d')), false);
  });

  it('sockets', async () => {
    const { fd, address } = await listen();
    const client = await io.socket(AF.INET, SOCK.STREAM);
    const [peer] = await Promise.all([io.accept(fd), io.connect(client, address)]);
    const memory = alloc(16);
    assert.equal(await io.send(client, Buffer.from('ping')), 4);
    assert.equal(await io.recv(peer, memory), 4);
    assert.equal(textOf(memory, 4), 'ping');
    assert.equal(await io.poll(client, 4), 4);
    await io.shutdown(client, SHUT.WR);
    assert.equal(await io.recv(peer, new Uint8Array(4)), 0);
    for (const each of [fd, client, peer]) closeSync(each);
  });

  it('reject with the errno, the request and its paths', async () => {
    const memory = alloc(4);
    await assert.rejects(io.read(bad, memory), { code: 'EBADF', errno: -9, syscall: 'read' });
    await assert.rejects(io.write(bad, Buffer.from('x')), { code: 'EBADF', syscall: 'write' });
    await assert.rejects(io.recv(bad, memory), { code: 'EBADF', syscall: 'recv' });
    await assert.rejects(io.send(bad, memory), { code: 'EBADF', syscall: 'send' });
    await assert.rejects(io.open('/nothing/here', 0), {
      code: 'ENOENT',
      path: '/nothing/here',
      message: "ENOENT: no such file or directory, openat '/nothing/here'",
    });
    await assert.rejects(io.rename('/nothing/a', '/nothing/b'), {
      path: '/nothing/a',
      dest: '/nothing/b',
    });
    await assert.rejects(io.statx('/nothing'), { code: 'ENOENT', path: '/nothing' });
    await assert.rejects(io.fsync(bad), { code: 'EBADF' });
    await assert.rejects(io.closeFd(bad), { code: 'EBADF' });
    await assert.rejects(io.poll(bad, 1), { code: 'EBADF' });
  });

  it('reject, and do not throw, for arguments that are wrong', async () => {
    const memory = alloc(4);
    await assert.rejects(io.read(-1, memory), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(io.read(0, memory, { offset: 5 }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(io.read(0, new Uint8Array(4), { length: 5 }), {
      code: 'ERR_OUT_OF_RANGE',
      message: /inside the 4 bytes of the buffer\. Received offset 0, length 5/,
    });
    await assert.rejects(io.read(0, 'text' as unknown as Uint8Array), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    await assert.rejects(io.open('a\0', 0), { code: 'ERR_INVALID_ARG_VALUE' });
    await assert.rejects(io.sleep(-1), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(io.read(0, memory, { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(io.stats.inFlight, 0);
  });

  it('are not begun with a signal that is none', async () => {
    const invalid = { code: 'ERR_INVALID_ARG_TYPE' };
    const { submitted } = io.stats;
    for (const signal of [{}, null, 'signal'] as unknown as AbortSignal[]) {
      for (const buffer of [alloc(4), new Uint8Array(4)]) {
        await assert.rejects(io.read(bad, buffer, { signal }), invalid);
      }
      await assert.rejects(io.sleep(0, { signal }), invalid);
      assert.throws(() => io.acceptMany(bad, { signal }), invalid);
    }
    assert.deepEqual([io.stats.submitted, io.stats.inFlight], [submitted, 0]);
  });

  it('are not begun on memory that is closed, which would look like the end of a file', async () => {
    const region = Region.allocate(4096);
    const { bytes } = region;
    region.close();
    const closed = { code: 'ERR_ANNULUS_CLOSED' };
    for (const memory of [region, bytes]) {
      await assert.rejects(io.read(bad, memory), closed);
      await assert.rejects(io.write(bad, memory), closed);
    }
  });
});

describe('ordinary memory', available, () => {
  it('that was detached while the request was in flight is an error, not a crash', async () => {
    using ends = pair();
    const buffer = new Uint8Array(8);
    const reading = io.read(ends.reader, buffer);
    await setImmediate();
    structuredClone(buffer, { transfer: [buffer.buffer] });
    ends.write('lost');
    await assert.rejects(reading, {
      code: 'ERR_ANNULUS_BUFFER_DETACHED',
      message: /4 bytes were read.* 0 bytes/,
    });
    const source = Buffer.from(new ArrayBuffer(4)).fill('w');
    const writing = io.write(ends.writer, source);
    structuredClone(source, { transfer: [source.buffer] });
    assert.equal(await writing, 4);
    const received = alloc(8);
    assert.equal(await io.read(ends.reader, received), 4);
    assert.equal(textOf(received, 4), 'wwww');
  });

  it('gives what it borrowed back when the request never starts', async () => {
    await using narrow = new Proactor({ entries: 8, maxInFlight: 1 });
    using ends = pair();
    const { bounces } = narrow as unknown as { bounces: BouncePool };
    const borrow = (): Region => {
      const bounced = bounces.forRead(new Uint8Array(8));
      bounces.release(bounced);
      return bounced.region;
    };
    const region = borrow();
    const signal = AbortSignal.abort('enough');
    await assert.rejects(narrow.read(ends.reader, new Uint8Array(8), { signal }), aborted);
    assert.equal(borrow(), region);
    const first = narrow.read(ends.reader, alloc(1));
    const controller = new AbortController();
    const second = narrow.read(ends.reader, new Uint8Array(8), { signal: controller.signal });
    controller.abort('enough');
    await assert.rejects(second, aborted);
    assert.equal(borrow(), region);
    ends.write('x');
    await first;
  });

  it('that can change its size is refused', async () => {
    using ends = pair();
    const resizable = new Uint8Array(new Resizable(8, { maxByteLength: 16 }));
    const growable = new Uint8Array(new SharedArrayBuffer(8, { maxByteLength: 16 }));
    for (const buffer of [resizable, growable]) {
      const refused = { code: 'ERR_INVALID_ARG_VALUE', message: /resizable or growable/ };
      await assert.rejects(io.read(ends.reader, buffer), refused);
      await assert.rejects(io.write(ends.writer, buffer), refused);
    }
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    ends.write('fixed');
    assert.equal(await io.read(ends.reader, shared), 5);
    assert.equal(String.fromCharCode(...shared.subarray(0, 5)), 'fixed');
  });
});

describe('ending a request early', available, () => {
  it('by a signal that is aborted before', async () => {
    const signal = AbortSignal.abort('enough');
    await assert.rejects(io.read(bad, alloc(4), { signal }), aborted);
    await assert.rejects(io.read(bad, new Uint8Array(4), { signal }), aborted);
    await assert.rejects(io.sleep(1, { signal }), aborted);
    assert.equal(io.stats.inFlight, 0);
  });

  it('by a signal in flight, before and after its submission', async () => {
    using ends = pair();
    for (const buffer of [alloc(8), new Uint8Array(8)]) {
      for (const submitted of [false, true]) {
        const controller = new AbortController();
        const reading = io.read(ends.reader, buffer, { signal: controller.signal });
        if (submitted) await setImmediate();
        controller.abort('enough');
        await assert.rejects(reading, aborted);
      }
    }
    ends.write('kept');
    const memory = alloc(8);
    assert.equal(await io.read(ends.reader, memory), 4, 'no byte was lost to an aborted read');
  });

  it('by a signal while it waits for its turn', async () => {
    await using narrow = new Proactor({ entries: 8, maxInFlight: 1 });
    using ends = pair();
    const controller = new AbortController();
    const { signal } = controller;
    const first = narrow.read(ends.reader, alloc(1));
    const second = narrow.read(ends.reader, alloc(1), { signal });
    const third = narrow.read(ends.reader, new Uint8Array(1), { signal });
    const last = narrow.read(ends.reader, alloc(1));
    assert.equal(narrow.stats.waiting, 3);
    controller.abort('enough');
    assert.equal(narrow.stats.waiting, 1);
    await assert.rejects(second, aborted);
    await assert.rejects(third, aborted);
    ends.write('ab');
    assert.deepEqual(await Promise.all([first, last]), [1, 1]);
  });

  it('leaves no listener on the signal of a request that has completed', async () => {
    using ends = pair();
    const controller = new AbortController();
    ends.write('x');
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners--;
      remove(...args);
    };
    assert.equal(await io.read(ends.reader, alloc(1), { signal }), 1);
    assert.equal(listeners, 0);
    controller.abort();
  });

  it('by a time limit', async () => {
    using ends = pair();
    await assert.rejects(io.read(ends.reader, alloc(4), { timeout: 2 }), timedOut);
    await assert.rejects(io.read(ends.reader, new Uint8Array(4), { timeout: 2 }), timedOut);
    await assert.rejects(io.poll(ends.reader, 1, { timeout: 2 }), timedOut);
    ends.write('x');
    assert.equal(await io.read(ends.reader, alloc(4), { timeout: 60_000 }), 1);
  });

  it('of a sleep', async () => {
    const start = performance.now();
    await io.sleep(5);
    assert.ok(performance.now() - start >= 4.9);
    const controller = new AbortController();
    const sleeping = io.sleep(60_000, { signal: controller.signal });
    controller.abort('enough');
    await assert.rejects(sleeping, aborted);
  });
});

describe('accepting many connections', available, () => {
  /** Connects `count` clients. */
  const connect = (count: number, address: SocketAddress): Promise<number[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const fd = await io.socket(AF.INET, SOCK.STREAM);
        await io.connect(fd, address);
        return fd;
      }),
    );

  it('yields each, and closes what nobody took', async () => {
    const { fd, address } = await listen();
    const before = held().descriptors;
    const opened: number[] = [];
    const connecting = connect(10, address);
    for await (const connection of io.acceptMany(fd)) {
      opened.push(connection);
      if (opened.length === 4) break;
    }
    opened.push(...(await connecting));
    assert.equal(new Set(opened).size, 14);
    opened.forEach((each) => closeSync(each));
    closeSync(fd);
    await setImmediate();
    assert.equal(held().descriptors, before - 1);
  });

  it('ends by its signal: waiting, between connections, and before', async () => {
    const { fd, address } = await listen();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = io.acceptMany(fd, { signal });
    const between = io.acceptMany(fd, { signal });
    const pending = waiting.next();
    await setImmediate();
    controller.abort('enough');
    await assert.rejects(pending, aborted);
    assert.deepEqual(await waiting.next(), { done: true, value: undefined });
    await assert.rejects(between.next(), aborted);
    assert.equal((await between.next()).done, true);
    const before = io.acceptMany(fd, { signal });
    await assert.rejects(before.next(), aborted);
    assert.equal((await before.next()).done, true);

    const [client] = await connect(1, address);
    assert.equal(await io.accept(fd).then((peer) => closeSync(peer)), undefined, 'still works');
    closeSync(client!);
    closeSync(fd);
  });

  it('rejects when the descriptor is no listening socket', async () => {
    const connections = io.acceptMany(bad);
    await assert.rejects(connections.next(), { code: 'EBADF', syscall: 'accept' });
    assert.equal((await connections.next()).done, true);
  });
});
