/**
 * Pause: what a look in vain ends with, in a loop that looks for one thing only.
 *
 * A processor runs ahead of such a loop: when the word changes at last, it throws away the looks it has
 * begun already. Machine code has an instruction against that, `pause`; JavaScript has `Atomics.pause()`
 * from Node 24 on, which takes longer than what it saves. So there are two operations to wait for: each
 * division needs the result of the one before. (A round trip of two threads that spin: 125 ns without,
 * 114 ns with it; on Node 26 108 ns without, 116 ns with `Atomics.pause()`.)
 */
const chain = new Float64Array(1);

/** Has the processor wait for some nanoseconds. */
export function pause(): void {
  chain[0] = (chain[0]! / 3 + 1.5) / 1.7;
}
