/**
 * A plain model of a pool, and random operations that are done to both and compared after each.
 */

import assert from 'node:assert/strict';

import { BufferPool } from 'annulus/pool';
import type { Allocation, AllocationHandle } from 'annulus/pool';

/** What an operation does; two numbers choose its details. */
export type Operation = readonly [kind: number, first: number, second: number];

/** How many kinds there are; kinds that are drawn more often have several numbers. */
export const KINDS = 14;

/** A size with packed slots, slots of part of a page, and slots of several. */
const BUFFER_SIZE = 700;
export const CAPACITY = 40;

interface Request {
  readonly id: number;
  readonly length: number;
  readonly priority: number;
  readonly pool: BufferPool;
  readonly controller: AbortController;
  promise: Promise<Allocation>;
  run: Allocation | undefined;
}

/** One run of the model: the references to it, and handles of it under way. */
interface Run {
  readonly id: number;
  readonly length: number;
  readonly references: Allocation[];
  readonly handles: AllocationHandle[];
}

/** A pool and its model. */
export class ModelledPool {
  readonly #home = new BufferPool({ bufferSize: BUFFER_SIZE, maxMemory: CAPACITY * BUFFER_SIZE });
  readonly #attached = BufferPool.attach(this.#home.handle);
  #used = 0;
  #peak = 0;
  #ids = 0;
  readonly #queue: Request[] = [];
  /** Served by the model; the promise may be settled a little later. */
  readonly #served: Request[] = [];
  readonly #runs: Run[] = [];

  /** Does one operation to both, and compares. */
  async do([kind, first, second]: Operation): Promise<void> {
    const pool = second % 4 === 3 ? this.#attached : this.#home;
    const length = 1 + (first % (second % 5 === 0 ? CAPACITY : 6));
    if (kind < 4) this.#allocate(pool, length, (second >> 3) % 3);
    else if (kind === 4) this.#tryAllocate(pool, length);
    else if (kind < 9) await this.#release(first);
    else if (kind === 9) await this.#retain(first);
    else if (kind === 10) await this.#abort(first);
    else if (kind === 11) await this.#pass(first, pool);
    else if (kind === 12) pool.trim();
    else await assert.rejects(pool.allocate(CAPACITY + 1 + first), { code: 'ERR_OUT_OF_RANGE' });
    this.#compare();
  }

  /** Releases all there is, and closes. */
  async finish(): Promise<void> {
    while (this.#served.length + this.#runs.length > 0) {
      await this.#release(0);
      this.#compare();
    }
    assert.equal(this.#queue.length, 0);
    await this.#attached.close();
    await this.#home.close();
    assert.equal(this.#home.stats.used, 0);
  }

  #compare(): void {
    const { used, peak, allocations, waiters, leaked } = this.#home.stats;
    assert.deepEqual(
      { used, peak, allocations, waiters, leaked },
      {
        used: this.#used * BUFFER_SIZE,
        peak: this.#peak * BUFFER_SIZE,
        allocations: this.#runs.length + this.#served.length,
        waiters: this.#queue.length,
        leaked: 0,
      },
    );
  }

  #allocate(pool: BufferPool, length: number, priority: number): void {
    const controller = new AbortController();
    const promise = pool.allocate(length, { priority, signal: controller.signal });
    const id = ++this.#ids;
    const request = { id, length, priority, pool, controller, promise, run: undefined };
    promise.catch(() => {}); // an aborted one is looked at when it is aborted
    const behind = this.#queue.findIndex((other) => other.priority < priority);
    this.#queue.splice(behind < 0 ? this.#queue.length : behind, 0, request);
    this.#serve();
  }

  #tryAllocate(pool: BufferPool, length: number): void {
    const run = pool.tryAllocate(length);
    const expected = this.#queue.length === 0 && this.#used + length <= CAPACITY;
    assert.equal(run !== undefined, expected);
    if (run === undefined) return;
    this.#charge(length);
    this.#keep(++this.#ids, run);
  }

  #serve(): void {
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || this.#used + next.length > CAPACITY) return;
      this.#queue.shift();
      this.#charge(next.length);
      this.#served.push(next);
    }
  }

  #charge(length: number): void {
    this.#used += length;
    this.#peak = Math.max(this.#peak, this.#used);
  }

  #keep(id: number, allocation: Allocation): Run {
    allocation.bytes.fill(id);
    const run = { id, length: allocation.length, references: [allocation], handles: [] };
    this.#runs.push(run);
    return run;
  }

  /** One of the runs; takes those that were served over first. */
  async #choose(number: number): Promise<Run | undefined> {
    for (const request of this.#served.splice(0)) {
      const run = await request.promise;
      assert.equal(run.length, request.length);
      this.#keep(request.id, run);
    }
    return this.#runs[number % this.#runs.length];
  }

  async #release(number: number): Promise<void> {
    const run = await this.#choose(number);
    if (run === undefined) return;
    const handle = run.handles.pop();
    if (handle !== undefined) run.references.push(this.#home.adopt(handle));
    const reference = run.references.splice(number % run.references.length, 1)[0]!;
    const { bytes } = reference;
    assert.equal(bytes.length, run.length * BUFFER_SIZE);
    // Any other run in the same place would have left its own mark.
    for (let at = 0; at < bytes.length; at += 350) assert.equal(bytes[at], run.id & 0xff);
    reference.release();
    assert.throws(() => reference.release(), { code: 'ERR_ANNULUS_DOUBLE_RELEASE' });
    if (run.references.length + run.handles.length > 0) return;
    this.#runs.splice(this.#runs.indexOf(run), 1);
    this.#used -= run.length;
    this.#serve();
  }

  async #retain(number: number): Promise<void> {
    const run = await this.#choose(number);
    const reference = run?.references[0];
    if (run !== undefined && reference !== undefined) run.references.push(reference.retain());
  }

  async #abort(number: number): Promise<void> {
    const request = this.#queue[number % this.#queue.length];
    if (request === undefined) return;
    this.#queue.splice(this.#queue.indexOf(request), 1);
    request.controller.abort();
    await assert.rejects(request.promise, { code: 'ABORT_ERR' });
    this.#serve();
  }

  /** Moves a reference, and adopts one that was moved before. */
  async #pass(number: number, pool: BufferPool): Promise<void> {
    const run = await this.#choose(number);
    if (run === undefined) return;
    const reference = run.references.pop();
    if (reference !== undefined) {
      run.handles.push(reference.move());
      assert.throws(() => reference.bytes, { code: 'ERR_ANNULUS_RELEASED' });
    }
    if (number % 3 === 0) return;
    const handle = run.handles.pop()!;
    run.references.push(pool.adopt(handle));
    assert.throws(() => pool.adopt(handle), { code: 'ERR_ANNULUS_RELEASED' });
  }
}
