/**
 * The parts of a relay: frames, flights, amounts.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Flight } from '#src/proactor/flight.js';
import { decodeHeader, encodeHeader, headerBytes, KIND } from '#src/cli/relay/frame.js';
import type { Header } from '#src/cli/relay/frame.js';
import { wholeHeaderBytes } from '#src/cli/relay/frame.js';
import { formatBytes, formatRate, parseBytes } from '#src/cli/units.js';

function encoded(header: Header): Uint8Array {
  const bytes = new Uint8Array(headerBytes(header));
  encodeHeader(header, bytes);
  return bytes;
}

describe('a frame', () => {
  it('comes out as it went in', () => {
    const headers: Header[] = [
      { kind: KIND.FILE, mode: 0o6755, path: '', size: 0 },
      { kind: KIND.FILE, mode: 0, path: 'a/ä€😀', size: Number.MAX_SAFE_INTEGER },
      { kind: KIND.DIRECTORY, mode: 0o1777, path: 'x'.repeat(4095), size: 0 },
      { kind: KIND.LINK, mode: 0o777, path: 'a', size: 4095 },
    ];
    for (const header of headers) {
      const bytes = encoded(header);
      assert.equal(wholeHeaderBytes(bytes), bytes.length);
      assert.deepEqual(decodeHeader(bytes), header);
    }
  });

  it('is refused when its path leads elsewhere', () => {
    for (const path of ['/etc', '..', 'a/../b', 'a//b', 'a/', './a', 'a\0b']) {
      const bytes = encoded({ kind: KIND.FILE, mode: 0, path, size: 0 });
      assert.throws(() => decodeHeader(bytes), /malformed: path/, path);
    }
  });

  it('is refused when its numbers make no sense', () => {
    const change = (at: number, value: number): Uint8Array => {
      const bytes = encoded({ kind: KIND.LINK, mode: 0, path: 'a', size: 1 });
      bytes[at] = value;
      return bytes;
    };
    assert.throws(() => decodeHeader(change(0, 9)), /kind 9/);
    assert.throws(() => decodeHeader(change(3, 0x10)), /mode 10000/);
    assert.throws(() => decodeHeader(change(15, 1)), /size/);
    assert.throws(() => decodeHeader(change(9, 0x20)), /a link of 8193 bytes/);
    assert.throws(() => wholeHeaderBytes(change(6, 1)), /a path of 65537 bytes/);
  });
});

describe('a flight', () => {
  it('lands pieces in the order in which they took off', async () => {
    const flight = new Flight(100);
    const landed: number[] = [];
    const finish: (() => void)[] = [];
    for (let i = 0; i < 4; i++) {
      const work = new Promise<void>((resolve) => finish.push(resolve));
      flight.add(10, work, () => landed.push(i));
    }
    assert.equal(flight.bytes, 40);
    for (const index of [2, 1, 3]) finish[index]!();
    await new Promise(setImmediate);
    assert.deepEqual(landed, []);
    finish[0]!();
    await flight.landed();
    assert.deepEqual(landed, [0, 1, 2, 3]);
    assert.equal(flight.bytes, 0);
  });

  it('has room for one piece of any size, and for others within its limit', async () => {
    const flight = new Flight(100);
    await flight.room(1_000);
    let finish = (): void => undefined;
    const work = new Promise<void>((resolve) => {
      finish = resolve;
    });
    flight.add(60, work, () => undefined);
    await flight.room(40);
    let hasRoom = false;
    const room = flight.room(41).then(() => {
      hasRoom = true;
    });
    await new Promise(setImmediate);
    assert.equal(hasRoom, false);
    finish();
    await room;
  });

  it('fails with the first failure, and settles when all work is over', async () => {
    const flight = new Flight(100);
    const landed: string[] = [];
    let finish = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      finish = resolve;
    });
    flight.add(1, slow, () => landed.push('slow'));
    flight.add(1, Promise.reject(new Error('broken')), () => landed.push('broken'));
    await assert.rejects(flight.landed(), /broken/);
    await assert.rejects(flight.room(1), /broken/);
    let isSettled = false;
    const settled = flight.settled().then(() => {
      isSettled = true;
    });
    await new Promise(setImmediate);
    assert.equal(isSettled, false);
    finish();
    await settled;
    assert.deepEqual(landed, []);
  });

  it('fails when landing does', async () => {
    const flight = new Flight(100);
    flight.add(1, undefined, () => {
      throw new Error('crash');
    });
    await assert.rejects(flight.landed(), /crash/);
  });
});

describe('amounts', () => {
  it('are read with and without units', () => {
    assert.equal(parseBytes('65536'), 65536);
    assert.equal(parseBytes('512K'), 512 * 1024);
    assert.equal(parseBytes('8M'), 8 * 1024 * 1024);
    assert.equal(parseBytes('8mib'), 8 * 1024 * 1024);
    assert.equal(parseBytes('1G'), 2 ** 30);
    for (const text of ['', 'M', '1.5M', '-1', '8 M', '0x10', '1T', '1e6']) {
      assert.equal(parseBytes(text), undefined, text);
    }
  });

  it('are written for people', () => {
    assert.equal(formatBytes(0), '0 bytes');
    assert.equal(formatBytes(1023), '1023 bytes');
    assert.equal(formatBytes(1536), '1.5 KiB');
    assert.equal(formatBytes(2 ** 31), '2.0 GiB');
    assert.equal(formatRate(2 ** 20, 2), '512.0 KiB/s');
  });
});
