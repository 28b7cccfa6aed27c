/**
 * What the `frames` cases send: records, each after its length. `bench/peers/go/ring.go` does the
 * same in Go.
 */

import { Meter } from './meter.ts';
import { numberOption } from './options.ts';
import { report } from './report.ts';
import { sourceOf, type Source } from './source.ts';

/** Bytes of a length: 32 bits, little-endian. */
export const HEADER_BYTES = 4;

/** About as much in one pass of the stream. */
const STREAM_BYTES = 1 << 20;

/** The length of the record whose header is at `at`. */
export function recordLengthAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Byte `index` of record `number`. */
function payloadByte(number: number, index: number): number {
  return (number * 31 + index) & 255;
}

/**
 * Takes the records of a stream and verifies them: in the first pass every byte, in the timed
 * ones the number and length of each and its first and last byte, through sums over the pass.
 */
export class RecordSink {
  readonly #recordBytes: number;
  readonly #records: number;
  readonly #expectedSum: number;
  #count = 0;
  #sum = 0;
  #allBytes = true;
  /** Of all bytes of the first pass. */
  checksum = 0;

  constructor(recordBytes: number, records: number) {
    this.#recordBytes = recordBytes;
    this.#records = records;
    let sum = 0;
    for (let number = 0; number < records; number++) {
      sum += recordBytes + payloadByte(number, 0) + payloadByte(number, recordBytes - 1);
    }
    this.#expectedSum = sum | 0;
  }

  /** Takes the record that is `bytes` from `start` to before `end`. */
  take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#allBytes) this.#verify(bytes, start, end);
    this.#count = (this.#count + 1) | 0;
    this.#sum = (this.#sum + (end - start) + bytes[start]! + bytes[end - 1]!) | 0;
  }

  /**
   * Ends a pass of the stream; returns its number of records.
   *
   * @throws {Error} when a record is missing or wrong.
   */
  endPass(): number {
    const [count, sum] = [this.#count, this.#sum];
    if (count !== this.#records || sum !== this.#expectedSum) {
      throw new Error(`${count} records with the sum ${sum} are not those that were sent`);
    }
    this.#count = 0;
    this.#sum = 0;
    this.#allBytes = false;
    return count;
  }

  #verify(bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== this.#recordBytes) throw new Error(`a record has ${end - start} bytes`);
    for (let index = 0; start + index < end; index++) {
      const byte = bytes[start + index]!;
      if (byte !== payloadByte(this.#count, index)) {
        throw new Error(`record ${this.#count} is wrong at byte ${index}`);
      }
      this.checksum = (Math.imul(this.checksum, 31) + byte) | 0;
    }
  }
}

/** The stream of records that the options name, `record` bytes each. */
export function recordStream(): { readonly source: Source; readonly sink: RecordSink } {
  const recordBytes = numberOption('record');
  const frameBytes = HEADER_BYTES + recordBytes;
  const records = Math.ceil(STREAM_BYTES / frameBytes);
  const stream = Buffer.alloc(records * frameBytes);
  for (let number = 0; number < records; number++) {
    const start = stream.writeUInt32LE(recordBytes, number * frameBytes);
    for (let index = 0; index < recordBytes; index++) {
      stream[start + index] = payloadByte(number, index);
    }
  }
  return { source: sourceOf(stream), sink: new RecordSink(recordBytes, records) };
}

/** Repeats `step`, which gets one chunk and parses what is there, for the timed window. */
export function measureRecords(source: Source, sink: RecordSink, step: () => void): void {
  const meter = new Meter();
  do {
    do step();
    while (!source.atStart);
  } while (meter.tick(sink.endPass()));
  report(meter.perSecond, 'record/s', {
    nanoseconds: 1e9 / meter.perSecond,
    checksum: sink.checksum.toString(16),
  });
}
