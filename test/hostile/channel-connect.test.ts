/**
 * A hostile listener: what it sends is a named error for who connected, costs it no descriptor, and
 * never makes it wait.
 */

import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';

import { Channel } from 'annulus/channel';

import { encodeAnswer, VERDICT } from '#src/channel/greeting.js';
import { HEADER_BYTES, MAGIC, VERSION, WORD } from '#src/channel/layout.js';
import { MSG_FLAG, SO, SOL } from '#src/sys/abi.js';
import { check, ERRNO } from '#src/sys/errors.js';
import {
  addSeals,
  close,
  eventfd,
  ftruncate,
  memfdCreate,
  pageSize,
  refuseDescriptors,
  SEAL,
  socketName,
  socketpair,
  streamPair,
  syscall,
  toPages,
} from '#src/sys/linux.js';
import { drainSocket, receiveBytesOnly, sendPassing } from '#src/sys/passing.js';
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  meetingSocket,
  streamSocket,
  unixAddress,
} from '#src/sys/sockets.js';
import { openFiles } from '../support/census.ts';
import { until } from '../support/relay.ts';

const ALL = SEAL.SHRINK | SEAL.GROW | SEAL.SEAL;
const AF_INET = 2;

let names = 0;
const fresh = (): string => `@annulus-hostile-${process.pid}-${names++}`;

interface Memory {
  readonly seals?: number;
  readonly bytes?: number;
  readonly words?: Record<number, number>;
}

/** A memfd that looks as the test wants it to. */
function memory({ seals = ALL, bytes = 2 * pageSize(), words = {} }: Memory = {}): number {
  const fd = memfdCreate('annulus-hostile');
  ftruncate(fd, bytes);
  const header = new Int32Array(toPages(HEADER_BYTES) / 4);
  header[WORD.MAGIC] = MAGIC;
  header[WORD.VERSION] = VERSION;
  header[WORD.HEADER_BYTES] = toPages(HEADER_BYTES);
  header[WORD.CAPACITY] = bytes - toPages(HEADER_BYTES);
  header[WORD.UNIT] = 1;
  header[WORD.SIGNAL] = 3;
  for (const [at, value] of Object.entries(words)) header[Number(at)] = value;
  if (bytes >= header.byteLength) syscall('write', fd, header, header.byteLength);
  addSeals(fd, seals);
  return fd;
}

/** Half of a pair of stream sockets, as a channel has it. */
function liveness(): number {
  const [near, far] = streamPair();
  close(far);
  return near;
}

/** A socket of the internet with bytes nobody takes: closing the last copy waits for 1000 seconds. */
function lingering(): number {
  const listening = streamSocket(AF_INET);
  const address = Uint8Array.of(AF_INET, 0, 0, 0, 127, 0, 0, 1, ...new Uint8Array(8));
  bindSocket(listening, address);
  listenSocket(listening, 1);
  const fd = streamSocket(AF_INET);
  assert.equal(connectSocket(fd, socketName(listening)), 0);
  unread.push(listening, acceptSocket(listening));
  const bytes = new Uint8Array(65_536);
  while (syscall('sendto', fd, bytes, bytes.length, MSG_FLAG.DONTWAIT, null, 0) > 0);
  check(syscall('setsockopt', fd, SOL.SOCKET, SO.LINGER, Int32Array.of(1, 1000), 8), 'setsockopt');
  return fd;
}

/** Where these bytes would go. */
const unread: number[] = [];

const gifts: Record<string, { readonly fds: () => number[]; readonly code?: string }> = {
  'a file that is no memory': { fds: () => [openSync(tmpdir(), 'r'), liveness()] },
  'a socket in place of the memory': { fds: () => [liveness(), liveness()] },
  'an eventfd in place of the memory': { fds: () => [eventfd(), liveness()] },
  'memory that can shrink': { fds: () => [memory({ seals: SEAL.GROW | SEAL.SEAL }), liveness()] },
  'memory that can grow': { fds: () => [memory({ seals: SEAL.SHRINK | SEAL.SEAL }), liveness()] },
  'memory that can be sealed': {
    fds: () => [memory({ seals: SEAL.SHRINK | SEAL.GROW }), liveness()],
  },
  'memory shorter than its header': { fds: () => [memory({ bytes: 512 }), liveness()] },
  'memory without data': { fds: () => [memory({ bytes: toPages(HEADER_BYTES) }), liveness()] },
  'memory that says it is larger': {
    fds: () => [memory({ words: { [WORD.CAPACITY]: 1 << 30 } }), liveness()],
  },
  'a header inside the data': {
    fds: () => [memory({ words: { [WORD.HEADER_BYTES]: 2 * pageSize() } }), liveness()],
  },
  'no magic': { fds: () => [memory({ words: { [WORD.MAGIC]: 0 } }), liveness()] },
  'a position beyond the ring': {
    fds: () => [memory({ words: { [WORD.TAIL]: 2 * pageSize() } }), liveness()],
  },
  'an end that is taken': {
    fds: () => [memory({ words: { [WORD.RECEIVER]: 1 } }), liveness()],
    code: 'ERR_ANNULUS_CHANNEL_TAKEN',
  },
  'a channel of messages': {
    fds: () => [memory({ words: { [WORD.MODE]: 2, [WORD.UNIT]: 8 } }), liveness()],
    code: 'ERR_ANNULUS_CHANNEL_MODE',
  },
  'an eventfd to tell of its end': { fds: () => [memory(), eventfd()] },
  'a socket of the internet to tell of its end': { fds: () => [memory(), streamSocket(AF_INET)] },
  'a socket that lingers to tell of its end': { fds: () => [memory(), lingering()] },
  'sockets that linger in place of all': { fds: () => [lingering(), lingering()] },
  'a socket that keeps boundaries to tell of its end': {
    fds: () => {
      const [near, far] = socketpair();
      close(far);
      return [memory(), near];
    },
  },
};

/** Accepts one connection and gives it these descriptors for a receiver. */
function give(listening: number, fds: readonly number[]): void {
  const fd = acceptSocket(listening);
  assert.ok(fd >= 0, `accept4: ${fd}`);
  const answer = encodeAnswer(VERSION, VERDICT.WELCOME, 'receiver', fds.length);
  assert.equal(sendPassing(fd, answer, fds), answer.length);
  for (const each of [fd, ...fds]) close(each);
}

describe('who connects to a hostile listener', () => {
  for (const [name, { fds, code = 'ERR_ANNULUS_CHANNEL_CORRUPT' }] of Object.entries(gifts)) {
    it(`and is given ${name}, gets ${code} and loses nothing`, async () => {
      const listening = meetingSocket();
      const path = fresh();
      bindSocket(listening, unixAddress(path.replace('@', '\0')));
      listenSocket(listening, 1);
      const before = openFiles();
      const connecting = Channel.connect(path);
      give(listening, fds());
      await assert.rejects(connecting, (error: { code?: string }) => {
        assert.equal(error.code, code);
        return true;
      });
      // What may wait when it is closed is closed by another thread.
      await until(() => openFiles().length === before.length + unread.length);
      for (const fd of unread.splice(0)) close(fd);
      assert.deepEqual(openFiles(), before);
      close(listening);
    });
  }

  it('and is sent descriptors with its wake-ups, never gets them', async (context) => {
    const [near, far] = streamPair();
    context.after(() => [near, far].forEach(close));
    if (!refuseDescriptors(near)) return context.skip('this kernel cannot refuse descriptors');
    const gift = eventfd();
    assert.equal(sendPassing(far, Uint8Array.of(1), [gift]), ERRNO.EPERM);
    return close(gift);
  });

  it('and is sent descriptors that no kernel refuses, closes them without waiting', async () => {
    const before = openFiles();
    const [near, far] = streamPair();
    for (const count of [1, 2]) {
      const gift = lingering();
      assert.equal(sendPassing(far, Uint8Array.of(1), new Array<number>(count).fill(gift)), 1);
      close(gift);
      if (count === 1) assert.equal(receiveBytesOnly(near), 1);
      else drainSocket(near);
    }
    for (const fd of [near, far]) close(fd);
    await until(() => openFiles().length === before.length + unread.length);
    for (const fd of unread.splice(0)) close(fd);
    assert.deepEqual(openFiles(), before);
  });

  it('and is given sound memory, has a channel: the others fail for what is wrong', async () => {
    const listening = meetingSocket();
    const path = fresh();
    bindSocket(listening, unixAddress(path.replace('@', '\0')));
    listenSocket(listening, 1);
    const connecting = Channel.connect(path, { role: 'receiver' });
    give(listening, [memory(), liveness()]);
    using connection = await connecting;
    assert.equal(connection.receiver.length, 0);
    close(listening);
  });
});
