/**
 * A channel's shared memory: creating it, checking what somebody else created, and sharing one
 * mapping among the ends of this thread.
 */
import { AnnulusError } from '../sys/errors.ts';
import {
  addSeals,
  close,
  fileSize,
  ftruncate,
  getSeals,
  memfdCreate,
  SEAL,
  toPages,
} from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { HEADER_BYTES, MAGIC, MAX_CAPACITY, VERSION, WORD } from './layout.ts';

/** Nobody can change the file's size under a mapping, which would be a SIGBUS. */
const SEALS = SEAL.SHRINK | SEAL.GROW | SEAL.SEAL;

/** The mapped memory of one channel in this thread; closed when its last user lets go. */
export class ChannelMemory {
  readonly region: Region;
  readonly words: Int32Array;
  readonly headerBytes: number;
  readonly capacity: number;
  #users = 1;

  constructor(region: Region, headerBytes: number, capacity: number) {
    this.region = region;
    this.words = new Int32Array(region.buffer, 0, headerBytes >> 2);
    this.headerBytes = headerBytes;
    this.capacity = capacity;
    byMapping.set(region.mappingId, this);
  }

  retain(): this {
    this.#users++;
    return this;
  }

  /** Throws `ERR_REGION_BUSY` if `release()` would have to unmap memory the kernel uses. */
  checkReleasable(): void {
    if (this.#users === 1) this.region.checkIdle();
  }

  /** Lets go; the last user unmaps. */
  release(): void {
    if (this.#users === 1) {
      this.region.close();
      byMapping.delete(this.region.mappingId);
    }
    this.#users--;
  }
}

/** Memory mapped in this thread: each mapping is wrapped exactly once an environment. */
const byMapping = new Map<number, ChannelMemory>();

/** Creates sealed memory for `capacity` bytes, rounded up to pages; returns it and its memfd. */
export function createMemory(capacity: number): { memory: ChannelMemory; memfd: number } {
  const headerBytes = toPages(HEADER_BYTES);
  const dataBytes = toPages(capacity);
  const memfd = memfdCreate('annulus-channel');
  try {
    ftruncate(memfd, headerBytes + dataBytes);
    addSeals(memfd, SEALS);
    const memory = new ChannelMemory(
      mapMemory(memfd, headerBytes, dataBytes),
      headerBytes,
      dataBytes,
    );
    memory.words[WORD.VERSION] = VERSION;
    memory.words[WORD.HEADER_BYTES] = headerBytes;
    memory.words[WORD.CAPACITY] = dataBytes;
    memory.words[WORD.MAGIC] = MAGIC;
    return { memory, memfd };
  } catch (error) {
    close(memfd);
    throw error;
  }
}

/** Maps memory another process created, trusting nothing but the kernel's word about it. */
export function openMemory(memfd: number): ChannelMemory {
  if ((getSeals(memfd) & SEALS) !== SEALS) {
    throw corrupt('its memory is not sealed against a change of size');
  }
  const size = fileSize(memfd);
  const headerBytes = toPages(HEADER_BYTES);
  const capacity = size - headerBytes;
  if (capacity <= 0 || capacity > MAX_CAPACITY || toPages(capacity) !== capacity) {
    throw corrupt(`its memory has ${size} bytes`);
  }
  const region = mapMemory(memfd, headerBytes, capacity);
  const words = new Int32Array(region.buffer, 0, headerBytes >> 2);
  const found = [WORD.MAGIC, WORD.VERSION, WORD.HEADER_BYTES, WORD.CAPACITY].map((at) => words[at]);
  const expected = [MAGIC, VERSION, headerBytes, capacity];
  if (expected.some((value, index) => value !== found[index])) {
    region.close();
    throw corrupt(`its header says ${found.join(', ')} instead of ${expected.join(', ')}`);
  }
  return new ChannelMemory(region, headerBytes, capacity);
}

/** The memory of a channel of this process: the one mapping there is, or a new one of the memfd. */
export function attachMemory(mappingId: number, memfd: number): ChannelMemory {
  const known = byMapping.get(mappingId);
  if (known !== undefined) return known.retain();
  let region: Region;
  try {
    region = Region.attach(mappingId);
  } catch (error) {
    // The thread that made the channel has closed it meanwhile; the memory itself lives in the memfd.
    if (error instanceof AnnulusError && error.code === 'ERR_ANNULUS_CLOSED') {
      return openMemory(memfd);
    }
    throw error;
  }
  const headerBytes = toPages(HEADER_BYTES);
  return new ChannelMemory(region, headerBytes, (region.byteLength - headerBytes) / 2);
}

function mapMemory(fd: number, headerBytes: number, capacity: number): Region {
  return Region.map(headerBytes + 2 * capacity, [
    { at: 0, length: headerBytes + capacity, fd, offset: 0 },
    { at: headerBytes + capacity, length: capacity, fd, offset: headerBytes },
  ]);
}

/** The other side broke the rules of the shared memory. */
export function corrupt(what: string): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CHANNEL_CORRUPT',
    `The channel cannot be used: ${what}. The other side is broken, or is not an Annulus channel.`,
  );
}
