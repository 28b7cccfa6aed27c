/**
 * Spare mirrors: the memory of closed rings, kept for the next ring of that capacity.
 *
 * To map a ring, touch its pages for the first time and unmap it takes some 50 us, and 3 us more for
 * each page that is used. To wrap in a new buffer what is mapped already takes 2 us, which makes
 * short-lived rings affordable. What is kept is bounded, and given back when it was not used for a while.
 */
import type { Mapping } from '../sys/mapping.ts';
import { Region } from './region.ts';
import type { Run } from './runs.ts';

/** Larger rings are seldom short-lived. */
const MOST_BYTES_EACH = 2 ** 20;

/** At most so much is kept by a thread. */
const MOST_BYTES = 2 ** 22;
const MOST_SPARES = 64;

/** How often unused spares are looked for: each is kept for one to two times as long. */
const HOUSEKEEPING_MS = 500;

/** A mirror without a ring. */
interface Spare {
  readonly capacity: number;
  readonly mapping: Mapping;
  readonly runs: readonly Run[];
  /** Whether it was there already when unused spares were last looked for. */
  old: boolean;
}

/** Oldest first: what was used last is taken, as it is most likely in the processor's caches. */
const spares: Spare[] = [];
let bytes = 0;
let housekeeping: NodeJS.Timeout | undefined;

/** Takes a spare of that capacity, if there is one. Its memory holds what its last ring left. */
export function takeSpare(
  capacity: number,
): { readonly region: Region; readonly runs: readonly Run[] } | undefined {
  const index = spares.findLastIndex((spare) => spare.capacity === capacity);
  if (index < 0) return undefined;
  const [spare] = spares.splice(index, 1);
  bytes -= capacity;
  return { region: new Region(spare!.mapping), runs: spare!.runs };
}

/**
 * Closes a mirror, and keeps its memory if there is room for it.
 *
 * @throws {AnnulusError} `ERR_REGION_BUSY` while the kernel uses the memory.
 */
export function closeOrSpare(region: Region, capacity: number, runs: readonly Run[]): void {
  const fits = bytes + capacity <= MOST_BYTES && spares.length < MOST_SPARES;
  const mapping = fits && capacity <= MOST_BYTES_EACH ? region.retire() : undefined;
  if (mapping === undefined) {
    region.close();
    return;
  }
  spares.push({ capacity, mapping, runs, old: false });
  bytes += capacity;
  housekeeping ??= setInterval(dropUnused, HOUSEKEEPING_MS).unref();
}

function dropUnused(): void {
  for (const spare of spares.filter(({ old }) => old)) drop(spare);
  for (const spare of spares) spare.old = true;
  if (spares.length > 0) return;
  clearInterval(housekeeping);
  housekeeping = undefined;
}

function drop(spare: Spare): void {
  spares.splice(spares.indexOf(spare), 1);
  bytes -= spare.capacity;
  new Region(spare.mapping).close();
}

/** Gives all spares back: for tests that count what is mapped. */
export function dropSpares(): void {
  while (spares.length > 0) drop(spares[0]!);
}
