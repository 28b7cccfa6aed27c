/** Where the bytes of a stream case come from: a chunk at a time, over and over. */

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { numberOption, textOption } from './options.ts';

export interface Source {
  /** The next chunk, in memory that the following call may reuse. */
  next(): Buffer;
  /** Like `read()`: brings at most `room` bytes, and at most a chunk, to `target` at `offset`. */
  readInto(target: Uint8Array, offset: number, room: number): number;
  /** Whether the call before brought the last byte of the stream, and the next begins anew. */
  readonly atStart: boolean;
}

/** The source that the options name: `chunk` bytes at a time, from memory or by `from=file`. */
export function sourceOf(stream: Buffer): Source {
  const chunkBytes = numberOption('chunk');
  return textOption('from', 'memory') === 'file'
    ? new FileSource(stream, chunkBytes)
    : new MemorySource(stream, chunkBytes);
}

/** Chunks as a socket hands them out. They are cut in advance: their arrival costs nothing. */
class MemorySource implements Source {
  readonly #chunks: Buffer[] = [];
  #index = 0;
  /** Bytes of the chunk at `#index` that are gone already. */
  #taken = 0;

  constructor(stream: Buffer, chunkBytes: number) {
    for (let at = 0; at < stream.length; at += chunkBytes) {
      this.#chunks.push(stream.subarray(at, at + chunkBytes));
    }
  }

  get atStart(): boolean {
    return this.#index === 0 && this.#taken === 0;
  }

  next(): Buffer {
    const chunk = this.#chunks[this.#index]!;
    this.#step();
    return chunk;
  }

  readInto(target: Uint8Array, offset: number, room: number): number {
    const chunk = this.#chunks[this.#index]!;
    if (this.#taken > 0 || chunk.length > room) return this.#readPart(target, offset, room);
    target.set(chunk, offset);
    this.#step();
    return chunk.length;
  }

  #readPart(target: Uint8Array, offset: number, room: number): number {
    const chunk = this.#chunks[this.#index]!;
    const part = chunk.subarray(this.#taken, this.#taken + room);
    target.set(part, offset);
    this.#taken += part.length;
    if (this.#taken === chunk.length) this.#step();
    return part.length;
  }

  #step(): void {
    this.#taken = 0;
    this.#index = this.#index + 1 === this.#chunks.length ? 0 : this.#index + 1;
  }
}

/** Chunks read from a file that is in the page cache. */
class FileSource implements Source {
  readonly #fd: number;
  readonly #length: number;
  readonly #chunk: Buffer;
  #position = 0;

  /** Makes a file without a name, so that nothing is left of it. */
  constructor(stream: Buffer, chunkBytes: number) {
    const path = `${textOption('file')}.stream-${process.pid}`;
    this.#fd = openSync(path, 'wx+');
    unlinkSync(path);
    this.#length = stream.length;
    this.#chunk = Buffer.alloc(chunkBytes);
    if (writeSync(this.#fd, stream) !== stream.length) throw new Error('the file is incomplete');
    process.once('exit', () => closeSync(this.#fd));
  }

  get atStart(): boolean {
    return this.#position === 0;
  }

  next(): Buffer {
    const chunk = this.#chunk;
    return chunk.subarray(0, this.readInto(chunk, 0, chunk.length));
  }

  readInto(target: Uint8Array, offset: number, room: number): number {
    const most = Math.min(room, this.#chunk.length);
    const count = readSync(this.#fd, target, offset, most, this.#position);
    this.#position += count;
    if (this.#position === this.#length) this.#position = 0;
    return count;
  }
}
