/**
 * A file with a position of its own: what moves it takes turns, what does not goes at once.
 */

import assert from 'node:assert/strict';
import { constants, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { alloc, Proactor } from 'annulus';
import type { PositionedFile } from 'annulus/proactor';
import { Folder, needs } from '../support/requests.js';
import { held } from '../support/resources.js';

const available = needs('READ', 'WRITE', 'OPENAT', 'STATX', 'CLOSE');
const closed = { code: 'ERR_ANNULUS_CLOSED' };
const { O_CREAT, O_RDONLY, O_RDWR } = constants;

/** Runs a test on a new file with this content. */
async function withFile(
  content: string,
  work: (file: PositionedFile, path: string) => Promise<void>,
): Promise<void> {
  await using io = new Proactor({ entries: 8 });
  using folder = new Folder();
  folder.open(content);
  await using file = await io.openFile(folder.at('file'), O_RDWR);
  await work(file, folder.at('file'));
}

async function text(reading: Promise<number>, memory: Uint8Array): Promise<string> {
  return Buffer.from(memory.subarray(0, await reading)).toString();
}

describe('a positioned file', available, () => {
  it('hazard 19: serves concurrent reads in the order they were called', () =>
    withFile('0123456789', async (file) => {
      const memories = Array.from({ length: 12 }, (_, i) =>
        i % 2 === 0 ? alloc(1) : new Uint8Array(1),
      );
      const reads = await Promise.all(memories.map((memory) => text(file.read(memory), memory)));
      assert.equal(reads.join('|'), '0|1|2|3|4|5|6|7|8|9||');
      assert.equal(file.position, 10);
    }));

  it('hazard 19: appends concurrent writes in the order they were called', () =>
    withFile('', async (file, path) => {
      const words = Array.from({ length: 26 }, (_, i) => 'abcdefghijklmnopqrstuvwxyz'.slice(0, i));
      await Promise.all(words.map((word) => file.write(Buffer.from(word))));
      assert.equal(readFileSync(path, 'utf8'), words.join(''));
      assert.equal(file.position, words.join('').length);
    }));

  it('seeks from the start, the position and the end, in its turn', () =>
    withFile('0123456789', async (file) => {
      const memory = alloc(2);
      const steps = [file.seek(4), file.read(memory), file.seek(-1, 'current')];
      assert.deepEqual(await Promise.all(steps), [4, 2, 5]);
      assert.equal(await file.seek(-3, 'end'), 7);
      assert.equal(await text(file.read(memory), memory), '78');
      assert.equal(await file.seek(20), 20);
      assert.equal(await file.read(memory), 0);
    }));

  it('refuses a seek before the beginning, and stays where it was', () =>
    withFile('0123456789', async (file) => {
      await file.seek(5);
      await assert.rejects(file.seek(-6, 'current'), { code: 'ERR_OUT_OF_RANGE' });
      await assert.rejects(file.seek(0.5), { code: 'ERR_OUT_OF_RANGE' });
      await assert.rejects(file.seek(0, 'middle' as 'end'), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.equal(file.position, 5);
    }));

  it('reads and writes at any place without moving', () =>
    withFile('0123456789', async (file, path) => {
      const memories = [alloc(2), new Uint8Array(2), alloc(2)];
      const places = [8, 0, 4];
      const reads = memories.map((memory, i) => text(file.readAt(memory, places[i]!), memory));
      assert.deepEqual(await Promise.all(reads), ['89', '01', '45']);
      const writes = [file.writeAt(Buffer.from('AB'), 2), file.writeAt(Buffer.from('CD'), 10)];
      assert.deepEqual(await Promise.all(writes), [2, 2]);
      assert.equal(readFileSync(path, 'utf8'), '01AB456789CD');
      assert.equal(file.position, 0);
      await assert.rejects(file.readAt(alloc(1), -1), { code: 'ERR_OUT_OF_RANGE' });
    }));

  it('goes on after a request that failed', async () => {
    await using io = new Proactor({ entries: 8 });
    using folder = new Folder();
    folder.open('0123456789');
    await using file = await io.openFile(folder.at('file'), O_RDONLY);
    const memory = alloc(1);
    const failing = assert.rejects(file.write(Buffer.from('x')), { code: 'EBADF' });
    assert.equal(await text(file.read(memory), memory), '0');
    await failing;
    assert.equal(file.position, 1);
  });

  it('closes after what was asked of it, and refuses what comes later', async () => {
    await using io = new Proactor({ entries: 8 });
    using folder = new Folder();
    const before = held();
    const file = await io.openFile(folder.at('new'), O_RDWR | O_CREAT, 0o600);
    const writes = [file.write(Buffer.from('one')), file.writeAt(Buffer.from('two'), 3)];
    const closing = file.close();
    assert.equal(file.close(), closing);
    await Promise.all([
      assert.rejects(file.read(alloc(1)), closed),
      assert.rejects(file.seek(0), closed),
      assert.rejects(file.readAt(alloc(1), 0), closed),
    ]);
    await closing;
    assert.deepEqual(await Promise.all(writes), [3, 3]);
    assert.equal(readFileSync(folder.at('new'), 'utf8'), 'onetwo');
    assert.deepEqual(held(), before);
  });
});
