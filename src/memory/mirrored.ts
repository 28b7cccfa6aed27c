/**
 * MirroredRing: a ring buffer whose content is always one contiguous slice.
 *
 * The pages are mapped twice, back to back, so a slice that runs past the end of the first mapping
 * continues in the second, which is the start of the ring. After Jorropo's mmu-ring.
 */
import { AnnulusError, checkInteger, outOfRange } from '../sys/errors.ts';
import { close, ftruncate, memfdCreate, toPages } from '../sys/linux.ts';
import { Region } from './region.ts';

/** Largest ring: both mappings together stay below 2^32 bytes, so positions are exact integers. */
const MAX_CAPACITY = 2 ** 31 - 2 ** 16;

/** Maps a new memfd of `capacity` bytes twice in a row. */
function mapTwice(capacity: number): Region {
  const fd = memfdCreate('annulus-ring');
  try {
    ftruncate(fd, capacity);
    return Region.map(capacity * 2, [
      { at: 0, length: capacity, fd, offset: 0 },
      { at: capacity, length: capacity, fd, offset: 0 },
    ]);
  } finally {
    close(fd);
  }
}

/**
 * A byte ring between a producer and a consumer of one program. Every view it hands out is one
 * contiguous `Uint8Array`; nothing is ever copied or split at the end of the ring.
 *
 * @example
 * ```ts
 * import { readSync, openSync } from 'node:fs';
 * import { MirroredRing } from 'annulus/memory';
 * using ring = MirroredRing.create(64 * 1024);
 * const fd = openSync('/etc/passwd', 'r');
 * ring.write((free) => readSync(fd, free));
 * ring.read((content) => content.indexOf(10) + 1); // consumes the first line
 * ```
 */
export class MirroredRing {
  /** Bytes the ring can hold: what was asked for, rounded up to whole pages. */
  readonly capacity: number;
  readonly #region: Region;
  readonly #bytes: Uint8Array;
  /** Position of the first byte of content, 0 to capacity - 1. */
  #head = 0;
  #length = 0;

  private constructor(capacity: number) {
    this.capacity = capacity;
    this.#region = mapTwice(capacity);
    this.#bytes = this.#region.bytes;
  }

  /**
   * @param bytes - Wanted capacity, 1 to 2^31 - 2^16, rounded up to whole pages.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. A system error (`ENOMEM`, `EMFILE`) with the cause.
   */
  static create(bytes: number): MirroredRing {
    checkInteger('bytes', bytes, 1, MAX_CAPACITY);
    return new MirroredRing(toPages(bytes));
  }

  /** Bytes of content. */
  get length(): number {
    return this.#length;
  }

  /**
   * The whole mirror, twice `capacity` bytes: content and free space lie in it at the offsets below.
   * The same object until the ring is closed, which empties it. With it nothing is allocated:
   *
   * @example
   * ```ts
   * import { MirroredRing } from 'annulus/memory';
   * using ring = MirroredRing.create(4096);
   * ring.bytes[ring.unusedOffset] = 10;
   * ring.advance(1);
   * ring.bytes.indexOf(10, ring.contentOffset); // look below contentOffset + contentLength only
   * ```
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the content begins in `bytes`, 0 to capacity - 1. */
  get contentOffset(): number {
    return this.#head;
  }

  /** Bytes of content, in one piece from `contentOffset` on; the same as `length`. */
  get contentLength(): number {
    return this.#length;
  }

  /** Where the free space begins in `bytes`, 0 to capacity - 1. */
  get unusedOffset(): number {
    const end = this.#head + this.#length;
    return end >= this.capacity ? end - this.capacity : end;
  }

  /** Bytes of free space, in one piece from `unusedOffset` on. */
  get unusedLength(): number {
    return this.capacity - this.#length;
  }

  /** Whether the ring was closed. */
  get closed(): boolean {
    return this.#region.closed;
  }

  /** The content, oldest byte first: a view that stays valid until it is consumed. */
  content(): Uint8Array {
    this.#checkOpen();
    return new Uint8Array(this.#region.buffer, this.#head, this.#length);
  }

  /** The free space. Fill a prefix of it, then `advance()` by as much. */
  unused(): Uint8Array {
    this.#checkOpen();
    const end = this.#head + this.#length;
    const start = end >= this.capacity ? end - this.capacity : end;
    return new Uint8Array(this.#region.buffer, start, this.capacity - this.#length);
  }

  /**
   * Makes the first `count` bytes of `unused()` part of the content.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less free space; nothing changes then.
   */
  advance(count: number): void {
    this.#checkOpen();
    const free = this.capacity - this.#length;
    if (!isCount(count, free)) throw outOfRange('count', `an integer from 0 to ${free}`, count);
    this.#length += count;
  }

  /**
   * Drops the first `count` bytes of the content.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  consume(count: number): void {
    this.#checkOpen();
    if (!isCount(count, this.#length)) {
      throw outOfRange('count', `an integer from 0 to ${this.#length}`, count);
    }
    const head = this.#head + count;
    this.#head = head >= this.capacity ? head - this.capacity : head;
    this.#length -= count;
  }

  /**
   * Lets `fill` write into the free space and advances by what it returns. If it throws, nothing
   * is committed.
   */
  write(fill: (free: Uint8Array) => number): number {
    const count = fill(this.unused());
    this.advance(count);
    return count;
  }

  /**
   * Lets `take` look at the content and consumes what it returns. If it throws, nothing is
   * consumed.
   */
  read(take: (content: Uint8Array) => number): number {
    const count = take(this.content());
    this.consume(count);
    return count;
  }

  /**
   * Unmaps the ring; every view of it becomes length 0. Closing twice does nothing.
   *
   * @throws {AnnulusError} `ERR_REGION_BUSY` while the kernel uses the memory.
   */
  close(): void {
    this.#region.close();
    this.#length = 0;
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#region.closed) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
    }
  }
}

function isCount(value: number, maximum: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= maximum;
}
