/**
 * PooledMemory: requests of one proactor on memory of pools.
 *
 * A pool's memory comes in slabs. One is registered with the ring when a read or write first uses it,
 * as far as the limit on locked memory and the pool's budget allow; requests in it then name the
 * registration, which spares the kernel looking the pages up. In other slabs they are plain ones.
 */
import { outOfRange } from '../sys/errors.ts';
import type { Allocation } from '../pool/allocation.ts';
import type { Slab } from '../pool/arena.ts';
import { BufferPool } from '../pool/pool.ts';
import type { SlabUser } from '../pool/slab-user.ts';
import type { Fd, FixedBuffer, MemoryRange } from '../uring/descriptors.ts';
import { OP } from '../uring/opcodes.ts';
import type { Ring } from '../uring/ring.ts';
import type { SharedRing } from '../uring/shared/ring.ts';
import type { FixedTable } from './fixed-table.ts';

/** How long after a slab could not be registered it is tried again: each attempt is a system call. */
const RETRY_MS = 1000;

/** Which part of a run and of the file a request is about, and its `RWF` or `MSG_FLAG` bits. */
export interface PooledRange extends MemoryRange {
  readonly flags?: number | undefined;
}

/** What requests on pools' memory need of their proactor. */
export interface PooledOwner {
  readonly ring: Ring | SharedRing;
  /** Undefined where slabs are not registered. */
  readonly table: FixedTable | undefined;
  /** Submits what is prepared; false if something is left. */
  readonly flush: () => boolean;
}

/** The slabs of one pool that one ring has registered. */
class RegisteredSlabs implements SlabUser {
  readonly #owner: PooledOwner;
  readonly #live: Set<RegisteredSlabs>;
  /** Not the pool itself: a pool that is forgotten is collected. */
  readonly #pool: WeakRef<BufferPool>;
  readonly #buffers = new Map<number, FixedBuffer>();
  /** Slabs that were used since the pool's last housekeeping. */
  readonly #used = new Set<number>();
  /** Until when nothing is registered, by `performance.now()`: something could not be. */
  #refusedUntil = 0;

  /** @param live - Where it is kept while it has anything registered. */
  constructor(owner: PooledOwner, live: Set<RegisteredSlabs>, pool: BufferPool) {
    this.#owner = owner;
    this.#live = live;
    this.#pool = new WeakRef(pool);
  }

  /** The registration of a slab, made now if there is none; undefined if there can be none. */
  of(pool: BufferPool, slab: Slab): FixedBuffer | undefined {
    const { number, region } = slab;
    const found = this.#buffers.get(number);
    if (found?.region === region) {
      this.#used.add(number);
      return found;
    }
    if (found !== undefined) this.#drop(number, found); // the slab was mapped anew
    if (this.#owner.table === undefined || performance.now() < this.#refusedUntil) return undefined;
    const buffer = pool.pinSlab(number, this) ? this.#register(pool, slab) : undefined;
    if (buffer === undefined) this.#refusedUntil = performance.now() + RETRY_MS;
    return buffer;
  }

  letGo(idleOnly: boolean): void {
    for (const [number, buffer] of this.#buffers) {
      if (!idleOnly || !this.#used.has(number)) this.#drop(number, buffer);
    }
    this.#used.clear();
  }

  #register(pool: BufferPool, { number, region }: Slab): FixedBuffer | undefined {
    const buffer = this.#owner.table?.add(region);
    if (buffer === undefined) {
      pool.unpinSlab(number);
      return undefined;
    }
    this.#buffers.set(number, buffer);
    this.#live.add(this);
    return buffer;
  }

  #drop(number: number, buffer: FixedBuffer): void {
    // What is prepared and not submitted may name the registration yet.
    if (!this.#owner.flush()) return;
    try {
      this.#owner.table?.remove(buffer);
    } catch {
      return; // the ring is out of reach, and the kernel keeps the pages
    }
    this.#buffers.delete(number);
    if (this.#buffers.size === 0) this.#live.delete(this);
    this.#pool.deref()?.unpinSlab(number);
  }
}

/** Unregisters the slabs of pools that were forgotten. */
const forgotten: FinalizationRegistry<RegisteredSlabs> = new FinalizationRegistry((slabs) =>
  slabs.letGo(false),
);

/** Prepares requests on runs of pools. */
export class PooledMemory {
  readonly #owner: PooledOwner;
  readonly #pools = new WeakMap<BufferPool, RegisteredSlabs>();
  readonly #live = new Set<RegisteredSlabs>();

  constructor(owner: PooledOwner) {
    this.#owner = owner;
  }

  /** Prepares a transfer on a run; returns the request's key. */
  prepare(
    op: number,
    token: number,
    fd: Fd,
    run: Allocation,
    range: PooledRange | undefined,
  ): number {
    const { ring } = this.#owner;
    if (op === OP.RECV) return ring.recv(token, fd, run.bytes, range);
    if (op === OP.SEND) return ring.send(token, fd, run.bytes, range);
    const fixed = this.#fixedFor(run);
    if (fixed === undefined) {
      if (op === OP.READ) return ring.read(token, fd, run.bytes, range);
      return ring.write(token, fd, run.bytes, range);
    }
    const inSlab = rangeInSlab(run, range);
    if (op === OP.READ) return ring.readFixed(token, fd, fixed, inSlab);
    return ring.writeFixed(token, fd, fixed, inSlab);
  }

  /** The ring ends: pools need no longer keep their slabs for it. */
  close(): void {
    for (const slabs of this.#live) slabs.letGo(false);
  }

  #fixedFor(run: Allocation): FixedBuffer | undefined {
    const { lender, hold } = run;
    if (!(lender instanceof BufferPool)) return undefined;
    let slabs = this.#pools.get(lender);
    if (slabs === undefined) {
      slabs = new RegisteredSlabs(this.#owner, this.#live, lender);
      this.#pools.set(lender, slabs);
      forgotten.register(lender, slabs);
    }
    return slabs.of(lender, lender.slabOf(hold.slot, hold.length));
  }
}

/** A range of a run as one of its slab: the ring knows the slab's bounds only. */
function rangeInSlab(run: Allocation, range: PooledRange | undefined): PooledRange {
  const { byteOffset } = run.bytes;
  const { offset = 0, position, flags } = range ?? {};
  const length = range?.length ?? run.byteLength - offset;
  const integers = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!integers || offset < 0 || length < 0 || offset + length > run.byteLength) {
    const given = `offset ${offset}, length ${length}`;
    throw outOfRange('range', `inside the ${run.byteLength} bytes of the memory`, given);
  }
  return { offset: byteOffset + offset, length, position, flags };
}
