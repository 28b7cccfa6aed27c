/**
 * Scratch memory: lent for the length of one system call.
 *
 * It is kept for the next rather than closed, and not for its own cost: closing a Region detaches its
 * buffer, and once any buffer of a thread was detached V8 checks for that at every access to every
 * typed array, which costs the hot paths of a ring a fifth of their time.
 */
import { Region } from './region.ts';

/** More than this is left to the garbage collector. */
const MOST_KEPT = 65536;

let kept: Region | undefined;

/** Lends at least `bytes` zeroed bytes, for this thread. */
export function borrowScratch(bytes: number): Region {
  const region = kept;
  if (region === undefined || region.byteLength < bytes) return Region.allocate(bytes);
  kept = undefined;
  region.bytes.fill(0, 0, bytes);
  return region;
}

/** Takes it back once the kernel is done with it. */
export function returnScratch(region: Region): void {
  if (region.byteLength > MOST_KEPT) return;
  if (kept === undefined || kept.byteLength < region.byteLength) kept = region;
}
