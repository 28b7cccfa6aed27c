/** Connections of one process with itself, and the small messages that go over them. */

import { alloc } from 'annulus';
import { streamPair } from '#src/sys/linux.js';

/** Words of a message. */
const WORDS = 16;

/** Bytes of a message. */
export const MESSAGE_BYTES: number = WORDS * 4;

/** One connection: who receives, who sends, and what is sent next. */
export interface Connection {
  readonly near: number;
  readonly far: number;
  readonly message: Uint8Array;
}

/** Opens connections whose messages are numbered by `renew()`. */
export function openConnections(count: number): Connection[] {
  return Array.from({ length: count }, () => {
    const [near, far] = streamPair();
    return { near, far, message: alloc(MESSAGE_BYTES) };
  });
}

/** Fills a message with a number, for the next turn. */
export function renew({ message }: Connection, number: number): void {
  new Int32Array(message.buffer, message.byteOffset, WORDS).fill(number);
}

/** Looks whether all of a message has arrived, in memory that begins at `bytes`. */
export function checkMessage(bytes: Uint8Array, length: number, number: number): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, WORDS);
  if (length === MESSAGE_BYTES && words[0] === number && words[WORDS - 1] === number) return;
  throw new Error(`${length} bytes of ${words.join(' ')}, expected ${number}`);
}
