/**
 * A channel trusts nothing that another process wrote: each broken rule is a named error.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Channel, Receiver, Sender } from 'annulus/channel';
import { WORD } from '#src/channel/layout.js';
import { openMemory } from '#src/channel/memory.js';
import { addSeals, close, ftruncate, memfdCreate, pageSize, SEAL } from '#src/sys/linux.js';
import { held } from '../support/resources.js';

const page = pageSize();
const corrupt = { code: 'ERR_ANNULUS_CHANNEL_CORRUPT' };
const allSeals = SEAL.SEAL | SEAL.GROW | SEAL.SHRINK;

/** The words at the start of a channel's memory. */
function wordsOf(channel: Channel): Int32Array {
  return new Int32Array(channel.sender.memory.buffer, 0, page >> 2);
}

describe('a corrupt channel', () => {
  it('is refused by both ends when a position is out of range', () => {
    for (const position of [2 * page, 0x7fffffff, 2 * page - 0x80000000, -1]) {
      using channel = Channel.create({ capacity: page });
      using sender = channel.sender;
      using receiver = channel.receiver;
      const words = wordsOf(channel);
      sender.send(() => 1);
      words[WORD.TAIL] = position;
      assert.throws(() => receiver.content(), corrupt);
      assert.throws(() => receiver.length, {
        ...corrupt,
        message: new RegExp(`position is ${position & 0x7fffffff} `),
      });
      words[WORD.TAIL] = 1;
      words[WORD.HEAD] = position;
      assert.throws(() => sender.free, corrupt);
      assert.throws(() => sender.claim(), corrupt);
      assert.throws(() => sender.waitWritable(page), corrupt);
    }
  });

  it('is refused when a position has overtaken the other', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    sender.send(() => 10);
    const words = wordsOf(channel);
    words[WORD.HEAD] = 11;
    assert.throws(() => sender.free, corrupt);
    words[WORD.HEAD] = 0;
    words[WORD.TAIL] = page + 1;
    assert.throws(() => receiver.length, corrupt);
    await assert.rejects(receiver.whenReadable(), corrupt);
    assert.throws(() => receiver.waitReadable(), corrupt);
  });

  it('is refused by who takes the place of an end that has left its position out of range', () => {
    using channel = Channel.create({ capacity: page });
    using receiver = channel.receiver;
    channel.sender.close();
    const words = new Int32Array(receiver.memory.buffer, 0, page >> 2);
    const { handle } = receiver.renewPeer();
    // Within the capacity of each other, so only the limit of positions is broken.
    words[WORD.TAIL] = 2 * page;
    words[WORD.HEAD] = 2 * page - 8;
    const message = new RegExp(`sender's position is ${2 * page}`);
    assert.throws(() => Sender.attach(handle), { ...corrupt, message });
  });

  it('rejects a wait that is woken by a broken position', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const waiting = receiver.whenReadable(page);
    const words = wordsOf(channel);
    // The sender is sound; its position is overwritten between its store and the wake-up's arrival.
    sender.send(() => 1);
    words[WORD.TAIL] = -1;
    await assert.rejects(waiting, corrupt);
  });
});

describe('memory that is not a channel', () => {
  /** Opens a memfd of `bytes`, sealed with `seals`. */
  function open(bytes: number, seals: number): void {
    const memfd = memfdCreate('annulus-test');
    try {
      ftruncate(memfd, bytes);
      if (seals !== 0) addSeals(memfd, seals);
      openMemory(memfd).release();
    } finally {
      close(memfd);
    }
  }

  it('is refused unless sealed against every change of size', () => {
    const message = /not sealed/;
    for (const seals of [0, SEAL.GROW, SEAL.SHRINK | SEAL.GROW, SEAL.SHRINK | SEAL.SEAL]) {
      assert.throws(() => open(2 * page, seals), { ...corrupt, message });
    }
  });

  it('is refused with sizes no channel has', () => {
    for (const bytes of [0, page, page + 1, 2 * page + 1]) {
      assert.throws(() => open(bytes, allSeals), {
        ...corrupt,
        message: new RegExp(`has ${bytes} bytes`),
      });
    }
  });

  it('is refused with a foreign header, and leaves nothing mapped', () => {
    const before = held();
    assert.throws(() => open(2 * page, allSeals), {
      ...corrupt,
      message: /header says 0, 0, 0, 0 instead of/,
    });
    assert.deepEqual(held(), before);
  });

  it('is refused when one header word differs', () => {
    for (const at of [WORD.MAGIC, WORD.VERSION, WORD.HEADER_BYTES, WORD.CAPACITY]) {
      using channel = Channel.create({ capacity: page });
      const memfd = channel.senderHandle.fds.memfd;
      const words = wordsOf(channel);
      words[at] = words[at]! + 1;
      assert.throws(() => openMemory(memfd), { ...corrupt, message: /header says/ });
      channel.sender.end();
    }
  });
});

describe('a handle', () => {
  it('of another process, role or kind is refused', () => {
    using channel = Channel.create({ capacity: page });
    const handle = channel.senderHandle;
    const invalid = { code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => Sender.attach({ ...handle, pid: handle.pid + 1 }), {
      ...invalid,
      message: new RegExp(`must be of this process.*pid ${handle.pid + 1}`),
    });
    assert.throws(() => Receiver.attach(handle), { ...invalid, message: /receiverHandle/ });
    assert.throws(() => Sender.attach({} as typeof handle), invalid);
    assert.throws(() => Sender.attach(undefined as unknown as typeof handle), invalid);
  });

  it('works once', () => {
    using channel = Channel.create({ capacity: page });
    const handle = channel.receiverHandle;
    using receiver = Receiver.attach(handle);
    const taken = { code: 'ERR_ANNULUS_CHANNEL_TAKEN' };
    assert.throws(() => Receiver.attach(handle), taken);
    assert.throws(() => channel.receiver, taken);
    channel.sender.send(() => 2);
    assert.equal(receiver.length, 2);
    channel.sender.end();
  });

  it('of a closed channel is refused', () => {
    const channel = Channel.create({ capacity: page });
    const handle = channel.senderHandle;
    channel.close();
    assert.throws(() => Sender.attach(handle), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('leaves no mapping behind when attaching fails', () => {
    const before = held();
    const channel = Channel.create({ capacity: page });
    const handle = channel.receiverHandle;
    const receiver = Receiver.attach(handle);
    assert.throws(() => Receiver.attach(handle));
    assert.throws(() => channel.receiver);
    receiver.close();
    channel.sender.end();
    channel.close();
    assert.deepEqual(held(), before);
  });

  it('of descriptors that are not open is refused by name', () => {
    assert.throws(() => Receiver.fromStdio(100_000), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /memfd is not open.*Received 100000/,
    });
  });
});
