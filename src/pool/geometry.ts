/**
 * Geometry: where a run of buffers can lie in the pool's file, so that one always finds a place.
 *
 * Runs are sorted into classes by length: class k takes runs of 2^(k-1)+1 to 2^k buffers, and has a
 * zone of the file to itself, cut into slots of 2^k buffers. Since each run in a class uses more
 * than 2^(k-1) buffers of the budget, no more than budget / (2^(k-1)+1) of them can live at once,
 * and the zone has that many slots: while the budget allows a run, its class has a free slot. A
 * slot costs file offsets; memory is what a run has touched.
 */

/** Most buffers of a pool: bounds its tables, which have some 70 bytes of address space a buffer. */
export const BUFFERS_MAX: number = 2 ** 22;

/** Largest run: what one `Uint8Array` can view on every Node. */
export const RUN_BYTES_MAX: number = 2 ** 32;

/** Zones begin on multiples of this, the size of a huge page, so that one can hold several slots. */
const ZONE_ALIGNMENT = 2 ** 21;

/** Slabs are mapped, registered and counted as one: small enough for a share of 8 MiB to register. */
const SLAB_BYTES_MIN = 2 ** 21;
const SLAB_BYTES_MAX = 2 ** 30;

/** A pool needs at most so many slabs a class, unless they reach their largest size. */
const SLABS_WANTED = 64;

/** One class of runs. Slots are numbered from 1 through all classes; 0 is no slot. */
export interface SizeClass {
  readonly index: number;
  /** Most buffers of a run. */
  readonly run: number;
  /** Bytes from one slot to the next. */
  readonly stride: number;
  /** Whether slots share pages: then memory goes back by the zone, not by the slot. */
  readonly packed: boolean;
  readonly firstSlot: number;
  readonly slots: number;
  readonly firstSlab: number;
  readonly slabs: number;
  /** log2 of the slots of a slab. */
  readonly slabShift: number;
  /** Where the zone begins in the file. */
  readonly offset: number;
}

/** The class of runs of `length` buffers. */
export function classOf(length: number): number {
  return 32 - Math.clz32(length - 1);
}

/** The arrangement of one pool, computed alike in each thread. */
export class Geometry {
  readonly bufferSize: number;
  /** The budget in buffers. */
  readonly buffers: number;
  /** Most buffers of one run. */
  readonly runMax: number;
  readonly pageSize: number;
  readonly classes: readonly SizeClass[];
  readonly slots: number;
  readonly slabs: number;
  readonly fileBytes: number;

  constructor(bufferSize: number, buffers: number, pageSize: number) {
    this.bufferSize = bufferSize;
    this.buffers = buffers;
    this.pageSize = pageSize;
    this.runMax = Math.min(buffers, Math.floor(RUN_BYTES_MAX / bufferSize));
    const slabBytes = slabSize(bufferSize * buffers);
    const classes: SizeClass[] = [];
    let [slots, slabs, offset] = [0, 0, 0];
    for (let index = 0; index <= classOf(this.runMax); index++) {
      const size = this.#sizeClass(index, slots + 1, slabs, offset, slabBytes);
      classes.push(size);
      slots += size.slots;
      slabs += size.slabs;
      offset = roundUp(offset + size.slots * size.stride, ZONE_ALIGNMENT);
    }
    this.classes = classes;
    this.slots = slots;
    this.slabs = slabs;
    this.fileBytes = offset;
  }

  #sizeClass(
    index: number,
    firstSlot: number,
    firstSlab: number,
    offset: number,
    slabBytes: number,
  ): SizeClass {
    const run = Math.min(2 ** index, this.runMax);
    const shortest = index === 0 ? 1 : 2 ** (index - 1) + 1;
    const slots = Math.floor(this.buffers / shortest);
    const bytes = run * this.bufferSize;
    // Small slots are powers of two, so that none lies across the edge of a page or a slab.
    const small = bytes < this.pageSize;
    const stride = small ? 2 ** Math.ceil(Math.log2(bytes)) : roundUp(bytes, this.pageSize);
    const packed = stride < this.pageSize;
    const slabShift = Math.floor(Math.log2(Math.max(1, slabBytes / stride)));
    const slabs = Math.ceil(slots / 2 ** slabShift);
    return {
      index,
      run,
      stride,
      packed,
      firstSlot,
      slots,
      firstSlab,
      slabs,
      slabShift,
      offset,
    };
  }

  /** Whole pages that `buffers` buffers take. */
  pages(buffers: number): number {
    return Math.ceil((buffers * this.bufferSize) / this.pageSize);
  }

  /** Where a slab begins in the file, and its bytes; the last one of a class may be shorter. */
  slab(size: SizeClass, slab: number): { offset: number; bytes: number } {
    const perSlab = 2 ** size.slabShift;
    const first = (slab - size.firstSlab) * perSlab;
    const bytes = Math.min(perSlab, size.slots - first) * size.stride;
    return { offset: size.offset + first * size.stride, bytes: roundUp(bytes, this.pageSize) };
  }
}

function slabSize(budgetBytes: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(budgetBytes / SLABS_WANTED));
  return Math.min(Math.max(wanted, SLAB_BYTES_MIN), SLAB_BYTES_MAX);
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** The slab a slot lies in. */
export function slabOf(size: SizeClass, slot: number): number {
  return size.firstSlab + ((slot - size.firstSlot) >> size.slabShift);
}

/** Where a slot begins in its slab, in bytes. */
export function offsetInSlab(size: SizeClass, slot: number): number {
  return ((slot - size.firstSlot) & ((1 << size.slabShift) - 1)) * size.stride;
}
