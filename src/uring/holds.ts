/**
 * Holds: what a request keeps alive until its terminal completion.
 *
 * The high word of a request's user_data is its hold, so reaping needs no table look-up:
 *
 * ```text
 *  31 30 29            16 15             0
 * +--+--+----------------+----------------+
 * | 0| 0|              region slot        |  one pinned Region (0: nothing)
 * | 0| 1|              cell index         |  a cell of kernel structures, and the regions it names
 * +--+--+---------------------------------+
 * ```
 *
 * Bits 19 to 25 are there in shared rings only: shared/layout.ts.
 * Bit 26 says that it is the number of a notice: notices.ts. Bit 27 says that the request holds
 * nothing and completes only if it fails: it counts as ended from the start. Bit 28 says that it is
 * the index of a pipe: pipes.ts. Bit 29 says that a result is a new descriptor, to be closed if
 * nobody is told of it. With the sign bit the completion ends no request of the ring: tags.ts.
 */
import { SystemError, ERRNO } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { pin, unpin } from '../memory/pins.ts';
import { NOTICE, Notices } from './notices.ts';
import { PIPE, Pipes } from './pipes.ts';
import { Tags } from './tags.ts';

/** Marks a hold as the index of a cell. */
const CELL = 1 << 30;

/** Marks the hold of a request whose result is a descriptor; native/ring.c knows it too. */
export const YIELDS_FD: number = 1 << 29;

/** Closes the descriptor that came with a completion nobody is told of. */
export function closeYielded(hold: number, result: number): void {
  if (hold >= 0 && (hold & YIELDS_FD) !== 0 && result >= 0) syscall('close', result);
}

/** The hold of a request whose success is not told; native/ring.c knows it too. */
export const SKIPPED: number = 1 << 27;

/** Below this a hold is a region slot without any mark. Not exported: see queue.ts on constants. */
const LOWEST_MARK = 1 << 26;

/** Cell sizes in bytes: addresses and timespecs; a path; two paths, or 1,024 iovecs. */
const CLASSES = [256, 4352, 16640] as const;

/** Cells made at a time. */
const CELLS_PER_SLAB = 16;

/** Bounds the memory of a ring's kernel structures. */
const MAX_CELLS = 65536;

/** Memory the kernel reads a request's structures from (or writes its answer to). */
export class Cell {
  readonly hold: number;
  readonly sizeClass: number;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly slab: Region;
  /** Slots of the regions the structures point into. */
  readonly pinned: number[] = [];

  constructor(index: number, sizeClass: number, slab: Region, offset: number) {
    const size = CLASSES[sizeClass]!;
    this.hold = CELL | index;
    this.sizeClass = sizeClass;
    this.address = slab.address + offset;
    this.bytes = slab.bytes.subarray(offset, offset + size);
    this.view = new DataView(slab.buffer, offset, size);
    this.slab = slab;
  }

  /** Stores a 64-bit integer. */
  setU64(offset: number, value: number): void {
    this.view.setUint32(offset, value >>> 0, true);
    this.view.setUint32(offset + 4, Math.floor(value / 2 ** 32) >>> 0, true);
  }

  /** Stores a `struct __kernel_timespec` of so many milliseconds. */
  setTimespec(offset: number, milliseconds: number): void {
    const seconds = Math.floor(milliseconds / 1000);
    this.setU64(offset, seconds);
    // Below 2^30, and so no number on the heap.
    this.setU64(offset + 8, ((milliseconds - seconds * 1000) * 1e6) | 0);
  }

  /** Stores text with a final zero at `offset`; returns the kernel's address of it. */
  setString(offset: number, text: string): number {
    const { written } = new TextEncoder().encodeInto(text, this.bytes.subarray(offset));
    this.bytes[offset + written] = 0;
    return this.address + offset;
  }

  /** Keeps a region alive as long as this cell. */
  keep(region: Region): void {
    pin(region.slot);
    this.pinned.push(region.slot);
  }
}

/** The holds of one ring. */
export class Holds {
  readonly #cells: Cell[] = [];
  readonly #free: Cell[][] = CLASSES.map(() => []);
  readonly #slabs: Region[] = [];
  /** Holds of registrations rather than requests. */
  readonly tags: Tags = new Tags();
  /** Pipes whose descriptors nobody was told of yet. */
  readonly pipes: Pipes = new Pipes();
  /** Requests that may complete once more than they say. */
  readonly notices: Notices = new Notices();

  /** A cell of at least `bytes`; its slab stays pinned until `release()`. */
  cell(bytes: number): Cell {
    let sizeClass = 0;
    while (CLASSES[sizeClass]! < bytes) sizeClass++;
    const free = this.#free[sizeClass];
    if (free === undefined) {
      throw new RangeError(
        `A request's structures need ${bytes} bytes; the most is ${CLASSES.at(-1)}`,
      );
    }
    const cell = free.pop() ?? this.#grow(sizeClass);
    pin(cell.slab.slot);
    return cell;
  }

  /** Ends a hold. Called once a request, at its terminal completion or if it never ran. */
  release(hold: number): void {
    if (hold < LOWEST_MARK) {
      unpin(hold); // nearly always: a region, and no more
      return;
    }
    if ((hold & (CELL | PIPE | NOTICE)) === 0) {
      unpin(hold & ~YIELDS_FD);
      return;
    }
    if ((hold & PIPE) !== 0) {
      this.pipes.release(hold);
      return;
    }
    if ((hold & NOTICE) !== 0) {
      this.release(this.notices.release(hold));
      return;
    }
    const cell = this.#cells[hold & ~(CELL | YIELDS_FD)];
    if (cell === undefined) return; // not a hold of this ring: completions of foreign user_data
    while (cell.pinned.length > 0) unpin(cell.pinned.pop()!);
    unpin(cell.slab.slot);
    this.#free[cell.sizeClass]!.push(cell);
  }

  /** Closes what came with a completion of this thread that nobody is told of; before its release. */
  discard(hold: number, result: number): void {
    closeYielded(hold, result);
    if (hold >= 0 && (hold & PIPE) !== 0 && result >= 0) this.pipes.discard(hold);
  }

  /** Unmaps every slab that the kernel does not use any more. */
  close(): void {
    this.pipes.close();
    for (const slab of this.#slabs) {
      if (!slab.busy) slab.close();
    }
  }

  #grow(sizeClass: number): Cell {
    if (this.#cells.length >= MAX_CELLS) {
      throw new SystemError(ERRNO.ENOMEM, 'io_uring_enter', {
        message: `${MAX_CELLS} requests with kernel structures are in flight; wait for some to complete`,
      });
    }
    const size = CLASSES[sizeClass]!;
    const slab = Region.allocate(size * CELLS_PER_SLAB);
    this.#slabs.push(slab);
    for (let i = 0; i < CELLS_PER_SLAB; i++) {
      const cell = new Cell(this.#cells.length, sizeClass, slab, i * size);
      this.#cells.push(cell);
      this.#free[sizeClass]!.push(cell);
    }
    return this.#free[sizeClass]!.pop()!;
  }
}
