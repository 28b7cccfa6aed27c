/**
 * Bouncing: requests on ordinary memory go through pool memory, because the garbage collector may
 * take ordinary memory away from the kernel. What is written is copied when the request is prepared;
 * what is read is copied when it has completed.
 */
import { AnnulusError, invalidArgType, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { Region } from '../memory/region.ts';

/** Pooled sizes: powers of two from 4 KiB to 1 MiB. Larger memory is mapped for one request. */
const SMALLEST_BITS = 12;
const LARGEST_BITS = 20;

/** Idle memory the pool keeps at most, in bytes. */
const MAX_IDLE = 8 * 2 ** 20;

/** Pool memory lent to one request. */
export class Bounced {
  readonly region: Region;
  readonly length: number;
  /** Where bytes that were read go; undefined for a write. */
  readonly target: Uint8Array | undefined;

  constructor(region: Region, length: number, target: Uint8Array | undefined) {
    this.region = region;
    this.length = length;
    this.target = target;
  }

  /** Copies what was read to where it was wanted. Throws if that memory is gone. */
  deliver(count: number): void {
    const target = this.target;
    if (target === undefined || count <= 0) return;
    if (target.length < count) {
      throw new AnnulusError(
        'ERR_ANNULUS_BUFFER_DETACHED',
        `${count} bytes were read, but the buffer they were meant for was detached or shrunk to ` +
          `${target.length} bytes while the request was in flight. The bytes are lost to the caller.`,
      );
    }
    target.set(this.region.bytes.subarray(0, count));
  }
}

/** The small built-in pool. */
export class BouncePool {
  readonly #free: Region[][] = Array.from({ length: LARGEST_BITS + 1 }, () => []);
  #idle = 0;

  /** Memory to read `length` bytes into, for `target`. */
  forRead(target: Uint8Array): Bounced {
    return new Bounced(this.#take(target.length), target.length, target);
  }

  /** Memory with a copy of `source`. */
  forWrite(source: Uint8Array): Bounced {
    const region = this.#take(source.length);
    region.bytes.set(source);
    return new Bounced(region, source.length, undefined);
  }

  /** Takes memory back once its request has completed. */
  release(bounced: Bounced): void {
    const { region } = bounced;
    const bits = bitsFor(region.byteLength);
    if (bits > LARGEST_BITS || this.#idle + region.byteLength > MAX_IDLE) {
      region.close();
      return;
    }
    this.#idle += region.byteLength;
    this.#free[bits]!.push(region);
  }

  /** Unmaps idle memory. */
  close(): void {
    for (const regions of this.#free) {
      for (const region of regions.splice(0)) region.close();
    }
    this.#idle = 0;
  }

  #take(bytes: number): Region {
    const bits = bitsFor(bytes);
    const region = this.#free[bits]?.pop();
    if (region === undefined) return Region.allocate(bits > LARGEST_BITS ? bytes : 2 ** bits);
    this.#idle -= region.byteLength;
    return region;
  }
}

function bitsFor(bytes: number): number {
  return Math.max(SMALLEST_BITS, Math.ceil(Math.log2(bytes)));
}

/** The part of a view a request is about, as bytes; refuses memory that can change under it. */
export function plainBytes(
  buffer: ArrayBufferView,
  offset: number | undefined,
  length: number | undefined,
): Uint8Array {
  if (!ArrayBuffer.isView(buffer)) {
    throw invalidArgType('buffer', 'a Region, a TypedArray or a DataView', buffer);
  }
  const memory = buffer.buffer as ArrayBuffer & { resizable?: boolean; growable?: boolean };
  if (memory.resizable === true || memory.growable === true) {
    throw invalidArgValue('buffer', 'must not lie in a resizable or growable buffer', 'one');
  }
  const start = offset ?? 0;
  const count = length ?? buffer.byteLength - start;
  if (!(start >= 0 && count >= 0 && start + count <= buffer.byteLength)) {
    const given = `offset ${start}, length ${count}`;
    throw outOfRange('range', `inside the ${buffer.byteLength} bytes of the buffer`, given);
  }
  return new Uint8Array(buffer.buffer, buffer.byteOffset + start, count);
}
