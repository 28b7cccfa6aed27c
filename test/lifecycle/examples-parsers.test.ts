/**
 * The parsers of examples/ find what was sent, however it is cut into pieces.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { runProgram } from '../support/program.ts';
import type { Outcome } from '../support/program.ts';
import { printedSeed, randomFrom } from '../support/random.ts';

const examples = new URL('../../../examples/', import.meta.url);
/** The longest line and the longest frame that the programs take. */
const LONGEST = 1 << 20;
const random = randomFrom(printedSeed());

describe('examples/ndjson.js', () => {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-test-'));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'lines');
  const ndjson = (...args: string[]): Promise<Outcome> =>
    runProgram(new URL('ndjson.js', examples), args);

  for (const lastEnd of ['\n', '']) {
    it(`counts lines of all lengths, the last with${lastEnd === '' ? 'out' : ''} an end`, async () => {
      const counts = [0, 0, 0];
      const texts = Array.from({ length: 2_000 }, (_, number) => {
        const kind = random(3);
        counts[kind]!++;
        // Some are most of the ring; the letters have two bytes, which must not be torn apart.
        const pad = 'é'.repeat(random(100) === 0 ? random(LONGEST / 3) : random(200));
        return `${JSON.stringify({ pad, number, kind: `k${kind}` })}\n${number % 7 === 0 ? '\n' : ''}`;
      });
      writeFileSync(file, texts.join('').trimEnd() + lastEnd);
      const outcome = await ndjson('kind', file);
      assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
      const printed = outcome.stdout.trimEnd().split('\n');
      assert.equal(printed.pop(), '2000 lines');
      assert.deepEqual(
        printed.toSorted(),
        counts.map((count, kind) => `${count} "k${kind}"`).toSorted(),
      );
    });
  }

  it('takes a line that fills the ring, and refuses a longer one', async () => {
    const full = JSON.stringify({ a: 1, pad: '' });
    const line = JSON.stringify({ a: 1, pad: 'x'.repeat(LONGEST - full.length - 1) });
    writeFileSync(file, `${line}\n{"a":2}\n`);
    const outcome = await ndjson('a', file);
    assert.deepEqual([outcome.code, outcome.stdout], [0, '1 1\n1 2\n2 lines\n']);
    writeFileSync(file, `${line}xxxx\n{"a":2}\n`);
    const refused = await ndjson('a', file);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /RangeError: a line has over 1048576 bytes/);
  });

  it('says how it is used', async () => {
    const { code, stderr } = await ndjson('kind');
    assert.deepEqual([code, stderr.slice(0, 6)], [2, 'usage:']);
  });
});

/** What a frame carries, after its length. */
function frameOf(payload: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(payload.length);
  return Buffer.concat([length, payload]);
}

/** Sends `stream` in random pieces, and ends; or stops when the peer has heard enough. */
async function sendPieces(socket: Socket, stream: Buffer): Promise<void> {
  socket.on('error', () => socket.destroy());
  for (let at = 0; at < stream.length && !socket.destroyed;) {
    const piece = stream.subarray(at, at + 1 + random(random(4) === 0 ? 200_000 : 2_000));
    at += piece.length;
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    else await setImmediate();
  }
  socket.end();
}

/** Runs the example as the client of a server that sends `stream`. */
async function receiveFrames(stream: Buffer): Promise<Outcome> {
  const server = createServer((socket) => void sendPieces(socket, stream));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    return await runProgram(new URL('frames.js', examples), [String(port)]);
  } finally {
    server.close();
  }
}

describe('examples/frames.js', () => {
  it('receives frames of all lengths, of which most cross the pieces they arrive in', async () => {
    const hash = createHash('sha256');
    let carried = 0;
    const frames = [
      LONGEST,
      0,
      LONGEST - 1,
      1,
      ...Array.from({ length: 500 }, () => random(3_000)),
    ];
    const stream = frames.map((length) => {
      const payload = Buffer.alloc(length, random(256));
      payload.fill(random(256), length >> 1);
      hash.update(payload);
      carried += length;
      return frameOf(payload);
    });
    const outcome = await receiveFrames(Buffer.concat(stream));
    assert.deepEqual(
      [outcome.code, outcome.stderr, outcome.stdout],
      [0, '', `${frames.length} frames, ${carried} bytes, SHA-256 ${hash.digest('hex')}\n`],
    );
  });

  it('says that the last frame is not whole, and refuses one that is too long', async () => {
    const stream = Buffer.concat([frameOf(Buffer.from('whole')), frameOf(Buffer.from('torn'))]);
    const torn = await receiveFrames(stream.subarray(0, -1));
    assert.equal(torn.code, 1);
    assert.match(torn.stderr, /the last frame is not whole: 7 bytes are left/);
    assert.match(torn.stdout, /^1 frames, 5 bytes/);

    const tooLong = Buffer.alloc(2_000);
    tooLong.writeUInt32LE(LONGEST + 1);
    const refused = await receiveFrames(tooLong);
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.match(refused.stderr, /a frame of 1048577 bytes is announced/);
  });

  it('says how it is used', async () => {
    const { code, stderr } = await runProgram(new URL('frames.js', examples));
    assert.deepEqual([code, stderr.slice(0, 6)], [2, 'usage:']);
  });
});
