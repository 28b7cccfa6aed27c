/**
 * Order: completions of requests that have several, kept until all before them were delivered.
 *
 * They are sorted by their position in the completion queue, modulo 2^32. Nearly always they come in
 * that order, and stay here no longer than one `drain()`.
 */

/** Words of an entry: position, token, hold, result, flags. */
const WORDS = 8;

/** Completions waiting for their turn. */
export class Ordered {
  /** The one that `take()` has taken last. */
  token = 0;
  hold = 0;
  result = 0;
  flags = 0;
  #entries = new Int32Array(16 * WORDS);
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(position: number, token: number, hold: number, result: number, flags: number): void {
    this.#makeRoom();
    const entries = this.#entries;
    let at = (this.#first + this.#length++) * WORDS;
    while (at > this.#first * WORDS && ((entries[at - WORDS]! - position) | 0) > 0) {
      entries.copyWithin(at, at - WORDS, at);
      at -= WORDS;
    }
    entries[at] = position;
    entries[at + 1] = token;
    entries[at + 2] = hold;
    entries[at + 3] = result;
    entries[at + 4] = flags;
  }

  /** Takes the first one if it lies before a position. */
  take(before: number): boolean {
    if (this.#length === 0) return false;
    const entries = this.#entries;
    const at = this.#first * WORDS;
    if (((before - entries[at]!) | 0) <= 0) return false;
    this.token = entries[at + 1]!;
    this.hold = entries[at + 2]!;
    this.result = entries[at + 3]!;
    this.flags = entries[at + 4]!;
    this.#length--;
    this.#first = this.#length === 0 ? 0 : this.#first + 1;
    return true;
  }

  /** How many lie before a position. */
  countBefore(position: number): number {
    let count = 0;
    while (count < this.#length) {
      const at = (this.#first + count) * WORDS;
      if (((position - this.#entries[at]!) | 0) <= 0) break;
      count++;
    }
    return count;
  }

  #makeRoom(): void {
    const size = this.#entries.length / WORDS;
    if (this.#first + this.#length < size) return;
    const content = this.#entries.subarray(this.#first * WORDS);
    // Less than half of it is in use: it is moved; else it grows.
    const grown = this.#length * 2 < size ? this.#entries : new Int32Array(size * 2 * WORDS);
    grown.set(content);
    this.#entries = grown;
    this.#first = 0;
  }
}
