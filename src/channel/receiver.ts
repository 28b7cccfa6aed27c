/**
 * Receiver: the reading end of a channel of bytes.
 */
import type { Readable } from 'node:stream';

import { checkInteger, outOfRange } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import type { BlockOptions, EndOptions, WaitOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { MODE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import { ReceivingEnd } from './receiving.ts';
import { readable, webReadable } from './streams.ts';

/**
 * Looks at bytes where the sender wrote them. The content is always one contiguous slice.
 *
 * Receiving costs two atomic operations: the tail is loaded, the head is exchanged.
 */
export class Receiver extends ReceivingEnd {
  #stream: Readable | undefined;

  /** @internal Use `channel.receiver`, {@link Receiver.attach} or {@link Receiver.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: EndOptions) {
    checkMode(memory, MODE.BYTES, 'Receiver');
    super(memory, fds, options);
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach(handle: ChannelHandle, options?: EndOptions): Receiver {
    return attachEnd(handle, 'receiver', (memory, fds) => new Receiver(memory, fds, options));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('receiver')`. */
  static fromStdio(firstFd: number = 3, options?: EndOptions): Receiver {
    return endFromStdio(firstFd, (memory, fds) => new Receiver(memory, fds, options));
  }

  /** Bytes the ring can hold. */
  get capacity(): number {
    return this.shared.capacity;
  }

  /** Bytes of content. */
  get length(): number {
    this.checkOpen();
    this.refresh();
    return this.seen();
  }

  /** Everything received and not consumed, oldest byte first; length 0 if there is nothing. */
  content(): Uint8Array {
    this.checkOpen();
    this.refresh();
    return new Uint8Array(this.shared.buffer, this.place(), this.seen());
  }

  /**
   * Gives the first `count` bytes of the content back to the sender.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  consume(count: number): void {
    this.checkOpen();
    if (count > this.seen()) this.refresh();
    if (!(Number.isInteger(count) && count >= 0 && count <= this.seen())) {
      throw outOfRange('count', `an integer from 0 to ${this.seen()}`, count);
    }
    if (count > 0) this.release(count);
  }

  /**
   * Lets `take` look at the content, as one slice, and consumes as many bytes as it returns. If it
   * throws, nothing is consumed. Without content it is not called.
   *
   * @returns The number of bytes consumed.
   */
  receive(take: (content: Uint8Array) => number): number {
    const content = this.content();
    if (content.length === 0) return 0;
    const count = take(content);
    this.consume(count);
    return count;
  }

  /**
   * Resolves with true once at least `minimum` bytes are there, or fewer when the sender has ended;
   * with false when it has ended and nothing is left. Over memory that is not mirrored, also when
   * fewer are there and end with the memory.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_DIED` or `ERR_ANNULUS_PEER_CLOSED`, once everything that was
   *   committed before is consumed; `ERR_ANNULUS_CHANNEL_CORRUPT`.
   */
  whenReadable(minimum: number = 1, options?: WaitOptions): Promise<boolean> {
    return this.wait(minimum, options);
  }

  /**
   * Blocks this thread as `whenReadable()` waits; false also after the time-out. For worker threads:
   * on the main thread it stops the event loop.
   */
  waitReadable(minimum: number = 1, options?: BlockOptions): boolean {
    return this.block(minimum, options);
  }

  /**
   * What is there, piece by piece, to the end of the stream. A piece is a view of the ring, which is
   * consumed when the next one is asked for; copy what you want to keep.
   *
   * @yields Pieces of content, in order.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (await this.whenReadable()) {
      const content = this.content();
      try {
        yield content;
      } finally {
        if (!this.closed) this.consume(content.length);
      }
    }
  }

  /** A Node stream of copies of what is received; it closes the channel when it is destroyed. */
  get readable(): Readable {
    this.#stream ??= readable(this, () => {
      const content = this.content();
      if (content.length === 0) return undefined;
      const copy = Buffer.from(content);
      this.consume(copy.length);
      return copy;
    });
    return this.#stream;
  }

  /** A Web stream of copies of what is received; it closes the channel when it is cancelled. */
  get webReadable(): ReadableStream<Uint8Array> {
    return webReadable(this, () => {
      const content = this.content();
      if (content.length === 0) return undefined;
      const copy = content.slice();
      this.consume(copy.length);
      return copy;
    });
  }

  /** @internal */
  protected override checkMinimum(minimum: number): number {
    checkInteger('minimum', minimum, 1, this.shared.capacity);
    return minimum;
  }
}
