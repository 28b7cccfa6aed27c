/**
 * What the one-way channel cases send.
 *
 * Every payload carries a sequence number and is verified in full by the receiver, so that no
 * subject gains by not touching the bytes.
 */

/** Numbers of a small message: 64 bytes, one cache line. */
export const MESSAGE_NUMBERS = 8;

/** Bytes of a small message. */
export const MESSAGE_BYTES: number = MESSAGE_NUMBERS * 8;

/** Bytes of a block of the bulk case. */
export const BLOCK_BYTES = 65_536;

const STEP = 0x9e3779b9 | 0;

/** One kind of payload, as the subjects that copy (sockets, messages) see it. */
export interface Payload {
  readonly bytes: number;
  /** The payload number `sequence`, in memory that the next call reuses. */
  produce(sequence: number): Float64Array;
  /** Writes the payload number `sequence` into `numbers` at `start`. */
  write(numbers: Float64Array, start: number, sequence: number): void;
  /**
   * Takes the payload number `sequence` out of `numbers` at `start`, and verifies it.
   *
   * @throws {Error} when a number is wrong.
   */
  consume(numbers: Float64Array, start: number, sequence: number): void;
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
 * Writes message `sequence` at number `start`: seven numbers derived from that one, and their sum.
 *
 * Unrolled, and in the numbers that JavaScript has: as a loop, or in words of 32 bits, writing took two
 * to six times as long, and the case measured that instead of the channel.
 */
export function writeMessage(numbers: Float64Array, start: number, sequence: number): void {
  numbers[start] = sequence;
  numbers[start + 1] = sequence + 1;
  numbers[start + 2] = sequence + 2;
  numbers[start + 3] = sequence + 3;
  numbers[start + 4] = sequence + 4;
  numbers[start + 5] = sequence + 5;
  numbers[start + 6] = sequence + 6;
  numbers[start + 7] = sequence * 7 + 21;
}

/** Whether the message at number `start` is the one called `sequence`, and its sum is right. */
export function messageMatches(numbers: Float64Array, start: number, sequence: number): boolean {
  const first = numbers[start]!;
  const a = first + numbers[start + 1]!;
  const b = numbers[start + 2]! + numbers[start + 3]!;
  const c = numbers[start + 4]! + numbers[start + 5]!;
  return first === sequence && a + b + (c + numbers[start + 6]!) === numbers[start + 7];
}

function messagePayload(): Payload {
  const message = new Float64Array(MESSAGE_NUMBERS);
  return {
    bytes: MESSAGE_BYTES,
    produce(sequence) {
      writeMessage(message, 0, sequence);
      return message;
    },
    write: writeMessage,
    consume(numbers, start, sequence) {
      if (!messageMatches(numbers, start, sequence)) {
        throw new Error(`message ${sequence} is wrong`);
      }
    },
  };
}

function blockPayload(bytes: number): Payload {
  const source = new BlockSource(bytes);
  const sink = new BlockSink(bytes);
  return {
    bytes,
    produce: (sequence) => source.block(sequence).numbers,
    write: (numbers, start, sequence) => numbers.set(source.block(sequence).numbers, start),
    consume(numbers, start, sequence) {
      sink.bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset + start * 8, bytes));
      sink.verify(sequence);
    },
  };
}

/** The words of a block that carry the sequence number: one a page. */
const STAMP_EVERY = 1_024;

class Block {
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;

  constructor(bytes: number) {
    this.words = new Int32Array(bytes / 4);
    this.numbers = new Float64Array(this.words.buffer);
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
  block(sequence: number): Pick<Block, 'numbers' | 'bytes'> {
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
