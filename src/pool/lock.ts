/**
 * Lock: mutual exclusion of the threads of a pool over its tables, which outlives a holder's death.
 *
 * The word is 0 when free, else the serial of the member that holds it, with CONTENDED set while
 * somebody may sleep on it. A thread may be terminated at any moment, so a sleeper looks now and then
 * whether the holder still lives, and takes the lock over from a dead one; it then has to repair what
 * that one left half done.
 */
import { CONTENDED, HEAD } from './words.ts';

/** Looks at a lock that is about to be free, before sleeping: critical sections are this short. */
const SPINS = 200;

/** How long a sleeper waits before it asks whether the holder lives. */
const ASK_MS = 20;

/** Says whether the member of a serial has ended. */
export type IsDead = (serial: number) => boolean;

/** Takes the lock. Returns true if its holder had died: the tables must be repaired. */
export function acquire(words: Int32Array, serial: number, isDead: IsDead): boolean {
  // SYNC POINT: pairs with the exchange in release(); what the last holder stored is seen.
  if (Atomics.compareExchange(words, HEAD.LOCK, 0, serial) === 0) return false;
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.load(words, HEAD.LOCK) !== 0) continue;
    if (Atomics.compareExchange(words, HEAD.LOCK, 0, serial) === 0) return false;
  }
  return sleep(words, serial, isDead);
}

/** Gives the lock back, and wakes one sleeper if there may be any. */
export function release(words: Int32Array): void {
  // SYNC POINT: publishes all plain stores made under the lock.
  const held = Atomics.exchange(words, HEAD.LOCK, 0);
  if ((held & CONTENDED) !== 0) Atomics.notify(words, HEAD.LOCK, 1);
}

function sleep(words: Int32Array, serial: number, isDead: IsDead): boolean {
  for (;;) {
    const held = Atomics.load(words, HEAD.LOCK);
    if (held === 0) {
      // Others may sleep as well, and only the word says so: it is taken with the mark set.
      const free = Atomics.compareExchange(words, HEAD.LOCK, 0, serial | CONTENDED) === 0;
      if (free) return false;
      continue;
    }
    const marked = held | CONTENDED;
    // SYNC POINT: sleeps only if the mark was seen set, so the holder's exchange will see it too.
    if (Atomics.compareExchange(words, HEAD.LOCK, held, marked) !== held) continue;
    if (Atomics.wait(words, HEAD.LOCK, marked, ASK_MS) !== 'timed-out') continue;
    if (!isDead(held & ~CONTENDED)) continue;
    // SYNC POINT: of several sleepers one takes over. A serial is never used twice.
    const taken = Atomics.compareExchange(words, HEAD.LOCK, marked, serial | CONTENDED);
    if (taken === marked) return true;
  }
}
