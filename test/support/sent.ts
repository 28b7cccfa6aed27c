/**
 * What the tests of channels send: known to both sides without being sent twice.
 */

/** Messages of one run. */
export const MESSAGES = 9;

/** Bytes of one run. */
export const STREAM_BYTES = 9000;

const LENGTHS = [4, 5, 3000, 11, 504, 4088];

/** The content of a message, which begins with its number. */
export function messageOf(number: number): Uint8Array {
  const length = LENGTHS[number % LENGTHS.length]!;
  const message = Uint8Array.from({ length }, (_, at) => byteOf(at + number * 7));
  new DataView(message.buffer).setUint32(0, number);
  return message;
}

/** Which message it says it is. */
export function numberOf(message: Uint8Array): number {
  return new DataView(message.buffer, message.byteOffset).getUint32(0);
}

/** The byte at a place of a stream. */
export function byteOf(at: number): number {
  return (at * 31 + (at >> 8)) & 0xff;
}
