/**
 * Transfer: whole reads and writes between files and one piece of memory, as registered buffers
 * where the kernel lets us, as plain requests on the same memory where it does not.
 */
import type { FixedBuffer } from '../../uring/index.ts';
import { rangeInMemory } from '../../proactor/pieces.ts';
import { codeOf } from '../failure.ts';
import { lockLimit } from './file-io.ts';
import type { FileIo } from './file-io.ts';

/** Which requests are used, and why no better ones. */
export interface TransferMode {
  /** `registered` and `plain` are io_uring's, `threads` is Node's thread pool. */
  readonly kind: 'registered' | 'plain' | 'threads';
  /** Why it is not `registered`. */
  readonly reason?: string;
}

/** Moves bytes between files and views of one memory. */
export class Transfer {
  readonly io: FileIo;
  readonly mode: TransferMode;
  readonly #memory: Uint8Array;
  readonly #fixed: FixedBuffer | undefined;

  /**
   * @param memory - A ring's memory once, without its mirror. Views may run on into the mirror.
   */
  constructor(io: FileIo, memory: Uint8Array) {
    this.io = io;
    this.#memory = memory;
    if (io.substituteFor !== undefined) {
      this.mode = { kind: 'threads', reason: io.substituteFor };
      return;
    }
    try {
      this.#fixed = io.registerBuffers([memory])[0];
      this.mode = { kind: 'registered' };
    } catch (error) {
      // RLIMIT_MEMLOCK is too low, or a security module forbids it: plain requests need neither.
      const code = codeOf(error);
      if (code !== 'ENOMEM' && code !== 'EPERM') throw error;
      this.mode = { kind: 'plain', reason: lockLimit('the memory cannot be registered') };
    }
  }

  /** Reads until `view` is full or the file ends; resolves with the bytes read. */
  async read(fd: number, view: Uint8Array, position: number): Promise<number> {
    return this.#whole(view, (offset, length) => {
      const range = { offset, length, position: position + offset };
      if (this.#fixed === undefined) return this.io.read(fd, view, range);
      return this.io.readFixed(fd, this.#fixed, this.#inMemory(view, range));
    });
  }

  /** Writes all of `view`. */
  async write(fd: number, view: Uint8Array, position: number): Promise<void> {
    const count = await this.#whole(view, (offset, length) => {
      const range = { offset, length, position: position + offset };
      if (this.#fixed === undefined) return this.io.write(fd, view, range);
      return this.io.writeFixed(fd, this.#fixed, this.#inMemory(view, range));
    });
    if (count < view.length) throw new Error(`only ${count} of ${view.length} bytes were written`);
  }

  /** Repeats a request until all is done: the kernel may do less than it is asked for. */
  async #whole(
    view: Uint8Array,
    request: (offset: number, length: number) => Promise<number>,
  ): Promise<number> {
    let done = 0;
    while (done < view.length) {
      try {
        const count = await request(done, view.length - done);
        if (count === 0) break;
        done += count;
      } catch (error) {
        if (codeOf(error) !== 'EINTR') throw error;
      }
    }
    return done;
  }

  /** The same bytes as a range of the registered memory; one that crosses the seam ends there. */
  #inMemory(
    view: Uint8Array,
    range: { offset: number; length: number; position: number },
  ): { offset: number; length: number; position: number } {
    return { ...range, ...rangeInMemory(this.#memory, view, range.offset, range.length) };
  }
}
