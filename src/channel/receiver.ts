/**
 * Receiver: the reading end of a channel of bytes.
 */
import type { Readable } from 'node:stream';

import { checkInteger, outOfRange } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import type { EndOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { MODE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import { SliceReceiver } from './slices.ts';
import { readable, webReadable } from './streams.ts';

/**
 * Looks at bytes where the sender wrote them. The content is always one contiguous slice.
 *
 * Receiving costs two atomic operations: the tail is loaded, the head is exchanged.
 */
export class Receiver extends SliceReceiver<Uint8Array> {
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
  override content(): Uint8Array {
    this.checkOpen();
    this.refresh();
    return new Uint8Array(this.shared.buffer, this.place(), this.seen());
  }

  /**
   * Gives the first `count` bytes of the content back to the sender.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  override consume(count: number): void {
    this.checkOpen();
    if (count > this.seen()) this.refresh();
    if (!(Number.isInteger(count) && count >= 0 && count <= this.seen())) {
      throw outOfRange('count', `an integer from 0 to ${this.seen()}`, count);
    }
    if (count > 0) this.release(count);
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
