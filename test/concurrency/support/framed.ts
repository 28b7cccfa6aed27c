/**
 * Framed messages of random size, each with its number and a checksum: what the run of many messages
 * sends in one process and checks in another.
 *
 * ```text
 *   0  sequence number, u32     4  checksum of number, size and body, u32     8  body
 * ```
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { Channel } from 'annulus/channel';
import type { MessageReceiver, MessageSender } from 'annulus/channel';

const program = fileURLToPath(new URL('framed-sender.js', import.meta.url));

const HEADER_BYTES = 8;
const SHORT_MAX = 24;
const LONG_MAX = 3000;
/** One message in so many may be long. */
const LONG_EVERY = 512;

/** Small enough to be full and empty all the time. */
const CAPACITY = 65_536;

/** Mixes a number: size and body follow from the seed and the sequence number. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function bodyBytes(random: number): number {
  return random % LONG_EVERY === 0 ? (random >>> 9) % LONG_MAX : (random >>> 9) % SHORT_MAX;
}

/** Sensitive to what is where. */
function checksum(number: number, message: Uint8Array): number {
  let sum = number ^ message.length;
  for (let at = HEADER_BYTES; at < message.length; at++) {
    sum = Math.imul(sum, 31) + message[at]!;
  }
  return sum | 0;
}

function storeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function loadWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Sends `count` messages, then the end. */
export function sendFramed(sender: MessageSender, seed: number, count: number): void {
  for (let number = 0; number < count; number++) {
    const random = mix(seed + number);
    const bytes = HEADER_BYTES + bodyBytes(random);
    let message = sender.claim(bytes);
    while (message === null) {
      sender.waitWritable(bytes);
      message = sender.claim(bytes);
    }
    for (let at = HEADER_BYTES; at < bytes; at++) message[at] = random + at;
    storeWord(message, 0, number);
    storeWord(message, 4, checksum(number, message));
    sender.commit();
  }
  sender.end();
}

/** Receives messages to the end of the stream, and checks each; their number. */
function receiveFramed(receiver: MessageReceiver, seed: number): number {
  let number = 0;
  const check = (message: Uint8Array): void => {
    const random = mix(seed + number);
    const isWhole =
      message.length === HEADER_BYTES + bodyBytes(random) &&
      loadWord(message, 0) === (number | 0) &&
      loadWord(message, 4) === checksum(number, message) &&
      (message.length === HEADER_BYTES ||
        message[HEADER_BYTES] === ((random + HEADER_BYTES) & 255));
    if (!isWhole) {
      assert.fail(`message ${number}: ${message.length} bytes, number ${loadWord(message, 0)}`);
    }
    number++;
  };
  while (receiver.waitReadable()) receiver.receive(check);
  return number;
}

/** Sends messages from another process to this one; each arrives once, in order and whole. */
export async function runFramed(seed: number, count: number): Promise<void> {
  const channel = Channel.create({ capacity: CAPACITY, messages: true });
  const child = spawn(process.execPath, [program, String(seed), String(count)], {
    stdio: channel.stdio('sender', ['ignore', 'inherit', 'inherit']),
  });
  const exit = once(child, 'exit');
  channel.release('sender');
  {
    using receiver = channel.receiver;
    assert.equal(receiveFramed(receiver, seed), count);
  }
  assert.deepEqual(await exit, [0, null]);
}
