/**
 * Channels that wait by requests of a proactor.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { Channel } from 'annulus/channel';
import type { SignalKind } from 'annulus/channel';
import { Proactor } from 'annulus/proactor';
import { start } from '../support/processes.js';
import { needs } from '../support/requests.js';

describe('a channel that waits by a proactor', needs('POLL_ADD'), () => {
  for (const signal of ['socket', 'eventfd', 'pipe'] as SignalKind[]) {
    it(`is woken by ${signal}, and holds no request while nobody waits`, async () => {
      await using io = new Proactor();
      using channel = Channel.create({
        capacity: 4096,
        signal,
        waiter: io.channelWaiter,
        waiting: 'sleep',
      });
      using sender = channel.sender;
      using receiver = channel.receiver;
      for (let round = 0; round < 50; round++) {
        const waiting = receiver.whenReadable(2);
        sender.send(() => 1);
        await setImmediate();
        sender.send(() => 1);
        assert.equal(await waiting, true);
        receiver.consume(2);
      }
      await assert.rejects(receiver.whenReadable(1, { signal: AbortSignal.timeout(2) }), {
        name: 'AbortError',
      });
      while (io.stats.inFlight > 0) await setImmediate();
      sender.send((free) => free.length);
      const room = sender.whenWritable();
      receiver.consume(1);
      await room;
    });
  }

  it('hears of a death', async () => {
    await using io = new Proactor();
    using channel = Channel.create({ capacity: 4096, waiter: io.channelWaiter });
    const child = start(
      `import { Sender } from 'annulus/channel';
       const end = Sender.fromStdio();
       end.send(() => 3);
       console.log(1);
       setInterval(() => {}, 1000);`,
      channel.stdio('sender', ['ignore', 'pipe', 'inherit']),
    );
    channel.release('sender');
    using receiver = channel.receiver;
    await once(child.stdout!, 'data');
    const waiting = receiver.whenReadable(4);
    child.kill('SIGKILL');
    assert.equal(await waiting, true);
    receiver.consume(3);
    await assert.rejects(receiver.whenReadable(), { code: 'ERR_ANNULUS_PEER_DIED' });
  });

  it('is not forgotten when the proactor closes', async () => {
    const io = new Proactor();
    using channel = Channel.create({ capacity: 4096, waiter: io.channelWaiter });
    using sender = channel.sender;
    using receiver = channel.receiver;
    const waiting = receiver.whenReadable();
    await setImmediate();
    await io.close();
    sender.send(() => 1);
    assert.equal(await waiting, true);
  });
});
