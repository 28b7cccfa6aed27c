/**
 * Either side of a channel is killed at each of its stores to the shared memory. The survivor sees a
 * prefix of what was sent, in order and intact, and then why there is no more; and what a killed
 * receiver left is there for the one that takes its place.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Channel, MessageReceiver, Receiver } from 'annulus/channel';
import type { ChannelHandle, MessageSender, Sender } from 'annulus/channel';
import { byteOf, MESSAGES, messageOf, numberOf, STREAM_BYTES } from '../support/sent.js';

const program = fileURLToPath(new URL('programs/channel-death.js', import.meta.url));
const CAPACITY = 4096;
/** Victims under way at once. */
const LANES = 3;

/** One kind of channel, as its survivors use it. */
interface Kind<S extends Sender | MessageSender, R extends Receiver | MessageReceiver> {
  readonly total: number;
  create(): { sender: S; receiver: R; stdio: Channel['stdio']; release: Channel['release'] };
  attach(handle: ChannelHandle): R;
  /** Sends what comes at `at` if there is room, and returns what comes next. */
  send(sender: S, at: number): number;
  /** Resolves once there is room for what comes at `at`. */
  room(sender: S, at: number): Promise<void>;
  /** What comes first in the channel, where the sender sees that it has sent `sent`. */
  first(receiver: R, sender: S, sent: number): number;
  /** Takes what is there, which must be what was sent at `at`, and returns what comes next. */
  take(receiver: R, at: number): number;
}

const messages: Kind<MessageSender, MessageReceiver> = {
  total: MESSAGES,
  create: () => Channel.create({ capacity: CAPACITY, messages: true }),
  attach: (handle) => MessageReceiver.attach(handle),
  send: (sender, at) => {
    const written = sender.tryWrite(messageOf(at));
    if (written) sender.flush();
    return written ? at + 1 : at;
  },
  room: (sender, at) => sender.whenWritable(messageOf(at).length),
  // Reading it again gives the next: it is looked at and left where it is.
  first: (receiver) => {
    let number = -1;
    const peek = (): unknown =>
      receiver.receive((message) => {
        number = numberOf(message);
        throw new Error('only looking');
      });
    assert.throws(peek, /only looking/);
    return number;
  },
  take: (receiver, at) => {
    assert.deepEqual(receiver.read()!.slice(), messageOf(at), `message ${at}`);
    return at + 1;
  },
};

const bytes: Kind<Sender, Receiver> = {
  total: STREAM_BYTES,
  create: () => Channel.create({ capacity: CAPACITY }),
  attach: (handle) => Receiver.attach(handle),
  send: (sender, at) => {
    const free = sender.claim();
    if (free === null) return at;
    const count = Math.min(free.length, 1300, STREAM_BYTES - at);
    for (let offset = 0; offset < count; offset++) free[offset] = byteOf(at + offset);
    sender.commit(count);
    return at + count;
  },
  room: (sender) => sender.whenWritable(),
  first: (_receiver, sender, sent) => sent - (CAPACITY - sender.free),
  take: (receiver, at) => {
    const content = receiver.content();
    const wrong = content.findIndex((byte, offset) => byte !== byteOf(at + offset));
    assert.equal(wrong, -1);
    receiver.consume(content.length);
    return at + content.length;
  },
};

/** The points of a victim that got to its end; undefined for one that was killed. */
async function runVictim(
  work: string,
  last: number,
  stdio: readonly unknown[],
): Promise<number | undefined> {
  const args = [program, work, String(last)];
  const child = spawn(process.execPath, args, { stdio: stdio as never[] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === 'SIGKILL') return undefined;
  assert.deepEqual([code, signal], [0, null]);
  return Number(text);
}

function startVictim(
  channel: { stdio: Channel['stdio']; release: Channel['release'] },
  role: 'sender' | 'receiver',
  work: string,
  last: number,
): Promise<number | undefined> {
  const running = runVictim(work, last, channel.stdio(role, ['ignore', 'pipe', 'inherit']));
  channel.release(role);
  return running;
}

/** What a wait ends with: true, false, or the code of its error. */
async function endOf(wait: Promise<boolean | void>): Promise<boolean | string> {
  return wait.then(
    (ready) => ready !== false,
    (error: unknown) => (error as { code: string }).code,
  );
}

/** Receives to the end; what would come next, and how it ended. */
async function receiveAll<S extends Sender | MessageSender, R extends Receiver | MessageReceiver>(
  kind: Kind<S, R>,
  receiver: R,
  first: number,
): Promise<[at: number, end: boolean | string]> {
  for (let at = first; ;) {
    const end = await endOf(receiver.whenReadable());
    if (end !== true) return [at, end];
    at = kind.take(receiver, at);
  }
}

/** Sends to the end; what was sent, and true or the code of an error. */
async function sendAll<S extends Sender | MessageSender, R extends Receiver | MessageReceiver>(
  kind: Kind<S, R>,
  sender: S,
  first: number,
): Promise<[sent: number, end: boolean | string]> {
  let at = first;
  while (at < kind.total) {
    const end = await endOf(kind.room(sender, at));
    if (end !== true) return [at, end];
    at = kind.send(sender, at);
  }
  return [at, true];
}

/** A sender dies at point `last`; whether it has so many. */
async function killSender<S extends Sender | MessageSender, R extends Receiver | MessageReceiver>(
  kind: Kind<S, R>,
  work: string,
  last: number,
): Promise<boolean> {
  const channel = kind.create();
  const victim = startVictim(channel, 'sender', work, last);
  using receiver = channel.receiver;
  const [got, end] = await receiveAll(kind, receiver, 0);
  const points = await victim;
  // A victim may be killed after its last word.
  if (end === false) assert.equal(got, kind.total);
  else assert.equal(end, 'ERR_ANNULUS_PEER_DIED');
  if (points !== undefined) assert.equal(end, false);
  return points === undefined;
}

/** A receiver dies at point `last`, and another takes its place; whether it has so many. */
async function killReceiver<S extends Sender | MessageSender, R extends Receiver | MessageReceiver>(
  kind: Kind<S, R>,
  work: string,
  last: number,
): Promise<boolean> {
  const channel = kind.create();
  const victim = startVictim(channel, 'receiver', work, last);
  using sender = channel.sender;
  const [sent, end] = await sendAll(kind, sender, 0);
  // It may die with everything sent and not everything received.
  const taken =
    end === true ? await endOf(sender.whenWritable(kind === bytes ? CAPACITY : CAPACITY - 8)) : end;
  if (taken === true) {
    sender.end();
    return (await victim) === undefined;
  }
  assert.equal(taken, 'ERR_ANNULUS_PEER_DIED');
  assert.equal(await victim, undefined);
  using receiver = kind.attach(sender.renewPeer().handle);
  await receiver.whenReadable();
  const first = kind.first(receiver, sender, sent);
  const [[, goneOn]] = await Promise.all([
    sendAll(kind, sender, sent).then((result) => (sender.end(), result)),
    receiveAll(kind, receiver, first).then((result) =>
      assert.deepEqual(result, [kind.total, false]),
    ),
  ]);
  assert.equal(goneOn, true);
  return true;
}

/** Kills victims at one point after another until one gets through; the points there were. */
async function killAtEach(kill: (last: number) => Promise<boolean>): Promise<number> {
  let next = 0;
  let through = false;
  const lane = async (): Promise<void> => {
    while (!through) through = !(await kill(next++)) || through;
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return next - LANES;
}

describe('what is left when one side is killed at a store', () => {
  for (const [name, kind] of Object.entries({ messages, bytes })) {
    const works =
      name === 'messages' ? ['sendMessages', 'receiveMessages'] : ['sendBytes', 'receiveBytes'];
    it(`of ${name}: the sender`, async (t) => {
      const points = await killAtEach((last) => killSender(kind as typeof bytes, works[0]!, last));
      t.diagnostic(`${points} points`);
      assert.ok(points > 20);
    });

    it(`of ${name}: the receiver`, async (t) => {
      const points = await killAtEach((last) =>
        killReceiver(kind as typeof bytes, works[1]!, last),
      );
      t.diagnostic(`${points} points`);
      assert.ok(points > 10);
    });
  }
});
