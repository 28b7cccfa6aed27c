/**
 * Pieces: how a channel's memory is shared out among requests, and where a piece lies in it.
 */

/** Bytes of one read or write: large enough to be efficient, small enough to stay in a cache. */
const PIECE_BYTES_MAX = 256 * 1024;

/** How many bytes one piece and all pieces under way may take of a channel's memory. */
export function pieceLimits(capacity: number): { pieceBytes: number; flightBytes: number } {
  // A quarter under way on each side: whatever a side waits for, the other's half can give.
  return { pieceBytes: Math.min(PIECE_BYTES_MAX, capacity >> 4), flightBytes: capacity >> 2 };
}

/**
 * A part of a view of a channel's content as a range of its memory once, which is what is registered.
 * A part that crosses the seam to the mirror ends there.
 */
export function rangeInMemory(
  memory: Uint8Array,
  view: Uint8Array,
  offset: number,
  length: number,
): { offset: number; length: number } {
  const capacity = memory.length;
  const place = view.byteOffset - memory.byteOffset + offset;
  const start = place >= capacity ? place - capacity : place;
  return { offset: start, length: Math.min(length, capacity - start) };
}
