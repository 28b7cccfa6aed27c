/** Keeps a fixed number of promise reads in flight. */

import type { Meter } from './meter.ts';
import { ORDER_LENGTH, PAGE_BYTES, pageMatches, pageMatchesFully, pageOrder } from './pages.ts';

/** A way to read pages with promises, with memory for a number of reads in flight. */
export interface PageReader<Result> {
  /** The memory of all lanes, one page each. */
  readonly pages: Int32Array;
  /** Reads 4 KiB at `position` into the memory of `lane`. */
  read(lane: number, position: number): Promise<Result>;
  /** The number of bytes read. Not part of `read`, where it would cost one more promise. */
  count(result: Result): number;
  close(): Promise<void>;
}

/**
 * Runs `depth` endless loops of `await reader.read(...)` until the window of `meter` is over, and
 * checks what arrived.
 */
export async function runLanes<Result>(
  depth: number,
  meter: Meter,
  reader: PageReader<Result>,
): Promise<void> {
  const order = pageOrder();
  const { pages } = reader;
  let next = 0;

  async function runLane(lane: number): Promise<void> {
    const start = lane * (PAGE_BYTES / 4);
    do {
      const index = next++;
      const page = order[index & (ORDER_LENGTH - 1)] as number;
      const count = reader.count(await reader.read(lane, page * PAGE_BYTES));
      if (count !== PAGE_BYTES) throw new Error(`read returned ${count}, expected ${PAGE_BYTES}`);
      const matches =
        index < 4_096 ? pageMatchesFully(pages, start, page) : pageMatches(pages, start, page);
      if (!matches) throw new Error(`lane ${lane} does not hold page ${page}`);
    } while (meter.tick());
  }

  await Promise.all(Array.from({ length: depth }, (_, lane) => runLane(lane)));
}
