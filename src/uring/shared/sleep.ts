/**
 * Sleeping until the ring has completions, or another thread has passed some on. It uses the same
 * memory each time: a thread may sleep as often as it submits.
 */
import { ERRNO, SystemError } from '../../sys/errors.ts';
import { POLL } from '../../sys/linux.ts';
import { native } from '../../sys/native.ts';
import { SYSCALLS } from '../../sys/syscalls.ts';

/** What has ended a sleep. */
export const SLEEP = { OVER: 0, WOKEN: 1, READY: 2 } as const;

/** Puts one thread to sleep. */
export class Sleeper {
  /** Two of `struct pollfd`, and a `struct timespec`. */
  readonly #table: Int32Array;
  readonly #time = new Int32Array(4);

  constructor(wakeFd: number, ringFd: number) {
    this.#table = Int32Array.of(wakeFd, POLL.IN, ringFd, POLL.IN);
  }

  /**
   * Sleeps for at most so many milliseconds.
   *
   * @param both - Whether completions of the ring end it, too.
   * @returns Bits of `SLEEP`.
   */
  sleep(milliseconds: number, both: boolean): number {
    const table = this.#table;
    const time = this.#time;
    const seconds = Math.floor(milliseconds / 1000);
    time[0] = seconds;
    time[2] = (milliseconds - seconds * 1000) * 1e6;
    table[1] = POLL.IN;
    table[3] = POLL.IN;
    const count = both ? 2 : 1;
    const result = native().syscall(SYSCALLS.ppoll, table, count, time, null, 0);
    if (result === ERRNO.EINTR) return SLEEP.OVER;
    if (result < 0) throw new SystemError(result, 'ppoll');
    // The upper half of an entry's second word is what has happened.
    const woken = table[1] >>> 16 === 0 ? 0 : SLEEP.WOKEN;
    return both && table[3] >>> 16 !== 0 ? woken | SLEEP.READY : woken;
  }
}
