/**
 * PooledBytes: what a read into a pool resolves with.
 */
import type { Allocation } from '../pool/allocation.ts';

/** No memory: shared, because there is nothing in it to change. */
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * Bytes that were read, and the allocation they lie in, which belongs to the reader. At the end of a
 * file or a connection there are none, and no allocation either.
 *
 * @example
 * ```ts
 * using received = await io.recv(socket, pool);
 * if (received.length > 0) parse(received.bytes);
 * ```
 */
export class PooledBytes {
  /** Bytes that were read; 0 at the end of the file or connection. */
  readonly length: number;
  /** The run they lie in, `length` bytes from its beginning; undefined at the end. */
  readonly allocation: Allocation | undefined;

  /** @internal Made by a proactor. */
  constructor(allocation: Allocation | undefined, length: number) {
    this.allocation = allocation;
    this.length = length;
  }

  /**
   * The bytes, in place. Do not keep them beyond the release.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_RELEASED` after the release.
   */
  get bytes(): Uint8Array {
    return this.allocation?.part(0, this.length) ?? NOTHING;
  }

  /**
   * Gives the memory back to its pool; nothing if there is none.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_DOUBLE_RELEASE` the second time.
   */
  release(): void {
    this.allocation?.release();
  }

  /** `release()`, at the end of a block that declares it with `using`; nothing if it was released. */
  [Symbol.dispose](): void {
    this.allocation?.[Symbol.dispose]();
  }
}
