/**
 * A byte ring in ordinary memory, as it is written without a mirror: content and free space are up
 * to two slices each, one at the end of the memory and one at its start.
 */
export class TwoSliceRing {
  readonly bytes: Buffer;
  readonly capacity: number;
  #head = 0;
  #length = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.bytes = Buffer.alloc(capacity);
  }

  /** Where the content begins. */
  get head(): number {
    return this.#head;
  }

  get length(): number {
    return this.#length;
  }

  /** Where the free space begins. */
  get tail(): number {
    const end = this.#head + this.#length;
    return end >= this.capacity ? end - this.capacity : end;
  }

  /** Bytes of the first slice of free space. */
  get room(): number {
    const end = this.#head + this.#length;
    return end >= this.capacity ? this.capacity - this.#length : this.capacity - end;
  }

  advance(count: number): void {
    if (count > this.capacity - this.#length) throw new RangeError('there is less free space');
    this.#length += count;
  }

  consume(count: number): void {
    if (count > this.#length) throw new RangeError('there is less content');
    const head = this.#head + count;
    this.#head = head >= this.capacity ? head - this.capacity : head;
    this.#length -= count;
  }

  /** Copies all of `source` in: in two parts where it crosses the end. */
  write(source: Uint8Array): void {
    const { tail } = this;
    const first = this.capacity - tail;
    if (source.length <= first) {
      this.bytes.set(source, tail);
    } else {
      this.bytes.set(source.subarray(0, first), tail);
      this.bytes.set(source.subarray(first), 0);
    }
    this.advance(source.length);
  }

  /** Copies `length` bytes from position `at` on: in two parts where they cross the end. */
  copyTo(target: Uint8Array, at: number, length: number): void {
    const { buffer, byteOffset } = this.bytes;
    const first = this.capacity - at;
    if (length <= first) {
      target.set(new Uint8Array(buffer, byteOffset + at, length));
    } else {
      target.set(new Uint8Array(buffer, byteOffset + at, first));
      target.set(new Uint8Array(buffer, byteOffset, length - first), first);
    }
  }
}
