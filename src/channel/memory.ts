/**
 * A channel's shared memory: creating it, checking what somebody else created, and sharing one
 * mapping among the ends of this thread.
 */
import { AnnulusError } from '../sys/errors.ts';
import {
  addSeals,
  close,
  describeFile,
  ftruncate,
  getSeals,
  lockMemory,
  memfdCreate,
  SEAL,
  toPages,
} from '../sys/linux.ts';
import { mapMirrored } from '../memory/mirror.ts';
import { Region } from '../memory/region.ts';
import {
  FRAME_ALIGNMENT,
  HEADER_BYTES,
  MAGIC,
  MAX_CAPACITY,
  MEMORY,
  MODE,
  SIGNAL,
  VERSION,
  WORD,
} from './layout.ts';
import type { Format } from './layout.ts';

/** Nobody can change the file's size under a mapping, which would be a SIGBUS. */
const SEALS = SEAL.SHRINK | SEAL.GROW | SEAL.SEAL;

/** Where the data is, and how much of it. */
interface Geometry {
  readonly headerBytes: number;
  readonly capacity: number;
}

/** How new memory is had. */
export interface MemoryOptions {
  /** Huge pages of this machine's default size. */
  readonly hugePages?: boolean | undefined;
  /** Never swapped out. */
  readonly lock?: boolean | undefined;
}

/** The memory of one channel in this thread; given back when its last user lets go. */
export class ChannelMemory {
  /** The header's words. */
  readonly words: Int32Array;
  /** Everything that is mapped, as bytes and as words. */
  readonly bytes: Buffer;
  readonly allWords: Int32Array;
  /** Where the data begins. */
  readonly headerBytes: number;
  /** Bytes of data. */
  readonly capacity: number;
  readonly format: Format;
  /** Whether data that runs past the end goes on in a second mapping. */
  readonly mirrored: boolean;
  /** Undefined for a SharedArrayBuffer. */
  readonly region: Region | undefined;
  readonly #buffer: ArrayBuffer | SharedArrayBuffer;
  readonly #release: () => void;
  #users = 1;

  constructor(
    place: Region | SharedArrayBuffer,
    geometry: Geometry,
    format: Format,
    mirrored: boolean,
    release: () => void,
  ) {
    this.region = place instanceof Region ? place : undefined;
    this.#buffer = place instanceof Region ? place.buffer : place;
    const { headerBytes, capacity } = geometry;
    const mapped = headerBytes + (mirrored ? 2 * capacity : capacity);
    this.words = new Int32Array(this.#buffer, 0, HEADER_BYTES >> 2);
    this.allWords = new Int32Array(this.#buffer, 0, mapped >> 2);
    this.bytes = Buffer.from(this.#buffer as ArrayBuffer, 0, mapped);
    // From the kernel as doubles; every field computed with them would be one, a number on the heap.
    this.headerBytes = headerBytes | 0;
    this.capacity = capacity | 0;
    this.format = format;
    this.mirrored = mirrored;
    this.#release = release;
  }

  /** What every view of the memory is a view of. */
  get buffer(): ArrayBuffer {
    return this.#buffer as ArrayBuffer;
  }

  /** The memory itself, for a thread that shares it; undefined where it is mapped. */
  get sharedBuffer(): SharedArrayBuffer | undefined {
    return this.region === undefined ? (this.#buffer as SharedArrayBuffer) : undefined;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  /** Throws `ERR_REGION_BUSY` if `release()` would have to unmap memory the kernel uses. */
  checkReleasable(): void {
    if (this.#users === 1) this.region?.checkIdle();
  }

  /** Lets go; the last user unmaps. */
  release(): void {
    if (this.#users === 1) this.#release();
    this.#users--;
  }
}

/** Memory mapped in this thread: each mapping is wrapped exactly once an environment. */
const byMapping = new Map<number, ChannelMemory>();

/** Memory that is unmapped with its last user. */
function owned(region: Region, geometry: Geometry, format: Format): ChannelMemory {
  const { mappingId } = region;
  const memory = new ChannelMemory(region, geometry, format, true, () => {
    region.close();
    byMapping.delete(mappingId);
  });
  byMapping.set(mappingId, memory);
  return memory;
}

/** Somebody else's memory, which stays when the channel ends. */
function borrowed(
  place: Region | SharedArrayBuffer,
  geometry: Geometry,
  format: Format,
): ChannelMemory {
  const id = place instanceof Region ? place.mappingId : undefined;
  const memory = new ChannelMemory(place, geometry, format, false, () => {
    if (id !== undefined) byMapping.delete(id);
  });
  if (id !== undefined) byMapping.set(id, memory);
  return memory;
}

/** Creates sealed memory for `capacity` bytes, rounded up to pages; returns it and its memfd. */
export function createMemory(
  capacity: number,
  format: Format,
  options: MemoryOptions = {},
): { memory: ChannelMemory; memfd: number } {
  const memfd = memfdCreate('annulus-channel', options.hugePages === true);
  try {
    const { pageBytes } = describeFile(memfd);
    const dataBytes = Math.ceil(capacity / pageBytes) * pageBytes;
    ftruncate(memfd, headerBytesFor(pageBytes) + dataBytes);
    return { memory: initializeFile(memfd, format, options), memfd };
  } catch (error) {
    close(memfd);
    throw error;
  }
}

/** Makes a memfd a channel: seals it, maps it and writes the header. It must have a size. */
export function initializeFile(
  memfd: number,
  format: Format,
  options: MemoryOptions = {},
): ChannelMemory {
  if ((getSeals(memfd) & SEALS) !== SEALS) addSeals(memfd, SEALS);
  const geometry = geometryOf(memfd);
  const region = mapMirrored(memfd, geometry.capacity, geometry.headerBytes);
  try {
    if (options.lock === true) lockMemory(region.bytes);
    writeHeader(region.buffer, geometry, format, MEMORY.MIRRORED);
  } catch (error) {
    region.close();
    throw error;
  }
  return owned(region, geometry, format);
}

/** Makes memory that only threads of this process share a channel. */
export function initializeFlat(place: Region | SharedArrayBuffer, format: Format): ChannelMemory {
  const geometry = flatGeometry(place, format.unit);
  const buffer = place instanceof Region ? place.buffer : place;
  writeHeader(buffer, geometry, format, MEMORY.FLAT);
  return borrowed(place, geometry, format);
}

/** Maps memory another process created, trusting nothing but the kernel's word about it. */
export function openMemory(memfd: number): ChannelMemory {
  if ((getSeals(memfd) & SEALS) !== SEALS) {
    throw corrupt('its memory is not sealed against a change of size');
  }
  const geometry = geometryOf(memfd);
  const region = mapMirrored(memfd, geometry.capacity, geometry.headerBytes);
  try {
    return owned(region, geometry, readHeader(region.buffer, geometry, MEMORY.MIRRORED));
  } catch (error) {
    region.close();
    throw error;
  }
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
    const gone = error instanceof AnnulusError && error.code === 'ERR_ANNULUS_CLOSED';
    if (gone && memfd >= 0) return openMemory(memfd);
    throw error;
  }
  if (memfd < 0) return attachFlat(region);
  const geometry = geometryOf(memfd);
  return owned(region, geometry, readHeader(region.buffer, geometry, MEMORY.MIRRORED));
}

/** The memory of a channel over memory that threads share. */
export function attachFlat(place: Region | SharedArrayBuffer): ChannelMemory {
  const buffer = place instanceof Region ? place.buffer : place;
  const words = new Int32Array(buffer, 0, HEADER_BYTES >> 2);
  const geometry = flatGeometry(place, Math.max(1, words[WORD.UNIT]!));
  return borrowed(place, geometry, readHeader(buffer, geometry, MEMORY.FLAT));
}

/** Size and type of a memfd as the kernel knows them, as header and data. */
export function geometryOf(memfd: number): Geometry {
  const { size, pageBytes, isRegular } = describeFile(memfd);
  if (!isRegular) throw corrupt('its memory is not a regular file');
  const headerBytes = headerBytesFor(pageBytes);
  const capacity = size - headerBytes;
  if (capacity <= 0 || capacity > MAX_CAPACITY || capacity % pageBytes !== 0) {
    throw corrupt(`its memory has ${size} bytes, in pages of ${pageBytes}`);
  }
  return { headerBytes, capacity };
}

function headerBytesFor(pageBytes: number): number {
  return Math.ceil(HEADER_BYTES / pageBytes) * pageBytes;
}

/** A flat channel's data begins behind the used part of the header and is whole units. */
function flatGeometry(place: Region | SharedArrayBuffer, unit: number): Geometry {
  const bytes = Math.min(place.byteLength, MAX_CAPACITY);
  const step = unit * FRAME_ALIGNMENT;
  const capacity = Math.floor((bytes - HEADER_BYTES) / step) * step;
  if (!(capacity > 0)) {
    throw corrupt(
      `memory of ${place.byteLength} bytes is too small for its header and one element`,
    );
  }
  return { headerBytes: HEADER_BYTES, capacity };
}

function writeHeader(
  buffer: ArrayBuffer | SharedArrayBuffer,
  { headerBytes, capacity }: Geometry,
  format: Format,
  memory: number,
): void {
  const words = new Int32Array(buffer, 0, HEADER_BYTES >> 2).fill(0);
  words[WORD.VERSION] = VERSION;
  words[WORD.HEADER_BYTES] = headerBytes;
  words[WORD.CAPACITY] = capacity;
  words[WORD.MODE] = format.mode;
  words[WORD.UNIT] = format.unit;
  words[WORD.KIND] = format.kind;
  words[WORD.SIGNAL] = format.signal;
  words[WORD.MEMORY] = memory;
  words[WORD.MAGIC] = MAGIC;
}

/** What a header says, each word fetched once; throws unless it agrees with what is known. */
export function readHeader(
  buffer: ArrayBuffer | SharedArrayBuffer,
  { headerBytes, capacity }: Geometry,
  memory: number,
): Format {
  const found = [...new Int32Array(buffer, 0, WORD.MEMORY + 1)];
  const expected = [MAGIC, VERSION, headerBytes, capacity];
  if (expected.some((value, index) => value !== found[index]) || found[WORD.MEMORY] !== memory) {
    throw corrupt(
      `its header says ${found.slice(0, 4).join(', ')} instead of ${expected.join(', ')}`,
    );
  }
  const format: Format = {
    mode: found[WORD.MODE]!,
    unit: found[WORD.UNIT]!,
    kind: found[WORD.KIND]!,
    signal: found[WORD.SIGNAL]!,
  };
  checkFormat(format, capacity);
  return format;
}

function checkFormat({ mode, unit, kind, signal }: Format, capacity: number): void {
  const unitFits =
    mode === MODE.BYTES
      ? unit === 1
      : mode === MODE.MESSAGES
        ? unit === FRAME_ALIGNMENT
        : unit >= 1 && unit <= capacity;
  const known =
    mode >= MODE.BYTES && mode <= MODE.MESSAGES && signal >= SIGNAL.NONE && signal <= SIGNAL.FUTEX;
  if (!known || !unitFits || kind < 0) {
    throw corrupt(`its header says mode ${mode}, unit ${unit}, kind ${kind}, signal ${signal}`);
  }
}

/** Bytes a channel of `capacity` really has where memory comes in ordinary pages. */
export function roundedCapacity(capacity: number): number {
  return toPages(capacity);
}

/** The other side broke the rules of the shared memory. */
export function corrupt(what: string): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CHANNEL_CORRUPT',
    `The channel cannot be used: ${what}. The other side is broken, or is not an Annulus channel.`,
  );
}
