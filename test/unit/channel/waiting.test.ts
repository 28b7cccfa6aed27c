/**
 * Waiting in every way, for one end or several; the price of a write and a read; replacing an end.
 */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { Channel, MessageReceiver, openEnd, Receiver, waitAny, whenAny } from 'annulus/channel';
import type { Offer, SignalKind, Waiting } from 'annulus/channel';
import { poll, POLL, pageSize } from '#src/sys/linux.js';
import { start } from '../support/processes.js';
import { held } from '../support/resources.js';

const page = pageSize();
const died = { code: 'ERR_ANNULUS_PEER_DIED' };

const signals: readonly SignalKind[] = ['socket', 'eventfd', 'pipe', 'none'];
const waitings: readonly Waiting[] = ['adaptive', 'spin', 'sleep'];

/** Starts a process that has `role` of the channel, `end`, and runs `program`. */
function startPeer(channel: Channel, role: 'sender' | 'receiver', program: string): ChildProcess {
  const Class = role === 'sender' ? 'Sender' : 'Receiver';
  const child = start(
    `import { ${Class} } from 'annulus/channel';
     const end = ${Class}.fromStdio();
     ${program}`,
    channel.stdio(role, ['ignore', 'pipe', 'inherit']),
  );
  channel.release(role);
  return child;
}

describe('two processes', () => {
  for (const signal of signals) {
    for (const waiting of waitings) {
      it(`wait for each other by ${signal}, ${waiting}, on the loop and blocking`, async () => {
        using channel = Channel.create({ capacity: page, signal, waiting });
        const count = 200_000;
        startPeer(
          channel,
          'sender',
          `let left = ${count};
           while (left > 0) {
             left -= end.send((free) => free.fill(7, 0, Math.min(left, free.length)) && Math.min(left, free.length));
             if (left > 0 && left & 1) await end.whenWritable();
             else if (left > 0) end.waitWritable();
           }
           end.end();`,
        );
        using receiver = channel.receiver;
        let seen = 0;
        while (seen & 1 ? receiver.waitReadable() : await receiver.whenReadable()) {
          receiver.receive((content) => {
            const part = Math.ceil(content.length / 3);
            seen += part;
            return part;
          });
        }
        assert.equal(seen, count);
      });
    }

    it(`notice death by ${signal}`, async () => {
      for (const blocking of [false, true]) {
        using channel = Channel.create({ capacity: page, signal });
        const child = startPeer(
          channel,
          'sender',
          `end.send(() => 3); console.log(1); setInterval(() => {}, 1000);`,
        );
        using receiver = channel.receiver;
        await once(child.stdout!, 'data');
        assert.equal(receiver.peerState, 'attached');
        if (blocking) {
          child.kill('SIGKILL');
          assert.equal(receiver.waitReadable(4), true);
        } else {
          const waiting = receiver.whenReadable(4);
          child.kill('SIGKILL');
          assert.equal(await waiting, true, 'fewer, since no more will come');
        }
        receiver.consume(3);
        await assert.rejects(receiver.whenReadable(), died);
        assert.throws(() => receiver.waitReadable(), died);
        assert.equal(receiver.peerState, 'died');
      }
    });
  }
});

describe('several channels', () => {
  it('are waited for at once, blocking', () => {
    using first = Channel.create({ capacity: page });
    using second = Channel.create({ capacity: page, signal: 'eventfd' });
    using a = first.receiver;
    using b = second.receiver;
    assert.equal(waitAny([a, b], { timeout: 2 }), undefined);
    second.sender.send(() => 1);
    assert.equal(waitAny([a, b]), b);
    b.consume(1);
    assert.equal(waitAny([a, b, first.sender]), first.sender, 'which has room');
    first.sender.end();
    assert.equal(waitAny([a, b]), a, 'which has ended');
    second.sender.end();
    using shared = Channel.over(new SharedArrayBuffer(2000));
    assert.throws(() => waitAny([shared.receiver]), { code: 'ERR_ANNULUS_UNSUPPORTED' });
    shared.receiver.close();
  });

  it('are waited for at once, on the loop', async () => {
    using first = Channel.create({ capacity: page });
    using second = Channel.over(new SharedArrayBuffer(2000));
    using a = first.receiver;
    using b = second.receiver;
    for (let round = 0; round < 5; round++) {
      const [sender, receiver] =
        round % 2 === 0 ? ([first.sender, a] as const) : ([second.sender, b] as const);
      const waiting = whenAny([a, b]);
      sender.send(() => 1);
      assert.equal(await waiting, receiver);
      receiver.consume(1);
    }
    await assert.rejects(whenAny([a, b], { signal: AbortSignal.timeout(2) }), {
      name: 'AbortError',
    });
    first.sender.end();
    second.sender.end();
  });

  it('are waited for by callers themselves', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const status = receiver.waitStatus();
    assert.equal(status.ready, false);
    const entries = status.descriptors.map((fd) => ({ fd, events: POLL.IN }));
    assert.deepEqual(poll(entries, 0), [0]);
    sender.send(() => 1);
    sender.send(() => 1);
    assert.deepEqual(poll(entries, 1000), [POLL.IN]);
    receiver.waitClear();
    assert.deepEqual(poll(entries, 0), [0], 'it was woken once');
    assert.equal(receiver.waitStatus().ready, true);
    assert.equal(receiver.length, 2);
  });
});

describe('the price', () => {
  /** Counts the atomic operations of `act`. */
  function countAtomics(act: () => void): Record<string, number> {
    const counts: Record<string, number> = {};
    const table = Atomics as unknown as Record<string, (...all: unknown[]) => unknown>;
    const originals = Object.getOwnPropertyNames(Atomics).map(
      (name) => [name, table[name]!] as const,
    );
    try {
      for (const [name, original] of originals) {
        table[name] = (...args) => {
          counts[name] = (counts[name] ?? 0) + 1;
          return original(...args);
        };
      }
      act();
    } finally {
      for (const [name, original] of originals) table[name] = original;
    }
    return counts;
  }

  it('of a write is at most two atomic operations, and of a read two', () => {
    using channel = Channel.create({ capacity: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.deepEqual(
      countAtomics(() => {
        sender.claim(8);
        sender.commit();
      }),
      { exchange: 1 },
    );
    assert.deepEqual(
      countAtomics(() => sender.send(() => 8)),
      { load: 1, exchange: 1 },
    );
    assert.deepEqual(
      countAtomics(() => receiver.receive(() => 8)),
      { load: 1, exchange: 1 },
    );
    assert.deepEqual(
      countAtomics(() => receiver.consume(8)),
      { exchange: 1 },
    );
  });

  it('of a number is one atomic operation there, one to look and one to take it', () => {
    using channel = Channel.create({ capacity: 8, type: Float64Array });
    using sender = channel.sender;
    using receiver = channel.receiver;
    assert.deepEqual(
      countAtomics(() => sender.push(1)),
      { exchange: 1 },
    );
    sender.push(2);
    assert.deepEqual(
      countAtomics(() => receiver.peek()),
      { load: 1 },
    );
    assert.deepEqual(
      countAtomics(() => receiver.shift()),
      { exchange: 1 },
    );
  });

  it('of many messages is that of one, where they are published and taken together', () => {
    using channel = Channel.create({ capacity: page, messages: true, highWaterMark: page });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const message = new Uint8Array(16);
    assert.deepEqual(
      countAtomics(() => {
        for (let i = 0; i < 100; i++) void sender.write(message);
        sender.flush();
      }),
      { exchange: 1 },
    );
    let seen = 0;
    assert.deepEqual(
      countAtomics(() => receiver.receive(() => seen++)),
      { load: 1, exchange: 1 },
    );
    assert.equal(seen, 100);
  });

  it('of a wake-up is paid once a sleep', async () => {
    using channel = Channel.create({ capacity: page, waiting: 'sleep' });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const waiting = receiver.whenReadable(3);
    const { liveness } = (sender as unknown as { link: { fds: { liveness: number } } }).link.fds;
    assert.ok(liveness > 0);
    const counts = countAtomics(() => {
      for (let i = 0; i < 3; i++) {
        sender.claim(1);
        sender.commit();
      }
    });
    assert.deepEqual(counts, { exchange: 3, load: 1 }, 'the load is for the one that wakes');
    assert.equal(await waiting, true);
  });
});

describe('an end that has died', () => {
  /** Gives an offer to a process that runs `program` on the end. */
  function give(offer: Offer, program: string): ChildProcess {
    const child = start(
      `import { MessageReceiver } from 'annulus/channel';
       const end = MessageReceiver.fromStdio();
       ${program}`,
      offer.stdio(['ignore', 'pipe', 'inherit']),
    );
    offer.release();
    return child;
  }

  it('is replaced by one that goes on at the last message consumed', async () => {
    const before = held();
    {
      using channel = Channel.create({ capacity: page, messages: true });
      using sender = channel.sender;
      const stop = `for await (const message of end) {
          console.log(message[0]);
          if (message[0] % 5 === 4) await new Promise(() => setInterval(() => {}, 1000));
        }`;
      let child = start(
        `import { MessageReceiver } from 'annulus/channel';
         const end = MessageReceiver.fromStdio();
         ${stop}`,
        channel.stdio('receiver', ['ignore', 'pipe', 'inherit']),
      );
      channel.release('receiver');
      assert.throws(() => sender.renewPeer(), { code: 'ERR_ANNULUS_CHANNEL_TAKEN' });
      for (let i = 0; i < 12; i++) void sender.write(Uint8Array.of(i));
      sender.flush();
      const taken: string[] = [];
      for (let life = 0; life < 3; life++) {
        let text = '';
        for await (const piece of child.stdout!) {
          text += String(piece);
          if (text.endsWith(['4\n', '9\n', '11\n'][life]!)) break;
        }
        taken.push(text.trim().split('\n').join(' '));
        child.kill('SIGKILL');
        await once(child, 'exit');
        assert.equal(sender.peerState, 'died');
        const offer = sender.renewPeer();
        assert.equal(sender.peerState, 'vacant');
        if (life < 2) {
          // The message it died with comes again: it was not consumed.
          child = give(offer, stop.replace('% 5 === 4', life === 0 ? '=== 9' : '=== 11'));
        } else {
          using receiver = MessageReceiver.attach(offer.handle);
          assert.deepEqual([...receiver.read()!], [11]);
          assert.equal(receiver.read(), undefined);
        }
      }
      assert.deepEqual(taken, ['0 1 2 3 4', '4 5 6 7 8 9', '9 10 11']);
    }
    await setImmediate();
    assert.deepEqual(held(), before);
  });

  it('is replaced when it has closed, on either side, and in one thread', async () => {
    const before = held();
    for (const signal of signals) {
      using channel = Channel.create({ capacity: page, signal });
      using sender = channel.sender;
      sender.send((free) => free.fill(1, 0, 5) && 5);
      channel.receiver.consume(2);
      channel.receiver.close();
      assert.throws(() => sender.send(() => 1), { code: 'ERR_ANNULUS_PEER_CLOSED' });
      using receiver = Receiver.attach(sender.renewPeer().handle);
      assert.equal(receiver.length, 4);
      sender.send(() => 1);
      assert.equal(receiver.length, 5);
      sender.end();
      assert.equal(await receiver.whenReadable(6), true);
      const offer = receiver.renewPeer();
      const another = openEnd('sender', offer.descriptors());
      assert.equal(receiver.peerState, 'attached');
      another.close();
      assert.equal(receiver.peerState, 'failed');
      receiver.renewPeer().close();
    }
    await setImmediate();
    assert.deepEqual(held(), before);
  });
});

describe('the ends as streams', () => {
  const text = Array.from({ length: 5000 }, (_, i) => `line ${i} of many\n`).join('');

  it('carry bytes by Node streams through a pipeline', async () => {
    using channel = Channel.create({ capacity: page });
    const { sender, receiver } = channel;
    const sent = pipeline(Readable.from([Buffer.from(text)]), sender.writable);
    await setImmediate();
    assert.equal(sender.free, 0, 'the ring is full, and the rest waits');
    const seen: Buffer[] = [];
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        seen.push(chunk);
        done();
      },
    });
    await Promise.all([sent, pipeline(receiver.readable, sink)]);
    assert.equal(Buffer.concat(seen).toString(), text);
    assert.equal(sender.closed && receiver.closed, true);
  });

  it('carry bytes by Web streams', async () => {
    using channel = Channel.create({ capacity: page });
    const { sender, receiver } = channel;
    const sent = new Blob([text]).stream().pipeTo(sender.webWritable);
    assert.equal(await new Response(receiver.webReadable).text(), text);
    await sent;
    assert.equal(sender.closed && receiver.closed, true);
  });

  it('carry objects and arrays', async () => {
    using channel = Channel.create({ capacity: page, codec: 'json' });
    const values = Array.from({ length: 1000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }));
    const sent = pipeline(Readable.from(values), channel.sender.writable);
    assert.deepEqual(await channel.receiver.readable.toArray(), values);
    await sent;
    using numbers = Channel.create({ capacity: page, type: Float64Array });
    const arrays = [Float64Array.of(1, 2), new Float64Array(2000).fill(3)];
    const written = pipeline(Readable.from(arrays), numbers.sender.writable);
    let sum = 0;
    for await (const array of numbers.receiver.webReadable) {
      for (const value of array) sum += value;
    }
    await written;
    assert.equal(sum, 6003);
  });

  it('fail as the channel does', async () => {
    using channel = Channel.create({ capacity: page });
    const { readable } = channel.receiver;
    channel.sender.writable.destroy(new Error('mine')).on('error', () => {});
    await assert.rejects(readable.toArray(), { code: 'ERR_ANNULUS_PEER_CLOSED' });
    using other = Channel.create({ capacity: page });
    const { writable } = other.sender;
    other.receiver.readable.destroy();
    await setImmediate();
    await assert.rejects(pipeline(Readable.from(['text']), writable), {
      code: 'ERR_ANNULUS_PEER_CLOSED',
    });
  });
});
