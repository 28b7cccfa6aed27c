/**
 * A mirror: pages mapped twice in a row, so that what runs past the end of the first mapping continues
 * in the second, which is the start of the ring.
 */
import { AnnulusError } from '../sys/errors.ts';
import { close, pageSize } from '../sys/linux.ts';
import { mapAgain } from '../sys/mapping.ts';
import type { Piece } from '../sys/mapping.ts';
import { removePages } from '../sys/pages.ts';
import { openBacking } from './backing.ts';
import type { OpenBacking, RingBacking } from './backing.ts';
import { Region } from './region.ts';
import { planResize } from './runs.ts';
import type { Plan, Range, Run } from './runs.ts';
import { closeOrSpare, takeSpare } from './spares.ts';

/**
 * Maps a file whose header is followed by a ring of `capacity` bytes, and then the ring once more; the
 * shared memory of channels is like that. Both are whole pages.
 */
export function mapMirrored(fd: number, capacity: number, headerBytes: number = 0): Region {
  const once = headerBytes + capacity;
  return Region.map(once + capacity, [
    { at: 0, length: once, fd, offset: 0 },
    { at: once, length: capacity, fd, offset: headerBytes },
  ]);
}

/** The mirror of a ring, whose pages can be given to a mirror of another capacity. */
export class Mirror {
  readonly region: Region;
  readonly capacity: number;
  readonly #kind: RingBacking | undefined;
  readonly #runs: readonly Run[];

  private constructor(
    region: Region,
    capacity: number,
    kind: RingBacking | undefined,
    runs: readonly Run[],
  ) {
    this.region = region;
    this.capacity = capacity;
    this.#kind = kind;
    this.#runs = runs;
  }

  /** @param capacity - Whole pages. */
  static create(capacity: number, kind: RingBacking | undefined): Mirror {
    const spare = kind === undefined ? takeSpare(capacity) : undefined;
    if (spare !== undefined) return new Mirror(spare.region, capacity, kind, spare.runs);
    const { fd, file } = openBacking(kind, capacity);
    try {
      const region = mapMirrored(fd, capacity);
      return new Mirror(region, capacity, kind, [{ file, offset: 0, length: capacity }]);
    } finally {
      close(fd);
    }
  }

  /**
   * Makes a mirror of another capacity of this one's pages and closes this one. If it throws, nothing
   * has changed.
   *
   * @param content - Where it begins, below the capacity, and its length.
   * @param capacity - Whole pages, at least the content.
   * @returns The new mirror, and where in it the content begins.
   */
  resize(content: Range, capacity: number): { mirror: Mirror; head: number } {
    this.#checkResizable();
    const circle = { runs: this.#runs, capacity: this.capacity, head: content.from };
    const plan = planResize({ ...circle, length: content.length }, capacity, pageSize());
    const added = plan.fresh === 0 ? undefined : openBacking(this.#kind, plan.fresh);
    const region = this.#remap(plan, capacity, added);
    for (const { from, to, length } of plan.copied) {
      region.bytes.set(this.region.bytes.subarray(from, from + length), to);
    }
    // Where it fails, since the memory is locked, the pages stay until nothing maps their file.
    for (const { from, length } of plan.dropped) {
      removePages(this.region.bytes.subarray(from, from + length));
    }
    this.region.close();
    const runs = [...plan.runs];
    if (added !== undefined) runs.push({ file: added.file, offset: 0, length: plan.fresh });
    return { mirror: new Mirror(region, capacity, this.#kind, runs), head: plan.head };
  }

  /** Maps what is kept and what is new; closes the new file, which its mappings keep. */
  #remap(plan: Plan, capacity: number, added: OpenBacking | undefined): Region {
    let region: Region | undefined;
    try {
      region = Region.map(2 * capacity, piecesOf(plan, capacity, added));
      for (const { from, to, length } of plan.kept) {
        const source = this.region.bytes.subarray(from);
        for (const at of [to, to + capacity]) {
          mapAgain(source, region.bytes.subarray(at, at + length));
        }
      }
      return region;
    } catch (error) {
      region?.close();
      throw error;
    } finally {
      if (added !== undefined) close(added.fd);
    }
  }

  /**
   * Closes it, or keeps it for the next one of its capacity.
   *
   * @throws {AnnulusError} `ERR_REGION_BUSY` while the kernel uses the memory.
   */
  close(): void {
    // What was resized may consist of many mappings.
    const whole = this.#runs.length === 1 && this.#kind === undefined;
    if (whole) closeOrSpare(this.region, this.capacity, this.#runs);
    else this.region.close();
  }

  #checkResizable(): void {
    const { region } = this;
    if (region.byteLength === 0) {
      throw new AnnulusError(
        'ERR_ANNULUS_BUFFER_DETACHED',
        `The ring's buffer of ${2 * this.capacity} bytes was transferred, so the ring cannot be resized.`,
      );
    }
    region.checkIdle();
  }
}

/** What is to be mapped of a new file, twice; over the whole range if nothing is, to be replaced. */
function piecesOf(plan: Plan, capacity: number, added: OpenBacking | undefined): Piece[] {
  if (added === undefined) return [{ at: 0, length: 2 * capacity, fd: -1, offset: 0 }];
  const at = capacity - plan.fresh;
  const piece = { length: plan.fresh, fd: added.fd, offset: 0 };
  return [
    { at, ...piece },
    { at: at + capacity, ...piece },
  ];
}
