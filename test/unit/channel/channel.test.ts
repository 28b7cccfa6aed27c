/**
 * A channel within one thread: claiming, committing, receiving, waiting, ending.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { Channel } from 'annulus/channel';
import { pageSize } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../../support/random.js';
import { run } from '../support/processes.js';
import { held } from '../support/resources.js';

const page = pageSize();
const closed = { code: 'ERR_ANNULUS_CLOSED' };
const peerClosed = { code: 'ERR_ANNULUS_PEER_CLOSED' };
const claimError = { code: 'ERR_ANNULUS_CLAIM' };

/** Sends `count` bytes that count up from `first`. */
function sendBytes({ sender }: Channel, count: number, first: number = 0): void {
  const view = sender.claim(count);
  assert.ok(view);
  for (let i = 0; i < count; i++) view[i] = first + i;
  sender.commit();
}

describe('a channel in one thread', () => {
  it('carries bytes in order', () => {
    using channel = Channel.create({ capacity: 100 });
    assert.equal(channel.capacity, page);
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.equal(sender.free, page);
    assert.equal(receiver.length, 0);
    sendBytes(channel, 5, 1);
    assert.equal(sender.free, page - 5);
    assert.deepEqual([...receiver.content()], [1, 2, 3, 4, 5]);
    receiver.consume(2);
    assert.deepEqual([...receiver.content()], [3, 4, 5]);
  });

  it('refuses capacities that cannot be', () => {
    for (const capacity of [0, -1, 0.5, 2 ** 30 + 1]) {
      assert.throws(() => Channel.create({ capacity }), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`Received ${capacity}$`),
      });
    }
  });

  it('sends nothing before commit, and only what is committed', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const view = sender.claim(10)!;
    view.fill(9);
    assert.equal(receiver.length, 0);
    sender.commit(4);
    assert.equal(receiver.length, 4);
    sender.commit(6);
    assert.equal(receiver.length, 10);
    sender.claim(8);
    sender.abort();
    assert.throws(() => sender.commit(1), claimError);
    assert.equal(receiver.length, 10);
    assert.throws(() => sender.commit(-1), claimError);
    assert.throws(() => sender.commit(0.5), claimError);
  });

  it('claims up to what is free and not a byte more', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    sendBytes(channel, page - 3);
    assert.equal(sender.claim(4), null);
    assert.equal(sender.claim(3)?.length, 3);
    assert.equal(sender.claim()?.length, 3);
    sender.commit();
    assert.equal(sender.claim(), null);
    for (const count of [0, -1, 1.5, page + 1]) {
      assert.throws(() => sender.claim(count), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`from 1 to ${page}\\. Received ${count}$`),
      });
    }
    assert.throws(() => receiver.consume(page + 1), {
      code: 'ERR_OUT_OF_RANGE',
      message: new RegExp(`from 0 to ${page}\\. Received ${page + 1}$`),
    });
    assert.equal(receiver.length, page);
  });

  it('gives up a claim for any other write, which would have its place', () => {
    using bytes = Channel.create({ capacity: page });
    using numbers = Channel.create({ capacity: page / 8, type: Float64Array });
    using messages = Channel.create({ capacity: page, messages: true });
    bytes.sender.claim();
    void bytes.sender.write(new Uint8Array(100));
    assert.throws(() => bytes.sender.commit(100), claimError);
    assert.throws(() => bytes.sender.commit(1), claimError);
    assert.equal(bytes.receiver.length, 100);
    for (const write of [
      () => void numbers.sender.write(new Float64Array(1)),
      () => numbers.sender.push(0),
    ]) {
      numbers.sender.claim(2);
      write();
      assert.throws(() => numbers.sender.commit(2), claimError);
    }
    assert.equal(numbers.receiver.length, 2);
    messages.sender.claim(16);
    assert.ok(messages.sender.tryWrite(new Uint8Array([7])));
    assert.throws(() => messages.sender.commit(), claimError);
    messages.sender.flush();
    assert.deepEqual([...messages.receiver.read()!], [7]);
    assert.equal(messages.receiver.read(), undefined);
    for (const { sender, receiver } of [bytes, numbers, messages]) {
      sender.close();
      receiver.close();
    }
  });

  it('commits and consumes nothing when a callback throws', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const failure = new Error('mine');
    const fail = (): never => {
      throw failure;
    };
    assert.throws(() => sender.send(fail), failure);
    assert.equal(receiver.length, 0);
    assert.throws(() => sender.commit(1), claimError);
    assert.throws(() => sender.send(() => page + 1), claimError);
    assert.equal(receiver.receive(fail), 0);
    sender.send(() => 3);
    assert.throws(() => receiver.receive(fail), failure);
    assert.throws(() => receiver.receive(() => 4), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(receiver.length, 3);
    assert.equal(
      receiver.receive((content) => content.length),
      3,
    );
  });

  it('agrees with a plain array for sizes that never fit evenly', () => {
    // Three pages: not a power of two, and random sizes wrap around at every offset.
    using channel = Channel.create({ capacity: 3 * page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const random = randomFrom(printedSeed());
    let next = 0;
    let expected = 0;
    for (let i = 0; i < 20_000; i++) {
      sender.send((free) => {
        const count = Math.min(free.length, random(2000));
        for (let at = 0; at < count; at++) free[at] = next++;
        return count;
      });
      receiver.receive((content) => {
        const count = random(content.length + 1);
        for (let at = 0; at < count; at++) {
          if (content[at] !== (expected++ & 255)) assert.fail(`byte ${expected - 1} of the stream`);
        }
        return count;
      });
    }
    assert.equal(receiver.length, next - expected);
    assert.equal(sender.free, 3 * page - (next - expected));
  });

  it('delivers what was sent before the end, then the end', async () => {
    using channel = Channel.create({ capacity: page });
    using receiver = channel.receiver;
    sendBytes(channel, 3);
    channel.sender.end();
    assert.equal(receiver.ended, false);
    assert.equal(await receiver.whenReadable(), true);
    assert.equal(await receiver.whenReadable(100), true, 'fewer than asked for, at the end');
    receiver.consume(3);
    assert.equal(receiver.ended, true);
    assert.equal(await receiver.whenReadable(), false);
    assert.equal(receiver.waitReadable(), false);
  });

  it('tells a receiver whose sender gave up, after what was sent', async () => {
    using channel = Channel.create({ capacity: page });
    using receiver = channel.receiver;
    sendBytes(channel, 3);
    channel.sender.close();
    assert.equal(await receiver.whenReadable(), true);
    receiver.consume(3);
    await assert.rejects(receiver.whenReadable(), peerClosed);
    assert.throws(() => receiver.waitReadable(), peerClosed);
    assert.throws(() => receiver.ended, peerClosed);
  });

  it('tells a sender whose receiver has closed', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    channel.receiver.close();
    sender.claim(1);
    assert.throws(() => sender.commit(), peerClosed);
    sender.claim();
    assert.throws(() => sender.commit(), peerClosed);
    assert.throws(() => sender.claim(1), peerClosed);
    await assert.rejects(sender.whenWritable(), peerClosed);
  });

  it('tells a receiver when an end nobody attached to is abandoned', async () => {
    const channel = Channel.create({ capacity: page });
    using receiver = channel.receiver;
    const waiting = receiver.whenReadable();
    channel.close();
    await assert.rejects(waiting, peerClosed);
  });

  it('names the mistake when used after close', async () => {
    const channel = Channel.create({ capacity: page });
    const { sender, receiver } = channel;
    const views = [sender.claim(10)!, receiver.memory];
    const waiting = receiver.whenReadable();
    receiver.close();
    receiver.close();
    await assert.rejects(waiting, closed);
    sender.end();
    sender.close();
    assert.throws(() => sender.claim(), closed);
    assert.throws(() => sender.commit(), closed);
    assert.throws(() => sender.free, closed);
    assert.throws(() => receiver.content(), closed);
    assert.throws(() => receiver.consume(0), closed);
    assert.throws(() => receiver.length, closed);
    await assert.rejects(receiver.whenReadable(), closed);
    assert.throws(() => sender.waitWritable(), closed);
    channel.close();
    channel.close();
    for (const view of views) assert.equal(view.length, 0);
    assert.throws(() => channel.stdio('sender'), closed);
  });

  it('gives each end away once', () => {
    using channel = Channel.create({ capacity: page });
    const taken = { code: 'ERR_ANNULUS_CHANNEL_TAKEN' };
    using sender = channel.sender;
    assert.equal(channel.sender, sender);
    assert.throws(() => channel.stdio('sender'), taken);
    assert.throws(() => channel.senderHandle, taken);
    assert.throws(() => channel.release('receiver'), taken);
    assert.equal(channel.stdio('receiver', ['ignore']).length, 3);
    assert.throws(() => channel.receiver, taken);
    channel.release('receiver');
  });
});

describe('waiting on a channel', () => {
  it('resolves when the other end moves, at the minimum asked for', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    let resolved = false;
    const waiting = receiver.whenReadable(5).then((ready) => (resolved = ready));
    sender.send(() => 4);
    for (let i = 0; i < 20; i++) await setImmediate();
    assert.equal(resolved, false);
    sender.send(() => 1);
    assert.equal(await waiting, true);
    sender.send((free) => free.length);
    const writable = sender.whenWritable(3);
    receiver.consume(3);
    await writable;
  });

  it('is one wait at a time, within the capacity', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const first = receiver.whenReadable();
    await assert.rejects(receiver.whenReadable(), claimError);
    await assert.rejects(sender.whenWritable(page + 1), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(sender.whenWritable(0), { code: 'ERR_OUT_OF_RANGE' });
    sender.send(() => 1);
    assert.equal(await first, true);
  });

  it('ends by its signal, before and while waiting, and can be repeated', async () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const abortError = { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' };
    await assert.rejects(
      receiver.whenReadable(1, { signal: AbortSignal.abort('enough') }),
      abortError,
    );
    const controller = new AbortController();
    const waiting = receiver.whenReadable(1, { signal: controller.signal });
    controller.abort('enough');
    await assert.rejects(waiting, abortError);
    const again = receiver.whenReadable();
    sender.send(() => 1);
    assert.equal(await again, true);
  });

  it('blocks no longer than its time limit', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.equal(receiver.waitReadable(1, { timeout: 0 }), false);
    assert.equal(receiver.waitReadable(1, { timeout: 3 }), false);
    sender.send((free) => free.length);
    assert.equal(sender.waitWritable(1, { timeout: 1 }), false);
    assert.equal(receiver.waitReadable(page), true);
  });
});

describe('what a channel holds', () => {
  it('is given back in every way of ending', async () => {
    const endings: ((channel: Channel) => void)[] = [
      () => {},
      (channel) => channel.sender.end(),
      (channel) => {
        channel.receiver.close();
        channel.sender.close();
      },
      (channel) => {
        channel.stdio('receiver');
        channel.release('receiver');
      },
      (channel) => void channel.senderHandle,
      (channel) => {
        const { sender, receiver } = channel;
        channel.close();
        sender.send(() => 1);
        receiver.close();
        sender.end();
      },
    ];
    Channel.create({ capacity: page }).close();
    await setImmediate();
    const before = held();
    for (let i = 0; i < 500; i++) {
      const channel = Channel.create({ capacity: page });
      endings[i % endings.length]!(channel);
      channel.close();
    }
    await setImmediate();
    assert.deepEqual(held(), before);
  });

  it('is given back after asynchronous waits', async () => {
    const before = held();
    for (let i = 0; i < 100; i++) {
      using channel = Channel.create({ capacity: page });
      using sender = channel.sender;
      using receiver = channel.receiver;
      const waiting = receiver.whenReadable();
      sender.send(() => 1);
      assert.equal(await waiting, true);
    }
    await setImmediate();
    assert.deepEqual(held(), before);
  });
});

describe('a channel for which there are too few descriptors', () => {
  it('leaves none of those it has opened', async () => {
    const { code, stdout, stderr } = await run(`
      import { closeSync, openSync, readdirSync } from 'node:fs';
      import { Channel } from 'annulus/channel';
      import { resourceLimit, syscall } from '#src/sys/linux.js';
      Channel.create({ capacity: 4096 }).close();
      const count = () => readdirSync('/proc/self/fd').length;
      const before = count();
      const hard = BigInt(resourceLimit(7).hard);
      const limit = (soft) => syscall('prlimit64', 0, 7, BigInt64Array.of(BigInt(soft), hard), null);
      const codes = new Set();
      for (const signal of ['socket', 'eventfd', 'pipe']) {
        for (let left = 0; left < 9; left++) {
          const taken = [];
          limit(64);
          try { for (;;) taken.push(openSync('/dev/null')); } catch {}
          for (let i = 0; i < left; i++) closeSync(taken.pop());
          try { Channel.create({ capacity: 4096, signal }).close(); } catch (error) { codes.add(error.code); }
          taken.forEach(closeSync);
          limit(1024);
        }
      }
      console.log(JSON.stringify([count() - before, [...codes]]));
    `);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), [0, ['EMFILE']]);
  });
});
