/**
 * Channels over memory that was had in another way: a SharedArrayBuffer, a Region, a memfd, huge pages.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { Channel, createWriteOnce, openWriteOnce, Receiver } from 'annulus/channel';
import type { ChannelHandle } from 'annulus/channel';
import { Region } from 'annulus/memory';
import { inspectMemory } from '#src/channel/inspect.js';
import {
  addSeals,
  close,
  ftruncate,
  getSeals,
  memfdCreate,
  pageSize,
  SEAL,
} from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../../support/random.js';
import { root } from '../support/processes.js';
import { held } from '../support/resources.js';

const page = pageSize();
const seed = printedSeed();
const corrupt = { code: 'ERR_ANNULUS_CHANNEL_CORRUPT' };

/** Runs `program` in a thread that has attached `end`. */
function startThread(handle: ChannelHandle, attach: string, program: string): Worker {
  const text = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.module).then(async (library) => {
      const end = library.${attach}.attach(workerData.handle);
      ${program}
    });`;
  const module = new URL('dist/channel/index.js', `file://${root}`).href;
  return new Worker(text, { eval: true, workerData: { handle, module } });
}

describe('bytes over memory that is not mirrored', () => {
  for (const kind of ['SharedArrayBuffer', 'Region'] as const) {
    it(`agree with a plain array in a ${kind}`, () => {
      using region = Region.allocate(2 * page);
      const place = kind === 'Region' ? region : new SharedArrayBuffer(3000);
      {
        using channel = Channel.over(place);
        using sender = channel.sender;
        using receiver = channel.receiver;
        const random = randomFrom(seed);
        let next = 0;
        let expected = 0;
        for (let i = 0; i < 20_000; i++) {
          const count = random(700) + 1;
          const claim = random(2) === 0 ? sender.claim(count) : sender.claim();
          if (claim !== null) {
            assert.ok(claim.length > 0);
            const used = Math.min(claim.length, random(count) + 1);
            for (let at = 0; at < used; at++) claim[at] = next++;
            sender.commit(used);
            sender.abort();
          }
          receiver.receive((content) => {
            const taken = random(content.length + 1);
            for (let at = 0; at < taken; at++) {
              if (content[at] !== (expected++ & 255)) assert.fail(`byte ${expected - 1}`);
            }
            return taken;
          });
        }
        assert.ok(expected > 1_000_000, `${expected}`);
      }
      assert.equal(region.closed, false, 'the memory is the caller’s');
    });
  }

  it('wait for a claim that has to begin at the start', async () => {
    using channel = Channel.over(new SharedArrayBuffer(640 + 1024));
    using sender = channel.sender;
    using receiver = channel.receiver;
    const { capacity } = channel;
    assert.equal(capacity, 1024);
    sender.claim(600)!.fill(1);
    sender.commit();
    assert.equal(sender.claim(600), null);
    assert.equal(sender.claim(424)!.length, 424);
    sender.abort();
    const room = sender.whenWritable(1000);
    receiver.consume(600);
    await receiver.whenReadable(1, { signal: AbortSignal.timeout(5) }).catch(() => {});
    await room;
    sender.claim(1000)!.fill(2);
    sender.commit();
    assert.equal(await receiver.whenReadable(1000), true);
    assert.deepEqual(receiver.content(), new Uint8Array(1000).fill(2));
  });

  it('wait for both ends of a lap, which cannot be one piece', async () => {
    using channel = Channel.over(new SharedArrayBuffer(640 + 1024));
    using sender = channel.sender;
    using receiver = channel.receiver;
    sender.claim(1000)!.fill(1);
    sender.commit();
    receiver.consume(900);
    sender.claim(24)!.fill(2);
    sender.commit();
    sender.claim(500)!.fill(3);
    sender.commit();
    assert.equal(await receiver.whenReadable(500), true);
    assert.equal(receiver.length, 124);
    receiver.consume(124);
    assert.equal(receiver.length, 500);
  });

  it('are refused where there is too little memory', () => {
    assert.throws(() => Channel.over(new SharedArrayBuffer(640)), corrupt);
    assert.throws(() => Channel.over({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => Channel.over(new SharedArrayBuffer(2000), { signal: 'pipe' }), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
    using channel = Channel.over(new SharedArrayBuffer(2000));
    assert.throws(() => channel.stdio('sender'), { code: 'ERR_ANNULUS_UNSUPPORTED' });
  });

  it('hide nothing of a broken lap', () => {
    const shared = new SharedArrayBuffer(640 + 1024);
    using channel = Channel.over(shared);
    using sender = channel.sender;
    using receiver = channel.receiver;
    sender.send(() => 1000);
    receiver.consume(1000);
    assert.equal(sender.claim(100)?.length, 100);
    const words = new Int32Array(shared);
    for (const wrap of [1025, -1, 999]) {
      words[33] = wrap;
      assert.throws(() => receiver.length, { ...corrupt, message: /left its lap at/ });
    }
    words[33] = 1000;
    assert.equal(receiver.length, 0);
  });
});

describe('threads over a SharedArrayBuffer', () => {
  for (const manner of ['async', 'blocking'] as const) {
    it(`exchange messages and the end, by ${manner} waits`, async () => {
      using channel = Channel.over(new SharedArrayBuffer(640 + 4096), { messages: true });
      const count = 20_000;
      const worker = startThread(
        channel.senderHandle,
        'MessageSender',
        manner === 'async'
          ? `for (let i = 0; i < ${count}; i++) await end.write(new Uint8Array(i % 300).fill(i));
             end.end();`
          : `for (let i = 0; i < ${count}; i++) end.writeSync(new Uint8Array(i % 300).fill(i));
             end.end();`,
      );
      const exit = once(worker, 'exit');
      using receiver = channel.receiver;
      let seen = 0;
      for await (const message of receiver) {
        if (message.length !== seen % 300 || message.some((byte) => byte !== (seen & 255))) {
          assert.fail(`message ${seen}`);
        }
        seen++;
      }
      assert.equal(seen, count);
      assert.deepEqual(await exit, [0]);
    });
  }

  it('are woken by an end that comes while they sleep', async () => {
    for (let round = 0; round < 20; round++) {
      using channel = Channel.over(new SharedArrayBuffer(640 + 4096), { messages: true });
      const worker = startThread(
        channel.receiverHandle,
        'MessageReceiver',
        `parentPort.postMessage(1);
         let count = 0;
         while (end.waitReadable()) count += end.receive(() => {});
         parentPort.postMessage(count);`,
      );
      await once(worker, 'message');
      void channel.sender.write(new Uint8Array(1));
      channel.sender.end();
      assert.deepEqual(await once(worker, 'message'), [1]);
      await worker.terminate();
    }
  });

  it('are told of a thread that has ended by who holds it', async () => {
    using channel = Channel.over(new SharedArrayBuffer(640 + 4096));
    const worker = startThread(
      channel.senderHandle,
      'Sender',
      `end.send((free) => (free[0] = 5, 1)); parentPort.postMessage(1); setInterval(() => {}, 1000);`,
    );
    using receiver = channel.receiver;
    await once(worker, 'message');
    const waiting = receiver.whenReadable(2);
    await worker.terminate();
    channel.abandon('sender');
    assert.equal(await waiting, true, 'what was sent comes first');
    receiver.consume(1);
    await assert.rejects(receiver.whenReadable(), { code: 'ERR_ANNULUS_PEER_CLOSED' });
    using other = Channel.create({ capacity: 1 });
    assert.throws(() => other.abandon('sender'), { code: 'ERR_ANNULUS_UNSUPPORTED' });
  });
});

describe('a channel over a memfd', () => {
  it('seals it, and lives in it', () => {
    const before = held();
    const fd = memfdCreate('mine');
    ftruncate(fd, 3 * page);
    {
      using channel = Channel.over(fd, { type: Uint16Array });
      assert.equal(channel.capacity, page);
      assert.equal(getSeals(fd) & 7, SEAL.SEAL | SEAL.SHRINK | SEAL.GROW);
      using sender = channel.sender;
      using receiver = channel.receiver;
      void sender.write(Uint16Array.of(1, 2));
      assert.deepEqual([...receiver.content()], [1, 2]);
      const report = inspectMemory(fd)!;
      assert.equal(report.used, 4);
      assert.equal(report.sent, 4);
      assert.equal(report.unit, 2);
      assert.deepEqual(report.sender, { state: 'attached', pid: process.pid });
      assert.deepEqual(report.receiver, { state: 'attached', pid: process.pid });
    }
    close(fd);
    assert.deepEqual(held(), before);
  });

  it('refuses what cannot be one, and leaves nothing behind', () => {
    const before = held();
    const empty = memfdCreate('empty');
    assert.throws(() => Channel.over(empty), corrupt);
    assert.throws(() => Channel.over(1), /fcntl/);
    close(empty);
    assert.deepEqual(held(), before);
  });

  it('is made of huge pages where the machine has some', (t) => {
    let channel;
    try {
      channel = Channel.create({ capacity: 1, hugePages: true });
    } catch (error) {
      assert.match(String(error), /ENOMEM|ENOSYS|EINVAL/);
      return t.skip(`this machine has no huge pages to give: ${String(error)}`);
    }
    using mine = channel;
    assert.equal(mine.capacity % (2 << 20), 0);
    using sender = mine.sender;
    using receiver = mine.receiver;
    for (let i = 0; i < 5; i++) {
      sender.send((free) => free.fill(i).length);
      assert.ok(receiver.content().every((byte) => byte === i));
      receiver.consume(mine.capacity - 1);
      receiver.consume(1);
    }
    return undefined;
  });

  it('is locked in memory on request', () => {
    using channel = Channel.create({ capacity: page, lock: true });
    using receiver = channel.receiver;
    assert.equal(receiver.length, 0);
  });
});

describe('memory that is written once', () => {
  it('is what its maker wrote, for everybody and for ever', () => {
    const before = held();
    const fd = createWriteOnce(5000, (memory) => {
      assert.equal(memory.length, 5000);
      memory.fill(7);
    });
    {
      using mine = openWriteOnce(fd);
      using other = openWriteOnce(fd);
      assert.equal(mine.byteLength, 2 * page);
      assert.equal(mine.bytes[4999], 7);
      mine.bytes[0] = 1;
      assert.equal(other.bytes[0], 7, 'what a reader writes is its own');
    }
    assert.throws(() => ftruncate(fd, page), /EPERM/);
    assert.throws(() => Region.map(page, [{ at: 0, length: page, fd, offset: 0 }]), /EPERM/);
    close(fd);
    assert.deepEqual(held(), before);
  });

  it('is nothing else', () => {
    const before = held();
    const open = memfdCreate('open');
    ftruncate(open, page);
    assert.throws(() => openWriteOnce(open), corrupt);
    addSeals(open, SEAL.SEAL | SEAL.SHRINK | SEAL.GROW);
    assert.throws(() => openWriteOnce(open), corrupt);
    close(open);
    assert.throws(() => openWriteOnce(1), corrupt);
    assert.throws(() => createWriteOnce(0, () => {}), { code: 'ERR_OUT_OF_RANGE' });
    const failure = new Error('mine');
    const fail = (): never => {
      throw failure;
    };
    assert.throws(() => createWriteOnce(1, fail), failure);
    assert.deepEqual(held(), before);
  });
});

describe('a handle of a Region', () => {
  it('is attached in a thread, and leaves nothing behind', async () => {
    const before = held();
    {
      using region = Region.allocate(4 * page);
      using channel = Channel.over(region, { signal: 'eventfd' });
      const worker = startThread(channel.senderHandle, 'Sender', `end.send(() => 9); end.end();`);
      const exit = once(worker, 'exit');
      using receiver = Receiver.attach(channel.receiverHandle);
      assert.equal(await receiver.whenReadable(9), true);
      await exit;
    }
    await setImmediate();
    assert.deepEqual(held(), before);
  });
});
