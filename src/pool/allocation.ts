/**
 * Allocation: a run of buffers that somebody holds.
 */
import { AnnulusError } from '../sys/errors.ts';
import type { Slab } from './arena.ts';

/** The property by which a view keeps its allocation from being taken for forgotten. */
const ALLOCATION: unique symbol = Symbol('annulus.allocation');

interface PoolView extends Uint8Array {
  [ALLOCATION]?: Allocation;
}

/**
 * An allocation on its way to another thread, as a plain value for `postMessage`. Whoever adopts it
 * first has it.
 */
export interface AllocationHandle {
  readonly annulusAllocation: 1;
  /** Identity of the pool. */
  readonly pool: number;
  readonly parcel: number;
  readonly generation: number;
}

/** What an allocation needs of its pool. */
export interface Lender {
  readonly bufferSize: number;
  /** The mapped memory a run lies in. */
  slabOf(slot: number, length: number): Slab;
  /** Bytes of a run, from `from` on. */
  view(slot: number, length: number, from: number, bytes: number): Uint8Array;
  /** Ends one reference; `hold` is freed with its last. */
  letGo(allocation: Allocation): void;
  /** A further reference to the same run. */
  share(hold: Hold): Allocation;
  /** Gives the reference to whoever adopts the handle. */
  post(allocation: Allocation): AllocationHandle;
}

/** This thread's claim to a run; the references of this thread share it. */
export interface Hold {
  readonly slot: number;
  readonly length: number;
  /** The parcel by which the run was handed to this thread; 0: it was given it. */
  readonly parcel: number;
  references: number;
}

/**
 * A run of buffers from a {@link BufferPool}: one contiguous piece of memory, 4 KiB aligned where it
 * is at least that large. Its content is whatever was there before.
 *
 * @example
 * ```ts
 * using three = await pool.allocate(3);
 * const count = await io.read(fd, three.bytes);
 * ```
 */
export class Allocation implements Iterable<Uint8Array> {
  /** Buffers of the run. */
  readonly length: number;
  /** Bytes of the run. */
  readonly byteLength: number;
  /** @internal */
  readonly lender: Lender;
  /** @internal */
  readonly hold: Hold;
  /** @internal Where the pool's list of young allocations has it; -1 once the collector watches it. */
  young = 0;
  /** @internal Where it was allocated, if that was recorded. */
  trace: string | undefined = undefined;
  #released: 'released' | 'moved' | undefined = undefined;
  #bytes: Uint8Array | undefined = undefined;

  /** @internal Made by a pool. */
  constructor(lender: Lender, hold: Hold) {
    this.length = hold.length;
    this.byteLength = hold.length * lender.bufferSize;
    this.lender = lender;
    this.hold = hold;
  }

  /** Whether it was released, or moved to another thread. */
  get released(): boolean {
    return this.#released !== undefined;
  }

  /**
   * The whole run. Do not keep it, nor parts of it, beyond the release: the memory is somebody else's
   * then.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` after the release.
   */
  get bytes(): Uint8Array {
    this.#checkHeld();
    this.#bytes ??= this.#view(0, this.byteLength);
    return this.#bytes;
  }

  /**
   * The first buffer of the run.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` after the release.
   */
  get first(): Uint8Array {
    this.#checkHeld();
    return this.#view(0, this.lender.bufferSize);
  }

  /**
   * The buffers of the run, one after another.
   *
   * @yields A view of the next buffer.
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` at the step that follows a release.
   */
  *[Symbol.iterator](): Generator<Uint8Array, void, undefined> {
    const { bufferSize } = this.lender;
    for (let from = 0; from < this.byteLength; from += bufferSize) {
      this.#checkHeld();
      yield this.#view(from, bufferSize);
    }
  }

  /**
   * A further reference to the same run. The run is free once each of them was released.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` after the release.
   */
  retain(): Allocation {
    this.#checkHeld();
    return this.lender.share(this.hold);
  }

  /**
   * Gives this reference to another thread: post the handle to it, and have it call `pool.adopt()`.
   * Here the allocation counts as released. Until it is adopted, it belongs to this thread, whose
   * end takes it back.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` after the release, `ERR_ANNULUS_LIMIT`.
   */
  move(): AllocationHandle {
    this.#checkHeld();
    const handle = this.lender.post(this);
    this.#end('moved');
    return handle;
  }

  /**
   * Gives the run back, or this reference to it. Waiting requests are served before this returns.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_DOUBLE_RELEASE` the second time.
   */
  release(): void {
    if (this.#released !== undefined) throw this.#doubleRelease();
    this.#end('released');
    this.lender.letGo(this);
  }

  /** `release()`, at the end of a block that declares it with `using`; nothing if it was released. */
  [Symbol.dispose](): void {
    if (this.#released === undefined) this.release();
  }

  /** @internal Some bytes of the run, in a view that keeps the allocation as `bytes` does. */
  part(from: number, bytes: number): Uint8Array {
    this.#checkHeld();
    return this.#view(from, bytes);
  }

  #end(how: 'released' | 'moved'): void {
    this.#released = how;
    this.#bytes = undefined;
  }

  #view(from: number, bytes: number): Uint8Array {
    const { slot, length } = this.hold;
    const view: PoolView = this.lender.view(slot, length, from, bytes);
    view[ALLOCATION] = this;
    return view;
  }

  #checkHeld(): void {
    if (this.#released === undefined) return;
    throw new AnnulusError(
      'ERR_ANNULUS_RELEASED',
      `The allocation of ${this.length} buffer(s) was ${this.#released}; its memory is not its own.`,
    );
  }

  #doubleRelease(): AnnulusError {
    return new AnnulusError(
      'ERR_ANNULUS_DOUBLE_RELEASE',
      this.#released === 'moved'
        ? `The allocation of ${this.length} buffer(s) was moved to another thread, which releases it.`
        : `The allocation of ${this.length} buffer(s) was released before.`,
    );
  }
}
