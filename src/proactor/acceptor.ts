/**
 * Acceptor: an async iterator over the connections of one multishot accept.
 */
import { AbortError, checkSignal, ERRNO, SystemError } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import type { Multishot } from './attachment.ts';

/** Connections accepted but not taken yet, beyond which accepting pauses. */
const HIGH_WATER = 256;

/** Arms the request; resolves when the kernel has ended it. */
type Arm = (multishot: Multishot, signal: AbortSignal) => Promise<unknown>;

interface Taker {
  readonly resolve: (result: IteratorResult<number, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Re-arms itself while it is iterated; `return()` ends the request and closes what nobody took. */
export class Acceptor implements AsyncIterableIterator<number>, Multishot {
  readonly #arm: Arm;
  readonly #signal: AbortSignal | undefined;
  readonly #accepted: number[] = [];
  readonly #takers: Taker[] = [];
  #stop: AbortController | undefined;
  #armed: Promise<unknown> | undefined;
  #failure: unknown;
  #done = false;

  constructor(arm: Arm, signal: AbortSignal | undefined) {
    if (signal?.aborted !== true) checkSignal(signal);
    this.#arm = arm;
    this.#signal = signal;
    signal?.addEventListener('abort', () => this.#abort(), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<number, undefined>> {
    if (this.#signal?.aborted === true) this.#abort();
    const fd = this.#accepted.shift();
    if (fd !== undefined) return Promise.resolve({ done: false, value: fd });
    if (this.#failure !== undefined) {
      const failure = this.#failure as Error;
      this.#failure = undefined;
      this.#done = true;
      return Promise.reject(failure);
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
      this.#start();
    });
  }

  async return(): Promise<IteratorResult<number, undefined>> {
    this.#done = true;
    this.#stop?.abort();
    await this.#armed;
    for (const fd of this.#accepted.splice(0)) syscall('close', fd);
    for (const taker of this.#takers.splice(0)) taker.resolve({ done: true, value: undefined });
    return { done: true, value: undefined };
  }

  /** A completion of the request. */
  completed(result: number, more: boolean): void {
    if (result >= 0) this.#connection(result);
    if (more) return;
    this.#stop = undefined;
    this.#armed = undefined;
    if (this.#done) return;
    // ECANCELED is our own pause; the kernel may also end a multishot without an error.
    if (result < 0 && result !== ERRNO.ECANCELED) this.#fail(new SystemError(result, 'accept'));
    else if (this.#takers.length > 0) this.#start();
  }

  #connection(fd: number): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      taker.resolve({ done: false, value: fd });
      return;
    }
    this.#accepted.push(fd);
    if (this.#accepted.length >= HIGH_WATER) this.#stop?.abort();
  }

  #start(): void {
    if (this.#armed !== undefined) return;
    this.#stop = new AbortController();
    this.#armed = this.#arm(this, this.#stop.signal).catch((error: unknown) => {
      this.#armed = undefined;
      if (!(error instanceof AbortError)) this.#fail(error);
    });
  }

  /** Ends the iteration with an error; only the first one counts. */
  #fail(error: unknown): void {
    if (this.#done || this.#failure !== undefined) return;
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#failure = error;
      return;
    }
    this.#done = true;
    taker.reject(error);
    for (const other of this.#takers.splice(0)) other.resolve({ done: true, value: undefined });
  }

  /** Ends the iteration with the signal's reason: for whoever waits, else for the next to ask. */
  #abort(): void {
    if (this.#done) return;
    this.#fail(new AbortError(this.#signal?.reason));
    void this.return();
  }
}
