/**
 * Channels that are connected and closed again and again, within this process or with peers that are
 * killed at any moment, and what this process holds before and after.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { Channel } from 'annulus/channel';
import type { Connection, MessageReceiver, MessageSender } from 'annulus/channel';

import { mappings, openFiles } from '../../support/census.ts';
import type { CompiledPeer } from '../../support/channel-peer.ts';
import { collectGarbage } from '../../support/gc.ts';
import type { RandomInteger } from '../../support/random.ts';

/** What this process holds that a channel could have left behind. */
export interface Holdings {
  readonly fds: readonly string[];
  /** Mappings of channels. */
  readonly mapped: number;
  readonly residentBytes: number;
  /** Live objects, and memory of theirs beside the heap. */
  readonly liveBytes: number;
}

/** Counts, once everything that can be collected is. */
export async function holdings(): Promise<Holdings> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await setImmediate();
  }
  const { heapUsed, external } = process.memoryUsage();
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return {
    fds: openFiles(),
    mapped: mappings().filter(({ path }) => path.includes('annulus-channel')).length,
    residentBytes: Number(resident![1]) * 1024,
    liveBytes: heapUsed + external,
  };
}

type Duplex = Connection<MessageSender, MessageReceiver, 'duplex'>;

/** What may become of an end whose peer goes away. */
const GONE: ReadonlySet<unknown> = new Set(['ERR_ANNULUS_PEER_CLOSED', 'ERR_ANNULUS_PEER_DIED']);

/** Runs `action`; only a peer that is gone may end it early. */
async function unlessGone(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    assert.ok(GONE.has((error as { code?: unknown }).code), String(error));
  }
}

/** Connects and closes within this process, in every order. */
export async function connectAndClose(
  cycles: number,
  random: RandomInteger,
  folder: string,
): Promise<void> {
  const options = { capacity: 4096, messages: true } as const;
  using listener = await Channel.listen(join(folder, 'cycles'), options);
  for (let cycle = 0; cycle < cycles; cycle++) {
    const [here, there] = await Promise.all([
      Channel.connect(listener.path, { messages: true, role: 'duplex' }),
      listener.accept(),
    ]);
    if (random(10) < 7) await here.sender.write(new Uint8Array(random(4096)));
    const waiting = random(2) === 0 ? unlessGone(() => read(there.receiver)) : undefined;
    if (random(2) === 0) here.sender.end();
    for (const connection of random(2) === 0 ? [here, there] : [there, here]) connection.close();
    await waiting;
  }
}

async function read(receiver: MessageReceiver): Promise<void> {
  try {
    await receiver.whenReadable();
  } catch (error) {
    // It was closed on this side while it waited.
    if ((error as { code?: unknown }).code !== 'ERR_ANNULUS_CLOSED') throw error;
  }
}

/** Meets peers that are killed: before they connect, while they greet, between any two messages. */
export async function outlive(
  deaths: number,
  random: RandomInteger,
  { program, folder }: CompiledPeer,
): Promise<{ met: number }> {
  const path = join(folder, 'deaths');
  const listener = await Channel.listen(path, { capacity: 4096, messages: true });
  const talks: Promise<void>[] = [];
  let met = 0;
  const serving = (async () => {
    for await (const connection of listener) {
      met++;
      talks.push(talk(connection, random));
    }
  })();
  for (let death = 0; death < deaths; death++) {
    const child = spawn(program, [path], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // From before it runs to after some messages: a busy machine only changes which it is.
    for (let turns = (random(60) * random(60)) / 60; turns > 0; turns--) await setImmediate();
    child.kill('SIGKILL');
    await ended;
    await Promise.all(talks.splice(0));
  }
  listener.close();
  await serving;
  await Promise.all(talks);
  return { met };
}

async function talk(connection: Duplex, random: RandomInteger): Promise<void> {
  const { sender, receiver } = connection;
  await unlessGone(async () => {
    for (;;) {
      await sender.write(new Uint8Array(random(2000)));
      if (!(await receiver.whenReadable())) return;
      receiver.read();
    }
  });
  connection.close();
}
