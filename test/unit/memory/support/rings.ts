/**
 * Rings with content that can be told apart, and what they take of the system.
 */

import { readFileSync } from 'node:fs';

import type { MirroredRing } from 'annulus/memory';
import { dropSpares } from '#src/memory/spares.js';

/** The byte at a position of the stream that goes through a ring; it repeats with no power of two. */
export function byteAt(position: number): number {
  return (position * 31 + (position >> 8) * 7 + (position >> 16) * 3) & 255;
}

/** Writes bytes of the stream from a position on. */
export function writeStream(ring: MirroredRing, position: number, count: number): void {
  ring.write((free) => {
    for (let i = 0; i < count; i++) free[i] = byteAt(position + i);
    return count;
  });
}

/** Where content differs from the stream at a position, or -1. */
export function differsAt(content: Uint8Array, position: number): number {
  return content.findIndex((byte, i) => byte !== byteAt(position + i));
}

/** Moves the positions of an empty ring forward by `count` bytes. */
export function shift(ring: MirroredRing, count: number): void {
  ring.advance(count);
  ring.consume(count);
}

/** Mappings of all rings of this process that are not closed. */
export function ringMappings(): number {
  dropSpares();
  return allRingMappings();
}

/** Mappings of all rings of this process, spares included. */
export function allRingMappings(): number {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return maps.filter((line) => /memfd:annulus-ring|\/shm\/annulus-/.test(line)).length;
}
