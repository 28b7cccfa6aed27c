/**
 * Bytes between descriptors and channels: all of them, in order, and none lost by an error.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';

import { Channel } from 'annulus/channel';
import { Region } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import type { ChannelTransferOptions } from 'annulus/proactor';
import { pipe } from '#src/sys/linux.js';
import { Folder, needs } from '../support/requests.js';

const CAPACITY = 65_536;
const content = randomBytes(1_000_003);

/** Through a channel from one file to another; what arrived. */
async function copy(
  io: Proactor,
  folder: Folder,
  from: ChannelTransferOptions,
  to: ChannelTransferOptions,
): Promise<Buffer> {
  const channel = Channel.create({ capacity: CAPACITY });
  const source = folder.open(content, 'source');
  const target = folder.open('', 'target');
  const draining = io.drainChannel(channel.receiver, target, to);
  const filled = await io.fillChannel(source, channel.sender, from);
  channel.sender.end();
  assert.equal(await draining, filled);
  channel.receiver.close();
  return readFileSync(folder.at('target'));
}

describe('between files and channels', needs('WRITE'), () => {
  const start = { position: 0 };
  for (const [name, from, to] of [
    ['at positions, several pieces at once', start, start],
    ['at the current positions, one after another', {}, {}],
    ['from a position to the current one', start, {}],
  ] as const) {
    it(`moves everything ${name}`, async () => {
      await using io = new Proactor();
      using folder = new Folder();
      assert.ok((await copy(io, folder, from, to)).equals(content));
      assert.equal(io.stats.bounced, 0);
    });
  }

  it('moves everything through memory without a mirror', async () => {
    await using io = new Proactor();
    using folder = new Folder();
    const source = folder.open(content, 'source');
    for (const memory of [new SharedArrayBuffer(20_000), Region.allocate(20_000)]) {
      const channel = Channel.over(memory);
      const target = folder.open('', 'target');
      const draining = io.drainChannel(channel.receiver, target, start);
      await io.fillChannel(source, channel.sender, start);
      channel.sender.end();
      assert.equal(await draining, content.length);
      assert.ok(readFileSync(folder.at('target')).equals(content));
      channel.receiver.close();
    }
  });

  it('moves a part', async () => {
    await using io = new Proactor();
    using folder = new Folder();
    const part = await copy(io, folder, { position: 5, length: 100_001 }, { position: 3 });
    assert.ok(part.subarray(3).equals(content.subarray(5, 100_006)));
    assert.equal((await copy(io, folder, { position: content.length }, start)).length, 0);
    assert.equal((await copy(io, folder, { position: 0, length: 0 }, start)).length, 0);
  });

  it('moves through registered memory, over the seam too', async () => {
    await using io = new Proactor();
    using folder = new Folder();
    const channel = Channel.create({ capacity: CAPACITY });
    const [sent, received] = io.registerBuffers([channel.sender.memory, channel.receiver.memory]);
    const source = folder.open(content, 'source');
    const target = folder.open('', 'target');
    const draining = io.drainChannel(channel.receiver, target, { position: 0, buffer: received });
    await io.fillChannel(source, channel.sender, { position: 0, buffer: sent });
    channel.sender.end();
    assert.equal(await draining, content.length);
    assert.ok(readFileSync(folder.at('target')).equals(content));
    channel.receiver.close();
  });

  it('leaves in the channel what could not be written', async () => {
    await using io = new Proactor();
    using folder = new Folder();
    for (const options of [{}, { position: 0 }]) {
      const channel = Channel.create({ capacity: CAPACITY });
      channel.sender.claim(20_000)!.set(content.subarray(0, 20_000));
      channel.sender.commit();
      channel.sender.end();
      folder.open('', 'target');
      const readOnly = openSync(folder.at('target'), 'r');
      const refused = io.drainChannel(channel.receiver, readOnly, options);
      await assert.rejects(refused, { code: 'EBADF' });
      closeSync(readOnly);
      const target = folder.open('', 'target');
      assert.equal(await io.drainChannel(channel.receiver, target, options), 20_000);
      assert.ok(readFileSync(folder.at('target')).equals(content.subarray(0, 20_000)));
      channel.receiver.close();
    }
  });

  it('refuses what makes no sense', async () => {
    await using io = new Proactor();
    const { sender, receiver } = Channel.create({ capacity: CAPACITY });
    const outOfRange = { code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => io.fillChannel(0, sender, { position: -1 }), outOfRange);
    assert.throws(() => io.drainChannel(receiver, 0, { length: 0.5 }), outOfRange);
    const [small] = io.registerBuffers([sender.memory.subarray(0, 4096)]);
    const invalid = { code: 'ERR_INVALID_ARG_VALUE' };
    assert.throws(() => io.fillChannel(0, sender, { buffer: small }), invalid);
    await assert.rejects(io.fillChannel(-2, sender), outOfRange);
    sender.close();
    receiver.close();
  });
});

describe('between streams and channels', needs('WRITE'), () => {
  it('waits for a pipe that does not block, and for its reader', async () => {
    await using io = new Proactor();
    const [inlet, outlet] = [pipe(), pipe()];
    const channel = Channel.create({ capacity: 4096 });
    const filling = io.fillChannel(inlet[0], channel.sender);
    const draining = io.drainChannel(channel.receiver, outlet[1]);
    let got = 0;
    for (let sent = 0; sent < 300_000; sent += 20_000) {
      writeSync(inlet[1], content, sent, 20_000);
      const memory = Buffer.alloc(20_000);
      let part = 0;
      while (part < 20_000) part += await io.read(outlet[0], memory.subarray(part));
      assert.ok(memory.equals(content.subarray(got, got + 20_000)));
      got += 20_000;
    }
    closeSync(inlet[1]);
    assert.equal(await filling, got);
    channel.sender.end();
    assert.equal(await draining, got);
    for (const fd of [inlet[0], outlet[0], outlet[1]]) closeSync(fd);
    channel.receiver.close();
  });

  it('is ended by a signal, and goes on where it was', async () => {
    await using io = new Proactor();
    const [read, write] = pipe();
    const { sender, receiver } = Channel.create({ capacity: 4096 });
    writeSync(write, 'before');
    const abort = new AbortController();
    const filling = io.fillChannel(read, sender, { signal: abort.signal });
    await receiver.whenReadable(6);
    abort.abort();
    await assert.rejects(filling, { name: 'AbortError' });
    writeSync(write, ' after');
    assert.equal(await io.fillChannel(read, sender, { length: 6 }), 6);
    assert.equal(Buffer.from(receiver.content()).toString(), 'before after');
    closeSync(read);
    closeSync(write);
    sender.close();
    receiver.close();
  });

  it('says that nobody receives any more', async () => {
    await using io = new Proactor();
    using folder = new Folder();
    const { sender, receiver } = Channel.create({ capacity: CAPACITY });
    const source = folder.open(content);
    const filling = io.fillChannel(source, sender, { position: 0 });
    await receiver.whenReadable();
    receiver.close();
    await assert.rejects(filling, { code: 'ERR_ANNULUS_PEER_CLOSED' });
    sender.close();
    ftruncateSync(source, 0);
  });
});
