/**
 * A peer that is not Node: examples/channel-peer.c follows docs/channel-layout.md, and exchanges
 * messages with a channel of ours.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Channel } from 'annulus/channel';

const source = fileURLToPath(new URL('../../../examples/channel-peer.c', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'annulus-peer-'));
const program = join(folder, 'channel-peer');

before(() => {
  const compiler = process.env['CC'] ?? 'cc';
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-O2'];
  const { status, stderr, error } = spawnSync(compiler, [...flags, '-o', program, source], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${compiler} cannot compile ${source}: ${error?.message ?? stderr}`);
});
after(() => rmSync(folder, { recursive: true }));

let sockets = 0;

/** Starts the peer and meets it. */
async function meetPeer(context: TestContext, capacity: number) {
  const path = join(folder, `socket-${sockets++}`);
  using listener = await Channel.listen(path, { capacity, messages: true });
  const child = spawn(program, [path], { stdio: ['ignore', 'inherit', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const connection = await listener.accept();
  assert.equal(connection.peer.pid, child.pid);
  const { sender, receiver } = connection;
  return { sender, receiver, connection, child, ended };
}

describe('a peer in C', () => {
  it('has less than 200 lines', () => {
    assert.ok(readFileSync(source, 'utf8').split('\n').length < 200);
  });

  it('answers messages of every length, in order, until the stream ends', async (context) => {
    const { sender, receiver, ended, connection } = await meetPeer(context, 8192);
    const lengths = [0, 1, 7, 8, 9, 4095, 8192, ...Array.from({ length: 3000 }, (_, i) => i)];
    const text = (length: number): string => 'abcdefgh'.repeat(length / 8 + 1).slice(0, length);
    const sent = (async () => {
      for (const length of lengths) await sender.write(Buffer.from(text(length)));
      sender.end();
    })();
    let count = 0;
    for await (const message of receiver) {
      assert.equal(Buffer.from(message).toString(), text(lengths[count++]!).toUpperCase());
    }
    await sent;
    assert.equal(count, lengths.length);
    assert.deepEqual(await ended, [0, null]);
    connection.close();
  });

  it('sleeps and is woken, and wakes', async (context) => {
    const { sender, receiver, ended, connection } = await meetPeer(context, 4096);
    for (let round = 0; round < 5; round++) {
      // Long enough for either side to give up spinning.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await sender.write(Buffer.from(`round ${round}`));
      await receiver.whenReadable();
      assert.equal(Buffer.from(receiver.read()!).toString(), `ROUND ${round}`);
    }
    sender.end();
    assert.equal(await receiver.whenReadable(), false);
    assert.deepEqual(await ended, [0, null]);
    connection.close();
  });

  it('is told when this side gives up, and its death is noticed', async (context) => {
    const { connection, ended } = await meetPeer(context, 4096);
    connection.close();
    assert.deepEqual(await ended, [1, null]);

    const other = await meetPeer(context, 4096);
    other.child.kill('SIGKILL');
    await assert.rejects(other.receiver.whenReadable(), { code: 'ERR_ANNULUS_PEER_DIED' });
    other.connection.close();
  });

  it('refuses another kind of channel', async (context) => {
    const path = join(folder, `socket-${sockets++}`);
    using listener = await Channel.listen(path, { capacity: 4096 });
    const child = spawn(program, [path], { stdio: ['ignore', 'ignore', 'ignore'] });
    context.after(() => child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    (await listener.accept()).close();
    assert.deepEqual(await ended, [1, null]);
  });
});
