/**
 * ElementReceiver: the reading end of a channel of numbers or records.
 */
import type { Readable } from 'node:stream';

import { checkInteger, outOfRange } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { allElements, elementView, noNumbers } from './elements.ts';
import type { ElementArray, ElementArrayType } from './elements.ts';
import type { EndOptions } from './end.ts';
import { attachEnd, checkMode, endFromStdio } from './handle.ts';
import type { ChannelHandle } from './handle.ts';
import { MODE } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { pause } from './pause.ts';
import { SliceReceiver } from './slices.ts';
import { readable, webReadable } from './streams.ts';

/**
 * Looks at elements where the sender wrote them: as {@link Receiver} does, but counting elements.
 *
 * @typeParam A - The typed array; a run of records is a `Uint8Array`.
 */
export class ElementReceiver<A extends ElementArray = ElementArray> extends SliceReceiver<A> {
  /** Bytes of an element. */
  readonly elementBytes: number;
  readonly #View: ElementArrayType;
  /** Members of a view that one element has. */
  readonly #width: number;
  /** The memory from its first byte. */
  readonly #all: ElementArray;
  /** Bytes of a number, as a power of two: a division by a variable takes as long as all the rest. */
  readonly #shift: number;
  #stream: Readable | undefined;

  /** @internal Use `channel.receiver`, {@link ElementReceiver.attach} or `fromStdio`. */
  constructor(memory: ChannelMemory, fds: EndDescriptors, options?: EndOptions) {
    checkMode(memory, MODE.ELEMENTS, 'ElementReceiver');
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
    options?: EndOptions,
  ): ElementReceiver<A> {
    return attachEnd(
      handle,
      'receiver',
      (memory, fds) => new ElementReceiver<A>(memory, fds, options),
    );
  }

  /** Attaches in a child process that was spawned with `channel.stdio('receiver')`. */
  static fromStdio<A extends ElementArray = ElementArray>(
    firstFd: number = 3,
    options?: EndOptions,
  ): ElementReceiver<A> {
    return endFromStdio(firstFd, (memory, fds) => new ElementReceiver<A>(memory, fds, options));
  }

  /** Elements the ring can hold. */
  get capacity(): number {
    return Math.floor(this.shared.capacity / this.elementBytes);
  }

  /** Elements of content. */
  get length(): number {
    this.checkOpen();
    this.refresh();
    return this.#seen();
  }

  /** Everything received and not consumed, oldest element first; length 0 if there is nothing. */
  override content(): A {
    this.checkOpen();
    this.refresh();
    return new this.#View(
      this.shared.buffer,
      this.#checkedPlace(),
      this.#seen() * this.#width,
    ) as A;
  }

  /**
   * Gives the first `count` elements of the content back to the sender.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if there is less content; nothing changes then.
   */
  override consume(count: number): void {
    this.checkOpen();
    // Not in elements: a division takes as long as all the rest.
    const bytes = count * this.elementBytes;
    if (bytes > this.seen()) this.refresh();
    if (!(Number.isInteger(count) && count >= 0 && bytes <= this.seen())) {
      throw this.#notThere(count);
    }
    if (count > 0) this.release(bytes);
  }

  /**
   * Looks at the oldest number: the quickest way to a single one, without a view. `consume(1)` gives its
   * place back, perhaps after the answer to it is on its way.
   *
   * @returns The number, or undefined if nothing is there; `ended` says whether anything will be.
   * @throws {Error} `ERR_INVALID_STATE` if the elements are records.
   */
  peek(): A[number] | undefined {
    this.checkOpen();
    const { elementBytes } = this;
    if (this.#width !== 1) throw noNumbers();
    if (this.seen() < elementBytes) {
      this.refresh();
      if (this.seen() < elementBytes) {
        pause();
        return undefined;
      }
    }
    return this.#all[this.#checkedPlace() >> this.#shift];
  }

  /** Takes the oldest number, as `peek()` and `consume(1)` do. */
  shift(): A[number] | undefined {
    const element = this.peek();
    if (element !== undefined) this.release(this.elementBytes);
    return element;
  }

  /** A Node stream in object mode: each chunk is an array of elements, copied out of the ring. */
  get readable(): Readable {
    this.#stream ??= readable(this, () => this.#takeCopy(), true);
    return this.#stream;
  }

  /** A Web stream of arrays of elements, copied out of the ring. */
  get webReadable(): ReadableStream<A> {
    return webReadable(this, () => this.#takeCopy());
  }

  /** @internal */
  protected override checkMinimum(minimum: number): number {
    checkInteger('minimum', minimum, 1, this.capacity);
    return minimum * this.elementBytes;
  }

  #notThere(count: number): Error {
    return outOfRange('count', `an integer from 0 to ${this.#seen()}`, count);
  }

  #takeCopy(): A | undefined {
    const content = this.content();
    if (content.length === 0) return undefined;
    const copy = content.slice() as A;
    this.consume(copy.length / this.#width);
    return copy;
  }

  #seen(): number {
    return Math.floor(this.seen() / this.elementBytes);
  }

  /** A view must be aligned, which a sender that is not ours may have broken. */
  #checkedPlace(): number {
    const place = this.place();
    if (this.#width === 1 && (place & (this.elementBytes - 1)) !== 0) {
      throw corrupt(`elements of ${this.elementBytes} bytes begin at byte ${place}`);
    }
    return place;
  }
}
