/**
 * The wake-up protocol of src/channel/end.ts, step by step and in every interleaving: no side sleeps
 * while there is work for it. Mutations of the protocol do, so the model can tell.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

const AWAKE = 0;
const ASLEEP = 1;

/** What both sides share. One step of a side is one access to it. */
interface Shared {
  head: number;
  tail: number;
  /** State words, and whether the eventfd is signalled: [sender, receiver]. */
  state: [number, number];
  event: [boolean, boolean];
}

/** Sides by index. */
const SENDER = 0;
const RECEIVER = 1;

/** What can be wrong with the protocol. */
type Mutation = 'none' | 'check before flag' | 'no re-check' | 'wake before store' | 'no wake';

/** The program of one side: each step's result is where it goes on. Registers: [own, seen]. */
interface Side {
  /** Where in the program; `DONE` at its end. */
  at: number;
  moved: number;
  /** The other's state, as loaded. */
  seen: number;
}

const DONE = -1;

/** Steps of a side's program. */
const STEP = {
  LOOK: 0,
  MOVE: 1,
  LOAD: 2,
  WAKE: 3,
  FLAG: 4,
  RECHECK: 5,
  WAIT: 6,
  UNFLAG: 7,
} as const;

const names = Object.keys(STEP);

interface World {
  readonly shared: Shared;
  readonly sides: [Side, Side];
}

/** Whether a side has something to do: free space for the sender, content for the receiver. */
function hasWork(shared: Shared, side: number, capacity: number): boolean {
  const used = shared.tail - shared.head;
  return side === SENDER ? used < capacity : used > 0;
}

/** Whether the side can take its next step: only a wait for the eventfd blocks. */
function canStep(world: World, index: number): boolean {
  const side = world.sides[index]!;
  return side.at !== DONE && (side.at !== STEP.WAIT || world.shared.event[index]!);
}

/** Takes one step of a side, in place. */
function step(world: World, index: number, limit: Limit, mutation: Mutation): void {
  const { shared } = world;
  const side = world.sides[index]!;
  const peer = 1 - index;
  switch (side.at) {
    case STEP.LOOK:
      if (side.moved === limit.items) side.at = DONE;
      else if (hasWork(shared, index, limit.capacity)) {
        side.at = mutation === 'wake before store' ? STEP.LOAD : STEP.MOVE;
      } else side.at = mutation === 'check before flag' ? STEP.RECHECK : STEP.FLAG;
      return;
    case STEP.MOVE:
      if (index === SENDER) shared.tail++;
      else shared.head++;
      side.moved++;
      side.at = mutation === 'wake before store' || mutation === 'no wake' ? STEP.LOOK : STEP.LOAD;
      return;
    case STEP.LOAD:
      side.seen = shared.state[peer]!;
      if (side.seen === ASLEEP) side.at = STEP.WAKE;
      else side.at = mutation === 'wake before store' ? STEP.MOVE : STEP.LOOK;
      return;
    case STEP.WAKE:
      // Compare-and-exchange, and the write of the eventfd that nobody can see half done.
      if (shared.state[peer] === ASLEEP) {
        shared.state[peer] = AWAKE;
        shared.event[peer] = true;
      }
      side.at = mutation === 'wake before store' ? STEP.MOVE : STEP.LOOK;
      return;
    case STEP.FLAG:
      if (shared.state[index] === AWAKE) shared.state[index] = ASLEEP;
      side.at =
        mutation === 'check before flag' || mutation === 'no re-check' ? STEP.WAIT : STEP.RECHECK;
      return;
    case STEP.RECHECK:
      if (hasWork(shared, index, limit.capacity)) side.at = STEP.UNFLAG;
      else side.at = mutation === 'check before flag' ? STEP.FLAG : STEP.WAIT;
      return;
    case STEP.WAIT:
      shared.event[index] = false;
      side.at = STEP.UNFLAG;
      return;
    default:
      if (shared.state[index] === ASLEEP) shared.state[index] = AWAKE;
      side.at = STEP.LOOK;
  }
}

interface Limit {
  readonly items: number;
  readonly capacity: number;
}

/** What exploring every interleaving has found. */
interface Outcome {
  readonly states: number;
  /** Ends in which everything was sent and received. */
  readonly complete: number;
  /** Ends in which somebody sleeps for ever, described. */
  readonly stuck: readonly string[];
}

/** Visits every state that any interleaving leads to. */
function explore(limit: Limit, mutation: Mutation): Outcome {
  const first: World = {
    shared: { head: 0, tail: 0, state: [AWAKE, AWAKE], event: [false, false] },
    sides: [
      { at: STEP.LOOK, moved: 0, seen: AWAKE },
      { at: STEP.LOOK, moved: 0, seen: AWAKE },
    ],
  };
  const seen = new Set<string>([JSON.stringify(first)]);
  const open: World[] = [first];
  const stuck: string[] = [];
  let complete = 0;
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    const able = [SENDER, RECEIVER].filter((index) => canStep(world, index));
    if (able.length === 0) {
      if (world.sides.every(({ at }) => at === DONE)) complete++;
      else stuck.push(describeWorld(world));
    }
    for (const index of able) {
      const next = structuredClone(world);
      step(next, index, limit, mutation);
      const key = JSON.stringify(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return { states: seen.size, complete, stuck };
}

function describeWorld({ shared, sides }: World): string {
  const where = sides.map(({ at, moved }) => `${at === DONE ? 'DONE' : names[at]} after ${moved}`);
  return `sender ${where[0]}, receiver ${where[1]}, ${shared.tail - shared.head} in the ring`;
}

const limits: readonly Limit[] = [
  { items: 1, capacity: 1 },
  { items: 4, capacity: 1 },
  { items: 5, capacity: 2 },
  { items: 4, capacity: 4 },
];

describe('the wake-up protocol, in every interleaving', () => {
  it('ends with everything sent and received, and nobody asleep', (t) => {
    for (const limit of limits) {
      const { states, complete, stuck } = explore(limit, 'none');
      t.diagnostic(
        `${limit.items} items, capacity ${limit.capacity}: ${states} states, ${complete} complete, ` +
          `${stuck.length} stuck`,
      );
      assert.deepEqual(stuck, []);
      assert.ok(complete > 0);
      assert.ok(states > 20);
    }
  });

  for (const mutation of [
    'check before flag',
    'no re-check',
    'wake before store',
    'no wake',
  ] as const) {
    it(`would let somebody sleep for ever with this mistake: ${mutation}`, (t) => {
      const stuck = limits.flatMap((limit) => explore(limit, mutation).stuck);
      t.diagnostic(`${stuck.length} stuck, such as: ${stuck[0]}`);
      assert.ok(stuck.length > 0);
    });
  }
});
