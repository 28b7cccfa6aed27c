/**
 * Memory that is written once and then read by anybody: filled by its maker, sealed against every
 * change, and handed to other processes as a descriptor.
 */
import { AnnulusError, checkInteger } from '../sys/errors.ts';
import {
  addSeals,
  close,
  describeFile,
  ftruncate,
  getSeals,
  memfdCreate,
  SEAL,
} from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { corrupt } from './memory.ts';

/** Largest memory, which a JavaScript array can address on every Node. */
const MAX_BYTES = 2 ** 32 - 2 ** 21;

/** Seals of the size; none of them can be taken back. */
const SIZE_SEALS = SEAL.SHRINK | SEAL.GROW | SEAL.SEAL;

/** How memory that is written once is had. */
export interface WriteOnceOptions {
  /** Huge pages of this machine's default size. */
  readonly hugePages?: boolean | undefined;
}

/**
 * Makes memory of `bytes` bytes, rounded up to whole pages, lets `fill` write it, and seals it.
 *
 * @param fill - Gets the memory; its view is empty afterwards.
 * @returns The descriptor, which is the caller's: pass it on, and close it.
 * @throws {RangeError} `ERR_OUT_OF_RANGE`. A system error (`ENOMEM`, `EMFILE`) with the cause.
 * @example
 * ```ts
 * import { createWriteOnce, openWriteOnce } from 'annulus/channel';
 * const fd = createWriteOnce(4096, (memory) => memory.fill(7));
 * using region = openWriteOnce(fd);
 * region.bytes[0]; // 7, for ever
 * ```
 */
export function createWriteOnce(
  bytes: number,
  fill: (memory: Uint8Array) => void,
  options?: WriteOnceOptions,
): number {
  checkInteger('bytes', bytes, 1, MAX_BYTES);
  const fd = memfdCreate('annulus-write-once', options?.hugePages === true);
  try {
    const { pageBytes } = describeFile(fd);
    const length = Math.ceil(bytes / pageBytes) * pageBytes;
    ftruncate(fd, length);
    {
      using region = Region.map(length, [{ at: 0, length, fd, offset: 0 }]);
      fill(region.bytes.subarray(0, bytes));
    }
    // The kernel refuses this seal while anybody has the memory mapped for writing.
    addSeals(fd, SEAL.WRITE | SIZE_SEALS);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Maps memory that was written once, and nothing else: without the seals that keep it as it is, it is
 * refused. What this process writes into it stays its own.
 *
 * @param fd - Stays the caller's.
 * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT` if it is not sealed against writing and against
 *   changes of its size.
 */
export function openWriteOnce(fd: number): Region {
  const wanted = SEAL.WRITE | SIZE_SEALS;
  if ((sealsOf(fd) & wanted) !== wanted) {
    throw corrupt('its memory is not sealed against writing and a change of size');
  }
  const { size: length } = describeFile(fd);
  checkInteger('bytes', length, 1, MAX_BYTES);
  return Region.map(length, [{ at: 0, length, fd: -2 - fd, offset: 0 }]);
}

function sealsOf(fd: number): number {
  try {
    return getSeals(fd);
  } catch (cause) {
    throw new AnnulusError(
      'ERR_ANNULUS_CHANNEL_CORRUPT',
      `Descriptor ${fd} cannot be memory that was written once: it has no seals.`,
      { cause },
    );
  }
}
