/**
 * Receiver: the reading end of a channel.
 */
import { AnnulusError, outOfRange } from '../sys/errors.ts';
import { End } from './end.ts';
import type { BlockOptions, EndDescriptors, WaitOptions } from './end.ts';
import { attachEnd, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { STATE, WORD } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { peerDied } from './sender.ts';
import { loopWaiter } from './waiter.ts';
import type { Waiter } from './waiter.ts';

/**
 * Looks at bytes where the sender wrote them. The content is always one contiguous slice.
 *
 * Consuming costs two atomic operations: the head is stored, the sender's state is loaded.
 */
export class Receiver extends End {
  /** Where consumed bytes end, 0 to twice the capacity. Only this side stores it. */
  private head: number;
  /** The sender's position as last seen: content is never overestimated by an old one. */
  private tailSeen: number;

  /** @internal Use `channel.receiver`, {@link Receiver.attach} or {@link Receiver.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, waiter: Waiter = loopWaiter) {
    super(memory, fds, WORD.RECEIVER, WORD.SENDER, waiter);
    this.head = Atomics.load(this.words, WORD.HEAD);
    this.tailSeen = this.head;
    this.refresh();
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach(handle: ChannelHandle, waiter?: Waiter): Receiver {
    return attachEnd(handle, 'receiver', (memory, fds) => new Receiver(memory, fds, waiter));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('receiver')`. */
  static fromStdio(firstFd: number = 3, waiter?: Waiter): Receiver {
    return endFromStdio(firstFd, (memory, fds) => new Receiver(memory, fds, waiter));
  }

  /** Bytes of content. */
  get length(): number {
    this.checkOpen();
    return this.refresh();
  }

  /** Whether the sender has ended and everything it sent is consumed. */
  get ended(): boolean {
    this.checkOpen();
    return this.finished() && this.refresh() === 0;
  }

  /** Everything received and not consumed, oldest byte first; length 0 if there is nothing. */
  content(): Uint8Array {
    this.checkOpen();
    const length = this.refresh();
    const offset = this.head >= this.capacity ? this.head - this.capacity : this.head;
    return new Uint8Array(this.shared.region.buffer, this.shared.headerBytes + offset, length);
  }

  /**
   * Gives the first `count` bytes of the content back to the sender.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  consume(count: number): void {
    this.checkOpen();
    let length = this.lengthSeen();
    if (count > length) length = this.refresh();
    if (!(Number.isInteger(count) && count >= 0 && count <= length)) {
      throw outOfRange('count', `an integer from 0 to ${length}`, count);
    }
    if (count === 0) return;
    const next = this.head + count;
    this.head = next >= 2 * this.capacity ? next - 2 * this.capacity : next;
    // SYNC POINT: release, the bytes were read before the head that frees them.
    Atomics.store(this.words, WORD.HEAD, this.head);
    this.wakePeer(this.peer());
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
   * with false when it has ended and nothing is left.
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

  /** Closes this end; the sender's next commit throws. Closing twice does nothing. */
  close(): void {
    this.finish(STATE.CLOSED);
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  protected override available(): number {
    return this.refresh();
  }

  /** @internal What was committed before a failure is delivered first. */
  protected override finished(): boolean {
    // The state is loaded before the tail: a sender that has ended has stored its last tail before.
    const sender = this.peer();
    if (sender === STATE.CLOSED) return true;
    const left = this.refresh();
    if (sender === STATE.FAILED) {
      if (left > 0) return true;
      throw new AnnulusError(
        'ERR_ANNULUS_PEER_CLOSED',
        'The sender has closed the channel before the end of its stream.',
      );
    }
    if (!this.peerDied) return false;
    if (left > 0) return true;
    throw peerDied('sender');
  }

  private lengthSeen(): number {
    return this.usedBetween(this.head, this.tailSeen);
  }

  private refresh(): number {
    // SYNC POINT: acquire, pairs with the sender's store: the bytes before `tail` are written.
    const tail = Atomics.load(this.words, WORD.TAIL);
    const valid = tail >= 0 && tail < 2 * this.capacity;
    if (!valid || this.usedBetween(this.head, tail) > this.capacity) {
      throw corrupt(`the sender's position is ${tail} while the receiver's is ${this.head}`);
    }
    this.tailSeen = tail;
    return this.lengthSeen();
  }
}
