/**
 * Which pages of which files make up a ring, and how a resize rearranges them: arithmetic, no memory.
 *
 * A ring is a circle of pages, so what a resize inserts or takes out lies between the end of the content
 * and its beginning, wherever these are; the pages with content keep their order and need not move. Cut
 * open, the circle is a list of runs: pages that follow each other in one file, a mapping each.
 */

/** The most runs of a ring; each is mapped twice, so a ring is at most 8 mappings. */
export const MOST_RUNS = 4;

/** A file in memory with pages of a ring. */
export interface Backing {
  /** Bytes of the file. Pages that nobody has touched cost nothing. */
  readonly size: number;
  /** Whether its pages were set aside when they were mapped, so that no others may be touched. */
  readonly reserved: boolean;
}

/** Pages that follow each other in one file. */
export interface Run {
  readonly file: Backing;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

/** A ring before its resize; positions are bytes. */
export interface Circle {
  readonly runs: readonly Run[];
  readonly capacity: number;
  readonly head: number;
  readonly length: number;
}

/** A range of a mirror. */
export interface Range {
  /** Where it begins; below twice the capacity. */
  readonly from: number;
  readonly length: number;
}

/** What goes from one range of the old mirror to another of the new one. */
export interface Move extends Range {
  readonly to: number;
}

/** How to make a ring of another capacity out of one. */
export interface Plan {
  /** Pages that both will have. The last one may go on in its file behind what the old ring has mapped. */
  readonly kept: readonly Move[];
  /** Runs of the new ring, but for the last one if there are new pages. */
  readonly runs: readonly Run[];
  /** Bytes of new pages at the end of the new ring. */
  readonly fresh: number;
  /** Content that has to be copied, because its pages are not kept. */
  readonly copied: readonly Move[];
  /** Pages of the old ring that the new one does not have. */
  readonly dropped: readonly Range[];
  /** Where the content begins in the new ring. */
  readonly head: number;
}

/** A run or a part of one, and where in the old mirror it is. */
interface Slice extends Run {
  readonly position: number;
  /** Where in the file the pages end that may be touched. */
  readonly reach: number;
}

/**
 * Plans a resize that keeps the content. Pages are copied only where they must be: the last page if it
 * is the first one as well (a full ring that begins inside a page) or does not fit beside it, less than
 * a page of bytes; and the content of the shortest runs at the ends if there were too many runs.
 *
 * @param capacity - Whole pages, at least the content.
 */
export function planResize(old: Circle, capacity: number, page: number): Plan {
  const end = old.head + old.length;
  const first = old.head - (old.head % page);
  const last = Math.max(first + page, Math.ceil(end / page) * page);
  let [from, to] = [first, last];
  if (to - from > Math.min(old.capacity, capacity)) {
    if (end - (to - page) <= from + page - old.head) to -= page;
    else from += page;
  }
  for (;;) {
    const slices = sliceRuns(old, from, to);
    const room = capacity - (to - from);
    const extension = extend(slices, sliceRuns(old, first, last), room);
    const runs = slices.length + (room > extension ? 1 : 0);
    if (runs <= MOST_RUNS) return describe(old, capacity, slices, extension);
    const afterFirst = slices[1]!.position;
    const beforeLast = slices.at(-1)!.position;
    if (afterFirst - old.head <= end - beforeLast) from = afterFirst;
    else to = beforeLast;
  }
}

/** The parts of runs between two positions of the old mirror, joined where the file goes on. */
function sliceRuns(old: Circle, from: number, to: number): Slice[] {
  const slices: Slice[] = [];
  let at = 0;
  for (const run of [...old.runs, ...old.runs]) {
    const start = Math.max(from, at);
    const length = Math.min(to, at + run.length) - start;
    if (length > 0) append(slices, run, start, run.offset + start - at, length);
    at += run.length;
  }
  return slices;
}

function append(slices: Slice[], run: Run, position: number, offset: number, length: number): void {
  const { file } = run;
  const reach = file.reserved ? run.offset + run.length : file.size;
  const before = slices.at(-1);
  if (before?.file === file && before.offset + before.length === offset) {
    slices[slices.length - 1] = { ...before, length: before.length + length, reach };
  } else {
    slices.push({ file, offset, length, position, reach });
  }
}

/** How many of `room` bytes can be had by going on in the file of the last slice. */
function extend(slices: readonly Slice[], content: readonly Slice[], room: number): number {
  const { file, offset, length, reach } = slices.at(-1)!;
  const start = offset + length;
  // Pages with content are in the way, also when they are to be copied: they are read after this.
  const inTheWay = content
    .filter((slice) => slice.file === file && slice.offset + slice.length > start)
    .map((slice) => Math.max(slice.offset, start));
  return Math.max(0, Math.min(room, Math.min(reach, ...inTheWay) - start));
}

function describe(old: Circle, capacity: number, slices: Slice[], extension: number): Plan {
  const from = slices[0]!.position;
  const last = slices.at(-1)!;
  const to = last.position + last.length;
  slices[slices.length - 1] = { ...last, length: last.length + extension };
  const runs = slices.map(({ file, offset, length }) => ({ file, offset, length }));
  const end = old.head + old.length;
  const head = (old.head - from + capacity) % capacity;
  return {
    kept: slices.map(({ position, length }) => ({ from: position, to: position - from, length })),
    runs,
    fresh: capacity - (to - from) - extension,
    copied: [
      { from: old.head, to: head, length: Math.max(0, from - old.head) },
      { from: to, to: (to - from) % capacity, length: Math.max(0, end - to) },
    ].filter(({ length }) => length > 0),
    dropped: dropRuns(old.runs, runs),
    head,
  };
}

/** Where in the old mirror those pages are that no new run has. */
function dropRuns(old: readonly Run[], runs: readonly Run[]): Range[] {
  const dropped: Range[] = [];
  let at = 0;
  for (const { file, offset, length } of old) {
    let start = offset;
    const taken = runs.filter((run) => run.file === file).toSorted((a, b) => a.offset - b.offset);
    for (const run of [...taken, { offset: offset + length, length: 0 }]) {
      const end = Math.min(run.offset, offset + length);
      if (end > start) dropped.push({ from: at + start - offset, length: end - start });
      start = Math.max(start, run.offset + run.length);
    }
    at += length;
  }
  return dropped;
}
