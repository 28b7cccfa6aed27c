/** What the round-trip cases send: 8 bytes that show whether they are the expected ones. */

/** Words of a ping. */
export const PING_WORDS = 2;

/** Bytes of a ping. */
export const PING_BYTES: number = PING_WORDS * 4;

/** Writes ping `sequence` at word `start`: the number and its complement. */
export function writePing(words: Int32Array, start: number, sequence: number): void {
  words[start] = sequence;
  words[start + 1] = ~sequence;
}

/**
 * Verifies the ping at word `start`.
 *
 * @throws {Error} when it is not number `sequence`.
 */
export function checkPing(words: Int32Array, start: number, sequence: number): void {
  if (words[start] !== sequence || words[start + 1] !== ~sequence) {
    throw new Error(`expected ping ${sequence}, got ${words[start]}, ${words[start + 1]}`);
  }
}
