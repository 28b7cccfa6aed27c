/**
 * SharedDrive: one thread's part in a shared ring, driven by its event loop.
 *
 * Requests of one turn are submitted in the next check phase, by one call. The thread wakes when the
 * queue of the ring has completions, of whichever thread: it tells its own, and passes the others on
 * to theirs. And it wakes by its eventfd, when another thread has passed completions on to it.
 */
import { AsyncResource } from 'node:async_hooks';

import { AnnulusError, ERRNO, SystemError } from '../sys/errors.ts';
import { WATCH } from '../sys/native.ts';
import { Watcher } from '../sys/watch.ts';
import type { SharedRing } from '../uring/shared/ring.ts';
import type { Drive } from './drive.ts';

/** Errno of enters that may succeed once completions were reaped. */
const TRANSIENT: ReadonlySet<number> = new Set([ERRNO.EAGAIN, ERRNO.EBUSY, ERRNO.EINTR]);

/** How long completions of a thread that does not take its own are left alone, in milliseconds. */
const BLOCKED_MS = 5;

/** Drives one thread's part in a shared ring. */
export class SharedDrive implements Drive {
  readonly #ring: SharedRing;
  readonly #reap: () => void;
  readonly #woken: Watcher;
  /** Watches the ring itself, while this thread has requests in flight. */
  #ready: Watcher | undefined;
  readonly #resource: AsyncResource;
  readonly #turn: () => void;
  #scheduled = false;
  #held = false;
  #kept = false;
  /** Whether what is prepared is to be submitted now. */
  #due = false;
  #failure = 0;
  #refusal: AnnulusError | undefined;
  #closing = false;
  #closed = false;

  /** @param reap - Called when completions may be ready, or when the ring takes no more requests. */
  constructor(ring: SharedRing, reap: () => void) {
    this.#ring = ring;
    this.#reap = reap;
    this.#resource = new AsyncResource('ANNULUS');
    const run = (): void => this.#run();
    this.#turn = (): void => {
      this.#scheduled = false;
      // Not in the asynchronous context of whoever made the first request of the turn.
      this.#resource.runInAsyncScope(run);
    };
    this.#woken = new Watcher(ring.wakeFd, WATCH.READABLE, () => {
      ring.clearWake();
      this.#run();
    });
    ring.onLeftOver = () => this.#schedule();
    // The ring may have been used before.
    if (ring.arm() || ring.inFlight > 0) this.#schedule();
  }

  prepared(keep: boolean): void {
    if (keep && !this.#kept) this.keepAlive(true);
    if (!this.#held) this.handOver();
  }

  keepAlive(keep: boolean): void {
    if (this.#kept === keep || this.#closed) return;
    this.#kept = keep;
    if (keep) this.#woken.ref();
    else this.#woken.unref();
  }

  holdBack(): void {
    this.#held = true;
  }

  handOver(): void {
    this.#due = true;
    this.#schedule();
  }

  failure(): number {
    const failure = this.#failure;
    this.#failure = 0;
    return failure;
  }

  reasonOf(errno: number): Error {
    return this.#refusal ?? new SystemError(errno, 'io_uring_enter');
  }

  /** A ring whose home has ended takes no requests, and so none that cancel. */
  closing(): void {
    this.#closing = true;
    if (this.#ring.ended) this.#ring.cancelOwn();
  }

  /** Stops watching; the ring is about to be closed. */
  close(): void {
    this.#closed = true;
    this.#ring.onLeftOver = undefined;
    this.#woken.close();
    this.#ready?.close();
    this.#ready = undefined;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  /** Submits what is due, reaps, and goes to sleep unless there is more to do. */
  #run(): void {
    const ring = this.#ring;
    if (this.#closed) return;
    if (this.#due) this.#submit();
    this.#reap();
    if (this.#closed || ring.closed) return;
    const more = ring.arm();
    if (ring.inFlight === 0) this.keepAlive(false);
    if ((ring.inFlight === 0 && !ring.hasLeftOver) || ring.blocked) {
      this.#ready?.close();
      this.#ready = undefined;
    } else {
      this.#ready ??= new Watcher(ring.fd, WATCH.READABLE, () => this.#run());
    }
    if (more) this.#schedule();
    // The queue stays readable then: watching it would call back without end.
    else if (ring.blocked && !this.#scheduled) {
      this.#scheduled = true;
      setTimeout(this.#turn, BLOCKED_MS);
    }
  }

  #submit(): void {
    this.#due = false;
    try {
      this.#ring.submit();
    } catch (error) {
      if (error instanceof AnnulusError) {
        this.#refusal = error; // the ring's home has closed it, or has ended
        this.#failure = ERRNO.EOWNERDEAD;
        if (this.#closing) this.#ring.cancelOwn();
      } else if (!(error instanceof SystemError)) throw error;
      else if (TRANSIENT.has(error.errno)) this.handOver();
      else this.#failure = error.errno;
    }
  }
}
