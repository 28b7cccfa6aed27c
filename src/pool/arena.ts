/**
 * Arena: the memory of a pool, one sealed sparse file in memory, as this thread has it mapped.
 *
 * A file rather than anonymous memory, because each thread then maps what it uses by itself, at an
 * address and for a time of its own, and a run outlives the thread that was given it first. Slabs are
 * mapped when a run in them is first used here.
 */
import { Region } from '../memory/region.ts';
import { AnnulusError } from '../sys/errors.ts';
import { addSeals, close, closeOwned, fileSize, ftruncate, getSeals } from '../sys/linux.ts';
import { duplicate, memfdCreate, own, SEAL } from '../sys/linux.ts';
import { adviseHugePages, punchHole, whyNoHugePages } from '../sys/pages.ts';
import { offsetInSlab, slabOf } from './geometry.ts';
import type { Geometry, SizeClass } from './geometry.ts';

/** Nobody can change the file's size under a mapping, which would be a SIGBUS. */
const SEALS = SEAL.SHRINK | SEAL.GROW | SEAL.SEAL;

/** One mapped part of a pool's memory: what a ring registers as a fixed buffer. */
export interface Slab {
  /** Its number in the pool, the same in each thread. */
  readonly number: number;
  readonly region: Region;
}

/** Whether runs lie on huge pages, as far as that was asked for. */
export interface HugePages {
  readonly requested: boolean;
  /** `transparent`: the kernel uses huge pages where a slab has room for them; `none`: it does not. */
  readonly got: 'transparent' | 'none';
  /** Why not, if they were requested. */
  readonly reason: string | undefined;
}

/** The file and this thread's mappings of it. */
export class Arena {
  readonly fd: number;
  readonly geometry: Geometry;
  readonly hugePages: HugePages;
  readonly #slabs: (Slab | undefined)[];
  #closed = false;

  private constructor(fd: number, geometry: Geometry, hugePages: boolean) {
    this.fd = fd;
    this.geometry = geometry;
    this.#slabs = [];
    const reason = hugePages ? whyNoHugePages() : undefined;
    const got = hugePages && reason === undefined ? 'transparent' : 'none';
    this.hugePages = { requested: hugePages, got, reason };
    own(fd);
  }

  /** Creates the file. It has its full size at once, and memory only where it is touched. */
  static create(geometry: Geometry, hugePages: boolean): Arena {
    const fd = memfdCreate('annulus-pool');
    try {
      ftruncate(fd, geometry.fileBytes);
      addSeals(fd, SEALS);
      return new Arena(fd, geometry, hugePages);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** Takes part in the file of another thread. */
  static attach(memfd: number, geometry: Geometry, hugePages: boolean): Arena {
    const fd = duplicate(memfd);
    try {
      // The descriptor's number may have been given to something else since.
      if (getSeals(fd) === SEALS && fileSize(fd) === geometry.fileBytes) {
        return new Arena(fd, geometry, hugePages);
      }
    } catch (error) {
      close(fd);
      throw error;
    }
    close(fd);
    throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The memory of the pool is gone.');
  }

  /** The slab a run lies in, mapped now if it was not yet. Throws `ENOMEM` if it cannot be. */
  slabFor(size: SizeClass, slot: number): Slab {
    const number = slabOf(size, slot);
    const slab = this.#slabs[number];
    // Length 0: the program has transferred the buffer of a view away, and with it this mapping.
    return slab !== undefined && slab.region.byteLength !== 0 ? slab : this.#map(size, number);
  }

  /** A view of a run, or of a part of it, in bytes. */
  view(size: SizeClass, slot: number, from: number, bytes: number): Uint8Array {
    const { region } = this.slabFor(size, slot);
    return new Uint8Array(region.buffer, offsetInSlab(size, slot) + from, bytes);
  }

  /** The slabs this thread has mapped. */
  get slabs(): Slab[] {
    return this.#slabs.filter((slab) => slab !== undefined);
  }

  /** Gives a range of the file back to the system. */
  discard(offset: number, bytes: number): boolean {
    return !this.#closed && punchHole(this.fd, offset, bytes) === 0;
  }

  /** Unmaps all; memory the kernel still uses goes when it is collected. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const slab of this.slabs) {
      if (!slab.region.busy) slab.region.close();
    }
    this.#slabs.length = 0;
    closeOwned(this.fd);
  }

  #map(size: SizeClass, number: number): Slab {
    const { offset, bytes } = this.geometry.slab(size, number);
    const region = Region.map(bytes, [{ at: 0, length: bytes, fd: this.fd, offset }]);
    if (this.hugePages.got === 'transparent') adviseHugePages(region.bytes);
    const slab: Slab = { number, region };
    // Filled up first: holes would make it an array that V8 looks up by hashing.
    while (this.#slabs.length <= number) this.#slabs.push(undefined);
    this.#slabs[number] = slab;
    return slab;
  }
}
