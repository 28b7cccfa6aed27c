/**
 * An alarm on Node's event loop, in microseconds: Node's own timers count milliseconds.
 */
import { check } from './errors.ts';
import { closeOwned, own, read, syscall } from './linux.ts';
import { WATCH } from './native.ts';
import { Watcher } from './watch.ts';

const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC_NONBLOCK = 0o2004000;
const MICROSECONDS = 1_000_000;

/** Goes off once each time it is set. Keeps the process alive while it is set and asked to. */
export class Alarm {
  readonly #fd: number;
  readonly #watcher: Watcher;
  readonly #expirations: Uint8Array = new Uint8Array(8);
  /** `struct itimerspec`: interval, then time to go, in seconds and nanoseconds each. */
  readonly #time: BigInt64Array = new BigInt64Array(4);
  #armed = false;
  #closed = false;

  /** @param ring - Called on the event loop when the time is over. */
  constructor(ring: () => void) {
    this.#fd = check(
      syscall('timerfd_create', CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK),
      'timerfd_create',
    );
    own(this.#fd);
    try {
      this.#watcher = new Watcher(this.#fd, WATCH.READABLE, () => {
        read(this.#fd, this.#expirations); // or it would be readable for ever
        this.#rest();
        ring();
      });
    } catch (error) {
      closeOwned(this.#fd);
      throw error;
    }
  }

  /** Whether it will go off. */
  get armed(): boolean {
    return this.#armed;
  }

  /** Sets it, `keepAlive`: and keeps the process alive until then. */
  set(microseconds: number, keepAlive: boolean): void {
    this.#settle(microseconds);
    this.#armed = true;
    if (keepAlive) this.#watcher.ref();
  }

  /** Sets it back to silence. */
  cancel(): void {
    if (!this.#armed) return;
    this.#settle(0);
    this.#rest();
  }

  /** Lets the process end before it goes off, or not. */
  keepAlive(on: boolean): void {
    if (!this.#armed) return;
    if (on) this.#watcher.ref();
    else this.#watcher.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    closeOwned(this.#fd);
  }

  #rest(): void {
    this.#armed = false;
    this.#watcher.unref();
  }

  #settle(microseconds: number): void {
    this.#time[2] = BigInt(Math.floor(microseconds / MICROSECONDS));
    this.#time[3] = BigInt((microseconds % MICROSECONDS) * 1000);
    check(syscall('timerfd_settime', this.#fd, 0, this.#time, null), 'timerfd_settime');
  }
}
