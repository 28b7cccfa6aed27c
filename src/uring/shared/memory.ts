/**
 * The memory of a shared ring: mapped once by the thread that makes it, wrapped by each that joins.
 */
import { pageSize } from '../../sys/linux.ts';
import { Region } from '../../memory/region.ts';
import { setUpQueues } from '../setup.ts';
import type { Queues } from '../setup.ts';
import type { SharedRingHandle } from './handle.ts';
import { HEAD, MAGIC, MEMBER, RING } from './layout.ts';
import type { Layout } from './layout.ts';
import { SETUP } from '../../sys/abi.ts';

/** What one thread has of a shared ring. */
export interface SharedMemory extends Queues {
  readonly tables: Region;
  /** Words shared with the shim, of this thread alone. */
  readonly control: Region;
}

/**
 * Flag sets to try. Completions interrupt the thread that submitted a request, because it may be in
 * no hurry to enter the kernel while another thread waits for them.
 */
const LADDER: readonly number[] = [
  SETUP.SUBMIT_ALL, // 5.18
  0, // 5.6: an enter stops at the first bad request, and is repeated
];

/** Sets up a ring, and the tables that go with it. */
export function makeMemory(layout: Layout): SharedMemory {
  const options = { entries: layout.sqEntries, completionEntries: layout.cqEntries };
  const queues = setUpQueues(options, LADDER);
  const tables = Region.allocate(layout.words * 4);
  const words = new Int32Array(tables.buffer);
  for (let member = 0; member < layout.threads; member++) {
    words[layout.memberAt(member) + MEMBER.GONE] = 1;
  }
  words[HEAD.STATE] = RING.OPEN;
  words[HEAD.MAGIC] = MAGIC;
  return { ...queues, tables, control: Region.allocate(pageSize()) };
}

/** Wraps what another thread has mapped; the descriptor is still that thread's. */
export function wrapMemory(handle: SharedRingHandle): SharedMemory {
  const wrapped: Region[] = [];
  const wrap = (id: number): Region => {
    const region = Region.attach(id);
    wrapped.push(region);
    return region;
  };
  try {
    const { rings, sqes, tables, ...plain } = handle.queues;
    const memory = { rings: wrap(rings), sqes: wrap(sqes), tables: wrap(tables) };
    return { ...plain, ...memory, sqesAt: 0, given: false, control: Region.allocate(pageSize()) };
  } catch (error) {
    for (const region of wrapped) region.close();
    throw error;
  }
}

/** Lets go of it; other threads keep theirs. */
export function unmap(memory: SharedMemory): void {
  for (const region of [memory.control, memory.tables, memory.sqes, memory.rings]) region.close();
}
