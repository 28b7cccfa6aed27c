/**
 * Queue: who waits for budget, and handing it over. Everything here is called under the lock.
 *
 * Fairness. A request is served at once only if nobody waits; else it queues, by priority, then in
 * order of arrival. Whoever lets budget go serves the head of the queue while it fits, before the
 * lock is free again. So budget is handed over: there is nothing to race for, and smaller requests
 * wait behind a large one instead of starving it.
 */
import type { Slots } from './slots.ts';
import { memberOf } from './tables.ts';
import type { Tables } from './tables.ts';
import { HEAD, MEMBER, POOL, SLEEPS, WAIT, WAITER, WAITERS_MAX } from './words.ts';

/** The part of the tables that says who waits. */
export class Queue {
  /** Waiters of this thread that were told, in pairs with their slots (0: the pool has closed). */
  readonly told: number[] = [];
  readonly #tables: Tables;
  readonly #words: Int32Array;
  readonly #slots: Slots;
  readonly #member: number;

  constructor(tables: Tables, slots: Slots, serial: number) {
    this.#tables = tables;
    this.#words = tables.words;
    this.#slots = slots;
    this.#member = memberOf(serial);
  }

  /** Whether the budget has room for a run. */
  fits(length: number): boolean {
    return this.#words[HEAD.USED]! + length <= this.#tables.geometry.buffers;
  }

  /** Queues a request; the waiter's number, or 0 if too many wait. */
  enter(length: number, priority: number, sleeps: boolean): number {
    const words = this.#words;
    let waiter = words[HEAD.WAITER_FREE]!;
    if (waiter !== 0) words[HEAD.WAITER_FREE] = words[this.#tables.waiterAt(waiter) + WAITER.NEXT]!;
    else if (words[HEAD.WAITER_HIGH]! < WAITERS_MAX) waiter = ++words[HEAD.WAITER_HIGH]!;
    if (waiter === 0) return 0;
    const entry = this.#tables.waiterAt(waiter);
    words[entry + WAITER.LENGTH] = length;
    words[entry + WAITER.MEMBER] = sleeps ? this.#member | SLEEPS : this.#member;
    words[entry + WAITER.PRIORITY] = priority;
    words[entry + WAITER.SLOT] = 0;
    words[entry + WAITER.TICKET] = words[HEAD.TICKET]!;
    words[HEAD.TICKET]!++;
    words[entry + WAITER.STATE] = WAIT.WAITING;
    this.link(waiter);
    return waiter;
  }

  /** Serves waiters in order while the next one fits. */
  serve(): void {
    const words = this.#words;
    while (words[HEAD.QUEUE_HEAD] !== 0 && words[HEAD.STATE] === POOL.OPEN) {
      const waiter = words[HEAD.QUEUE_HEAD]!;
      const entry = this.#tables.waiterAt(waiter);
      const length = words[entry + WAITER.LENGTH]!;
      if (!this.fits(length)) return;
      this.unlink(waiter);
      const slot = this.#slots.pick(length);
      // Noted before the slot has an owner: whoever must repair can tell how far this got.
      words[entry + WAITER.SLOT] = slot;
      this.#slots.own(slot, words[entry + WAITER.MEMBER]! & 0xff);
      this.tell(waiter, WAIT.GRANTED);
    }
  }

  /** Ends all waits: the pool closes. */
  refuseAll(): void {
    const words = this.#words;
    for (let waiter = words[HEAD.QUEUE_HEAD]!; waiter !== 0; waiter = words[HEAD.QUEUE_HEAD]!) {
      this.unlink(waiter);
      this.tell(waiter, WAIT.CLOSED);
    }
  }

  /** Tells a waiter that has left the queue how its wait ended. */
  tell(waiter: number, state: number): void {
    const words = this.#words;
    const entry = this.#tables.waiterAt(waiter);
    // SYNC POINT: a sleeper compares this word before it sleeps, so either it does not, or is woken.
    Atomics.store(words, entry + WAITER.STATE, state);
    const member = words[entry + WAITER.MEMBER]!;
    if ((member & SLEEPS) !== 0) {
      Atomics.notify(words, entry + WAITER.STATE);
      return;
    }
    const list = this.#tables.memberAt(member) + MEMBER.TOLD;
    words[entry + WAITER.NEXT] = words[list]!;
    words[list] = waiter;
    if (member !== this.#member) this.#tables.signal(member);
  }

  /** Moves this thread's waiters that were told into `told`, in the order in which they were. */
  collect(): void {
    const words = this.#words;
    const list = this.#tables.memberAt(this.#member) + MEMBER.TOLD;
    if (words[list] === 0) return;
    const pairs: number[] = [];
    for (let waiter = words[list]!, next = 0; waiter !== 0; waiter = next) {
      const entry = this.#tables.waiterAt(waiter);
      next = words[entry + WAITER.NEXT]!;
      pairs.push(words[entry + WAITER.SLOT]!, waiter);
      this.free(waiter);
    }
    words[list] = 0;
    // The list was newest first, pairs were pushed the other way round: turning all sets both right.
    for (let index = pairs.length - 1; index >= 0; index--) this.told.push(pairs[index]!);
  }

  /** Takes a waiter that was told off its member's list. */
  untell(waiter: number): void {
    const words = this.#words;
    let link = this.#tables.memberAt(this.#member) + MEMBER.TOLD;
    while (words[link] !== waiter && words[link] !== 0) {
      link = this.#tables.waiterAt(words[link]!) + WAITER.NEXT;
    }
    words[link] = words[this.#tables.waiterAt(waiter) + WAITER.NEXT]!;
  }

  /** Puts a waiter behind those of its priority and above. */
  link(waiter: number): void {
    const words = this.#words;
    const entry = this.#tables.waiterAt(waiter);
    const priority = words[entry + WAITER.PRIORITY]!;
    let before = words[HEAD.QUEUE_TAIL]!;
    while (before !== 0 && words[this.#tables.waiterAt(before) + WAITER.PRIORITY]! < priority) {
      before = words[this.#tables.waiterAt(before) + WAITER.PREVIOUS]!;
    }
    const next = this.#nextOf(before);
    const behind = words[next]!;
    words[entry + WAITER.PREVIOUS] = before;
    words[entry + WAITER.NEXT] = behind;
    words[next] = waiter;
    words[this.#previousOf(behind)] = waiter;
    words[HEAD.WAITERS]!++;
  }

  unlink(waiter: number): void {
    const words = this.#words;
    const entry = this.#tables.waiterAt(waiter);
    const before = words[entry + WAITER.PREVIOUS]!;
    const behind = words[entry + WAITER.NEXT]!;
    words[this.#nextOf(before)] = behind;
    words[this.#previousOf(behind)] = before;
    words[HEAD.WAITERS]!--;
  }

  free(waiter: number): void {
    const words = this.#words;
    const entry = this.#tables.waiterAt(waiter);
    words[entry + WAITER.STATE] = WAIT.FREE;
    words[entry + WAITER.NEXT] = words[HEAD.WAITER_FREE]!;
    words[HEAD.WAITER_FREE] = waiter;
  }

  /** The word that names who comes after a waiter; after none, it is the head of the queue. */
  #nextOf(waiter: number): number {
    return waiter === 0 ? HEAD.QUEUE_HEAD : this.#tables.waiterAt(waiter) + WAITER.NEXT;
  }

  #previousOf(waiter: number): number {
    return waiter === 0 ? HEAD.QUEUE_TAIL : this.#tables.waiterAt(waiter) + WAITER.PREVIOUS;
  }
}
