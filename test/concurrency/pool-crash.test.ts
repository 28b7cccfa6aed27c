/**
 * A thread of a pool dies after any one of its stores: what the others find afterwards is right.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Geometry } from '#src/pool/geometry.js';
import { Ledger } from '#src/pool/ledger.js';
import { HOME, Tables } from '#src/pool/tables.js';
import { HEAD } from '#src/pool/words.js';

const CAPACITY = 12;
const VICTIM = 2 * HOME + 1;

/** Thrown in place of the store after which the thread is gone. */
class Crash extends Error {}

/** Tables whose words end the thread at a store. */
class CrashingTables extends Tables {
  /** Stores that are still made; the next one is not. */
  left = Infinity;
  declare readonly words: Int32Array;

  constructor(geometry: Geometry, shared: SharedArrayBuffer) {
    super(geometry, shared);
    const real = this.words;
    const words = new Proxy(real, {
      get: (target, key) => (key === 'buffer' ? target.buffer : Reflect.get(target, key, target)),
      set: (target, key, value) => {
        this.count();
        return Reflect.set(target, key, value, target);
      },
    });
    behind.set(words, [real, this]);
    Object.defineProperty(this, 'words', { value: words });
  }

  count(): void {
    if (this.left-- <= 0) throw new Crash();
  }
}

const behind = new WeakMap<object, [Int32Array, CrashingTables]>();

/** Atomics take no proxy: those that the tables use are led to the words behind it. */
for (const name of ['load', 'compareExchange', 'exchange', 'notify', 'store', 'add'] as const) {
  const real = Atomics[name] as (words: Int32Array, ...rest: number[]) => number;
  const led = (words: Int32Array, ...rest: number[]): number => {
    const [target, tables] = behind.get(words) ?? [words];
    if (name === 'store' || name === 'add') tables?.count();
    return real(target, ...rest);
  };
  Object.defineProperty(Atomics, name, { value: led });
}

/** A pool with two members, of which the second can crash. */
class Scene {
  readonly tables: Tables;
  readonly home: Ledger;
  readonly victim: Ledger;
  readonly crashing: CrashingTables;
  /** Slots that the home holds. */
  readonly held: number[] = [];

  constructor() {
    const geometry = new Geometry(4096, CAPACITY, 4096);
    this.tables = new Tables(geometry);
    const shared = this.tables.words.buffer as unknown as SharedArrayBuffer;
    this.crashing = new CrashingTables(geometry, shared);
    const discard = (): boolean => true;
    const isDead = (serial: number): boolean => serial === VICTIM;
    this.home = new Ledger(this.tables, { serial: HOME, discard, isDead });
    this.victim = new Ledger(this.crashing, { serial: VICTIM, discard, isDead });
    this.home.shared = true;
    this.victim.shared = true;
  }

  take(length: number): void {
    this.held.push(this.home.tryTake(length));
    assert.ok(this.held.at(-1)! > 0);
  }

  /** After the crash: the home repairs, is served all it waits for, and everything comes back. */
  check(waits: number): void {
    const { words } = this.tables;
    this.home.takeBack(1);
    this.home.collect();
    for (let left = waits; left > 0 || this.held.length > 0;) {
      const { told } = this.home;
      left -= told.length / 2;
      this.held.push(...told.splice(0).filter((_, index) => index % 2 === 1));
      const slot = this.held.pop();
      assert.ok(slot !== undefined && slot > 0, `${left} waiters are never served`);
      this.home.giveBack(slot, 0);
    }
    assert.deepEqual([words[HEAD.USED], words[HEAD.ALLOCATIONS], words[HEAD.WAITERS]], [0, 0, 0]);
    for (const length of [1, 2, 3, 6]) assert.ok(this.home.tryTake(length) > 0);
    assert.equal(words[HEAD.USED], CAPACITY);
    assert.ok(words[HEAD.RESIDENT_PAGES]! <= CAPACITY, `${words[HEAD.RESIDENT_PAGES]} pages`);
    assert.equal(this.home.tryTake(1), 0);
  }
}

/** Does something with a scene and returns what the victim does then; `waits` is of the home. */
interface Situation {
  readonly waits: number;
  readonly prepare: (scene: Scene) => () => unknown;
}

const situations: Record<string, Situation> = {
  'takes a run': {
    waits: 0,
    prepare: (scene) => {
      scene.take(3);
      return () => scene.victim.tryTake(2);
    },
  },
  'takes a run, and others are discarded for it': {
    waits: 0,
    prepare: (scene) => {
      scene.take(5);
      scene.take(5);
      for (const slot of scene.held.splice(0)) scene.home.giveBack(slot, 0);
      scene.take(5);
      return () => scene.victim.tryTake(4);
    },
  },
  'releases, and serves three who wait': {
    waits: 3,
    prepare: (scene) => {
      scene.take(4);
      const slot = scene.victim.tryTake(8);
      for (const length of [1, 3, 4]) scene.home.enqueue(length, 0, false);
      return () => scene.victim.giveBack(slot, 0);
    },
  },
  'asks and waits': {
    waits: 1,
    prepare: (scene) => {
      scene.take(10);
      scene.home.enqueue(3, 0, false);
      return () => scene.victim.enqueue(2, 1, false);
    },
  },
  'gives up, and who waits behind it is served': {
    waits: 2,
    prepare: (scene) => {
      scene.take(6);
      const waiter = scene.victim.enqueue(12, 0, false);
      scene.home.enqueue(2, 0, false);
      scene.home.enqueue(3, 0, false);
      return () => scene.victim.leave(waiter, false);
    },
  },
  'hands a run on': {
    waits: 1,
    prepare: (scene) => {
      const slot = scene.victim.tryTake(7);
      scene.take(2);
      scene.home.enqueue(9, 0, false);
      return () => scene.victim.post(slot, 0, false);
    },
  },
  'adopts a run and releases it': {
    waits: 1,
    prepare: (scene) => {
      const parcel = scene.victim.post(scene.victim.tryTake(7), 0, true);
      const generation = scene.victim.generation(parcel);
      scene.home.enqueue(9, 0, false);
      return () => {
        const { slot } = scene.victim.adopt(parcel, generation)!;
        scene.victim.giveBack(slot, parcel);
        scene.victim.giveBack(slot, 0);
      };
    },
  },
  'gives memory back': {
    waits: 0,
    prepare: (scene) => {
      for (const length of [5, 3, 2, 1]) scene.take(length);
      for (const slot of scene.held.splice(1, 2)) scene.home.giveBack(slot, 0);
      return () => scene.victim.shrinkTo(0);
    },
  },
};

describe('a thread that dies after any of its stores', () => {
  for (const [name, { waits, prepare }] of Object.entries(situations)) {
    it(`while it ${name}`, (test) => {
      let crashes = 0;
      for (let stores = 0; ; stores++) {
        const scene = new Scene();
        const act = prepare(scene);
        scene.crashing.left = stores;
        let ended = true;
        try {
          act();
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
          ended = false;
          crashes++;
        }
        scene.check(waits);
        if (ended) break;
      }
      test.diagnostic(`${crashes} moments`);
      assert.ok(crashes > 5);
    });
  }
});
