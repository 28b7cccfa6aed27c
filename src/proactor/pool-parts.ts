/**
 * PoolParts: what a file or a connection brings until its end, one read into a pool after another.
 *
 * A class and no generator, which would hold three times as much memory while it waits.
 */
import type { PooledBytes } from './pooled-bytes.ts';

type Result = IteratorResult<PooledBytes, undefined>;

/** Reads from a byte position on, or without one where that is negative. */
type Read = (position: number) => Promise<PooledBytes>;

const END: Result = { done: true, value: undefined };

/** One read at a time, each begun when its result is asked for. */
export class PoolParts implements AsyncIterableIterator<PooledBytes> {
  readonly #read: Read;
  #position: number;
  #ended = false;
  /** The read that was asked for last, while it is under way. */
  #last: Promise<Result> | undefined = undefined;

  constructor(read: Read, position: number) {
    this.#read = read;
    this.#position = position;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    const next = (): Promise<Result> => this.#next();
    // After the one before, however that has ended: it moves the position.
    const result = this.#last === undefined ? this.#next() : this.#last.then(next, next);
    this.#last = result;
    return result;
  }

  /** Reads no more. A read that is under way goes to who asked for it. */
  return(): Promise<Result> {
    this.#ended = true;
    return Promise.resolve(END);
  }

  #next(): Promise<Result> {
    if (this.#ended) return Promise.resolve(END);
    return this.#read(this.#position).then(
      (bytes) => this.#got(bytes),
      (error: unknown) => {
        this.#ended = true;
        throw error;
      },
    );
  }

  #got(bytes: PooledBytes): Result {
    if (bytes.length === 0) {
      this.#ended = true;
      return END;
    }
    if (this.#position >= 0) this.#position += bytes.length;
    return { done: false, value: bytes };
  }
}
