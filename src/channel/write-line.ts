/**
 * WriteLine: writes that wait for room, served in the order they were made.
 */
import { AbortError, AnnulusError, checkSignal } from '../sys/errors.ts';
import type { WaitOptions } from './end.ts';

/** Writes that may wait: a caller who does not await them is told before memory runs out. */
const WAITING_MAX = 65536;

interface Entry<T> {
  left: T;
  readonly options: WaitOptions | undefined;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** The writes of one sender. */
export class WriteLine<T> {
  readonly #store: (item: T) => T | undefined;
  readonly #room: (item: T, options: WaitOptions | undefined) => Promise<unknown>;
  readonly #entries: Entry<T>[] = [];

  /**
   * @param store - Writes what there is room for; returns what is left, undefined if nothing.
   * @param room - Resolves when there is room for more of what is left.
   */
  constructor(
    store: (item: T) => T | undefined,
    room: (item: T, options: WaitOptions | undefined) => Promise<unknown>,
  ) {
    this.#store = store;
    this.#room = room;
  }

  /** Writes that wait. */
  get length(): number {
    return this.#entries.length;
  }

  /** Writes at once, or in its turn; a promise if it is not done yet. */
  write(item: T, options?: WaitOptions): Promise<void> | undefined {
    let left: T | undefined = item;
    if (options?.signal !== undefined) {
      try {
        checkSignal(options.signal);
      } catch (error) {
        const reason = error as Error;
        return Promise.reject(reason);
      }
    }
    if (this.#entries.length === 0) {
      left = this.#store(item);
      if (left === undefined) return undefined;
    }
    if (this.#entries.length >= WAITING_MAX) {
      throw new AnnulusError(
        'ERR_ANNULUS_LIMIT',
        `${WAITING_MAX} writes wait for room in the channel. Await what write() returns.`,
      );
    }
    const rest = left;
    return new Promise((resolve, reject) => {
      const entry: Entry<T> = { left: rest, options, resolve, reject };
      this.#entries.push(entry);
      if (this.#entries.length === 1) void this.#serve();
      else options?.signal?.addEventListener('abort', () => this.#leave(entry), { once: true });
    });
  }

  /** Ends a write whose turn has not come; the wait of the first one has the signal itself. */
  #leave(entry: Entry<T>): void {
    const index = this.#entries.indexOf(entry);
    if (index < 1) return;
    this.#entries.splice(index, 1);
    entry.reject(new AbortError(entry.options?.signal?.reason));
  }

  async #serve(): Promise<void> {
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      try {
        await this.#finish(entry);
        entry.resolve();
      } catch (error) {
        entry.reject(error);
      }
      this.#entries.shift();
    }
  }

  async #finish(entry: Entry<T>): Promise<void> {
    for (;;) {
      checkSignal(entry.options?.signal);
      const left = this.#store(entry.left);
      if (left === undefined) return;
      entry.left = left;
      await this.#room(left, entry.options);
    }
  }
}
