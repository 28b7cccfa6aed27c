/**
 * `annulus pipe`: every byte arrives, or both sides say why not.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import { cliCommand } from '../support/cli.ts';
import { compileLauncher } from '../support/launcher.ts';
import type { Launcher } from '../support/launcher.ts';
import { until } from '../support/relay.ts';
import { withoutUring } from '../support/skip.ts';

const folder = mkdtempSync(join(tmpdir(), 'annulus-pipe-'));
let launcher: Launcher;
before(() => {
  launcher = compileLauncher();
});
after(() => {
  launcher.remove();
  rmSync(folder, { recursive: true });
});

let names = 0;
/** A path nobody has used. */
const fresh = (): string => join(folder, `pipe-${names++}`);

/** One side that runs. */
interface Side {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** How it ended, and what it said on standard error. */
  readonly end: Promise<{ code: number | null; signal: string | null; stderr: string }>;
}

function start(
  context: TestContext,
  args: readonly string[],
  prefix: readonly string[] = [],
): Side {
  const [file, ...rest] = [...prefix, ...cliCommand(['pipe', ...args])];
  const child = spawn(file!, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  context.after(() => child.kill('SIGKILL'));
  child.stdin.on('error', () => undefined); // it may end before it has read everything
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const end = once(child, 'exit').then(async ([code, signal]) => {
    await until(() => child.stderr.readableEnded);
    return { code: code as number | null, signal: signal as string | null, stderr };
  });
  return { child, end };
}

/** Zeros without end, as far as they are taken. */
function feed({ child }: Side): void {
  const zeros = Buffer.alloc(65_536);
  pipeline(
    Readable.from(
      (function* () {
        for (;;) yield zeros;
      })(),
    ),
    child.stdin,
  ).catch(() => undefined);
}

/** Two sides that have met, of which one has got something of the other. */
async function begin(context: TestContext): Promise<{ sender: Side; receiver: Side }> {
  const path = fresh();
  const receiver = start(context, ['receive', path]);
  const sender = start(context, ['send', path]);
  sender.child.stdin.write('x');
  const [first] = (await once(receiver.child.stdout, 'data')) as [Buffer];
  assert.equal(first.toString(), 'x');
  return { sender, receiver };
}

describe('annulus pipe', () => {
  for (const [how, prefix, skip] of [
    ['io_uring', () => [], withoutUring],
    ['streams, without io_uring', () => launcher.command(), false],
  ] as const) {
    for (const first of ['send', 'receive'] as const) {
      it(
        `carries every byte by ${how}, when who ${first}s comes first`,
        { skip },
        async (context) => {
          const path = fresh();
          const bytes = randomBytes(3_000_001);
          const startSide = (verb: string): Side =>
            start(context, [verb, path, '--memory', '16K'], prefix());
          const waiting = startSide(first);
          // Its mode is set before anybody can connect, but not in the moment it comes into being.
          await until(() => existsSync(path) && (statSync(path).mode & 0o777) === 0o600);
          const coming = startSide(first === 'send' ? 'receive' : 'send');
          const [sender, receiver] = first === 'send' ? [waiting, coming] : [coming, waiting];
          sender.child.stdin.end(bytes);
          const hash = createHash('sha256');
          for await (const chunk of receiver.child.stdout) hash.update(chunk as Buffer);
          assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
          const done = { code: 0, signal: null, stderr: '' };
          assert.deepEqual(await Promise.all([sender.end, receiver.end]), [done, done]);
          assert.equal(existsSync(path), false);
        },
      );
    }
  }

  it('meets at a name without a file, and carries nothing at all', async (context) => {
    const name = `annulus-test-${process.pid}`;
    const sender = start(context, ['send', name]);
    const receiver = start(context, ['receive', name]);
    sender.child.stdin.end();
    receiver.child.stdout.resume();
    assert.equal((await sender.end).code, 0);
    assert.equal((await receiver.end).code, 0);
  });

  it('says that the sender was killed, after what it had sent', async (context) => {
    const { sender, receiver } = await begin(context);
    sender.child.kill('SIGKILL');
    const { code, stderr } = await receiver.end;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^annulus pipe receive: the sender \(process \d+\) ended without a word after 1 byte had been received/,
    );
  });

  it('says that the receiver was killed', async (context) => {
    const { sender, receiver } = await begin(context);
    receiver.child.stdout.resume();
    feed(sender);
    receiver.child.kill('SIGKILL');
    const { code, stderr } = await sender.end;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^annulus pipe send: the receiver \(process \d+\) ended without a word after/,
    );
  });

  it('is interrupted on either side, and the other is told', async (context) => {
    const { sender, receiver } = await begin(context);
    sender.child.kill('SIGINT');
    assert.equal((await sender.end).code, 130);
    const told = await receiver.end;
    assert.equal(told.code, 1);
    assert.match(told.stderr, /the sender \(process \d+\) gave up after 1 byte had been received/);

    const other = await begin(context);
    other.receiver.child.stdout.resume();
    feed(other.sender);
    other.receiver.child.kill('SIGINT');
    assert.equal((await other.receiver.end).code, 130);
    assert.match((await other.sender.end).stderr, /the receiver \(process \d+\) gave up after/);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`is interrupted by ${signal} while it waits`, async (context) => {
      const path = fresh();
      const alone = start(context, ['send', path]);
      await until(() => existsSync(path));
      alone.child.kill(signal);
      const { code, stderr } = await alone.end;
      assert.equal(code, 128 + constants.signals[signal]);
      assert.match(stderr, new RegExp(`^annulus pipe send: interrupted by ${signal}`));
      assert.equal(existsSync(path), false);
    });
  }

  it('ends when nobody reads its output, as a pipe does', async (context) => {
    const { sender, receiver } = await begin(context);
    receiver.child.stdout.destroy();
    feed(sender);
    assert.deepEqual(await receiver.end, { code: 141, signal: null, stderr: '' });
    assert.equal((await sender.end).code, 1);
  });

  it('ends so also when nothing comes', { skip: withoutUring }, async (context) => {
    const { receiver } = await begin(context);
    receiver.child.stdout.destroy();
    assert.equal((await receiver.end).code, 141);
  });

  it('refuses a second sender', async (context) => {
    const path = fresh();
    const first = start(context, ['send', path]);
    await until(() => existsSync(path));
    const second = start(context, ['send', path]);
    const { code, stderr } = await second.end;
    assert.equal(code, 1);
    assert.match(stderr, /is taken: another sender waits there/);
    first.child.kill('SIGTERM');
    await first.end;
  });

  it('takes over the path of one that was killed', async (context) => {
    const path = fresh();
    const dead = start(context, ['receive', path]);
    await until(() => existsSync(path));
    dead.child.kill('SIGKILL');
    await dead.end;
    assert.equal(existsSync(path), true);
    const receiver = start(context, ['receive', path]);
    const sender = start(context, ['send', path]);
    sender.child.stdin.end('here');
    const [text] = (await once(receiver.child.stdout, 'data')) as [Buffer];
    assert.equal(text.toString(), 'here');
    assert.deepEqual([(await sender.end).code, (await receiver.end).code], [0, 0]);
  });

  it('does not wait where there is a file, and leaves it as it is', async (context) => {
    const path = fresh();
    writeFileSync(path, 'mine');
    for (const verb of ['send', 'receive']) {
      const { code, stderr } = await start(context, [verb, path]).end;
      assert.equal(code, 1);
      assert.match(stderr, /something else than a socket at/);
    }
    assert.equal(readFileSync(path, 'utf8'), 'mine');
  });

  it('tries nothing with wrong arguments', async (context) => {
    for (const args of [['send'], ['send', 'x', '--memory', '1'], ['carry', 'x']]) {
      assert.equal((await start(context, args).end).code, 2);
    }
  });
});
