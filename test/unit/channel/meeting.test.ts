/**
 * Unrelated processes meet: `Channel.listen()` and `Channel.connect()`, within one process here.
 * `test/lifecycle/channel-cycles` and `test/lifecycle/pipe` do it with others, which die.
 */

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, mock } from 'node:test';

import { Channel } from 'annulus/channel';
import type { ChannelListener, MeetingRole, Receiver, Sender } from 'annulus/channel';
import { Proactor } from 'annulus/proactor';

import {
  decodeAnswer,
  encodeAnswer,
  encodeGreeting,
  GREETING_VERSION,
  VERDICT,
} from '#src/channel/greeting.js';
import { VERSION } from '#src/channel/layout.js';
import { ERRNO } from '#src/sys/errors.js';
import { close, eventfd } from '#src/sys/linux.js';
import { closePassed, receivePassing, sendPassing } from '#src/sys/passing.js';
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  meetingSocket,
  unixAddress,
} from '#src/sys/sockets.js';
import { openFiles } from '../../support/census.ts';
import { runCommand } from '../../support/program.ts';
import { withoutUring } from '../../support/skip.ts';
import { asUser, withoutUser } from '../../support/user.ts';

const folder = mkdtempSync(join(tmpdir(), 'annulus-meeting-'));
after(() => rmSync(folder, { recursive: true }));

let places = 0;
/** A path nobody has used. */
const fresh = (): string => join(folder, `socket-${places++}`);
/** A name without a file nobody has used. */
const freshName = (): string => `@annulus-test-${process.pid}-${places++}`;

const capacity = 4096;
const ROLES: readonly MeetingRole[] = ['sender', 'receiver', 'duplex'];

function say(sender: Sender | undefined, text: string): void {
  sender!.send((free) => new TextEncoder().encodeInto(text, free).written);
}

async function hear(receiver: Receiver | undefined): Promise<string> {
  await receiver!.whenReadable();
  let text = '';
  receiver!.receive((content) => {
    text = Buffer.from(content).toString();
    return content.length;
  });
  return text;
}

/** A socket that listens and does what the test says. */
function fakeListener(path: string, backlog: number = 8): number {
  const fd = meetingSocket();
  bindSocket(fd, unixAddress(path.replace(/^@/, '\0')));
  listenSocket(fd, backlog);
  return fd;
}

/** A socket that has connected and does what the test says. */
function fakeGuest(path: string): number {
  const fd = meetingSocket();
  assert.equal(connectSocket(fd, unixAddress(path.replace(/^@/, '\0'))), 0);
  return fd;
}

/** The next message on a non-blocking socket. */
async function nextMessage(fd: number): Promise<Uint8Array> {
  for (;;) {
    const found = receivePassing(fd);
    if (typeof found !== 'number') {
      closePassed(found.fds);
      return found.bytes;
    }
    assert.equal(found, ERRNO.EAGAIN);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const code = (expected: string) => (error: unknown) =>
  (error as { code?: unknown }).code === expected;

describe('two processes meet', () => {
  for (const [kind, place] of [
    ['at a path', fresh],
    ['at a name without a file', freshName],
    ['at a name that begins with NUL', () => freshName().replace('@', '\0')],
  ] as const) {
    it(`${kind}, in every role`, async () => {
      const before = openFiles();
      for (const role of ROLES) {
        const path = place();
        const listener = await Channel.listen(path, { capacity, role });
        assert.equal(listener.path, path.replace('\0', '@'));
        const [there, here] = await Promise.all([listener.accept(), Channel.connect(path)]);
        for (const { peer } of [there, here]) {
          assert.deepEqual(peer, {
            pid: process.pid,
            uid: process.geteuid!(),
            gid: process.getegid!(),
          });
        }
        assert.equal(there.role, role);
        for (const [from, to] of [
          [there, here],
          [here, there],
        ] as const) {
          assert.equal(from.sender === undefined, to.receiver === undefined);
          if (from.sender === undefined) continue;
          say(from.sender, 'good day');
          assert.equal(await hear(to.receiver), 'good day');
        }
        here.close();
        there.close();
        listener.close();
        assert.equal(existsSync(path.replaceAll('\0', '@')), false);
      }
      assert.deepEqual(openFiles(), before);
    });
  }

  it('each with a channel of its own, in order', async () => {
    using listener = await Channel.listen(fresh(), { capacity, role: 'receiver' });
    const heard: string[] = [];
    const served = (async () => {
      for await (const connection of listener) {
        heard.push(await hear(connection.receiver));
        connection.close();
        if (heard.length === 3) return;
      }
    })();
    for (const text of ['one', 'two', 'three']) {
      using connection = await Channel.connect(listener.path, { role: 'sender' });
      say(connection.sender, text);
      connection.sender.end();
    }
    await served;
    assert.deepEqual(heard, ['one', 'two', 'three']);
    assert.equal(listener.closed, false);
  });

  it('waiting by io_uring too', { skip: withoutUring }, async () => {
    const before = openFiles();
    const io = new Proactor();
    const options = { messages: true, waiter: io.channelWaiter } as const;
    const listener = await Channel.listen(freshName(), { capacity, ...options });
    const [there, here] = await Promise.all([
      listener.accept(),
      Channel.connect(listener.path, { ...options, role: 'duplex' }),
    ]);
    await here.sender.write(Buffer.from('by poll requests'));
    await there.receiver.whenReadable();
    assert.equal(Buffer.from(there.receiver.read()!).toString(), 'by poll requests');
    for (const each of [here, there, listener]) each.close();
    await io.close();
    assert.deepEqual(openFiles(), before);
  });

  it('only if they are of one user, where a name has no permissions', async (context) => {
    const memlock = 8 << 20;
    const connect = (place: string, more: string): string[] => [
      ...asUser(memlock),
      process.execPath,
      '--input-type=module',
      '-e',
      `const { Channel } = await import('${import.meta.resolve('annulus/channel')}');
       await Channel.connect('${place}', ${more}).catch(({ code }) => console.log(code));`,
    ];
    const skip =
      process.geteuid!() === 0
        ? withoutUser(memlock, [process.execPath, '--version'])
        : 'only the superuser can run programs as another user';
    if (skip) return context.skip(skip);
    const said = async (place: string, more: string): Promise<string> =>
      (await runCommand(connect(place, more))).stdout.trim();
    // The abstract name is refused by the connecting side, and, if that would meet anybody, by ours.
    using listener = await Channel.listen(freshName(), { capacity });
    assert.equal(await said(listener.path, '{}'), 'ERR_ANNULUS_REFUSED');
    assert.equal(await said(listener.path, '{ allow: {} }'), 'ERR_ANNULUS_REFUSED');
    chmodSync(folder, 0o755);
    using guarded = await Channel.listen(fresh(), { capacity, mode: 0o600 });
    assert.equal(await said(guarded.path, '{}'), 'EACCES');
    using open = await Channel.listen(fresh(), { capacity, mode: 0o666 });
    assert.equal(await said(open.path, '{}'), '');
    using choosy = await Channel.listen(fresh(), {
      capacity,
      mode: 0o666,
      allow: { uid: process.geteuid!() },
    });
    return assert.equal(await said(choosy.path, '{}'), 'ERR_ANNULUS_REFUSED');
  });

  it('and wait in a queue when there are many', async () => {
    using listener = await Channel.listen(freshName(), { capacity, role: 'sender', backlog: 2 });
    const connecting = Array.from({ length: 12 }, () => Channel.connect(listener.path));
    for (let count = 0; count < 12; count++) (await listener.accept()).close();
    for (const connection of await Promise.all(connecting)) connection.close();
  });
});

describe('a listener', () => {
  it('refuses whom it is told to, and says so', async () => {
    const uid = process.geteuid!();
    const gid = process.getegid!();
    const refusals: string[] = [];
    const notAllowed = [
      { uid: uid + 1 },
      { uid, gid: gid + 1 },
      { uid: [uid + 1, uid + 2] },
      () => false,
      (async () => true) as unknown as () => boolean, // a promise is no permission
    ];
    for (const allow of notAllowed) {
      using listener = await Channel.listen(freshName(), {
        capacity,
        allow,
        onRefused: (error, peer) => refusals.push(`${peer?.pid} ${error.message}`),
      });
      await assert.rejects(Channel.connect(listener.path), code('ERR_ANNULUS_REFUSED'));
    }
    assert.equal(refusals.length, notAllowed.length);
    const expected = new RegExp(`^${process.pid} .*user ${uid}, group ${gid}, process`);
    for (const refusal of refusals) assert.match(refusal, expected);
    for (const allow of [{ uid }, { uid: [1, uid], gid }, {}, () => true]) {
      using listener = await Channel.listen(freshName(), { capacity, allow });
      (await Channel.connect(listener.path)).close();
    }
  });

  it('is refused by who does not want to meet it', async () => {
    using listener = await Channel.listen(freshName(), { capacity });
    await assert.rejects(
      Channel.connect(listener.path, { allow: ({ pid }) => pid !== process.pid }),
      code('ERR_ANNULUS_REFUSED'),
    );
  });

  it('refuses a role it has no use for', async () => {
    const reasons: string[] = [];
    using listener = await Channel.listen(fresh(), {
      capacity,
      role: 'sender',
      onRefused: (error) => reasons.push(error.message),
    });
    await assert.rejects(Channel.connect(listener.path, { role: 'sender' }), (error: Error) => {
      return code('ERR_ANNULUS_REFUSED')(error) && /looking for a sender/.test(error.message);
    });
    assert.match(reasons.join(), /wants to be sender, and this side is sender/);
  });

  it('tells another version, and hears of one', async () => {
    const codes: unknown[] = [];
    using listener = await Channel.listen(freshName(), {
      capacity,
      onRefused: (error) => codes.push((error as { code?: unknown }).code),
    });
    for (const [version, layout] of [
      [GREETING_VERSION + 1, VERSION],
      [GREETING_VERSION, VERSION + 1],
    ]) {
      const fd = fakeGuest(listener.path);
      const words = new Uint32Array(encodeGreeting(layout!, undefined).buffer);
      words[1] = version!;
      sendPassing(fd, new Uint8Array(words.buffer), []);
      assert.equal(decodeAnswer(await nextMessage(fd))?.verdict, VERDICT.VERSION);
      close(fd);
    }
    assert.deepEqual(codes, ['ERR_ANNULUS_VERSION', 'ERR_ANNULUS_VERSION']);
  });

  it('is not held up by who says nothing, says nonsense, or sends descriptors', async () => {
    using listener = await Channel.listen(freshName(), { capacity, role: 'sender', backlog: 4 });
    const silent = fakeGuest(listener.path);
    const before = openFiles();
    const babbling = fakeGuest(listener.path);
    sendPassing(babbling, Uint8Array.of(1, 2, 3), []);
    assert.equal(decodeAnswer(await nextMessage(babbling))?.verdict, VERDICT.FAILED);
    const generous = fakeGuest(listener.path);
    const gift = eventfd();
    const greeting = encodeGreeting(VERSION, undefined);
    // Where the kernel refuses descriptors, it refuses the greeting with them.
    const sent = sendPassing(generous, greeting, [gift, gift, gift]);
    if (sent === ERRNO.EPERM) sendPassing(generous, greeting, []);
    assert.equal(decodeAnswer(await nextMessage(generous))?.verdict, VERDICT.WELCOME);
    (await listener.accept()).close();
    for (const fd of [babbling, generous, gift]) close(fd);
    const [connection, other] = await Promise.all([
      Channel.connect(listener.path),
      listener.accept(),
    ]);
    connection.close();
    other.close();
    // The guest that is silent was let in meanwhile.
    assert.deepEqual(openFiles(), [...before, 'socket:'].toSorted());
    close(silent);
  });

  it('gives a guest five seconds to say its greeting', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const path = freshName();
      const refusals: string[] = [];
      using listener = await Channel.listen(path, {
        capacity,
        onRefused: ({ message }) => refusals.push(message),
      });
      assert.equal(listener.closed, false);
      const fd = fakeGuest(path);
      while (refusals.length === 0) {
        await new Promise(setImmediate);
        mock.timers.tick(1_000);
      }
      assert.match(refusals.join(), /its greeting did not come in 5000 ms/);
      close(fd);
    } finally {
      mock.timers.reset();
    }
  });

  it('ends who waits for a connection, and what nobody took, when it is closed', async () => {
    const before = openFiles();
    const path = fresh();
    const listener = await Channel.listen(path, { capacity, role: 'sender' });
    const here = await Channel.connect(path, { role: 'receiver' });
    const taken = await listener.accept();
    const loop = (async () => {
      for await (const _ of listener) assert.fail('nobody else comes');
    })();
    const waiting = assert.rejects(listener.accept(), code('ERR_ANNULUS_CLOSED'));
    const stop = new AbortController();
    const aborted = assert.rejects(listener.accept(stop), code('ABORT_ERR'));
    stop.abort();
    await aborted;
    listener.close();
    listener.close();
    await Promise.all([loop, waiting]);
    await assert.rejects(listener.accept(), code('ERR_ANNULUS_CLOSED'));
    say(taken.sender, 'still open');
    assert.equal(await hear(here.receiver), 'still open');
    taken.close();
    here.close();

    const other = await Channel.listen(path, { capacity, role: 'sender' });
    const untaken = await Channel.connect(path, { role: 'receiver' });
    other.close();
    await assert.rejects(untaken.receiver.whenReadable(), code('ERR_ANNULUS_PEER_CLOSED'));
    untaken.close();
    assert.deepEqual(openFiles(), before);
  });

  it('checks what it is told', async () => {
    const listen = (path: unknown, options: object): Promise<ChannelListener> =>
      Channel.listen(path as string, options as { capacity: number });
    const wrong: [unknown, object, string][] = [
      [7, { capacity }, 'ERR_INVALID_ARG_TYPE'],
      ['', { capacity }, 'ERR_INVALID_ARG_VALUE'],
      ['a\0b', { capacity }, 'ERR_INVALID_ARG_VALUE'],
      [`/${'x'.repeat(200)}`, { capacity }, 'ERR_INVALID_ARG_VALUE'],
      ['@x', { capacity, role: 'reader' }, 'ERR_INVALID_ARG_VALUE'],
      ['@x', { capacity, backlog: 0 }, 'ERR_OUT_OF_RANGE'],
      ['@x', {}, 'ERR_INVALID_ARG_TYPE'],
      ['@x', { capacity, codec: 'xml' }, 'ERR_INVALID_ARG_VALUE'],
      ['@x', { capacity, onRefused: 1 }, 'ERR_INVALID_ARG_TYPE'],
      ['@x', { capacity, mode: 0o1777 }, 'ERR_OUT_OF_RANGE'],
      ['@x', { capacity, allow: 7 }, 'ERR_INVALID_ARG_TYPE'],
      ['@x', { capacity, allow: { uid: 'root' } }, 'ERR_INVALID_ARG_TYPE'],
      [join(folder, 'no', 'such'), { capacity }, 'ENOENT'],
    ];
    const before = openFiles();
    for (const [path, options, expected] of wrong) {
      await assert.rejects(listen(path, options), code(expected), JSON.stringify([path, options]));
    }
    assert.deepEqual(openFiles(), before);
  });
});

describe('the path of a listener', () => {
  it('is taken by one only, and given back', async () => {
    const path = fresh();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => Channel.listen(path, { capacity })),
    );
    const listening = results.filter((result) => result.status === 'fulfilled');
    assert.equal(listening.length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.ok(code('EADDRINUSE')(result.reason));
    }
    listening[0]!.value.close();
    assert.equal(existsSync(path), false);
    await assert.rejects(Channel.connect(path), code('ERR_ANNULUS_NO_LISTENER'));
  });

  it('is taken over from a process that died, and not from one that lives', async () => {
    const path = fresh();
    const dead = fakeListener(path);
    close(dead);
    assert.equal(existsSync(path), true);
    await assert.rejects(Channel.connect(path), code('ERR_ANNULUS_NO_LISTENER'));
    using listener = await Channel.listen(path, { capacity });
    (await Channel.connect(listener.path)).close();

    const server = createServer().listen(fresh());
    await once(server, 'listening');
    const taken = server.address() as string;
    await assert.rejects(Channel.listen(taken, { capacity }), code('EADDRINUSE'));
    await assert.rejects(Channel.connect(taken), code('ERR_ANNULUS_NO_LISTENER'));
    server.close();
  });

  it('is no other kind of file', async () => {
    const path = fresh();
    writeFileSync(path, 'precious');
    await assert.rejects(Channel.listen(path, { capacity }), code('EADDRINUSE'));
    await assert.rejects(Channel.connect(path), code('ERR_ANNULUS_NO_LISTENER'));
    assert.equal(statSync(path).size, 8);
  });

  it('has the permissions asked for, and is not removed when somebody replaced it', async () => {
    const path = fresh();
    const listener = await Channel.listen(path, { capacity, mode: 0o600 });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const other = fresh();
    using replacement = await Channel.listen(other, { capacity });
    renameSync(other, path);
    listener.close();
    assert.equal(existsSync(path), true);
    assert.equal(replacement.closed, false);
  });
});

describe('connecting', () => {
  it('ends by its time-out, by its signal, and when the listener ends', async () => {
    const before = openFiles();
    const path = freshName();
    const fd = fakeListener(path);
    await assert.rejects(Channel.connect(path, { timeout: 20 }), code('ERR_ANNULUS_TIMEOUT'));
    const signal = AbortSignal.timeout(20);
    await assert.rejects(Channel.connect(path, { signal }), code('ABORT_ERR'));
    await assert.rejects(Channel.connect(path, { signal: AbortSignal.abort() }), code('ABORT_ERR'));
    const connecting = Channel.connect(path);
    setImmediate(() => close(fd));
    await assert.rejects(connecting, (error: { code?: string }) =>
      // Which one depends on whether the kernel has handed over the greeting.
      ['ERR_ANNULUS_PEER_DIED', 'ECONNRESET'].includes(error.code!),
    );
    await assert.rejects(Channel.connect(path, { timeout: 0 }), code('ERR_OUT_OF_RANGE'));
    assert.deepEqual(openFiles(), before);
  });

  it('waits for a place in the queue, no longer than its time-out', async () => {
    const path = freshName();
    const fd = fakeListener(path, 0);
    const first = fakeGuest(path);
    await assert.rejects(Channel.connect(path, { timeout: 20 }), code('ERR_ANNULUS_TIMEOUT'));
    close(first);
    close(fd);
  });

  it('believes nothing of an answer', async () => {
    const before = openFiles();
    const path = freshName();
    const listening = fakeListener(path);
    const gift = eventfd();
    const otherVersion = new Uint32Array(encodeAnswer(VERSION, VERDICT.VERSION).buffer);
    otherVersion[1] = GREETING_VERSION + 1;
    const answers: [Uint8Array, number[], string][] = [
      [Uint8Array.of(1), [], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [new Uint8Array(24), [gift], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [new Uint8Array(otherVersion.buffer), [], 'ERR_ANNULUS_VERSION'],
      [
        encodeAnswer(VERSION + 1, VERDICT.WELCOME, 'sender', 2),
        [gift, gift],
        'ERR_ANNULUS_VERSION',
      ],
      [encodeAnswer(VERSION, VERDICT.REFUSED), [gift], 'ERR_ANNULUS_REFUSED'],
      [encodeAnswer(VERSION, 77), [], 'ERR_ANNULUS_REFUSED'],
      [encodeAnswer(VERSION, VERDICT.WELCOME, 'sender', 2), [gift], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [encodeAnswer(VERSION, VERDICT.WELCOME, 'sender', 0), [], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [encodeAnswer(VERSION, VERDICT.WELCOME, 'duplex', 1), [gift], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [encodeAnswer(VERSION, VERDICT.WELCOME), [], 'ERR_ANNULUS_CHANNEL_CORRUPT'],
      [
        encodeAnswer(VERSION, VERDICT.WELCOME, 'sender', 2),
        new Array<number>(40).fill(gift).slice(0, 32),
        'ERR_ANNULUS_CHANNEL_CORRUPT',
      ],
      [new Uint8Array(0), [], 'ERR_ANNULUS_PEER_DIED'],
    ];
    for (const [answer, fds, expected] of answers) {
      const connecting = assert.rejects(Channel.connect(path), code(expected), expected);
      const fd = acceptSocket(listening);
      assert.ok(fd >= 0);
      if (answer.length > 0) sendPassing(fd, answer, fds);
      await nextMessage(fd);
      close(fd);
      await connecting;
    }
    const wanting = assert.rejects(
      Channel.connect(path, { role: 'receiver' }),
      code('ERR_ANNULUS_CHANNEL_CORRUPT'),
    );
    const fd = acceptSocket(listening);
    sendPassing(fd, encodeAnswer(VERSION, VERDICT.WELCOME, 'sender', 2), [gift, gift]);
    await wanting;
    for (const each of [fd, gift, listening]) close(each);
    assert.deepEqual(openFiles(), before);
  });
});
