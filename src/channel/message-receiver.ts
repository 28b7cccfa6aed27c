/**
 * MessageReceiver: the reading end of a channel of messages.
 */
import type { Readable } from 'node:stream';

import { codecOf } from './codec.ts';
import type { Codec, CodecName, MessageCodec } from './codec.ts';
import type { EndDescriptors } from './descriptors.ts';
import type { BlockOptions, EndOptions, WaitOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { FRAME_BYTES, frameBytes, MODE } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { ReceivingEnd } from './receiving.ts';
import { readable, webReadable } from './streams.ts';

/** How an end of a channel of messages works in this thread. */
export interface MessageReceiverOptions<T> extends EndOptions {
  /** Needed where the channel was made with a codec that is not one of ours. */
  readonly codec?: Codec<T> | CodecName | undefined;
}

/**
 * Takes messages out of the channel's memory. Without a codec a message is a view of that memory,
 * valid until the next one is asked for; with one, it is the caller's.
 *
 * @typeParam T - What a message is: bytes without a codec.
 */
export class MessageReceiver<T = Uint8Array> extends ReceivingEnd {
  readonly #codec: MessageCodec<T>;
  /** Bytes of the frame of the message given last, which is consumed when the next is asked for. */
  #held = 0;
  #stream: Readable | undefined;

  /** @internal Use `channel.receiver`, {@link MessageReceiver.attach} or `fromStdio`. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: MessageReceiverOptions<T>) {
    checkMode(memory, MODE.MESSAGES, 'MessageReceiver');
    const codec = codecOf(memory.format.kind, options?.codec);
    super(memory, fds, options);
    this.#codec = codec as MessageCodec<T>;
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach<T = Uint8Array>(
    handle: ChannelHandle,
    options?: MessageReceiverOptions<T>,
  ): MessageReceiver<T> {
    return attachEnd(
      handle,
      'receiver',
      (memory, fds) => new MessageReceiver<T>(memory, fds, options),
    );
  }

  /** Attaches in a child process that was spawned with `channel.stdio('receiver')`. */
  static fromStdio<T = Uint8Array>(
    firstFd: number = 3,
    options?: MessageReceiverOptions<T>,
  ): MessageReceiver<T> {
    return endFromStdio(firstFd, (memory, fds) => new MessageReceiver<T>(memory, fds, options));
  }

  /** Bytes the ring can hold, frames included. */
  get capacity(): number {
    return this.shared.capacity;
  }

  /** Bytes of what is received and not consumed, frames included. */
  get byteLength(): number {
    this.checkOpen();
    this.refresh();
    return this.seen();
  }

  /**
   * The next message; undefined if none is there. The message given before it is consumed: if this
   * process dies while it works on one, a replacement gets that one again.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT`.
   */
  read(): T | undefined {
    this.checkOpen();
    this.#giveBack();
    const bytes = this.#nextLength(0);
    if (bytes < 0) return undefined;
    const at = this.place() + FRAME_BYTES;
    // Also what cannot be decoded is consumed with the next: it would be in the way for ever.
    this.#held = frameBytes(bytes);
    return this.#messageAt(at, bytes);
  }

  /**
   * Lets `take` look at the messages that are there, in order, and consumes them together, which costs
   * two atomic operations whatever their number. If `take` throws, that message is not consumed.
   *
   * @param take - Views it gets are valid only while it runs.
   * @param limit - Most messages to take.
   * @returns The number of messages taken.
   */
  receive(take: (message: T) => void, limit: number = Infinity): number {
    return this.receiveOffsets((at, bytes) => take(this.#messageAt(at, bytes)), limit);
  }

  /**
   * As `receive()`, without views, which cost more than a small message: `take` is given the offset in
   * `memory.buffer` of the bytes of a message, not decoded, and their number.
   */
  receiveOffsets(take: (offset: number, length: number) => void, limit: number = Infinity): number {
    this.checkOpen();
    this.#giveBack();
    this.refresh();
    let count = 0;
    let consumed = 0;
    try {
      while (count < limit) {
        const bytes = this.#nextLength(consumed);
        if (bytes < 0) break;
        take(this.place() + consumed + FRAME_BYTES, bytes);
        if (this.closed) return count + 1;
        consumed += frameBytes(bytes);
        count++;
      }
    } finally {
      if (consumed > 0 && !this.closed) this.release(consumed);
    }
    return count;
  }

  /** The next message, blocking this thread until there is one; undefined at the end, or too late. */
  readSync(options?: BlockOptions): T | undefined {
    this.checkOpen();
    this.#giveBack();
    return this.waitReadable(options) ? this.read() : undefined;
  }

  /**
   * Resolves with true once a message is there, with false when the sender has ended and none is left.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_DIED` or `ERR_ANNULUS_PEER_CLOSED`, once every message
   *   written before is consumed; `ERR_ANNULUS_CHANNEL_CORRUPT`.
   */
  whenReadable(options?: WaitOptions): Promise<boolean> {
    return this.wait(FRAME_BYTES, options);
  }

  /** Blocks this thread as `whenReadable()` waits; false also after the time-out. For workers. */
  waitReadable(options?: BlockOptions): boolean {
    return this.block(FRAME_BYTES, options);
  }

  /**
   * The messages to the end of the stream. Each is consumed when the next one is asked for.
   *
   * @yields Messages, in order.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      do {
        for (let message = this.read(); message !== undefined; message = this.read()) {
          yield message;
        }
      } while (await this.whenReadable());
    } finally {
      if (!this.closed) this.#giveBack();
    }
  }

  /** A Node stream in object mode: each chunk is a message, copied out of the ring. */
  get readable(): Readable {
    this.#stream ??= readable(this, () => this.#takeCopy(), true);
    return this.#stream;
  }

  /** A Web stream of messages, copied out of the ring. */
  get webReadable(): ReadableStream<T> {
    return webReadable(this, () => this.#takeCopy());
  }

  /** @internal */
  protected override checkMinimum(minimum: number): number {
    return minimum;
  }

  /** @internal The last message counts as consumed once somebody waits for more. */
  protected override beforeWait(): void {
    this.#giveBack();
  }

  /** A message as the caller gets it: decoded, or a view. */
  #messageAt(at: number, bytes: number): T {
    const { decode } = this.#codec;
    if (decode === undefined) return new Uint8Array(this.shared.buffer, at, bytes) as T;
    return decode(this.shared.bytes, at, bytes);
  }

  #takeCopy(): T | undefined {
    const message = this.read();
    if (message === undefined || !this.#codec.inPlace) return message;
    const copy = (message as Uint8Array).slice() as T;
    this.#giveBack();
    return copy;
  }

  #giveBack(): void {
    if (this.#held === 0) return;
    const bytes = this.#held;
    this.#held = 0;
    this.release(bytes);
  }

  /** Bytes of the message `skipped` bytes into the content; -1 if there is none. */
  #nextLength(skipped: number): number {
    let left = this.seen() - skipped;
    if (left < FRAME_BYTES) {
      if (skipped > 0) return -1;
      this.refresh();
      left = this.seen();
      if (left < FRAME_BYTES) return -1;
    }
    const at = (this.place() + skipped) >> 2;
    // Both words are fetched once; the copies are checked and used.
    const bytes = this.shared.allWords[at]!;
    const complement = this.shared.allWords[at + 1]!;
    if (bytes !== ~complement || bytes < 0 || frameBytes(bytes) > left) {
      throw corrupt(
        `a message of ${bytes} bytes (complement ${complement}) does not fit into the ${left} sent`,
      );
    }
    return bytes;
  }
}
