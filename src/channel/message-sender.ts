/**
 * MessageSender: the writing end of a channel of messages.
 *
 * A message is a frame: its length, the complement of its length, its bytes, and as many more as make
 * it a multiple of eight. Lengths are stored plainly, for a frame is uncovered by the tail like any
 * other bytes.
 */
import type { Writable } from 'node:stream';

import { checkInteger, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { codecOf } from './codec.ts';
import type { Codec, CodecName, MessageCodec } from './codec.ts';
import type { EndDescriptors } from './descriptors.ts';
import type { BlockOptions, WaitOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { FRAME_ALIGNMENT, FRAME_BYTES, frameBytes, MODE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import { channelFull, notClaimed, SendingEnd } from './sending.ts';
import type { SenderOptions } from './sending.ts';
import { webWritable, writable } from './streams.ts';
import { WriteLine } from './write-line.ts';

/** How an end of a channel of messages works in this thread. */
export interface MessageSenderOptions<T> extends SenderOptions {
  /** Needed where the channel was made with a codec that is not one of ours. */
  readonly codec?: Codec<T> | CodecName | undefined;
}

/** What waits to be written: a value, or what its codec has made of it. */
type Prepared<T> = T | Uint8Array | string;

/** A codec that writes into the ring itself. */
type DirectCodec<T> = MessageCodec<T> & Required<Pick<MessageCodec<T>, 'encodeInto'>>;

/** Most bytes that are written before they are published, unless the caller says otherwise. */
const HIGH_WATER_MAX = 16384;

/** UTF-8 has at most so many bytes for a unit of a JavaScript string. */
const UTF8_BYTES_MAX = 3;

/**
 * Writes messages into the channel's memory. They are published together: when 16 KiB, or a quarter of
 * the channel, are written, at the end of the turn, before this end waits, and by `flush()`.
 *
 * @typeParam T - What a message is: bytes without a codec.
 */
export class MessageSender<T = Uint8Array> extends SendingEnd {
  /** Largest message in bytes. */
  readonly maxMessageBytes: number;
  readonly #codec: MessageCodec<T>;
  readonly #line: WriteLine<Prepared<T>>;
  /** Where the claimed frame begins in the memory. */
  #claimedAt = 0;
  /** Bytes of the claimed message, without what makes its frame a multiple of eight. */
  #claimedBytes = 0;
  #stream: Writable | undefined;

  /** @internal Use `channel.sender`, {@link MessageSender.attach} or {@link MessageSender.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: MessageSenderOptions<T>) {
    checkMode(memory, MODE.MESSAGES, 'MessageSender');
    const codec = codecOf(memory.format.kind, options?.codec);
    super(memory, fds, options, Math.min(HIGH_WATER_MAX, memory.capacity >> 2));
    this.maxMessageBytes = memory.capacity - FRAME_BYTES;
    this.#codec = codec as MessageCodec<T>;
    this.#line = new WriteLine(
      (item) => (this.#store(item) ? undefined : item),
      (item, wait) => this.wait(this.#roomFor(item), wait),
    );
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach<T = Uint8Array>(
    handle: ChannelHandle,
    options?: MessageSenderOptions<T>,
  ): MessageSender<T> {
    return attachEnd(handle, 'sender', (memory, fds) => new MessageSender<T>(memory, fds, options));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('sender')`. */
  static fromStdio<T = Uint8Array>(
    firstFd: number = 3,
    options?: MessageSenderOptions<T>,
  ): MessageSender<T> {
    return endFromStdio(firstFd, (memory, fds) => new MessageSender<T>(memory, fds, options));
  }

  /** Bytes the ring can hold, frames included. */
  get capacity(): number {
    return this.ringBytes;
  }

  /** Bytes of the largest message there is room for now; -1 without room even for an empty one. */
  get free(): number {
    this.checkOpen();
    return Math.max(-1, this.freeNow() - FRAME_BYTES);
  }

  /**
   * A view of `bytes` bytes to write a message into, or null if there is no room. Nothing is written
   * until `commit()`.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` for more than `maxMessageBytes`.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if there is no room
   *   and nobody to make any.
   */
  claim(bytes: number): Uint8Array | null {
    const at = this.claimOffset(bytes);
    return at === -1 ? null : new Uint8Array(this.shared.buffer, at, bytes);
  }

  /**
   * As `claim()`, without a view, which costs more than a small message: the offset in
   * `memory.buffer` to write the message at, or -1 if there is no room.
   */
  claimOffset(bytes: number): number {
    this.checkOpen();
    const place = this.#reserveFrame(bytes);
    if (place === -1) {
      this.expectRoom();
      return -1;
    }
    this.claimed = frameBytes(bytes);
    this.#claimedBytes = bytes;
    this.#claimedAt = place;
    return place + FRAME_BYTES;
  }

  /**
   * Writes what is claimed as one message.
   *
   * @param bytes - Its first so many bytes; default: as many as were claimed.
   * @throws {AnnulusError} `ERR_ANNULUS_CLAIM` if nothing, or less, is claimed;
   *   `ERR_ANNULUS_PEER_CLOSED` if the receiver was closed.
   */
  commit(bytes: number = this.#claimedBytes): void {
    this.checkOpen();
    const isClaimed = this.claimed > 0 && bytes <= this.#claimedBytes;
    if (!isClaimed || !Number.isInteger(bytes) || bytes < 0) {
      throw notClaimed(bytes, this.claimed > 0 ? this.#claimedBytes : 0, 'bytes');
    }
    this.#finishFrame(this.#claimedAt, bytes);
  }

  /** Writes a message if there is room for it now; whether there was. */
  tryWrite(message: T): boolean {
    this.checkOpen();
    return this.#line.length === 0 && this.#store(this.#codec.prepare(message));
  }

  /**
   * Writes a message, encoded by the channel's codec straight into its memory where the codec can.
   *
   * @returns A promise if it has to wait for room; a message of bytes must stay as it is until then.
   *   Messages that wait are written in order. Without room, a sender with `whenFull: 'fail'` throws
   *   `ERR_ANNULUS_CHANNEL_FULL`, and one with `'drop'` drops this message.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` for a message larger than `maxMessageBytes`.
   */
  write(message: T, options?: WaitOptions): Promise<void> | undefined {
    this.checkOpen();
    const item = this.#codec.prepare(message);
    if (this.whenFull === 'block') return this.#line.write(item, options);
    if (this.#store(item)) return undefined;
    if (this.whenFull === 'fail') throw channelFull(this.#roomFor(item), this.freeNow());
    this.countDropped();
    return undefined;
  }

  /** Writes a message, blocking this thread until there is room; false after the time-out. */
  writeSync(message: T, options?: BlockOptions): boolean {
    this.checkOpen();
    const item = this.#codec.prepare(message);
    while (!this.#store(item)) {
      if (!this.block(this.#roomFor(item), options)) return false;
    }
    return true;
  }

  /** Resolves once there is room for a message of `bytes` bytes. Rejects if the receiver is gone. */
  async whenWritable(bytes: number = 0, options?: WaitOptions): Promise<void> {
    await this.wait(this.#checkedFrame(bytes), options);
  }

  /** Blocks this thread as `whenWritable()` waits; false after the time-out. For worker threads. */
  waitWritable(bytes: number = 0, options?: BlockOptions): boolean {
    return this.block(this.#checkedFrame(bytes), options);
  }

  /** A Node stream, in object mode if there is a codec: each chunk is a message. */
  get writable(): Writable {
    this.#stream ??= writable(this, !this.#codec.inPlace);
    return this.#stream;
  }

  /** A Web stream of messages. */
  get webWritable(): WritableStream<T> {
    return webWritable(this);
  }

  /** @internal The callers have checked it. */
  protected override checkMinimum(minimum: number): number {
    return minimum;
  }

  #checkedFrame(bytes: number): number {
    checkInteger('bytes', bytes, 0, this.maxMessageBytes);
    return frameBytes(bytes);
  }

  #reserveFrame(bytes: number): number {
    if (!(Number.isInteger(bytes) && bytes >= 0 && bytes <= this.maxMessageBytes)) {
      throw outOfRange('bytes', `an integer from 0 to ${this.maxMessageBytes}`, bytes);
    }
    return this.reserve(frameBytes(bytes));
  }

  /** Writes a message's frame around bytes that are in place. */
  #finishFrame(place: number, bytes: number): void {
    const words = this.shared.allWords;
    words[place >> 2] = bytes;
    words[(place >> 2) + 1] = ~bytes;
    this.countOne();
    this.advance(frameBytes(bytes));
  }

  /** Writes a message if there is room; whether there was. */
  #store(item: Prepared<T>): boolean {
    // One that has waited may find the channel closed.
    this.checkOpen();
    const codec = this.#codec;
    const stored =
      codec.encodeInto !== undefined
        ? this.#storeValue(item as T, codec as DirectCodec<T>)
        : typeof item === 'string'
          ? this.#storeText(item)
          : this.#storeBytes(item as Uint8Array);
    if (stored) return true;
    this.expectRoom();
    return false;
  }

  #storeBytes(bytes: Uint8Array): boolean {
    const place = this.#reserveFrame(bytes.byteLength);
    if (place === -1) return false;
    this.shared.bytes.set(bytes, place + FRAME_BYTES);
    this.#finishFrame(place, bytes.byteLength);
    return true;
  }

  #storeText(text: string): boolean {
    // Room for the longest it can be, if there is: then nobody has to count its bytes.
    const longest = text.length * UTF8_BYTES_MAX;
    let place = this.#placeOf(frameBytes(longest));
    let room = longest;
    if (place === -1) {
      room = Buffer.byteLength(text);
      place = this.#reserveFrame(room);
    }
    if (place === -1) return false;
    this.#finishFrame(place, this.shared.bytes.write(text, place + FRAME_BYTES, room, 'utf8'));
    return true;
  }

  /** The place of so many bytes where no gap has to be left for them; -1 if there is none. */
  #placeOf(bytes: number): number {
    if (this.claimable() < bytes) this.refresh();
    return this.claimable() < bytes ? -1 : this.reserve(bytes);
  }

  #storeValue(value: T, codec: DirectCodec<T>): boolean {
    this.refresh();
    const room = Math.floor(this.claimable() / FRAME_ALIGNMENT) * FRAME_ALIGNMENT - FRAME_BYTES;
    if (room >= 0) {
      const place = this.reserve(room + FRAME_BYTES);
      const target = new Uint8Array(this.shared.buffer, place + FRAME_BYTES, room);
      const bytes = codec.encodeInto(value, target);
      if (bytes >= 0) {
        if (!Number.isInteger(bytes) || bytes > room) {
          throw invalidArgValue('codec.encodeInto()', `must return 0 to ${room}, or -1`, bytes);
        }
        this.#finishFrame(place, bytes);
        return true;
      }
    }
    if (room === this.maxMessageBytes) {
      throw outOfRange('message', `at most ${room} bytes when encoded`, 'more');
    }
    return false;
  }

  /** Bytes a message needs before trying again can make sense. */
  #roomFor(item: Prepared<T>): number {
    // A codec that writes into the ring says only that there was too little.
    if (this.#codec.encodeInto !== undefined) {
      return Math.min(this.ringBytes, Math.max(FRAME_BYTES, this.claimable()) * 2);
    }
    return frameBytes(
      typeof item === 'string' ? Buffer.byteLength(item) : (item as Uint8Array).byteLength,
    );
  }
}
