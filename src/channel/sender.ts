/**
 * Sender: the writing end of a channel of bytes.
 */
import type { Writable } from 'node:stream';

import { checkInteger, invalidArgType, outOfRange } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import type { WaitOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { MODE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import { notClaimed } from './sending.ts';
import type { SenderOptions } from './sending.ts';
import { SliceSender } from './slices.ts';
import { webWritable, writable } from './streams.ts';

/**
 * Writes bytes into the channel's memory and hands them over. Every claim is one contiguous slice.
 *
 * A commit costs one atomic operation, and one more when the space last seen is used up.
 */
export class Sender extends SliceSender<Uint8Array> {
  #stream: Writable | undefined;

  /** @internal Use `channel.sender`, {@link Sender.attach} or {@link Sender.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: SenderOptions) {
    checkMode(memory, MODE.BYTES, 'Sender');
    super(memory, fds, options);
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach(handle: ChannelHandle, options?: SenderOptions): Sender {
    return attachEnd(handle, 'sender', (memory, fds) => new Sender(memory, fds, options));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('sender')`. */
  static fromStdio(firstFd: number = 3, options?: SenderOptions): Sender {
    return endFromStdio(firstFd, (memory, fds) => new Sender(memory, fds, options));
  }

  /** Bytes the ring can hold. */
  get capacity(): number {
    return this.ringBytes;
  }

  /** Free bytes. */
  get free(): number {
    this.checkOpen();
    return this.freeNow();
  }

  /**
   * A view of `count` free bytes to write into, or null if there are fewer. Nothing is sent until
   * `commit()`. Claiming again gives the same bytes.
   *
   * @param count - 1 to the capacity. Default: everything that is free in one piece.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if there is no space
   *   and nobody to make any.
   */
  override claim(count?: number): Uint8Array | null {
    this.checkOpen();
    if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= this.ringBytes)) {
      throw outOfRange('count', `an integer from 1 to ${this.ringBytes}`, count);
    }
    if (count === undefined) this.refresh();
    const wanted = count ?? this.claimable();
    const place = wanted === 0 ? -1 : this.reserve(wanted);
    if (place === -1) {
      this.expectRoom();
      return null;
    }
    this.claimed = wanted;
    return new Uint8Array(this.shared.buffer, place, wanted);
  }

  /**
   * Sends the first `count` bytes of what is claimed; the rest stays claimed.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLAIM` for more than is claimed; `ERR_ANNULUS_PEER_CLOSED` if
   *   the receiver was closed: the bytes are then lost to nobody.
   */
  override commit(count: number = this.claimed): void {
    this.checkOpen();
    if (!(Number.isInteger(count) && count >= 0 && count <= this.claimed)) {
      throw notClaimed(count, this.claimed, 'bytes');
    }
    if (count === 0) return;
    const rest = this.claimed - count;
    this.countOne();
    this.advance(count);
    this.claimed = rest;
  }

  /**
   * Copies all of `bytes` into the channel, in pieces if they do not fit at once.
   *
   * @returns A promise if it has to wait for room; its bytes must stay as they are until then.
   *   Writes that wait are served in order. Without room, a sender with `whenFull: 'fail'` throws
   *   `ERR_ANNULUS_CHANNEL_FULL`, and one with `'drop'` drops all of the bytes.
   */
  write(bytes: Uint8Array, options?: WaitOptions): Promise<void> | undefined {
    this.checkOpen();
    if (!(bytes instanceof Uint8Array)) throw invalidArgType('bytes', 'a Uint8Array', bytes);
    return this.writeAll(bytes, options);
  }

  /** A Node stream whose bytes go into the channel; ending it ends the channel. */
  get writable(): Writable {
    this.#stream ??= writable(this, false);
    return this.#stream;
  }

  /** A Web stream whose bytes go into the channel; closing it ends the channel. */
  get webWritable(): WritableStream<Uint8Array> {
    return webWritable(this);
  }

  /** @internal */
  protected override checkMinimum(minimum: number): number {
    checkInteger('minimum', minimum, 1, this.ringBytes);
    return minimum;
  }

  /** @internal Copies what there is room for; what is left of it, undefined if nothing. */
  protected override copyIn(bytes: Uint8Array): Uint8Array | undefined {
    // One that has waited may find the channel closed.
    this.checkOpen();
    let left = bytes;
    while (left.byteLength > 0) {
      if (this.claimable() < left.byteLength) this.refresh();
      const count = Math.min(this.claimable(), left.byteLength);
      const place = count === 0 ? -1 : this.reserve(count);
      if (place === -1) {
        this.expectRoom();
        return left;
      }
      this.shared.bytes.set(count === left.byteLength ? left : left.subarray(0, count), place);
      this.countOne();
      this.advance(count);
      left = left.subarray(count);
    }
    return undefined;
  }
}
