/**
 * Waiting for channels by io_uring: a poll request for each end that waits, among the proactor's others.
 */
import { loopWaiter } from '../channel/index.ts';
import type { Waiter, Watch } from '../channel/index.ts';
import { AbortError } from '../sys/errors.ts';
import type { RequestOptions } from './attachment.ts';

/** What waiting needs of a proactor. */
interface Polling {
  poll(fd: number, events: number, options?: RequestOptions): Promise<number>;
}

/** One descriptor. A request is under way only while somebody waits, so it keeps nothing alive. */
class PollWatch implements Watch {
  readonly #io: Polling;
  readonly #fd: number;
  readonly #events: number;
  readonly #callback: () => void;
  #isHeld = false;
  #isClosed = false;
  #isRunning = false;
  #request: AbortController | undefined;
  /** Takes over if the proactor cannot poll any more. */
  #other: Watch | undefined;

  constructor(io: Polling, fd: number, events: number, callback: () => void) {
    this.#io = io;
    this.#fd = fd;
    this.#events = events;
    this.#callback = callback;
  }

  ref(): void {
    this.#isHeld = true;
    this.#other?.ref();
    if (!this.#isRunning && this.#other === undefined) void this.#run();
  }

  unref(): void {
    this.#isHeld = false;
    this.#other?.unref();
    this.#request?.abort();
  }

  close(): void {
    this.#isClosed = true;
    this.#other?.close();
    this.unref();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#isHeld && !this.#isClosed) await this.#once();
    } catch {
      this.#fallBack();
    } finally {
      this.#isRunning = false;
    }
  }

  async #once(): Promise<void> {
    this.#request = new AbortController();
    try {
      await this.#io.poll(this.#fd, this.#events, { signal: this.#request.signal });
    } catch (error) {
      // Somebody may wait again already: then the next request is due.
      if (error instanceof AbortError) return;
      throw error;
    } finally {
      this.#request = undefined;
    }
    if (!this.#isClosed) this.#callback();
  }

  /** The proactor was closed, or the kernel refuses: nobody who waits must be forgotten. */
  #fallBack(): void {
    if (this.#isClosed) return;
    this.#other = loopWaiter.watch(this.#fd, this.#events, this.#callback);
    if (this.#isHeld) this.#other.ref();
  }
}

/** Makes channels wait by a proactor's requests. */
export function pollWaiter(io: Polling): Waiter {
  return { watch: (fd, events, callback) => new PollWatch(io, fd, events, callback) };
}
