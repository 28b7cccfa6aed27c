/**
 * Slices: what senders and receivers have in common whose content is counted, as bytes or as elements,
 * and seen as one view.
 */
import type { EndDescriptors } from './descriptors.ts';
import type { BlockOptions, WaitOptions } from './end.ts';
import type { ChannelMemory } from './memory.ts';
import { ReceivingEnd } from './receiving.ts';
import { channelFull, SendingEnd } from './sending.ts';
import type { SenderOptions } from './sending.ts';
import { WriteLine } from './write-line.ts';

/**
 * A writing end whose claims are views of bytes or of elements; both are called units here.
 *
 * @typeParam V - A view of units.
 */
export abstract class SliceSender<V extends NodeJS.ArrayBufferView> extends SendingEnd {
  private readonly line: WriteLine<V>;

  /** @internal */
  protected constructor(
    memory: ChannelMemory,
    fds: EndDescriptors,
    options: SenderOptions | undefined,
  ) {
    super(memory, fds, options, 0);
    this.line = new WriteLine(
      (units) => this.copyIn(units),
      (_units, wait) => this.wait(1, wait),
    );
  }

  /** A view of free units to write into, or null if there are too few. */
  abstract claim(count?: number): V | null;

  /** Sends the first `count` units of what is claimed; the rest stays claimed. */
  abstract commit(count?: number): void;

  /**
   * Lets `fill` write into the free space, as one slice, and sends as many units as it returns. If it
   * throws, nothing is sent. Without free space it is not called.
   *
   * @returns The number of units sent.
   */
  send(fill: (free: V) => number): number {
    const view = this.claim();
    if (view === null) return 0;
    let count = 0;
    try {
      count = fill(view);
      this.commit(count);
    } finally {
      this.claimed = 0;
    }
    return count;
  }

  /** Resolves once at least `minimum` units are free. Rejects if the receiver is gone. */
  async whenWritable(minimum: number = 1, options?: WaitOptions): Promise<void> {
    await this.wait(minimum, options);
  }

  /**
   * Blocks this thread until at least `minimum` units are free; false after the time-out. For worker
   * threads: on the main thread it stops the event loop.
   */
  waitWritable(minimum: number = 1, options?: BlockOptions): boolean {
    return this.block(minimum, options);
  }

  /** @internal Copies what there is room for; what is left of it, undefined if nothing. */
  protected abstract copyIn(units: V): V | undefined;

  /** @internal Writes all of a view that was checked, as `whenFull` says. */
  protected writeAll(units: V, options: WaitOptions | undefined): Promise<void> | undefined {
    if (this.whenFull !== 'block' && !this.fits(units.byteLength)) {
      if (this.whenFull === 'fail') throw channelFull(units.byteLength, this.freeNow());
      this.countDropped();
      return undefined;
    }
    return this.line.write(units, options);
  }

  private fits(bytes: number): boolean {
    return bytes <= this.ringBytes && this.line.length === 0 && this.reserve(bytes) !== -1;
  }
}

/**
 * A reading end whose content is a view of bytes or of elements; both are called units here.
 *
 * @typeParam V - A view of units.
 */
export abstract class SliceReceiver<V extends NodeJS.ArrayBufferView> extends ReceivingEnd {
  /** Everything received and not consumed, the oldest first; length 0 if there is nothing. */
  abstract content(): V;

  /** Gives the first `count` units of the content back to the sender. */
  abstract consume(count: number): void;

  /**
   * Lets `take` look at the content, as one slice, and consumes as many units as it returns. If it
   * throws, nothing is consumed. Without content it is not called.
   *
   * @returns The number of units consumed.
   */
  receive(take: (content: V) => number): number {
    const content = this.content();
    if (content.byteLength === 0) return 0;
    const count = take(content);
    this.consume(count);
    return count;
  }

  /**
   * Resolves with true once at least `minimum` units are there, or fewer when the sender has ended;
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
  async *[Symbol.asyncIterator](): AsyncGenerator<V, void, undefined> {
    while (await this.whenReadable()) {
      const content = this.content();
      try {
        yield content;
      } finally {
        if (!this.closed) this.consume(content.byteLength / this.shared.format.unit);
      }
    }
  }
}
