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

/** Bytes of the payloads that are copied as a whole, by name. */
const BLOCKS: ReadonlyMap<string, number> = new Map([
  ['message1k', 1_024],
  ['message64k', BLOCK_BYTES],
  ['bulk', BLOCK_BYTES],
]);

/** The payload called `name`: `message64`, `message1k`, `message64k` or `bulk`. */
export function payloadNamed(name: string): Payload {
  if (name === 'message64') return messagePayload();
  const bytes = BLOCKS.get(name);
  if (bytes !== undefined) return blockPayload(bytes);
  const names = ['message64', ...BLOCKS.keys()].join(', ');
  throw new TypeError(`payload must be one of ${names}, got "${name}"`);
}

/**
 * Writes message `sequence` at word `start`: fifteen words derived from the number, and their sum.
 *
 * Unrolled, and `| 0` everywhere to keep V8 on 32-bit integers: as a loop, or without them, writing
 * took up to six times as long, and the case measured that instead of the channel.
 */
export function writeMessage(words: Int32Array, start: number, sequence: number): void {
  const at = start | 0;
  const word = sequence | 0;
  words[at + 15] = (Math.imul(word, 15) + 105) | 0;
  words[at] = word;
  words[at + 1] = (word + 1) | 0;
  words[at + 2] = (word + 2) | 0;
  words[at + 3] = (word + 3) | 0;
  words[at + 4] = (word + 4) | 0;
  words[at + 5] = (word + 5) | 0;
  words[at + 6] = (word + 6) | 0;
  words[at + 7] = (word + 7) | 0;
  words[at + 8] = (word + 8) | 0;
  words[at + 9] = (word + 9) | 0;
  words[at + 10] = (word + 10) | 0;
  words[at + 11] = (word + 11) | 0;
  words[at + 12] = (word + 12) | 0;
  words[at + 13] = (word + 13) | 0;
  words[at + 14] = (word + 14) | 0;
}

/** Whether the message at word `start` is number `sequence` and its sum is right. */
export function messageMatches(words: Int32Array, start: number, sequence: number): boolean {
  const at = start | 0;
  const last = words[at + 15];
  return words[at] === sequence && ((sumOf8(words, at) + sumOf7(words, at + 8)) | 0) === last;
}

function sumOf8(words: Int32Array, at: number): number {
  return (sumOf7(words, at) + words[at + 7]!) | 0;
}

function sumOf7(words: Int32Array, at: number): number {
  const a = (words[at]! + words[at + 1]!) | 0;
  const b = (words[at + 2]! + words[at + 3]!) | 0;
  const c = (words[at + 4]! + words[at + 5]!) | 0;
  return (((a + b) | 0) + ((c + words[at + 6]!) | 0)) | 0;
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

function blockPayload(bytes: number): Payload {
  const source = new BlockSource(bytes);
  const sink = new BlockSink(bytes);
  return {
    bytes,
    produce: (sequence) => source.block(sequence).words,
    write: (words, start, sequence) => words.set(source.block(sequence).words, start),
    consume(words, start, sequence) {
      sink.bytes.set(new Uint8Array(words.buffer, words.byteOffset + start * 4, bytes));
      sink.verify(sequence);
    },
  };
}

/** The words of a block that carry the sequence number: one a page. */
const STAMP_EVERY = 1_024;

class Block {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;

  constructor(bytes: number) {
    this.words = new Int32Array(bytes / 4);
    this.bytes = new Uint8Array(this.words.buffer);
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
  readonly #block: Block;

  constructor(bytes: number = BLOCK_BYTES) {
    this.#block = new Block(bytes);
  }

  /** Block number `sequence`, in memory that the next call reuses. */
  block(sequence: number): { readonly words: Int32Array; readonly bytes: Uint8Array } {
    this.#block.stamp(sequence);
    return this.#block;
  }
}

/** The buffer that blocks are copied to. */
export class BlockSink {
  readonly bytes: Uint8Array;
  readonly #expected: Block;

  constructor(bytes: number = BLOCK_BYTES) {
    this.bytes = new Uint8Array(bytes);
    this.#expected = new Block(bytes);
  }

  /**
   * Compares all bytes with the block number `sequence`.
   *
   * @param bytes - Where the block is, if it was not copied here.
   * @throws {Error} when they differ.
   */
  verify(sequence: number, bytes: Uint8Array = this.bytes): void {
    this.#expected.stamp(sequence);
    if (Buffer.compare(bytes, this.#expected.bytes) !== 0) {
      throw new Error(`block ${sequence} is wrong`);
    }
  }
}
