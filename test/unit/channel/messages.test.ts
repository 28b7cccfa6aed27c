/**
 * Channels of messages: frames, claims, batched publication, codecs, flow control.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { serialize } from 'node:v8';

import { Channel } from 'annulus/channel';
import type { Codec, MessageReceiver, MessageSender } from 'annulus/channel';
import { pageSize } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../../support/random.js';
import type { RandomInteger } from '../../support/random.js';

const page = pageSize();
const seed = printedSeed();

/** Where a channel of messages can lie. */
const places = {
  'mirrored memory': (capacity: number) => Channel.create({ capacity, messages: true }),
  'a SharedArrayBuffer': (capacity: number) =>
    Channel.over(new SharedArrayBuffer(640 + capacity), { messages: true }),
};

/** A view of a claim now and then, however it was made; else null. */
function claimSomehow(
  sender: MessageSender,
  random: RandomInteger,
  bytes: number,
): Uint8Array | null {
  const way = random(6);
  if (way === 0) return sender.claim(bytes);
  const at = way === 1 ? sender.claimOffset(bytes) : -1;
  return at === -1 ? null : new Uint8Array(sender.memory.buffer, at, bytes);
}

function bytesAt(receiver: MessageReceiver, at: number, length: number): number[] {
  return [...new Uint8Array(receiver.memory.buffer, at, length)];
}

for (const [name, make] of Object.entries(places)) {
  describe(`messages in ${name}`, () => {
    it('arrive whole, in order, also empty ones and the largest', async () => {
      using channel = make(2 * page);
      using sender = channel.sender;
      using receiver = channel.receiver;
      const largest = sender.maxMessageBytes;
      assert.ok(largest >= 2 * page - 8, `${largest}`);
      const sizes = [0, 1, 7, 8, 9, 4000, largest, 0, largest, largest, 5];
      const done = (async () => {
        for (const [index, size] of sizes.entries()) {
          await sender.write(new Uint8Array(size).fill(index + 1));
        }
        sender.end();
      })();
      const seen: number[] = [];
      for await (const message of receiver) {
        assert.ok(message.every((byte) => byte === seen.length + 1));
        seen.push(message.length);
      }
      await done;
      assert.deepEqual(seen, sizes);
    });

    it('agree with a plain array for random sizes, claims and aborts', () => {
      using channel = make(3 * page);
      using sender = channel.sender;
      using receiver = channel.receiver;
      const random = randomFrom(seed);
      const sent: number[][] = [];
      const expect = (message: number[]): void => assert.deepEqual(message, sent.shift());
      for (let step = 0; step < 20_000; step++) {
        const bytes = Array.from({ length: random(random(20) === 0 ? 5000 : 40) }, () =>
          random(256),
        );
        const claim = claimSomehow(sender, random, bytes.length + random(30));
        if (claim !== null) {
          claim.set(bytes);
          if (random(4) === 0) sender.abort();
          else {
            sender.commit(bytes.length);
            sent.push(bytes);
          }
        } else if (sender.tryWrite(Uint8Array.from(bytes))) sent.push(bytes);
        if (random(3) === 0) sender.flush();
        const limit = random(9);
        if (random(2) === 0) receiver.receive((message) => expect([...message]), limit);
        else receiver.receiveOffsets((at, length) => expect(bytesAt(receiver, at, length)), limit);
      }
      sender.flush();
      for (;;) {
        const message = receiver.read();
        if (message === undefined) break;
        assert.deepEqual([...message], sent.shift());
      }
      assert.deepEqual(sent, []);
    });
  });
}

describe('a claim of a message', () => {
  it('is written into in place, and sent as far as it was used', () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const claim = sender.claim(100)!;
    assert.equal(claim.length, 100);
    claim.fill(5);
    sender.commit(3);
    sender.flush();
    assert.deepEqual([...receiver.read()!], [5, 5, 5]);
    assert.equal(receiver.read(), undefined);
    assert.throws(() => sender.commit(0), { code: 'ERR_ANNULUS_CLAIM' });
    sender.claim(8);
    assert.throws(() => sender.commit(9), { code: 'ERR_ANNULUS_CLAIM' });
    sender.abort();
    assert.throws(() => sender.claim(sender.maxMessageBytes + 1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => sender.write(new Uint8Array(sender.maxMessageBytes + 1)), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => sender.write('text' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('is sent as long as it is, unless told otherwise', () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    for (const bytes of [5, 8, 0, 13]) {
      sender.claim(bytes);
      assert.throws(() => sender.commit(bytes + 1), { code: 'ERR_ANNULUS_CLAIM' });
      sender.commit();
      sender.flush();
      assert.equal(receiver.read()!.length, bytes);
    }
  });

  it('may be an offset, and is -1 without room', () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const largest = sender.maxMessageBytes;
    const at = sender.claimOffset(largest);
    new Uint8Array(sender.memory.buffer, at, largest).fill(7);
    sender.commit();
    assert.equal(sender.claimOffset(0), -1);
    sender.flush();
    const taken: number[][] = [];
    const take = (offset: number, length: number): void => {
      taken.push([length, receiver.memory[offset - receiver.memory.byteOffset]!]);
    };
    assert.equal(receiver.receiveOffsets(take, 0), 0);
    assert.throws(() => receiver.receiveOffsets(() => assert.fail('not this time')));
    assert.equal(receiver.receiveOffsets(take), 1, 'the one that was not taken is there still');
    assert.deepEqual(taken, [[largest, 7]]);
    assert.throws(() => sender.claimOffset(1.5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => sender.claimOffset(largest + 1), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('is null without room, and room comes with the next message asked for', async () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    sender.claim(page)!.fill(1);
    sender.commit();
    assert.equal(sender.claim(page), null);
    assert.equal(sender.tryWrite(new Uint8Array(page)), false);
    const room = sender.whenWritable(sender.maxMessageBytes);
    assert.equal(receiver.read()?.length, page);
    await setImmediate();
    assert.equal(receiver.read(), undefined, 'which consumes the one before');
    await room;
  });
});

describe('publication in batches', () => {
  it('happens at the end of the turn, at the mark, by flush() and at the end', async () => {
    using channel = Channel.create({ capacity: 4 * page, messages: true, highWaterMark: 100 });
    const { sender, receiver } = channel;
    const message = new Uint8Array(24);
    void sender.write(message);
    assert.equal(receiver.byteLength, 0);
    await setImmediate();
    assert.equal(receiver.byteLength, 32);
    void sender.write(message);
    sender.flush();
    assert.equal(receiver.byteLength, 64);
    for (let i = 0; i < 4; i++) void sender.write(message);
    assert.equal(receiver.byteLength, 64 + 4 * 32, 'the fourth passes the mark');
    void sender.write(message);
    sender.end();
    assert.equal(receiver.byteLength, 64 + 5 * 32);
    receiver.close();
  });

  it('does not survive a receiver that closes, and tells of it at the next write', async () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    void sender.write(new Uint8Array(1));
    channel.receiver.close();
    await setImmediate();
    // Below the mark, as it was before: the last flush has found it.
    assert.throws(() => sender.write(new Uint8Array(1)), { code: 'ERR_ANNULUS_PEER_CLOSED' });
    assert.throws(() => sender.flush(), { code: 'ERR_ANNULUS_PEER_CLOSED' });
    await assert.rejects(sender.whenWritable(), { code: 'ERR_ANNULUS_PEER_CLOSED' });
  });

  it('takes many messages for two atomic operations', () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    for (let i = 0; i < 10; i++) void sender.write(Uint8Array.of(i));
    sender.flush();
    const taken: number[] = [];
    assert.equal(
      receiver.receive((message) => taken.push(message[0]!), 4),
      4,
    );
    assert.throws(
      () =>
        receiver.receive((message) => {
          if (message[0] === 6) throw new Error('mine');
          taken.push(message[0]!);
        }),
      /mine/,
    );
    assert.equal(
      receiver.receive((message) => taken.push(message[0]!)),
      4,
    );
    assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

const point: Codec<{ x: number; y: number }> = {
  encode: ({ x, y }) => new Uint8Array(Float64Array.of(x, y).buffer),
  decode: (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return { x: view.getFloat64(0, true), y: view.getFloat64(8, true) };
  },
};

/** Says how much it was given, and needs so many bytes as the value says. */
const direct: Codec<number> & { readonly rooms: number[] } = {
  rooms: [],
  encode: () => assert.fail('it encodes into the ring'),
  encodeInto(value, target) {
    this.rooms.push(target.length);
    if (target.length < value) return -1;
    target.fill(value & 255, 0, value);
    return value;
  },
  decode: (bytes) => bytes.length,
};

describe('objects', () => {
  const values = [
    { a: [1, 'zwei', null] },
    'ünïcödé 𝄞',
    5,
    [],
    { deep: { er: true } },
    'x'.repeat(900),
  ];

  for (const codec of ['json', 'v8'] as const) {
    it(`come out of ${codec} as they went in`, async () => {
      using channel = Channel.create({ capacity: page, codec });
      using sender = channel.sender;
      using receiver = channel.receiver;
      for (let round = 0; round < 20; round++) {
        for (const value of values) {
          await sender.write(value);
          sender.flush();
          assert.deepEqual(receiver.read(), value);
        }
      }
    });
  }

  it('may be what JSON cannot say, with v8', () => {
    using channel = Channel.create({ capacity: page, codec: 'v8' });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const value = { map: new Map([[1, 2n]]), bytes: Uint8Array.of(1, 2), date: new Date(5) };
    void sender.write(value);
    sender.flush();
    assert.deepEqual(receiver.read(), value);
    using json = Channel.create({ capacity: page, codec: 'json' });
    assert.throws(() => json.sender.write(undefined), { code: 'ERR_INVALID_ARG_VALUE' });
    json.sender.close();
  });

  it('are text where that is all they are, up to the last byte of room', () => {
    using channel = Channel.create<string>({ capacity: page, codec: 'text' });
    using sender = channel.sender;
    using receiver = channel.receiver;
    for (const text of ['', 'ä'.repeat(sender.maxMessageBytes >> 1), '𝄞', 'end']) {
      assert.equal(sender.tryWrite(text), true);
      sender.flush();
      assert.equal(receiver.read(), text);
      receiver.read();
    }
    assert.throws(() => sender.write('ä'.repeat(sender.maxMessageBytes)), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => sender.write(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('go through a codec of the caller', () => {
    using channel = Channel.create({ capacity: page, codec: point });
    using sender = channel.sender;
    using receiver = channel.receiver;
    void sender.write({ x: 1.5, y: -2 });
    sender.flush();
    assert.deepEqual(receiver.read(), { x: 1.5, y: -2 });
  });

  it('are encoded straight into the ring by a codec that can', async () => {
    using channel = Channel.create({ capacity: page, codec: direct });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const most = sender.maxMessageBytes;
    void sender.write(100);
    assert.deepEqual(direct.rooms, [most]);
    await sender.write(most - 200);
    const waits = sender.write(most) as Promise<void>;
    assert.ok(waits instanceof Promise);
    assert.equal(receiver.read(), 100);
    assert.equal(receiver.read(), most - 200);
    assert.equal(receiver.read(), undefined);
    await waits;
    sender.flush();
    assert.equal(receiver.read(), most);
    receiver.read();
    assert.throws(() => sender.write(most + 1), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('that cannot be decoded are named, and the next one comes', () => {
    using channel = Channel.create({ capacity: page, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    for (const text of ['{"a":', '1']) void sender.write(Buffer.from(text));
    sender.flush();
    const parse = (): unknown => JSON.parse(Buffer.from(receiver.read()!).toString());
    assert.throws(parse, SyntaxError);
    assert.equal(parse(), 1);
  });

  it('need a codec both sides know', () => {
    using channel = Channel.create({ capacity: page, codec: point });
    const [memfd, liveness] = channel.descriptors('receiver');
    assert.equal(typeof memfd, 'number');
    assert.equal(typeof liveness, 'number');
    channel.release('receiver');
    for (const codec of ['yaml', {}, 5]) {
      assert.throws(() => Channel.create({ capacity: page, codec: codec as never }), {
        code: /ERR_INVALID_ARG/,
      });
    }
    assert.ok(serialize(1).length > 0);
  });
});

describe('a write without room', () => {
  const big = new Uint8Array(page - 8);

  it('waits in order by default, and can be aborted', async () => {
    using channel = Channel.create({ capacity: page - 8, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.equal(sender.write(big.fill(1)), undefined);
    const controller = new AbortController();
    const second = sender.write(big.slice().fill(2), { signal: controller.signal });
    const third = sender.write(big.slice().fill(3));
    assert.equal(sender.tryWrite(new Uint8Array(1)), false, 'it would overtake');
    controller.abort();
    await assert.rejects(second!, { name: 'AbortError' });
    assert.equal(receiver.read()![0], 1);
    assert.equal(receiver.read(), undefined);
    await third;
    sender.flush();
    assert.equal(receiver.read()![0], 3);
  });

  it('ends by name with its signal, in whatever place, and with the channel', async () => {
    using channel = Channel.create({ capacity: page - 8, messages: true });
    const sender = channel.sender;
    using receiver = channel.receiver;
    void sender.write(big);
    const controller = new AbortController();
    const waiting = [
      sender.write(big),
      sender.write(big, { signal: controller.signal }),
      sender.write(big),
      sender.write(big, { signal: AbortSignal.abort() }),
    ] as Promise<void>[];
    await assert.rejects(waiting[3]!, { name: 'AbortError' });
    controller.abort('enough');
    await assert.rejects(waiting[1]!, { name: 'AbortError', cause: 'enough' });
    sender.close();
    await assert.rejects(waiting[0]!, { code: 'ERR_ANNULUS_CLOSED' });
    await assert.rejects(waiting[2]!, { code: 'ERR_ANNULUS_CLOSED' });
    assert.equal(receiver.read()?.length, big.length);
    await assert.rejects(receiver.whenReadable(), { code: 'ERR_ANNULUS_PEER_CLOSED' });
  });

  it('throws where it was told to', () => {
    using channel = Channel.create({ capacity: page - 8, messages: true, whenFull: 'fail' });
    using sender = channel.sender;
    void sender.write(big);
    assert.throws(() => sender.write(Uint8Array.of(1)), {
      code: 'ERR_ANNULUS_CHANNEL_FULL',
      message: /room for 16 bytes: 0 are free/,
    });
  });

  it('drops what it was given, and counts it, where it was told to', () => {
    using channel = Channel.create({ capacity: page - 8, messages: true, whenFull: 'drop' });
    using sender = channel.sender;
    using receiver = channel.receiver;
    for (let i = 0; i < 5; i++) assert.equal(sender.write(big.fill(i)), undefined);
    assert.equal(sender.dropped, 4);
    sender.flush();
    assert.equal(receiver.read()![0], 0);
    assert.equal(receiver.read(), undefined);
    void sender.write(big.fill(9));
    sender.flush();
    assert.equal(receiver.read()![0], 9);
    assert.equal(sender.dropped, 4);
  });

  it('blocks a thread no longer than its time limit', () => {
    using channel = Channel.create({ capacity: page - 8, messages: true });
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.equal(sender.writeSync(big), true);
    assert.equal(sender.writeSync(big, { timeout: 2 }), false);
    assert.equal(receiver.readSync()?.length, big.length);
    assert.equal(receiver.readSync({ timeout: 2 }), undefined);
    assert.equal(sender.writeSync(big, { timeout: 2 }), true);
    sender.end();
    assert.equal(receiver.readSync()?.length, big.length);
    assert.equal(receiver.readSync(), undefined);
  });

  it('is refused for options that are none', () => {
    for (const options of [{ whenFull: 'wait' }, { waiting: 'never' }, { highWaterMark: -1 }]) {
      using channel = Channel.create({ capacity: page, messages: true, ...(options as object) });
      assert.throws(() => channel.sender, { code: /ERR_INVALID_ARG_VALUE|ERR_OUT_OF_RANGE/ });
    }
    assert.throws(() => Channel.create({ capacity: 1, signal: 'bell' as never }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});
