/**
 * Region: mapped memory with a known address, which the kernel may be given.
 */
import { AnnulusError, checkInteger, invalidArgType } from '../sys/errors.ts';
import { attach, map, rewrap } from '../sys/mapping.ts';
import type { Mapping, Piece } from '../sys/mapping.ts';
import { native } from '../sys/native.ts';
import { toPages } from '../sys/linux.ts';
import { pins } from './pins.ts';

/** The property by which a buffer names the Region it belongs to: one look-up, no native call. */
const REGION: unique symbol = Symbol('annulus.region');

interface RegionBuffer {
  [REGION]?: Region;
}

/** Largest Region: what a file offset and a JavaScript array can both address on every Node. */
const MAX_BYTES = 2 ** 32;

/**
 * Page-aligned memory whose pages stay mapped while the kernel uses them, whatever happens to the
 * ArrayBuffer. Make one with {@link Region.allocate} or {@link alloc}.
 *
 * @example
 * ```ts
 * import { Region } from 'annulus/memory';
 * using region = Region.allocate(64 * 1024);
 * region.bytes.fill(0);
 * ```
 */
export class Region {
  /** The whole memory. Its length is 0 once the Region is closed. */
  readonly bytes: Uint8Array;
  /** @internal */
  readonly address: number;
  /** @internal Index of the pin word; what a request's user_data carries. */
  readonly slot: number;
  /** @internal Process-wide identity of the mapping. */
  readonly mappingId: number;
  readonly #buffer: ArrayBuffer;
  #closed = false;

  /** @internal Use {@link Region.allocate}. */
  constructor(mapping: Mapping) {
    this.#buffer = mapping.buffer;
    this.bytes = new Uint8Array(mapping.buffer);
    this.address = mapping.address;
    this.slot = mapping.slot | 0; // the shim's numbers are doubles, which V8 would keep on the heap
    this.mappingId = mapping.id;
    (mapping.buffer as RegionBuffer)[REGION] = this;
  }

  /**
   * Maps zeroed anonymous memory.
   *
   * @param bytes - 1 to 2^32, rounded up to whole pages.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. {@link SystemError} `ENOMEM` with the limit that was hit.
   */
  static allocate(bytes: number): Region {
    checkInteger('bytes', bytes, 1, MAX_BYTES);
    const length = toPages(bytes);
    return new Region(map(length, [{ at: 0, length, fd: -1, offset: 0 }]));
  }

  /** @internal Maps pieces of files and anonymous memory into one Region. */
  static map(length: number, pieces: readonly Piece[]): Region {
    return new Region(map(length, pieces));
  }

  /** @internal Wraps memory that another thread of this process mapped. */
  static attach(mappingId: number): Region {
    return new Region(attach(mappingId));
  }

  /** Size in bytes; 0 once closed. */
  get byteLength(): number {
    return this.bytes.length;
  }

  /** Whether {@link Region.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the kernel may still read or write this memory. */
  get busy(): boolean {
    return pins()[this.slot]! > 0 && !this.#closed;
  }

  /**
   * Unmaps the memory at once and makes every view of it length 0. Closing twice does nothing.
   *
   * @throws {AnnulusError} `ERR_REGION_BUSY` while a request or a registration uses the memory.
   */
  close(): void {
    if (this.#closed) return;
    this.checkIdle();
    this.#closed = true;
    // A buffer the program moved away keeps its memory until its new owner is collected.
    native().unmap(this.slot, this.#buffer);
  }

  /**
   * @internal `close()`, but the memory stays mapped, to be made a Region again. Undefined if the
   * program has moved the buffer away.
   */
  retire(): Mapping | undefined {
    this.checkIdle();
    this.#closed = true;
    const { mappingId: id, slot, address } = this;
    return rewrap({ id, slot, address, buffer: this.#buffer });
  }

  /** @internal Throws `ERR_REGION_BUSY` while the kernel may use the memory. */
  checkIdle(): void {
    if (!this.busy) return;
    throw new AnnulusError(
      'ERR_REGION_BUSY',
      `The region of ${this.bytes.length} bytes is in use by ${pins()[this.slot]} request(s) or ` +
        'registration(s) of the kernel; wait for their completion, or close the ring first.',
    );
  }

  /** @internal The one ArrayBuffer over this memory. */
  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The Region a view lies in; undefined for ordinary memory, and for what is no view at all. */
export function regionOf(view: ArrayBufferView): Region | undefined {
  return (view?.buffer as RegionBuffer | undefined)?.[REGION];
}

/**
 * Memory for the direct path: a `Uint8Array` in a Region of its own, zeroed.
 *
 * @param bytes - 1 to 2^32. The view has exactly this length; whole pages are mapped.
 * @throws {RangeError} `ERR_OUT_OF_RANGE`.
 * @example
 * ```ts
 * import { alloc } from 'annulus';
 * const buffer = alloc(4096); // requests on it copy nothing
 * ```
 */
export function alloc(bytes: number): Uint8Array {
  return Region.allocate(bytes).bytes.subarray(0, bytes);
}

/** The Region behind an argument that must be one, or a view into one. */
export function requireRegion(name: string, memory: Region | Uint8Array): Region {
  if (memory instanceof Region) return memory;
  if (!(memory instanceof Uint8Array)) {
    throw invalidArgType(name, 'a Region or a Uint8Array', memory);
  }
  const region = regionOf(memory);
  if (region === undefined) {
    throw new AnnulusError(
      'ERR_ANNULUS_NOT_A_REGION',
      `The "${name}" argument is a Uint8Array of ${memory.byteLength} bytes over ordinary memory, ` +
        'which the garbage collector may move away from the kernel. Use alloc() or Region.allocate().',
    );
  }
  return region;
}
