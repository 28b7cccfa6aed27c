/**
 * Waiter: how a channel waits for a descriptor without blocking. Injected, so that the channel knows
 * neither the event loop nor io_uring.
 */
import { Watcher } from '../sys/watch.ts';

/** A descriptor being watched. */
export interface Watch {
  /** Keeps the process alive. */
  ref(): void;
  /** Lets the process end. */
  unref(): void;
  /** Stops watching. The descriptor stays open. */
  close(): void;
}

/** Watches descriptors. */
export interface Waiter {
  /**
   * Watches a descriptor until the watch is closed. It must not keep the process alive by itself.
   *
   * @param events - 1: readable, 4: the peer is gone.
   * @param callback - Called again and again while the descriptor is ready.
   */
  watch(fd: number, events: number, callback: () => void): Watch;
}

/** Waits on Node's event loop. */
export const loopWaiter: Waiter = {
  watch: (fd, events, callback) => new Watcher(fd, events, callback),
};
