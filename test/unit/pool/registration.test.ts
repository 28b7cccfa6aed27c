/**
 * The accounting of a pool's memory while slabs are registered and let go of: the sums that are kept
 * are those that can be computed from what the slots say of themselves.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { BufferPool } from 'annulus/pool';
import type { Allocation } from 'annulus/pool';
import { geometryOf } from '#src/pool/handle.js';
import { Queue } from '#src/pool/queue.js';
import { repair } from '#src/pool/repair.js';
import { Slots } from '#src/pool/slots.js';
import { HOME, Tables } from '#src/pool/tables.js';
import { HEAD } from '#src/pool/words.js';
import { pageSize } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../../support/random.js';
import type { RandomInteger } from '../../support/random.js';

const seed = printedSeed();
const page = pageSize();
const SUMS = ['USED', 'ALLOCATIONS', 'RESIDENT_PAGES', 'TAIL_PAGES'] as const;

type Sums = Readonly<Record<(typeof SUMS)[number], number>>;

/** A pool whose slabs are registered and let go of at random. */
class Registering {
  readonly pool: BufferPool;
  readonly runs: Allocation[] = [];
  readonly #tables: Tables;
  readonly #registered = new Set<number>();

  constructor(buffers: number) {
    const sizes = { bufferSize: page, maxMemory: buffers * page };
    this.pool = new BufferPool({ ...sizes, trimAfter: Infinity });
    const { handle } = this.pool;
    this.#tables = new Tables(geometryOf(handle.settings), handle.tables);
  }

  /** What the pool asks of who has registered its slabs. */
  letGo(): void {
    for (const slab of this.#registered) this.pool.unpinSlab(slab);
    this.#registered.clear();
  }

  /** Does one thing. */
  step(random: RandomInteger): void {
    const run = this.runs[random(Math.max(1, this.runs.length))];
    const { slabs } = this.pool;
    const slab = slabs[random(Math.max(1, slabs.length))]?.number;
    switch (random(8)) {
      case 0:
        if (random(4) === 0) this.pool.trim();
        break;
      case 1:
        if (slab === undefined || this.#registered.has(slab)) break;
        if (this.pool.pinSlab(slab, this)) this.#registered.add(slab);
        break;
      case 2:
        if (slab !== undefined && this.#registered.delete(slab)) this.pool.unpinSlab(slab);
        break;
      case 3:
      case 4:
        if (run === undefined) break;
        this.runs.splice(this.runs.indexOf(run), 1);
        run.release();
        break;
      default: {
        const taken = this.pool.tryAllocate(1 + random(1 + random(this.pool.capacity)));
        if (taken !== undefined) this.runs.push(taken);
      }
    }
  }

  /** The sums as they are kept. */
  get kept(): Sums {
    const { words } = this.#tables;
    return Object.fromEntries(SUMS.map((name) => [name, words[HEAD[name]]])) as Sums;
  }

  /** The sums as the slots have them, by which the tables go from now on. */
  computed(): Sums {
    const slots = new Slots(this.#tables, () => false);
    repair(this.#tables, new Queue(this.#tables, slots, HOME));
    return this.kept;
  }
}

describe('the sums of a pool', () => {
  it('are right whatever is registered meanwhile', async () => {
    const random = randomFrom(seed);
    let registered = 0;
    // Many short lives: once there was too little room, a pool lets nothing be registered for a second.
    for (let life = 0; life < 100; life++) {
      const buffers = [1, 7, 64, 700, 3000, 4096, 20_000][life % 7]!;
      // Computing the sums sorts the free slots again, which some lives do at their ends only.
      const interval = life % 2 === 0 ? 10 : 99;
      const registering = new Registering(buffers);
      const { pool } = registering;
      for (let step = 0; step < 100; step++) {
        registering.step(random);
        registered += pool.stats.registeredSlabs;
        const { resident, used } = pool.stats;
        assert.ok(resident >= used && resident <= pool.maxMemory, `${used}, ${resident}`);
        if (step % interval !== 0) continue;
        const { kept } = registering;
        assert.deepEqual(registering.computed(), kept);
      }
      for (const run of registering.runs) run.release();
      registering.letGo();
      pool.trim();
      assert.deepEqual([pool.stats.resident, pool.stats.registeredSlabs], [0, 0]);
      await pool.close();
    }
    assert.ok(registered > 0);
  });
});
