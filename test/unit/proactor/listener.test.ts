/**
 * Listening sockets: their options, their connections, what accepting can fail with.
 */

import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';

import { alloc, Proactor } from 'annulus';
import { fastOpenAllowed } from 'annulus/proactor';
import type { Listener, ListenerOptions } from 'annulus/proactor';
import { SO, SOL } from 'annulus/uring';
import type { SocketAddress } from 'annulus/uring';
import { check } from '#src/sys/errors.js';
import { resourceLimit, RLIMIT, syscall } from '#src/sys/linux.js';
import { Folder, needs } from '../support/requests.js';
import { held } from '../support/resources.js';

const available = needs('ACCEPT', 'RECV', 'ASYNC_CANCEL');
const anyPort = { address: '127.0.0.1', port: 0 };
const TCP_FASTOPEN = 23;
const hasInet6 = networkInterfaces()['lo']?.some(({ family }) => family === 'IPv6') ?? false;

function optionOf(fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  check(syscall('getsockopt', fd, level, option, value, Int32Array.of(4)), 'getsockopt');
  return value[0]!;
}

/** Connects, and says a word. */
function call(address: SocketAddress, word: string): void {
  const socket = 'path' in address ? connect(address.path) : connect(address.port, address.address);
  socket.on('error', () => {}).end(word);
}

/** The word of the next connection. */
async function hear(io: Proactor, connections: AsyncIterator<number>): Promise<string> {
  const { value: fd } = (await connections.next()) as { value: number };
  const memory = alloc(16);
  const count = await io.recv(fd, memory);
  closeSync(fd);
  return Buffer.from(memory.subarray(0, count)).toString();
}

/** Allows this process so many descriptors more than it has, while it works. */
async function withDescriptors(more: number, work: () => Promise<void>): Promise<void> {
  const { soft, hard } = resourceLimit(RLIMIT.NOFILE);
  const set = (limit: number): void => {
    const limits = BigInt64Array.of(BigInt(limit), BigInt(hard));
    check(syscall('prlimit64', 0, RLIMIT.NOFILE, limits, null), 'prlimit64');
  };
  // The limit is on numbers: the lowest free one is known by taking it.
  const lowest = check(syscall('eventfd2', 0, 0), 'eventfd2');
  closeSync(lowest);
  set(lowest + more);
  try {
    await work();
  } finally {
    set(soft);
  }
}

describe('a listener', available, () => {
  it('accepts connections on TCP, IPv6 and Unix sockets', async () => {
    await using io = new Proactor({ entries: 8 });
    using folder = new Folder();
    const places: SocketAddress[] = [anyPort, { path: folder.at('socket') }];
    if (hasInet6) places.push({ address: '::1', port: 0 });
    for (const where of places) {
      await using listener = io.openListener(where);
      const connections = listener[Symbol.asyncIterator]();
      for (const word of ['one', 'two']) {
        call(listener.address, word);
        assert.equal(await hear(io, connections), word);
      }
    }
  });

  it('sets the options of its socket', async () => {
    await using io = new Proactor({ entries: 8 });
    const socketOptions = { reusePort: true, keepAlive: true, fastOpen: 16, receiveBuffer: 65536 };
    await using listener = io.openListener({ ...anyPort, socketOptions });
    const { fd } = listener;
    assert.equal(optionOf(fd, SOL.SOCKET, SO.REUSEPORT), 1);
    assert.equal(optionOf(fd, SOL.SOCKET, SO.REUSEADDR), 1);
    assert.equal(optionOf(fd, SOL.SOCKET, SO.KEEPALIVE), 1);
    assert.equal(optionOf(fd, SOL.SOCKET, SO.RCVBUF), 2 * 65536); // the kernel doubles it
    assert.equal(optionOf(fd, SOL.TCP, TCP_FASTOPEN), 16);
    // The same address again, which only SO_REUSEPORT allows.
    await using second = io.openListener({
      ...(listener.address as typeof anyPort),
      socketOptions,
    });
    assert.deepEqual(second.address, listener.address);
  });

  it('refuses what is wrong, and leaves nothing behind', async () => {
    await using io = new Proactor({ entries: 8 });
    await using taken = io.openListener(anyPort);
    const before = held();
    const wrong: [Partial<ListenerOptions> & object, string][] = [
      [{ backlog: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ socketOptions: { nagle: true } as object }, 'ERR_INVALID_ARG_VALUE'],
      [{ socketOptions: { reusePort: 1 } as object }, 'ERR_INVALID_ARG_TYPE'],
      [{ socketOptions: { fastOpen: -1 } }, 'ERR_OUT_OF_RANGE'],
      [{ onError: 'log' } as object, 'ERR_INVALID_ARG_TYPE'],
      [{ address: 'localhost' } as object, 'ERR_INVALID_ARG_VALUE'],
      [taken.address, 'EADDRINUSE'],
    ];
    for (const [options, code] of wrong) {
      assert.throws(() => io.openListener({ ...anyPort, ...options }), { code });
    }
    assert.deepEqual(held(), before);
  });

  it('ends its loops when it is closed, and closes what nobody took', async () => {
    await using io = new Proactor({ entries: 8 });
    const listener = io.openListener(anyPort);
    const loops = Array.from({ length: 3 }, async () => {
      for await (const fd of listener) closeSync(fd);
    });
    await io.sleep(0);
    const closing = listener.close();
    assert.equal(listener.close(), closing);
    await Promise.all([closing, ...loops]);
    assert.deepEqual(await listener[Symbol.asyncIterator]().next(), {
      done: true,
      value: undefined,
    });
  });

  const callTwice = async (listener: Listener): Promise<void> => {
    const calls = [0, 1].map(() => connect((listener.address as typeof anyPort).port, '127.0.0.1'));
    await Promise.all(calls.map((socket) => once(socket, 'connect')));
    for (const socket of calls) socket.end('hi').unref();
  };

  it('tells of a shortage and goes on accepting', async () => {
    await using io = new Proactor({ entries: 8 });
    const errors: string[] = [];
    let told = (): void => {};
    const onError = (error: Error & { code: string }): void => {
      errors.push(error.code);
      told();
    };
    await using listener = io.openListener({ ...anyPort, onError });
    const connections = listener[Symbol.asyncIterator]();
    await callTwice(listener);
    let word: Promise<string> | undefined;
    await withDescriptors(0, async () => {
      const shortage = new Promise<void>((resolve) => (told = resolve));
      word = hear(io, connections);
      await shortage;
    });
    assert.equal(await word, 'hi');
    assert.equal(await hear(io, connections), 'hi');
    assert.deepEqual(new Set(errors), new Set(['EMFILE']));
  });

  it('ends its loop by a shortage when nobody wants to be told', async () => {
    await using io = new Proactor({ entries: 8 });
    await using listener = io.openListener(anyPort);
    await callTwice(listener);
    await withDescriptors(0, async () => {
      const next = listener[Symbol.asyncIterator]().next();
      await assert.rejects(next, { code: 'EMFILE', syscall: 'accept' });
    });
  });
});

describe('fastOpenAllowed', () => {
  it('says what the system allows', () => {
    const { client, server } = fastOpenAllowed();
    assert.deepEqual([typeof client, typeof server], ['boolean', 'boolean']);
  });
});
