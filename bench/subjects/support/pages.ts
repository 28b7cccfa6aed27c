/**
 * Content of the hot data file, and the order in which its pages are read.
 *
 * `bench/peers/pages.h` is the same in C; the two must agree word by word.
 */

/** Size of one read. */
export const PAGE_BYTES = 4096;

/** Small enough to stay in the page cache of any machine while the case runs. */
export const DATA_FILE_BYTES: number = 64 << 20;

/** Number of pages in the data file. */
export const PAGES: number = DATA_FILE_BYTES / PAGE_BYTES;

const WORDS = PAGE_BYTES / 4;

/** Length of the precomputed order, a power of two: an index wraps with one `&`. */
export const ORDER_LENGTH: number = 1 << 16;

/** Writes page `page` into `words`, beginning at word `start`. */
export function fillPage(words: Int32Array, start: number, page: number): void {
  for (let index = 0; index < WORDS; index++) words[start + index] = wordOf(page, index);
}

/**
 * Whether the page at word `start` came from page `page` of the file.
 *
 * Looks at the first and the last word only: that shows that the right page arrived whole, while a
 * sum over 4 KiB would cost more than the read that is being measured.
 */
export function pageMatches(words: Int32Array, start: number, page: number): boolean {
  return words[start] === page && words[start + WORDS - 1] === ~page;
}

/** Whether every word of the page at `start` is right: for the warm-up, which is not timed. */
export function pageMatchesFully(words: Int32Array, start: number, page: number): boolean {
  for (let index = 0; index < WORDS; index++) {
    if (words[start + index] !== wordOf(page, index)) return false;
  }
  return true;
}

/**
 * The pages to read, in order: xorshift32 with a fixed seed, computed in advance so that the
 * generator is not part of what is measured.
 */
export function pageOrder(): Int32Array {
  const order = new Int32Array(ORDER_LENGTH);
  let state = 0x9e3779b9;
  for (let index = 0; index < ORDER_LENGTH; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    order[index] = (state >>> 0) % PAGES;
  }
  return order;
}

function wordOf(page: number, index: number): number {
  if (index === 0) return page;
  if (index === WORDS - 1) return ~page;
  return Math.imul(page ^ Math.imul(index, 0x9e3779b1), 0x85ebca6b);
}
