/**
 * Messages that somebody sends to the ring of a proactor, whose descriptor can be found like any other:
 * they settle no promise, free no memory and end nothing.
 */

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { Proactor } from 'annulus/proactor';
import { CQE, Ring, sendMessage } from 'annulus/uring';

import { blockingSockets, closeAll } from '../support/pipes.ts';
import { finish, needs, registers } from '../support/uring.ts';

const TURNS = 20;
const SLOTS = 64;
/** Generations of a slot are what tokens have above these bits: see slots.ts. */
const GENERATION = 1 << 14;

/** Descriptors of rings. */
function rings(): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('[io_uring]') ? [Number(fd)] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}

/** A proactor, and the descriptor of its ring. */
function found(): { io: Proactor; target: number } {
  const before = rings();
  const io = new Proactor({ entries: 64 });
  const target = rings().find((fd) => !before.includes(fd));
  return { io, target: target! };
}

/** Every token that a request of the proactor may have. */
const TOKENS = [0, 1, 2].flatMap((generation) =>
  Array.from({ length: SLOTS }, (_, slot) => generation * GENERATION + slot),
);

/** What might be mistaken for the ends of requests, and for more to come. */
const ENDINGS = [
  { result: 4, flags: 0 },
  { result: 0, flags: CQE.F_NOTIF },
  { result: -9, flags: 0 },
  { result: 4, flags: CQE.F_MORE },
  { result: 4, flags: CQE.F_BUFFER },
];

describe('messages to the ring of a proactor', needs('MSG_RING'), () => {
  it('settle no promise, however they are addressed', async (context) => {
    const [near, far] = blockingSockets();
    const { io, target } = found();
    context.after(() => io.close());
    using ring = new Ring({ entries: 1024 });
    const bounced = new Uint8Array(16);
    const settled: string[] = [];
    const received = io.recv(near, bounced).finally(() => settled.push('recv'));
    const slept = io.sleep(3_600_000).finally(() => settled.push('sleep'));
    await turn();
    for (const { result, flags } of ENDINGS) {
      for (const token of [...TOKENS, GENERATION - 1, 2 ** 31 - 1]) {
        ring.messageRing(1, target, token, result, { flags });
      }
      assert.deepEqual([...new Set(finish(ring).values())], [0]);
      for (let i = 0; i < TURNS; i++) await turn();
      assert.deepEqual(settled, []);
      assert.equal(io.stats.inFlight, 2);
    }
    // Its memory is still its own: other requests go through other memory.
    const other = io.recv(far, new Uint8Array(16));
    writeSync(near, 'back');
    assert.equal(await other, 4);
    writeSync(far, 'real');
    assert.equal(await received, 4);
    assert.equal(Buffer.from(bounced.subarray(0, 4)).toString(), 'real');
    const ended = assert.rejects(slept);
    await io.close();
    await ended;
    closeAll([near, far]);
  });

  it('nor without a ring of their own', registers('REGISTER_SEND_MSG_RING'), async (context) => {
    const { io, target } = found();
    context.after(() => io.close());
    let settled = false;
    const slept = io.sleep(3_600_000).finally(() => {
      settled = true;
    });
    await turn();
    for (const token of TOKENS) sendMessage(target, token, -125);
    for (let i = 0; i < TURNS; i++) await turn();
    assert.equal(settled, false);
    const ended = assert.rejects(slept);
    await io.close();
    await ended;
  });

  it('with a file find no place for it', async (context) => {
    const { io, target } = found();
    context.after(() => io.close());
    using ring = new Ring({ entries: 8 });
    const [file] = ring.register.files([0]);
    ring.messageFile(1, target, file!);
    ring.messageFile(2, target, file!, { slot: 0 });
    for (const result of finish(ring).values()) assert.ok(result < 0, String(result));
    await io.sleep(0);
    await io.close();
  });
});
