/**
 * Zero-copy sends behind a link. If their chain breaks before them, the kernel completes them with
 * -ECANCELED and without `F_MORE`, and all the same with a notification later (seen on Linux 6.18):
 * two ends of one request, of which one must be counted. A request that fails to be prepared ends
 * the same way without a notification, so what is to come cannot be told from the first completion.
 *
 * So each has a number of its own for its hold. What ended without `F_MORE` has ended; its number is
 * kept out of use until the notification that belongs to nobody comes, if it does. In native/ring.c,
 * once the thread has ended, such requests end with their notification only: if there is none, it
 * waits in vain and leaks their memory.
 */
import { CONTROL } from '../sys/native.ts';

/** Marks a hold as the number of a notice; native/ring.c knows it too. */
export const NOTICE: number = 1 << 26;

/** What a notice has in place of a hold once its request has ended, and while it is free. */
const [ENDED, FREE] = [-1, 0];

/** The notices of one ring. */
export class Notices {
  readonly #holds: number[] = [];
  readonly #free: number[] = [];

  /** A notice in place of the hold of a request, which has one. */
  take(hold: number): number {
    const index = this.#free.pop() ?? this.#holds.length;
    this.#holds[index] = hold;
    return NOTICE | index;
  }

  /**
   * The request has ended, and a notification may come yet.
   *
   * @param control - The ring's control block, which tells the shim how many may.
   * @returns Its hold, to be released; 0 for a notice that is none of the ring's.
   */
  end(notice: number, control: Int32Array): number {
    const index = notice & ~NOTICE;
    const hold = this.#holds[index] ?? FREE;
    if (hold <= FREE) return FREE;
    this.#holds[index] = ENDED;
    control[CONTROL.LATE]!++;
    return hold;
  }

  /** A notification came: whether the request had ended before, so that it is nobody's. */
  isLate(notice: number, control: Int32Array): boolean {
    if (this.#holds[notice & ~NOTICE] !== ENDED) return false;
    control[CONTROL.LATE]!--;
    this.release(notice);
    return true;
  }

  /** The request has ended for good; its hold. */
  release(notice: number): number {
    const index = notice & ~NOTICE;
    const hold = this.#holds[index] ?? FREE;
    if (hold === FREE) return FREE;
    this.#holds[index] = FREE;
    this.#free.push(index);
    return hold;
  }
}
