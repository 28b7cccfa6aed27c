/**
 * A channel between two threads and between two processes: bytes arrive, and so does the news of an end,
 * a close and a death.
 */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { Channel } from 'annulus/channel';
import type { Receiver } from 'annulus/channel';
import { ended, root, start } from '../support/processes.js';
import { held } from '../support/resources.js';

const died = { code: 'ERR_ANNULUS_PEER_DIED' };
const peerClosed = { code: 'ERR_ANNULUS_PEER_CLOSED' };

/** Starts a process that has `role` of the channel and runs `program`. */
function startPeer(channel: Channel, role: 'sender' | 'receiver', program: string): ChildProcess {
  const classes = { sender: 'Sender', receiver: 'Receiver' };
  const child = start(
    `import { ${classes[role]} } from 'annulus/channel';
     const ${role} = ${classes[role]}.fromStdio();
     ${program}`,
    channel.stdio(role, ['ignore', 'pipe', 'inherit']),
  );
  channel.release(role);
  return child;
}

/** Starts a thread with one end of the channel, `end`, that runs `program`. */
function startThread(channel: Channel, role: 'sender' | 'receiver', program: string): Worker {
  const handle = role === 'sender' ? channel.senderHandle : channel.receiverHandle;
  const attach = role === 'sender' ? 'Sender' : 'Receiver';
  const text = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(async (library) => {
      const end = library.${attach}.attach(workerData.handle);
      ${program}
    });`;
  return new Worker(text, {
    eval: true,
    workerData: { handle, module: new URL('dist/channel/index.js', `file://${root}`).href },
  });
}

/** Receives to the end of the stream; the number of bytes, each of which must be 7. */
async function receiveAll(receiver: Receiver): Promise<number> {
  let count = 0;
  while (await receiver.whenReadable()) {
    receiver.receive((content) => {
      assert.ok(content.every((byte) => byte === 7));
      count += content.length;
      return content.length;
    });
  }
  return count;
}

const sendMany = `
  for (let left = 100_000; left > 0; ) {
    await END.whenWritable();
    left -= END.send((free) => {
      const count = Math.min(left, free.length);
      free.fill(7, 0, count);
      return count;
    });
  }
  END.end();`;

describe('a channel between processes', () => {
  it('delivers a stream and its end', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const child = startPeer(channel, 'sender', sendMany.replaceAll('END', 'sender'));
    const exit = ended(child);
    using receiver = channel.receiver;
    assert.equal(await receiveAll(receiver), 100_000);
    assert.equal((await exit).code, 0);
  });

  it('tells the receiver of a kill after everything that was committed', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const child = startPeer(
      channel,
      'sender',
      `sender.send((free) => (free.fill(7), 3000));
       console.log('sent');
       setInterval(() => {}, 1000);`,
    );
    await once(child.stdout!, 'data');
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    using receiver = channel.receiver;
    assert.equal(await receiver.whenReadable(4000), true, 'the rest, though less than asked for');
    assert.equal(receiver.length, 3000);
    receiver.consume(1000);
    assert.equal(await receiver.whenReadable(4000), true);
    receiver.consume(2000);
    await assert.rejects(receiver.whenReadable(), died);
    assert.throws(() => receiver.waitReadable(), died);
  });

  it('wakes a receiver that sleeps when its sender is killed', async () => {
    for (const blocking of [false, true]) {
      using channel = Channel.create({ capacity: 5000 });
      const child = startPeer(channel, 'sender', `console.log(1); setInterval(() => {}, 1000);`);
      using receiver = channel.receiver;
      await once(child.stdout!, 'data');
      if (blocking) {
        child.kill('SIGKILL');
        assert.throws(() => receiver.waitReadable(), died);
      } else {
        const waiting = receiver.whenReadable();
        child.kill('SIGKILL');
        await assert.rejects(waiting, died);
      }
    }
  });

  it('tells a sender that waits for space when its receiver is killed', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const child = startPeer(channel, 'receiver', `console.log(1); setInterval(() => {}, 1000);`);
    using sender = channel.sender;
    await once(child.stdout!, 'data');
    sender.send((free) => free.length);
    const waiting = sender.whenWritable();
    child.kill('SIGKILL');
    await assert.rejects(waiting, died);
    assert.throws(() => sender.claim(), died);
  });

  it('tells a sender when the receiver closes', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const child = startPeer(
      channel,
      'receiver',
      `await receiver.whenReadable(5); receiver.consume(5); receiver.close();`,
    );
    using sender = channel.sender;
    sender.send((free) => free.length);
    const free = 5000;
    await assert.rejects(sender.whenWritable(free), peerClosed);
    assert.equal((await ended(child)).code, 0);
  });

  it('takes a process that exits without ending the stream for dead', async () => {
    using channel = Channel.create({ capacity: 5000 });
    startPeer(channel, 'sender', `sender.send(() => 2);`);
    using receiver = channel.receiver;
    await receiver.whenReadable(2);
    receiver.consume(2);
    await assert.rejects(receiver.whenReadable(), died);
  });
});

describe('a channel between threads', () => {
  it('delivers a stream and its end', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const worker = startThread(channel, 'sender', sendMany.replaceAll('END', 'end'));
    const exit = once(worker, 'exit');
    using receiver = channel.receiver;
    assert.equal(await receiveAll(receiver), 100_000);
    assert.deepEqual(await exit, [0]);
  });

  it('tells of a terminated thread as of a killed process', async () => {
    using channel = Channel.create({ capacity: 5000 });
    const worker = startThread(
      channel,
      'sender',
      `end.send((free) => (free.fill(7), 3000));
       require('node:worker_threads').parentPort.postMessage('sent');
       setInterval(() => {}, 1000);`,
    );
    using receiver = channel.receiver;
    await once(worker, 'message');
    await worker.terminate();
    assert.equal(await receiver.whenReadable(), true);
    receiver.consume(3000);
    await assert.rejects(receiver.whenReadable(), died);
  });

  it('survives the close of the channel object before a thread attaches elsewhere', async () => {
    const channel = Channel.create({ capacity: 5000 });
    const worker = startThread(
      channel,
      'sender',
      `end.send(() => 5);
       require('node:worker_threads').parentPort.postMessage('sent');
       await new Promise((resolve) => require('node:worker_threads').parentPort.once('message', resolve));
       end.send(() => 6);
       end.end();`,
    );
    using receiver = channel.receiver;
    await once(worker, 'message');
    channel.close();
    worker.postMessage('go on', []);
    await receiver.whenReadable(11);
    assert.equal(receiver.length, 11);
  });

  it('leaves nothing behind', async () => {
    const cycle = async (): Promise<void> => {
      using channel = Channel.create({ capacity: 5000 });
      const worker = startThread(channel, 'sender', `end.send(() => 1); end.end();`);
      using receiver = channel.receiver;
      const exit = once(worker, 'exit');
      await receiver.whenReadable();
      await exit;
    };
    await cycle();
    await setImmediate();
    const before = held();
    for (let i = 0; i < 10; i++) await cycle();
    await setImmediate();
    assert.deepEqual(held(), before);
  });
});
