/**
 * The messages of the stress test: a length, a sequence number, random bytes, a checksum. Both sides
 * know the seed, so that what arrives is compared with what must have been sent.
 *
 * ```text
 *   0  length of the whole message, u16     2  sequence number, u32
 *   6  random bytes                        -2  checksum of all before, u16
 * ```
 */

import assert from 'node:assert/strict';

import type { Receiver, Sender } from 'annulus/channel';

/** How a side waits. */
export type Manner = 'async' | 'blocking';

const HEADER = 6;
const TRAILER = 2;
const BODY_MAX = 200;

/** Mixes a number: the body's length and first byte follow from seed and sequence number. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Writes message `sequence` at `at`; returns where it ends, or -1 if it does not fit. */
function writeMessage(bytes: Uint8Array, at: number, sequence: number, seed: number): number {
  const random = mix(seed + sequence);
  // Most messages are short, some are long.
  const body = (random & 7) === 0 ? (random >>> 8) % BODY_MAX : (random >>> 8) % 16;
  const length = HEADER + body + TRAILER;
  if (at + length > bytes.length) return -1;
  bytes[at] = length;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = sequence;
  bytes[at + 3] = sequence >>> 8;
  bytes[at + 4] = sequence >>> 16;
  bytes[at + 5] = sequence >>> 24;
  for (let i = 0; i < body; i++) bytes[at + HEADER + i] = random + i;
  const sum = checksum(bytes, at, at + HEADER + body);
  bytes[at + length - 2] = sum;
  bytes[at + length - 1] = sum >>> 8;
  return at + length;
}

/** Fletcher's checksum: sensitive to order. */
function checksum(bytes: Uint8Array, from: number, to: number): number {
  let low = 1;
  let high = 0;
  for (let i = from; i < to; i++) {
    low = (low + bytes[i]!) & 255;
    high = (high + low) & 255;
  }
  return low | (high << 8);
}

/** Checks the message at `at`; returns where it ends, or -1 if it is not complete. */
function checkMessage(bytes: Uint8Array, at: number, sequence: number, seed: number): number {
  if (at + 2 > bytes.length) return -1;
  const length = bytes[at]! | (bytes[at + 1]! << 8);
  if (at + length > bytes.length) return -1;
  const number =
    bytes[at + 2]! | (bytes[at + 3]! << 8) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 24);
  const sum = bytes[at + length - 2]! | (bytes[at + length - 1]! << 8);
  const expected = checksum(bytes, at, at + length - TRAILER);
  const random = mix(seed + sequence);
  if (number !== sequence || sum !== expected || (length > 8 && bytes[at + 6] !== (random & 255))) {
    assert.fail(
      `message ${sequence}: number ${number}, length ${length}, checksum ${sum} not ${expected}`,
    );
  }
  return at + length;
}

/** Sends `count` messages, then the end. */
export async function sendMessages(
  sender: Sender,
  manner: Manner,
  seed: number,
  count: number,
): Promise<void> {
  let next = 0;
  while (next < count) {
    const before = next;
    // A random number of messages a commit, as many as fit at most.
    const last = Math.min(count, next + 1 + (mix(next ^ seed) % 64));
    sender.send((free) => {
      let end = 0;
      while (next < last) {
        const at = writeMessage(free, end, next, seed);
        if (at === -1) break;
        end = at;
        next++;
      }
      return end;
    });
    if (next > before) continue;
    if (manner === 'async') await sender.whenWritable(BODY_MAX + HEADER + TRAILER);
    else sender.waitWritable(BODY_MAX + HEADER + TRAILER);
  }
  sender.end();
}

/** Receives messages to the end of the stream; their number. */
export async function receiveMessages(
  receiver: Receiver,
  manner: Manner,
  seed: number,
): Promise<number> {
  let count = 0;
  let left = 0;
  while (
    manner === 'async' ? await receiver.whenReadable(left + 1) : receiver.waitReadable(left + 1)
  ) {
    receiver.receive((content) => {
      let end = 0;
      for (;;) {
        const at = checkMessage(content, end, count, seed);
        if (at === -1) break;
        end = at;
        count++;
      }
      left = content.length - end;
      return end;
    });
  }
  assert.equal(left, 0, 'nothing is left over');
  return count;
}
