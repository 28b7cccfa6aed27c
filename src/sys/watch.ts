/**
 * Watching a descriptor on Node's event loop.
 */
import { check } from './errors.ts';
import { native, SOURCE } from './native.ts';
import type { Native } from './native.ts';

/**
 * Calls back whenever a descriptor is ready (level-triggered: the callback must take what is there).
 * Does not keep the process alive until `ref()` is called.
 */
export class Watcher {
  readonly #native: Native;
  #id: number;

  /**
   * @param events - Bits of `WATCH`.
   * @param callback - Gets the events that happened, or a negative errno.
   */
  constructor(fd: number, events: number, callback: (events: number) => void) {
    this.#native = native();
    this.#id = check(this.#native.watch(fd, events, callback), 'epoll_ctl');
  }

  /** Keeps the event loop alive. */
  ref(): void {
    this.#native.source(this.#id, SOURCE.REF);
  }

  /** Lets the event loop end. */
  unref(): void {
    this.#native.source(this.#id, SOURCE.UNREF);
  }

  /** Stops watching. The descriptor stays open. */
  close(): void {
    if (this.#id === 0) return;
    this.#native.source(this.#id, SOURCE.CLOSE);
    this.#id = 0;
  }
}
