/**
 * PooledMemory: requests of one proactor on memory of pools.
 */
import type { Allocation } from '../pool/allocation.ts';
import type { Fd, MemoryRange } from '../uring/descriptors.ts';
import { OP } from '../uring/opcodes.ts';
import type { Ring } from '../uring/ring.ts';

/** Which part of a run and of the file a request is about, and its `RWF` or `MSG_FLAG` bits. */
export interface PooledRange extends MemoryRange {
  readonly flags?: number | undefined;
}

/** Prepares requests on runs of pools. */
export class PooledMemory {
  readonly #ring: Ring;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Prepares a transfer on a run; returns the request's key. */
  prepare(
    op: number,
    token: number,
    fd: Fd,
    run: Allocation,
    range: PooledRange | undefined,
  ): number {
    const ring = this.#ring;
    switch (op) {
      case OP.READ:
        return ring.read(token, fd, run.bytes, range);
      case OP.WRITE:
        return ring.write(token, fd, run.bytes, range);
      case OP.RECV:
        return ring.recv(token, fd, run.bytes, range);
      default:
        return ring.send(token, fd, run.bytes, range);
    }
  }
}
