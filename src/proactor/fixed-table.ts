/**
 * FixedTable: the one table of registered memory that a ring has, shared between what the program
 * registers and the slabs of pools.
 */
import { AnnulusError, ERRNO, SystemError } from '../sys/errors.ts';
import type { Region } from '../memory/region.ts';
import type { FixedBuffer, Memory } from '../uring/descriptors.ts';
import { refusal } from '../uring/register/calls.ts';
import type { Ring } from '../uring/ring.ts';

/** Slots for slabs, behind those for the program. */
const SLAB_SLOTS = 256;

/** Slots kept for the program where a slab is registered first. */
const PROGRAM_SLOTS = 1024;

/** Most slots the kernel gives a table. */
const MAX_SLOTS = 16384;

/** The table of one ring, made when it is first needed. */
export class FixedTable {
  readonly #registrar: Ring['register'];
  /** `full`: the kernel cannot leave slots empty, or the program needs all. */
  #state: 'none' | 'roomy' | 'full' = 'none';
  #programSlots = 0;
  #programCount = 0;
  #freeSlabSlots: number[] = [];

  constructor(registrar: Ring['register']) {
    this.#registrar = registrar;
  }

  /** Registers the program's memory: all of it or none. */
  register(memories: readonly Memory[]): FixedBuffer[] {
    const { length } = memories;
    if (this.#programCount > 0) throw refusal('REGISTER_BUFFERS', ERRNO.EBUSY);
    if (this.#state === 'none' && !(length >= 1 && this.#make(length))) {
      const buffers = this.#registrar.buffers(memories);
      this.#state = 'full';
      this.#programCount = length;
      return buffers;
    }
    if (length > this.#programSlots) throw tooMany(length, this.#programSlots);
    try {
      const buffers = this.#registrar.updateBuffers(0, memories);
      this.#programCount = length;
      return buffers;
    } catch (error) {
      if (length > 0) this.#clearProgram(length);
      throw error;
    }
  }

  /** Takes the program's memory back. */
  unregister(): void {
    if (this.#state !== 'roomy') {
      this.#registrar.unregisterBuffers();
      this.#state = 'none';
    } else if (this.#programCount > 0) {
      this.#clearProgram(this.#programCount);
    } else throw refusal('UNREGISTER_BUFFERS', ERRNO.ENXIO);
    this.#programCount = 0;
  }

  /** Registers a slab; undefined if the kernel or the table has no room for it. */
  add(region: Region): FixedBuffer | undefined {
    if (this.#state === 'full') return undefined;
    if (this.#state === 'none' && !this.#make(PROGRAM_SLOTS)) {
      this.#state = 'none';
      return undefined;
    }
    const index = this.#freeSlabSlots.pop();
    if (index === undefined) return undefined;
    try {
      return this.#registrar.updateBuffers(index, [region])[0];
    } catch (error) {
      this.#freeSlabSlots.push(index);
      if (error instanceof SystemError) return undefined; // ENOMEM: it may not be locked
      throw error;
    }
  }

  /** Takes a slab back. */
  remove({ index }: FixedBuffer): void {
    this.#registrar.clearBuffers(index, 1);
    this.#freeSlabSlots.push(index);
    if (this.#programCount === 0 && this.#freeSlabSlots.length === SLAB_SLOTS) this.#end();
  }

  #clearProgram(count: number): void {
    if (this.#freeSlabSlots.length === SLAB_SLOTS) this.#end();
    else this.#registrar.clearBuffers(0, count);
  }

  /** Nobody has anything registered. */
  #end(): void {
    this.#registrar.unregisterBuffers();
    this.#state = 'none';
  }

  /** Makes a table with empty slots; false if that cannot be had. */
  #make(programSlots: number): boolean {
    if (programSlots + SLAB_SLOTS > MAX_SLOTS) return false;
    try {
      this.#registrar.sparseBuffers(programSlots + SLAB_SLOTS);
    } catch {
      return false; // before Linux 5.19
    }
    this.#state = 'roomy';
    this.#programSlots = programSlots;
    const last = programSlots + SLAB_SLOTS - 1;
    this.#freeSlabSlots = Array.from({ length: SLAB_SLOTS }, (_, taken) => last - taken);
    return true;
  }
}

function tooMany(count: number, most: number): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_LIMIT',
    `${count} pieces of memory cannot be registered beside the slabs of a pool, but at most ${most}: ` +
      'register them before the first request that uses a pool.',
  );
}
