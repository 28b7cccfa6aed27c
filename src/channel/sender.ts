/**
 * Sender: the writing end of a channel.
 */
import { AnnulusError, outOfRange } from '../sys/errors.ts';
import { End } from './end.ts';
import type { BlockOptions, EndDescriptors, WaitOptions } from './end.ts';
import { attachEnd, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { STATE, WORD } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { loopWaiter } from './waiter.ts';
import type { Waiter } from './waiter.ts';

/**
 * Writes bytes into the channel's memory and hands them over. Every claim is one contiguous slice.
 *
 * A commit costs two atomic operations: the tail is stored, the receiver's state is loaded.
 */
export class Sender extends End {
  /** Where committed bytes end, 0 to twice the capacity. Only this side stores it. */
  private tail: number;
  /** The receiver's position as last seen: free space is never overestimated by an old one. */
  private headSeen: number;
  private claimed = 0;

  /** @internal Use `channel.sender`, {@link Sender.attach} or {@link Sender.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, waiter: Waiter = loopWaiter) {
    super(memory, fds, WORD.SENDER, WORD.RECEIVER, waiter);
    this.tail = Atomics.load(this.words, WORD.TAIL);
    this.headSeen = this.tail;
    this.refresh();
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach(handle: ChannelHandle, waiter?: Waiter): Sender {
    return attachEnd(handle, 'sender', (memory, fds) => new Sender(memory, fds, waiter));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('sender')`. */
  static fromStdio(firstFd: number = 3, waiter?: Waiter): Sender {
    return endFromStdio(firstFd, (memory, fds) => new Sender(memory, fds, waiter));
  }

  /** Free bytes. */
  get free(): number {
    this.checkOpen();
    return this.available();
  }

  /**
   * A view of `count` free bytes to write into, or null if there are fewer. Nothing is sent until
   * `commit()`. Claiming again gives the same bytes.
   *
   * @param count - 1 to the capacity. Default: everything that is free.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if there is no space
   *   and nobody to make any.
   */
  claim(count?: number): Uint8Array | null {
    this.checkOpen();
    if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= this.capacity)) {
      throw outOfRange('count', `an integer from 1 to ${this.capacity}`, count);
    }
    let free = this.freeSeen();
    if (count === undefined || free < count) free = this.refresh();
    const wanted = count ?? free;
    if (free < wanted || wanted === 0) {
      this.finished();
      return null;
    }
    this.claimed = wanted;
    return this.viewAt(this.tail, wanted);
  }

  /**
   * Sends the first `count` bytes of what is claimed; the rest stays claimed.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLAIM` for more than is claimed; `ERR_ANNULUS_PEER_CLOSED` if
   *   the receiver was closed: the bytes are then lost to nobody.
   */
  commit(count: number = this.claimed): void {
    this.checkOpen();
    if (!(Number.isInteger(count) && count >= 0 && count <= this.claimed)) {
      throw new AnnulusError(
        'ERR_ANNULUS_CLAIM',
        `commit(${count}): only ${this.claimed} bytes are claimed.`,
      );
    }
    this.claimed -= count;
    if (count > 0) this.publish(count);
  }

  /** Gives up what is claimed. */
  abort(): void {
    this.claimed = 0;
  }

  /**
   * Lets `fill` write into the free space, as one slice, and sends as many bytes as it returns. If
   * it throws, nothing is sent. Without free space it is not called.
   *
   * @returns The number of bytes sent.
   */
  send(fill: (free: Uint8Array) => number): number {
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

  /** Resolves once at least `minimum` bytes are free. Rejects if the receiver is gone. */
  async whenWritable(minimum: number = 1, options?: WaitOptions): Promise<void> {
    await this.wait(minimum, options);
  }

  /**
   * Blocks this thread until at least `minimum` bytes are free; false after the time-out. For worker
   * threads: on the main thread it stops the event loop.
   */
  waitWritable(minimum: number = 1, options?: BlockOptions): boolean {
    return this.block(minimum, options);
  }

  /** Ends the stream: the receiver gets everything committed, then the end. */
  end(): void {
    this.finish(STATE.CLOSED);
  }

  /**
   * Gives up: the receiver gets everything committed, then `ERR_ANNULUS_PEER_CLOSED`. Use `end()` for
   * a complete stream. Closing twice does nothing.
   */
  close(): void {
    this.finish(STATE.FAILED);
  }

  /** `close()`, not `end()`: a block that is left by an error has not sent everything. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  protected override available(): number {
    return this.refresh();
  }

  /** @internal The receiver is gone: nothing more will become free. */
  protected override finished(): boolean {
    if (this.peer() === STATE.CLOSED) throw peerClosed();
    if (this.peerDied) throw peerDied('receiver');
    return false;
  }

  private freeSeen(): number {
    return this.capacity - this.usedBetween(this.headSeen, this.tail);
  }

  private refresh(): number {
    // SYNC POINT: acquire, pairs with the receiver's store: it has read the bytes before `head`.
    const head = Atomics.load(this.words, WORD.HEAD);
    const valid = head >= 0 && head < 2 * this.capacity;
    if (!valid || this.usedBetween(head, this.tail) > this.capacity) {
      throw corrupt(`the receiver's position is ${head} while the sender's is ${this.tail}`);
    }
    this.headSeen = head;
    return this.freeSeen();
  }

  private viewAt(position: number, length: number): Uint8Array {
    const offset = position >= this.capacity ? position - this.capacity : position;
    return new Uint8Array(this.shared.region.buffer, this.shared.headerBytes + offset, length);
  }

  private publish(count: number): void {
    const next = this.tail + count;
    this.tail = next >= 2 * this.capacity ? next - 2 * this.capacity : next;
    // SYNC POINT: release, the bytes were written before the tail that uncovers them.
    Atomics.store(this.words, WORD.TAIL, this.tail);
    const receiver = this.peer();
    if (receiver === STATE.CLOSED) throw peerClosed();
    this.wakePeer(receiver);
  }
}

function peerClosed(): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_CLOSED',
    'The receiver has closed its end of the channel; nobody will read what is sent.',
  );
}

/** The other process or thread has ended without a word. */
export function peerDied(who: 'sender' | 'receiver'): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_DIED',
    `The ${who}'s process or thread has ended without closing the channel.`,
  );
}
