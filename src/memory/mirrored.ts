/**
 * MirroredRing: a ring buffer whose content is always one contiguous slice.
 *
 * The pages are mapped twice, back to back, so a slice that runs past the end of the first mapping
 * continues in the second, which is the start of the ring. After Jorropo's mmu-ring.
 */
import type { Readable, Writable } from 'node:stream';

import { AnnulusError, checkInteger, invalidState, outOfRange } from '../sys/errors.ts';
import { toPages } from '../sys/linux.ts';
import { transfer } from '../sys/transfer.ts';
import { checkBacking } from './backing.ts';
import type { RingBacking } from './backing.ts';
import { Mirror } from './mirror.ts';
import { StreamPair } from './streams.ts';

/** Largest ring: both mappings together stay below 2^32 bytes, so positions are exact integers. */
const MAX_CAPACITY = 2 ** 31 - 2 ** 16;

const OPEN = 0;
/** Nothing more is written. */
const ENDED = 1;
const CLOSED = 2;

/** Options of {@link MirroredRing.create}. */
export interface MirroredRingOptions {
  /**
   * What the memory is: `memfd`, anonymous; or `posix`, shared memory of POSIX (`shm_open()`), which on
   * Linux lies in /dev/shm and is bounded by the size of that. Not named after it is made, in either
   * case. Default: `memfd`, or `posix` on kernels that have no `memfd_create()`.
   */
  readonly backing?: RingBacking | undefined;
}

/** Options of {@link MirroredRing.readFrom} and {@link MirroredRing.writeTo}. */
export interface RingTransferOptions {
  /** At most so many bytes, 1 or more; default: as many as there is room or content for. */
  readonly length?: number | undefined;
  /** Byte position in the file; default: its current position, which then moves on. */
  readonly position?: number | undefined;
}

/**
 * A byte ring between a producer and a consumer of one program. Every view it hands out is one
 * contiguous `Uint8Array`; nothing is ever copied or split at the end of the ring.
 *
 * @example
 * ```ts
 * import { openSync } from 'node:fs';
 * import { MirroredRing } from 'annulus/memory';
 * using ring = MirroredRing.create(64 * 1024);
 * ring.readFrom(openSync('/etc/passwd', 'r'));
 * ring.read((content) => content.indexOf(10) + 1); // consumes the first line
 * ```
 */
export class MirroredRing {
  #mirror: Mirror;
  /** Copies of what the mirror says, at hand for the methods that run per message. */
  #bytes: Uint8Array;
  #buffer: ArrayBuffer;
  #capacity: number;
  /** Position of the first byte of content, 0 to capacity - 1. */
  #head = 0;
  #length = 0;
  #state = OPEN;
  #streams: StreamPair | undefined = undefined;

  private constructor(mirror: Mirror) {
    this.#mirror = mirror;
    this.#bytes = mirror.region.bytes;
    this.#buffer = mirror.region.buffer;
    this.#capacity = mirror.capacity;
  }

  /**
   * Makes an empty ring. Its free space may hold what a closed ring of this thread left there.
   *
   * @param bytes - Wanted capacity, 1 to 2^31 - 2^16, rounded up to whole pages.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. {@link SystemError} with the cause: `ENOMEM` (`RLIMIT_AS`,
   * `vm.max_map_count`), `EMFILE` (`RLIMIT_NOFILE`: a descriptor is needed for a moment), `EFBIG`
   * (`RLIMIT_FSIZE`), `ENOSPC` (no room in /dev/shm).
   */
  static create(bytes: number, options: MirroredRingOptions = {}): MirroredRing {
    checkInteger('bytes', bytes, 1, MAX_CAPACITY);
    checkBacking(options.backing);
    return new MirroredRing(Mirror.create(toPages(bytes), options.backing));
  }

  /** Bytes the ring can hold: what was asked for, rounded up to whole pages. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes of content. */
  get length(): number {
    return this.#length;
  }

  /**
   * The whole mirror, twice `capacity` bytes: content and free space lie in it at the offsets below.
   * The same object until the ring is resized or closed, which empties it. With it nothing is allocated:
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
    return end >= this.#capacity ? end - this.#capacity : end;
  }

  /** Bytes of free space, in one piece from `unusedOffset` on. */
  get unusedLength(): number {
    return this.#capacity - this.#length;
  }

  /** Whether {@link MirroredRing.end} was called: nothing more is written. */
  get ended(): boolean {
    return this.#state !== OPEN;
  }

  /** Whether the ring was closed. */
  get closed(): boolean {
    return this.#state === CLOSED;
  }

  /** The content, oldest byte first: a view that stays valid until it is consumed. */
  content(): Uint8Array {
    if (this.#state === CLOSED) throw closedError();
    return new Uint8Array(this.#buffer, this.#head, this.#length);
  }

  /** The free space. Fill a prefix of it, then `advance()` by as much. */
  unused(): Uint8Array {
    if (this.#state === CLOSED) throw closedError();
    const end = this.#head + this.#length;
    const start = end >= this.#capacity ? end - this.#capacity : end;
    return new Uint8Array(this.#buffer, start, this.#capacity - this.#length);
  }

  /**
   * Makes the first `count` bytes of `unused()` part of the content.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less free space; nothing changes then.
   * `ERR_INVALID_STATE` after `end()`.
   */
  advance(count: number): void {
    if (this.#state !== OPEN || !isCount(count, this.#capacity - this.#length)) {
      this.#refuse(count, this.#capacity - this.#length, OPEN);
    }
    this.#length += count;
    if (this.#streams !== undefined) this.#streams.changed();
  }

  /**
   * Drops the first `count` bytes of the content.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  consume(count: number): void {
    if (this.#state === CLOSED || !isCount(count, this.#length)) {
      this.#refuse(count, this.#length, ENDED);
    }
    const head = this.#head + count;
    this.#head = head >= this.#capacity ? head - this.#capacity : head;
    this.#length -= count;
    if (this.#streams !== undefined) this.#streams.changed();
  }

  /**
   * Lets `fill` write into the free space and advances by what it returns. If it throws, nothing
   * is committed.
   *
   * @throws `ERR_INVALID_STATE` if `fill` has resized the ring: what it wrote before is lost.
   */
  write(fill: (free: Uint8Array) => number): number {
    const mirror = this.#mirror;
    const count = fill(this.unused());
    if (mirror !== this.#mirror) throw resizedError();
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
   * Reads once from a file, a pipe or a socket into the free space, by one `read()`; it waits if the
   * descriptor does.
   *
   * @returns The bytes read, 0 at the end of the file.
   * @throws `ERR_INVALID_STATE` if the ring is full or ended. {@link SystemError}, such as `EAGAIN`.
   * @example
   * ```ts
   * import { MirroredRing } from 'annulus/memory';
   * using ring = MirroredRing.create(64 * 1024);
   * while (ring.readFrom(0) > 0) ring.writeTo(1); // a slow `cat`
   * ```
   */
  readFrom(fd: number, options: RingTransferOptions = {}): number {
    this.#checkWritable();
    if (this.unusedLength === 0) {
      throw invalidState(
        `The ring of ${this.#capacity} bytes is full; consume some of it, or resize() it.`,
      );
    }
    const count = transfer('read', fd, limited(this.unused(), options.length), options.position);
    this.advance(count);
    return count;
  }

  /**
   * Writes content to a file, a pipe or a socket by one `write()`, and consumes what it took.
   *
   * @returns The bytes written, 0 if there is no content.
   * @throws {@link SystemError}, such as `EAGAIN`, `EPIPE` or `ENOSPC`; nothing is consumed then.
   */
  writeTo(fd: number, options: RingTransferOptions = {}): number {
    const content = limited(this.content(), options.length);
    if (content.length === 0) return 0;
    const count = transfer('write', fd, content, options.position);
    this.consume(count);
    return count;
  }

  /**
   * Gives the ring another capacity and keeps the content, which is not copied: its pages are mapped
   * into the new mirror, also when it crosses the end. At most the content of one page is copied as
   * long as the ring consists of four runs of pages; docs/memory.md says when it does not.
   *
   * Views handed out before, and `bytes`, become length 0.
   *
   * @param bytes - Wanted capacity, rounded up to whole pages; at least the content.
   * @returns The new capacity.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if the content is larger; {@link AnnulusError}
   * `ERR_REGION_BUSY` while a request or a registration uses the memory, since the kernel would go on
   * using the old pages; system errors as {@link MirroredRing.create}. Nothing changes then.
   */
  resize(bytes: number): number {
    if (this.#state === CLOSED) throw closedError();
    checkInteger('bytes', bytes, 1, MAX_CAPACITY);
    const capacity = toPages(bytes);
    if (capacity < this.#length) {
      const least = `at least the ${this.#length} bytes of content`;
      throw outOfRange('bytes', least, bytes);
    }
    if (capacity === this.#capacity) return capacity;
    const content = { from: this.#head, length: this.#length };
    const { mirror, head } = this.#mirror.resize(content, capacity);
    this.#mirror = mirror;
    this.#bytes = mirror.region.bytes;
    this.#buffer = mirror.region.buffer;
    this.#capacity = capacity;
    this.#head = head;
    if (this.#streams !== undefined) this.#streams.changed();
    return capacity;
  }

  /**
   * A stream that writes into the ring and waits while it is full. Its end is `end()`.
   *
   * @throws `ERR_INVALID_STATE` if there is such a stream already.
   */
  toWritable(): Writable {
    this.#checkWritable();
    return this.#pair().writable();
  }

  /**
   * A stream of the content, which ends when the ring is ended and empty. Its chunks are copies, since
   * nobody knows how long who gets them needs them; what copies nothing is `writeTo()`, or requests on
   * `content()`.
   *
   * @throws `ERR_INVALID_STATE` if there is such a stream already.
   */
  toReadable(): Readable {
    if (this.#state === CLOSED) throw closedError();
    return this.#pair().readable();
  }

  /** Says that nothing more will be written: the stream of the content ends once it is consumed. */
  end(): void {
    if (this.#state !== OPEN) return;
    this.#state = ENDED;
    if (this.#streams !== undefined) this.#streams.changed();
  }

  /**
   * Closes the ring: every view of it becomes length 0, and its streams are destroyed. The memory of a
   * ring of at most 1 MiB may serve the next ring of its capacity; what is not used for a second is
   * unmapped. Closing twice does nothing.
   *
   * @throws {AnnulusError} `ERR_REGION_BUSY` while the kernel uses the memory.
   */
  close(): void {
    if (this.#state === CLOSED) return;
    this.#mirror.close();
    this.#state = CLOSED;
    this.#length = 0;
    if (this.#streams !== undefined) this.#streams.destroy(closedError());
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #pair(): StreamPair {
    this.#streams ??= new StreamPair(this);
    return this.#streams;
  }

  #checkWritable(): void {
    if (this.#state !== OPEN) this.#refuse(0, 0, OPEN);
  }

  /** Says what is wrong with a count. */
  #refuse(count: number, maximum: number, state: number): never {
    if (this.#state === CLOSED) throw closedError();
    if (this.#state > state) throw invalidState('The ring has ended: nothing more can be written.');
    throw outOfRange('count', `an integer from 0 to ${maximum}`, count);
  }
}

/** Whether a count is an integer in range; below 2^31 that is what `| 0` leaves as it is. */
function isCount(value: number, maximum: number): boolean {
  return (value | 0) === value && value >= 0 && value <= maximum;
}

function limited(view: Uint8Array, length: number | undefined): Uint8Array {
  if (length === undefined) return view;
  checkInteger('options.length', length, 1, Number.MAX_SAFE_INTEGER);
  return view.subarray(0, length);
}

function closedError(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
}

function resizedError(): Error {
  return invalidState('The ring was resized by the callback that fills it: nothing was committed.');
}
