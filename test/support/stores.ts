/**
 * Ends this process at a chosen store to a channel's memory, as a power switch would: nothing is
 * flushed, closed or said.
 *
 * Atomic operations are stopped before and after, plain stores before (after one is before the next),
 * and a copy of several bytes in its middle as well.
 */

/** What is looked into: the memory of an end of a channel. */
interface Inside {
  words: Int32Array;
  readonly shared: { words: Int32Array; allWords: Int32Array; bytes: Buffer };
}

const STORES = ['exchange', 'or', 'and', 'store', 'compareExchange'] as const;

/** Counts stores, and ends the process at one of them. */
export class StoreSwitch {
  /** Points passed. */
  passed = 0;
  readonly #last: number;
  readonly #behind = new WeakMap<object, Int32Array>();

  /** @param last - The point at which the process ends; Infinity: never. */
  constructor(last: number) {
    this.#last = last;
    for (const name of STORES) {
      const real = Atomics[name] as (words: Int32Array, ...rest: number[]) => number;
      const stopped = (words: Int32Array, ...rest: number[]): number => {
        this.point();
        const result = real(this.#behind.get(words) ?? words, ...rest);
        this.point();
        return result;
      };
      Object.defineProperty(Atomics, name, { value: stopped });
    }
    const { load } = Atomics;
    const led = (words: Int32Array, index: number): number =>
      load(this.#behind.get(words) ?? words, index);
    Object.defineProperty(Atomics, 'load', { value: led });
  }

  /** Watches the plain stores of an end as well. */
  watch(end: unknown): void {
    const inside = end as Inside;
    const { shared } = inside;
    const words = this.#watchWords(shared.words);
    Object.defineProperty(inside, 'words', { value: words });
    Object.defineProperty(shared, 'words', { value: words });
    Object.defineProperty(shared, 'allWords', { value: this.#watchWords(shared.allWords) });
    const { bytes } = shared;
    const set = (source: Uint8Array, at: number): void => this.copy(bytes, source, at);
    Object.defineProperty(bytes, 'set', { value: set });
  }

  /** Copies bytes, with stops before, in the middle and after. */
  copy(target: Uint8Array, source: Uint8Array, at = 0): void {
    // Another view: the watched one's own way to copy leads here.
    const view = new Uint8Array(target.buffer, target.byteOffset, target.length);
    this.point();
    view.set(source.subarray(0, source.length >> 1), at);
    this.point();
    view.set(source, at);
    this.point();
  }

  /** A point at which the process may end. */
  point(): void {
    if (this.passed++ === this.#last) process.kill(process.pid, 'SIGKILL');
  }

  #watchWords(words: Int32Array): Int32Array {
    const watched = new Proxy(words, {
      get: (target, key) => Reflect.get(target, key, target) as unknown,
      set: (target, key, value) => {
        this.point();
        return Reflect.set(target, key, value, target);
      },
    });
    this.#behind.set(watched, words);
    return watched;
  }
}
