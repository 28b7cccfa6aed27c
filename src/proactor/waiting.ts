/**
 * The waiting line: requests beyond the in-flight cap, served in the order they came.
 */

import { AbortError } from '../sys/errors.ts';

/** A request that waits for a slot. */
export interface Waiting {
  readonly start: () => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

interface Entry extends Waiting {
  onAbort: (() => void) | undefined;
  gone: boolean;
}

/** First in, first out; an aborted request leaves the line at once. */
export class WaitingLine {
  #entries: Entry[] = [];
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(waiting: Waiting): void {
    const entry: Entry = { ...waiting, onAbort: undefined, gone: false };
    if (entry.signal !== undefined) {
      entry.onAbort = (): void => {
        entry.gone = true;
        this.#length--;
        entry.reject(new AbortError(entry.signal?.reason));
      };
      entry.signal.addEventListener('abort', entry.onAbort, { once: true });
    }
    this.#entries.push(entry);
    this.#length++;
  }

  /** Starts the request that has waited longest. */
  next(): void {
    this.#shift()?.start();
  }

  rejectAll(reason: unknown): void {
    for (let entry = this.#shift(); entry !== undefined; entry = this.#shift()) {
      entry.reject(reason);
    }
  }

  #shift(): Entry | undefined {
    while (this.#head < this.#entries.length) {
      const entry = this.#entries[this.#head++]!;
      if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
        this.#entries = this.#entries.slice(this.#head);
        this.#head = 0;
      }
      if (entry.gone) continue;
      this.#length--;
      if (entry.onAbort !== undefined) entry.signal?.removeEventListener('abort', entry.onAbort);
      return entry;
    }
    this.#entries = [];
    this.#head = 0;
    return undefined;
  }
}
