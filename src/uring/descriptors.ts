/**
 * What a request can name instead of a plain descriptor or memory: a registered one. Distinct types,
 * so that an index is never taken for a descriptor.
 */
import type { Region } from '../memory/region.ts';
import type { FileTable } from './file-table.ts';

/**
 * A slot of the ring's registered file table with what is in it, from `ring.register.files()`. Once
 * the slot is closed or gets another file, requests refuse this handle: `ERR_ANNULUS_STALE_FILE`.
 */
export class FixedFile {
  readonly index: number;
  /** @internal What tells the slot's files apart. */
  readonly generation: number;
  /** @internal The table of the ring that made it. */
  readonly table: FileTable;

  /** @internal Made by the registrar. */
  constructor(index: number, generation: number, table: FileTable) {
    this.index = index;
    this.generation = generation;
    this.table = table;
  }
}

/** A descriptor: the process's number for it, or a registered file. */
export type Fd = number | FixedFile;

/** Memory registered with the kernel, from `ring.register.buffers()`. */
export class FixedBuffer {
  readonly index: number;
  readonly region: Region;
  /** Byte position of the registered range inside `region`. */
  readonly byteOffset: number;
  readonly byteLength: number;

  /** @internal Made by the registrar. */
  constructor(index: number, region: Region, byteOffset: number, byteLength: number) {
    this.index = index;
    this.region = region;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
  }
}

/** Memory a request may name: a Region, or a view into one. */
export type Memory = Region | Uint8Array;

/**
 * Which part of the memory and of the file a request is about. Hot loops reuse one such object:
 * requests read it when they are prepared and do not keep it.
 */
export interface MemoryRange {
  /** First byte inside the memory. Default 0. */
  offset?: number | undefined;
  /** Number of bytes. Default: to the end of the memory. */
  length?: number | undefined;
  /** Byte position in the file; -1 is the file's current position. Default -1. */
  position?: number | undefined;
}
