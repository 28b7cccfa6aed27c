/**
 * What the one-way channel cases send.
 *
 * Every payload carries a sequence number and is verified in full by the receiver, so that no
 * subject gains by not touching the bytes.
 */

/** Words of a small message: 64 bytes, one cache line. */
export const MESSAGE_WORDS = 16;

/** Bytes of a small message. */
export const MESSAGE_BYTES: number = MESSAGE_WORDS * 4;

/** Bytes of a block of the bulk case. */
export const BLOCK_BYTES = 65_536;

const STEP = 0x9e3779b9 | 0;

/** One kind of payload, as the subjects that copy (sockets, messages) see it. */
export interface Payload {
  readonly bytes: number;
  /** The payload number `sequence`, in memory that the next call reuses. */
  produce(sequence: number): Int32Array;
  /** Writes the payload number `sequence` into `words` at `start`. */
  write(words: Int32Array, start: number, sequence: number): void;
  /**
   * Takes the payload number `sequence` out of `words` at `start`, and verifies it.
   *
   * @throws {Error} when a word is wrong.
   */
  consume(words: Int32Array, start: number, sequence: number): void;
}

/** The payload called `name`: `message64` or `bulk64k`. */
export function payloadNamed(name: string): Payload {
  if (name === 'message64') return messagePayload();
  if (name === 'bulk64k') return blockPayload();
  throw new TypeError(`payload must be message64 or bulk64k, got "${name}"`);
}

/**
 * Writes message `sequence` at word `start`: the number, words derived from it, and their sum.
 *
 * The `| 0` everywhere keeps V8 on 32-bit integers; without them this took six times as long, and
 * the case measured that instead of the channel.
 */
export function writeMessage(words: Int32Array, start: number, sequence: number): void {
  const last = (start + 15) | 0;
  let word = sequence | 0;
  let sum = 0;
  for (let index = start | 0; index < last; index = (index + 1) | 0) {
    words[index] = word;
    sum = (sum + word) | 0;
    word = (word + STEP) | 0;
  }
  words[last] = sum;
}

/** Whether the message at word `start` is number `sequence` and its sum is right. */
export function messageMatches(words: Int32Array, start: number, sequence: number): boolean {
  const last = (start + 15) | 0;
  let sum = 0;
  for (let index = start | 0; index < last; index = (index + 1) | 0) {
    sum = (sum + (words[index] as number)) | 0;
  }
  return words[start] === sequence && words[last] === sum;
}

function messagePayload(): Payload {
  const message = new Int32Array(MESSAGE_WORDS);
  return {
    bytes: MESSAGE_BYTES,
    produce(sequence) {
      writeMessage(message, 0, sequence);
      return message;
    },
    write: writeMessage,
    consume(words, start, sequence) {
      if (!messageMatches(words, start, sequence)) throw new Error(`message ${sequence} is wrong`);
    },
  };
}

function blockPayload(): Payload {
  const source = new BlockSource();
  const sink = new BlockSink();
  return {
    bytes: BLOCK_BYTES,
    produce: (sequence) => source.block(sequence).words,
    write: (words, start, sequence) => words.set(source.block(sequence).words, start),
    consume(words, start, sequence) {
      sink.bytes.set(new Uint8Array(words.buffer, words.byteOffset + start * 4, BLOCK_BYTES));
      sink.verify(sequence);
    },
  };
}

/** The words of a block that carry the sequence number: one a page. */
const STAMP_EVERY = 1_024;

class Block {
  readonly words: Int32Array = new Int32Array(BLOCK_BYTES / 4);
  readonly bytes: Uint8Array = new Uint8Array(this.words.buffer);

  constructor() {
    for (let index = 0; index < this.words.length; index++) this.words[index] = index * STEP;
  }

  stamp(sequence: number): void {
    for (let index = 0; index < this.words.length; index += STAMP_EVERY) {
      this.words[index] = sequence;
    }
  }
}

/** The buffer that blocks are copied from. */
export class BlockSource {
  readonly #block: Block = new Block();

  /** Block number `sequence`, in memory that the next call reuses. */
  block(sequence: number): { readonly words: Int32Array; readonly bytes: Uint8Array } {
    this.#block.stamp(sequence);
    return this.#block;
  }
}

/** The buffer that blocks are copied to. */
export class BlockSink {
  readonly bytes: Uint8Array = new Uint8Array(BLOCK_BYTES);
  readonly #expected: Block = new Block();

  /**
   * Compares all bytes with the block number `sequence`.
   *
   * @throws {Error} when they differ.
   */
  verify(sequence: number): void {
    this.#expected.stamp(sequence);
    if (Buffer.compare(this.bytes, this.#expected.bytes) !== 0) {
      throw new Error(`block ${sequence} is wrong`);
    }
  }
}
