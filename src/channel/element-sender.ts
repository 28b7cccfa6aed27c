/**
 * ElementSender: the writing end of a channel of numbers or records.
 */
import type { Writable } from 'node:stream';

import { checkInteger, invalidArgType, outOfRange } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { allElements, elementView, noNumbers } from './elements.ts';
import type { ElementArray, ElementArrayType } from './elements.ts';
import type { WaitOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { MODE } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { notClaimed } from './sending.ts';
import type { SenderOptions } from './sending.ts';
import { SliceSender } from './slices.ts';
import { webWritable, writable } from './streams.ts';

/**
 * Writes elements into the channel's memory and hands them over: as {@link Sender} does, but counting
 * elements. A claim is a typed array of them, a run of records a `Uint8Array`.
 *
 * @typeParam A - The typed array.
 */
export class ElementSender<A extends ElementArray = ElementArray> extends SliceSender<A> {
  /** Bytes of an element. */
  readonly elementBytes: number;
  readonly #View: ElementArrayType;
  /** Members of a view that one element has. */
  readonly #width: number;
  /** The memory from its first byte. */
  readonly #all: ElementArray;
  /** Bytes of a number, as a power of two: a division by a variable takes as long as all the rest. */
  readonly #shift: number;
  #stream: Writable | undefined;

  /** @internal Use `channel.sender`, {@link ElementSender.attach} or {@link ElementSender.fromStdio}. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: SenderOptions) {
    checkMode(memory, MODE.ELEMENTS, 'ElementSender');
    const { kind, unit } = memory.format;
    const view = elementView(kind, unit);
    if (view === undefined) throw corrupt(`its elements are of kind ${kind} and ${unit} bytes`);
    super(memory, fds, options);
    this.elementBytes = unit;
    this.#View = view.View;
    this.#width = view.width;
    this.#all = allElements(memory.buffer, view);
    this.#shift = 31 - Math.clz32(unit);
  }

  /** Attaches in another thread of the same process, by a handle that came through `postMessage`. */
  static attach<A extends ElementArray = ElementArray>(
    handle: ChannelHandle,
    options?: SenderOptions,
  ): ElementSender<A> {
    return attachEnd(handle, 'sender', (memory, fds) => new ElementSender<A>(memory, fds, options));
  }

  /** Attaches in a child process that was spawned with `channel.stdio('sender')`. */
  static fromStdio<A extends ElementArray = ElementArray>(
    firstFd: number = 3,
    options?: SenderOptions,
  ): ElementSender<A> {
    return endFromStdio(firstFd, (memory, fds) => new ElementSender<A>(memory, fds, options));
  }

  /** Elements the ring can hold. */
  get capacity(): number {
    return Math.floor(this.ringBytes / this.elementBytes);
  }

  /** Elements there is room for. */
  get free(): number {
    this.checkOpen();
    return Math.floor(this.freeNow() / this.elementBytes);
  }

  /**
   * A view of `count` free elements to write into, or null if there are fewer. Nothing is sent until
   * `commit()`.
   *
   * @param count - 1 to the capacity. Default: everything that is free in one piece.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if there is no space
   *   and nobody to make any.
   */
  override claim(count?: number): A | null {
    this.checkOpen();
    const { capacity } = this;
    if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= capacity)) {
      throw outOfRange('count', `an integer from 1 to ${capacity}`, count);
    }
    if (count === undefined) this.refresh();
    const wanted = count ?? Math.floor(this.claimable() / this.elementBytes);
    const bytes = wanted * this.elementBytes;
    const place = wanted === 0 ? -1 : this.reserve(bytes);
    if (place === -1) {
      this.expectRoom();
      return null;
    }
    this.claimed = bytes;
    return new this.#View(this.shared.buffer, place, wanted * this.#width) as A;
  }

  /**
   * Sends the first `count` elements of what is claimed; the rest stays claimed.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLAIM` for more than is claimed; `ERR_ANNULUS_PEER_CLOSED`.
   */
  override commit(count: number = this.claimed / this.elementBytes): void {
    this.checkOpen();
    const bytes = count * this.elementBytes;
    if (!(Number.isInteger(count) && count >= 0 && bytes <= this.claimed)) {
      throw notClaimed(count, this.claimed / this.elementBytes, 'elements');
    }
    if (count === 0) return;
    const rest = this.claimed - bytes;
    this.countOne();
    this.advance(bytes);
    this.claimed = rest;
  }

  /**
   * Sends one number if there is room for it: the quickest way for a single one, without a view.
   *
   * @returns Whether there was room.
   * @throws {Error} `ERR_INVALID_STATE` if the elements are records;
   *   `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if the receiver is gone.
   */
  push(element: A[number]): boolean {
    this.checkOpen();
    const { elementBytes } = this;
    if (this.#width !== 1) throw noNumbers();
    const place = this.reserve(elementBytes);
    if (place === -1) return this.#hasNoRoom();
    this.countOne();
    this.#all[place >> this.#shift] = element;
    this.advance(elementBytes);
    return true;
  }

  /**
   * Copies all elements of `array` into the channel, in pieces if they do not fit at once. Of records
   * it takes whole ones.
   *
   * @returns A promise if it has to wait for room; its elements must stay as they are until then.
   *   `whenFull` says what else may become of them, as for {@link Sender.write}.
   */
  write(array: A, options?: WaitOptions): Promise<void> | undefined {
    this.checkOpen();
    if (!(array instanceof this.#View) || array.byteLength % this.elementBytes !== 0) {
      throw invalidArgType('array', `a ${this.#View.name} of whole elements`, array);
    }
    return this.writeAll(array, options);
  }

  /** A Node stream in object mode: each chunk is an array of elements. */
  get writable(): Writable {
    this.#stream ??= writable(this, true);
    return this.#stream;
  }

  /** A Web stream of arrays of elements. */
  get webWritable(): WritableStream<A> {
    return webWritable(this);
  }

  /** @internal */
  protected override checkMinimum(minimum: number): number {
    checkInteger('minimum', minimum, 1, this.capacity);
    return minimum * this.elementBytes;
  }

  /** @internal Copies the elements there is room for; what is left of them, undefined if none. */
  protected override copyIn(array: A): A | undefined {
    // One that has waited may find the channel closed.
    this.checkOpen();
    const { buffer } = array;
    const end = array.byteOffset + array.byteLength;
    let at = array.byteOffset;
    const unit = this.elementBytes;
    while (at < end) {
      if (this.claimable() < end - at) this.refresh();
      const bytes = Math.min(Math.floor(this.claimable() / unit) * unit, end - at);
      const place = bytes === 0 ? this.#placeOfOne() : this.reserve(bytes);
      if (place === -1) {
        this.expectRoom();
        return new this.#View(buffer as ArrayBuffer, at, ((end - at) / unit) * this.#width) as A;
      }
      const count = bytes === 0 ? unit : bytes;
      this.shared.bytes.set(new Uint8Array(buffer, at, count), place);
      this.countOne();
      this.advance(count);
      at += count;
    }
    return undefined;
  }

  /** There is no room: false. */
  #hasNoRoom(): false {
    this.expectRoom();
    return false;
  }

  /** In flat memory the rest of a lap may be less than one record: the next lap has room, perhaps. */
  #placeOfOne(): number {
    return this.reserve(this.elementBytes);
  }
}
