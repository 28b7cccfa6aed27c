/**
 * Pins: counts of kernel uses of a Region, in native memory so that finalizers see them.
 */
import { DOOMED, native } from '../sys/native.ts';

/** A constant of this module, which V8 compiles into the code. */
const LAST_USE: number = DOOMED;

let words: Int32Array | undefined;

/**
 * The pin words of this environment, by region slot. Slot 0 belongs to no region: pinning it is
 * harmless, which spares hot paths a branch.
 */
export function pins(): Int32Array {
  words ??= new Int32Array(native().pins);
  return words;
}

/** Marks one more kernel use of a region. */
export function pin(slot: number): void {
  const table = pins();
  table[slot] = table[slot]! + 1;
}

/** Ends one kernel use. The last one of a collected buffer unmaps the memory. */
export function unpin(slot: number): void {
  const table = pins();
  const left = (table[slot]! - 1) | 0;
  table[slot] = left;
  if (left === LAST_USE) native().unmap(slot);
}
