/**
 * Limits: how a channel's memory is shared out among pieces.
 */

/** Bytes of one read or write: large enough to be efficient, small enough to stay in a cache. */
const PIECE_BYTES_MAX = 256 * 1024;

/** Least `--memory`: a quarter of it must hold four pieces of a page, and the longest header. */
export const MEMORY_MIN: number = 64 * 1024;

/** Most `--memory`: what a channel can have. */
export const MEMORY_MAX: number = 2 ** 30;

/** How many bytes one piece and all pieces under way may take of a channel's memory. */
export function pieceLimits(capacity: number): { pieceBytes: number; flightBytes: number } {
  // A quarter under way on each side: whatever a side waits for, the other's half can give.
  return { pieceBytes: Math.min(PIECE_BYTES_MAX, capacity >> 4), flightBytes: capacity >> 2 };
}
