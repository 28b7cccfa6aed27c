/**
 * Looks whether a pool serves its waiters in order, from outside and while others use it.
 *
 * Each waiter gets the next ticket, under the pool's lock. Who remembers the next ticket before he
 * asks may, once he was served, find nobody waiting with an older one, unless of a lower priority.
 */

import assert from 'node:assert/strict';

import type { BufferPool, BufferPoolHandle } from 'annulus/pool';
import { geometryOf } from '#src/pool/handle.js';
import { Tables } from '#src/pool/tables.js';
import { HEAD, WAIT, WAITER } from '#src/pool/words.js';

/** Watches one pool for one thread. */
export class ServingOrder {
  readonly #pool: BufferPool;
  readonly #tables: Tables;

  constructor(pool: BufferPool, handle: BufferPoolHandle) {
    this.#pool = pool;
    this.#tables = new Tables(geometryOf(handle.settings), handle.tables);
  }

  /** The next ticket: to be asked for before a request is made. */
  get ticket(): number {
    return Atomics.load(this.#tables.words, HEAD.TICKET);
  }

  /** To be called when the request is served: fails if somebody was overtaken. */
  check(ticket: number, priority: number): void {
    const { words } = this.#tables;
    const high = Atomics.load(words, HEAD.WAITER_HIGH);
    for (let waiter = 1; waiter <= high; waiter++) {
      const entry = this.#tables.waiterAt(waiter);
      const older = this.#olderThan(ticket, entry);
      if (older === undefined) continue;
      if (Atomics.load(words, entry + WAITER.STATE) !== WAIT.WAITING) continue;
      if (Atomics.load(words, entry + WAITER.PRIORITY) < priority) continue;
      // Only what is read under the lock is sure to belong together: the state may have been of a
      // new waiter, and the ticket of the last one. Taking the lock shows the new one's ticket.
      this.#pool.tryAllocate(1)?.release();
      assert.notEqual(this.#olderThan(ticket, entry), older, `ticket ${older} was overtaken`);
    }
  }

  /** A waiter's ticket if it is an older one. */
  #olderThan(ticket: number, entry: number): number | undefined {
    const other = Atomics.load(this.#tables.words, entry + WAITER.TICKET);
    return ((other - ticket) | 0) < 0 ? other : undefined;
  }
}
