/**
 * Channels of numbers and records: every typed array, counted in elements.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Channel, ElementReceiver, ElementSender, Receiver } from 'annulus/channel';
import type { ElementArrayType } from 'annulus/channel';
import { pageSize } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../../support/random.js';

const page = pageSize();
const seed = printedSeed();

const types = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as unknown as ElementArrayType[];

describe('elements', () => {
  for (const type of types) {
    it(`of a ${type.name} arrive as they are`, () => {
      using channel = Channel.create({ capacity: 100, type });
      using sender = channel.sender;
      using receiver = channel.receiver;
      const size = type.BYTES_PER_ELEMENT;
      assert.equal(channel.capacity, page / size);
      assert.equal(sender.capacity, channel.capacity);
      assert.equal(receiver.capacity, channel.capacity);
      const array = new type(new ArrayBuffer(5 * size), 0, 5);
      new Uint8Array(array.buffer).set([1, 2, 3, 4, 5]);
      for (let round = 0; round < 2000; round++) {
        assert.equal(sender.write(array), undefined);
        assert.equal(receiver.length, 5);
        const content = receiver.content();
        assert.equal(content.constructor, type);
        assert.deepEqual(content, array);
        receiver.consume(2);
        assert.equal(
          receiver.receive((rest) => rest.length),
          3,
        );
      }
      assert.equal(sender.free, channel.capacity);
    });
  }

  it('are claimed, committed and counted one by one', () => {
    using channel = Channel.create({ capacity: 10, type: Float64Array });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const claim = sender.claim(4)!;
    claim.set([1, 2, 3, 4]);
    sender.commit(3);
    assert.deepEqual([...receiver.content()], [1, 2, 3]);
    sender.commit();
    assert.equal(receiver.length, 4);
    assert.throws(() => sender.commit(1), {
      code: 'ERR_ANNULUS_CLAIM',
      message: /no elements are claimed/,
    });
    assert.throws(() => sender.claim(0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => sender.claim(page), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => receiver.consume(5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => sender.write(new Float32Array(1) as never), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.equal(sender.claim()!.length, sender.free);
    sender.abort();
    assert.equal(
      sender.send((free) => free.length),
      page / 8 - 4,
    );
    assert.equal(sender.claim(1), null);
    assert.equal(sender.waitWritable(1, { timeout: 1 }), false);
  });

  for (const type of types) {
    it(`of a ${type.name} go one by one, until there is no room`, () => {
      using channel = Channel.create({ capacity: 100, type });
      using sender = channel.sender;
      using receiver = channel.receiver;
      const number = (i: number): number | bigint =>
        type.name.startsWith('Big') ? BigInt(i % 100) : i % 100;
      assert.equal(receiver.peek(), undefined);
      assert.equal(receiver.shift(), undefined);
      let sent = 0;
      let seen = 0;
      for (let round = 0; round < 3; round++) {
        while (sender.push(number(sent))) sent++;
        assert.equal(sender.free, 0);
        assert.equal(sent - seen, channel.capacity);
        for (let left = channel.capacity - round * 7; left > 0; left--) {
          assert.equal(receiver.peek(), number(seen));
          assert.equal(receiver.shift(), number(seen++));
        }
        assert.equal(receiver.length, sent - seen);
      }
    });
  }

  it('that are records do not go one by one', () => {
    using channel = Channel.create({ capacity: 10, type: { bytes: 12 } });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const expected = { code: 'ERR_INVALID_STATE', message: /records/ };
    assert.throws(() => sender.push(1), expected);
    assert.throws(() => receiver.peek(), expected);
    assert.throws(() => receiver.shift(), expected);
    assert.equal(sender.free, channel.capacity);
  });

  it('go one by one to a receiver that is there, and from one end that is not closed', async () => {
    using channel = Channel.create({ capacity: 10, type: Int32Array });
    const { sender, receiver } = channel;
    const arrives = receiver.whenReadable(2);
    sender.push(1);
    sender.push(2);
    await arrives;
    assert.deepEqual([receiver.shift(), receiver.shift()], [1, 2]);
    while (sender.push(0));
    receiver.close();
    assert.throws(() => sender.push(3), { code: 'ERR_ANNULUS_PEER_CLOSED' });
    sender.close();
    assert.throws(() => sender.push(4), { code: 'ERR_ANNULUS_CLOSED' });
    assert.throws(() => receiver.peek(), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('are records of any size, never torn', () => {
    const random = randomFrom(seed);
    for (const bytes of [1, 3, 24, 1001, 5000]) {
      for (const over of [false, true]) {
        const type = { bytes };
        using channel = over
          ? Channel.over(new SharedArrayBuffer(640 + 24 * bytes), { type })
          : Channel.create({ capacity: 3, type });
        using sender = channel.sender;
        using receiver = channel.receiver;
        let next = 0;
        let expected = 0;
        for (let step = 0; step < 300; step++) {
          sender.send((free) => {
            const count = Math.min(free.length / bytes, random(5));
            for (let i = 0; i < count; i++) free.fill(next++, i * bytes, (i + 1) * bytes);
            return count;
          });
          receiver.receive((content) => {
            const count = random(content.length / bytes + 1);
            for (let i = 0; i < count; i++) {
              const record = content.subarray(i * bytes, (i + 1) * bytes);
              const value = expected++ & 255;
              assert.ok(record.every((byte) => byte === value));
            }
            return count;
          });
        }
        assert.ok(expected > 100, `${expected} of ${next}`);
      }
    }
  });

  it('come as pieces, in order, to the end', async () => {
    using channel = Channel.create({ capacity: 100, type: Int32Array });
    const { sender, receiver } = channel;
    const done = (async () => {
      for (let i = 0; i < 50; i++) {
        await sender.write(Int32Array.from({ length: 700 }, (_, at) => i * 700 + at));
      }
      sender.end();
    })();
    let next = 0;
    for await (const piece of receiver) {
      for (const value of piece) assert.equal(value, next++);
    }
    await done;
    assert.equal(next, 35_000);
    receiver.close();
  });

  it('carry audio and video frames', async () => {
    // 10 ms of stereo at 48 kHz, interleaved; and small pictures as records.
    const frame = 2 * 480;
    using audio = Channel.create({ capacity: 8 * frame, type: Float32Array });
    const picture = { bytes: 64 * 48 * 4 };
    using video = Channel.create({ capacity: 3, type: picture });
    for (let block = 0; block < 20; block++) {
      const samples = audio.sender.claim(frame)!;
      for (let i = 0; i < frame; i++) samples[i] = block + i / frame;
      audio.sender.commit();
      video.sender.send((free) => {
        free.fill(block, 0, picture.bytes);
        return 1;
      });
      assert.equal(await audio.receiver.whenReadable(frame), true);
      const heard = audio.receiver.content();
      assert.equal(heard[frame - 1], Math.fround(block + (frame - 1) / frame));
      audio.receiver.consume(frame);
      video.receiver.receive((pictures) => {
        assert.equal(pictures.length, picture.bytes);
        assert.ok(pictures.every((byte) => byte === block));
        return 1;
      });
    }
    for (const end of [audio.sender, audio.receiver, video.sender, video.receiver]) end.close();
  });

  it('are told apart from bytes and messages', () => {
    using channel = Channel.create({ capacity: 10, type: Int16Array });
    const mode = { code: 'ERR_ANNULUS_CHANNEL_MODE', message: /carries elements: use Element/ };
    assert.throws(() => Receiver.attach(channel.receiverHandle), mode);
    using receiver = ElementReceiver.attach<Int16Array>(channel.receiverHandle);
    using sender = ElementSender.attach<Int16Array>(channel.senderHandle);
    void sender.write(Int16Array.of(-5));
    assert.deepEqual([...receiver.content()], [-5]);
    assert.throws(() => Channel.create({ capacity: 1, type: 'f32' as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.throws(() => Channel.create({ capacity: 1, type: { bytes: 0 } }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    const both = { capacity: 1, type: Int8Array, messages: true } as never;
    assert.throws(() => Channel.create(both), { code: 'ERR_INVALID_ARG_VALUE' });
  });
});
