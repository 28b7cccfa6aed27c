/**
 * Plans of resizes, carried out on pages that are arrays: whatever is planned, the content stays, no
 * page is lost or used twice, and there are never more runs than may be.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';

import { MOST_RUNS, planResize } from '#src/memory/runs.js';
import type { Backing, Circle, Plan, Run } from '#src/memory/runs.js';
import { printedSeed, randomFrom } from '../../support/random.js';

/** Bytes of a page here: small, so that random positions hit every place in one. */
const PAGE = 8;

/** A ring whose files are arrays of numbers: what each byte holds, 0 for none. */
class SimulatedRing implements Circle {
  runs: Run[];
  capacity: number;
  head = 0;
  length = 0;
  /** The number of the next byte. */
  next = 1;
  readonly files = new Map<Backing, Map<number, number>>();
  readonly elastic: boolean;

  constructor(pages: number, elastic: boolean) {
    this.elastic = elastic;
    this.capacity = pages * PAGE;
    this.runs = [this.newRun(this.capacity)];
  }

  newRun(length: number): Run {
    const size = this.elastic ? 4096 * PAGE : length;
    const file = { size, reserved: !this.elastic };
    this.files.set(file, new Map());
    return { file, offset: 0, length };
  }

  /** Where a position of the mirror lies. */
  place(position: number): [Map<number, number>, number] {
    let at = position % this.capacity;
    for (const run of this.runs) {
      if (at < run.length) return [this.files.get(run.file)!, run.offset + at];
      at -= run.length;
    }
    throw new Error(`no run at ${position}`);
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) {
      const [file, offset] = this.place(this.head + this.length + i);
      file.set(offset, this.next++);
    }
    this.length += count;
  }

  read(count: number): void {
    this.head = (this.head + count) % this.capacity;
    this.length -= count;
  }

  content(): number[] {
    return Array.from({ length: this.length }, (_, i) => {
      const [file, offset] = this.place(this.head + i);
      return file.get(offset) ?? 0;
    });
  }

  /** Does what a plan says, in the order in which the ring does it. */
  resize(capacity: number): Plan {
    const plan = planResize(this, capacity, PAGE);
    this.checkPages(plan, capacity);
    const copied = plan.copied.map(({ from, length }) =>
      Array.from({ length }, (_, i) => {
        const [file, offset] = this.place(from + i);
        return file.get(offset)!;
      }),
    );
    for (const { from, length } of plan.dropped) {
      for (let i = 0; i < length; i++) {
        const [file, offset] = this.place(from + i);
        file.delete(offset);
      }
    }
    this.runs = [...plan.runs, ...(plan.fresh > 0 ? [this.newRun(plan.fresh)] : [])];
    this.capacity = capacity;
    this.head = plan.head;
    plan.copied.forEach(({ to, length }, index) => {
      for (let i = 0; i < length; i++) {
        const [file, offset] = this.place(to + i);
        file.set(offset, copied[index]![i]!);
      }
    });
    return plan;
  }

  /** The pages of the old ring are kept or dropped, each once; those of the new one are whole. */
  checkPages(plan: Plan, capacity: number): void {
    const old = new Set(this.runs.flatMap(pagesOf));
    const kept = plan.runs.flatMap(pagesOf);
    assert.equal(new Set(kept).size, kept.length, 'a page is used twice');
    const dropped = plan.dropped.flatMap(({ from, length }) =>
      Array.from({ length: length / PAGE }, (_, i) => {
        const [file, offset] = this.place(from + i * PAGE);
        return pageName([...this.files].find((entry) => entry[1] === file)![0], offset);
      }),
    );
    const together = [...kept.filter((page) => old.has(page)), ...dropped];
    assert.deepEqual(together.toSorted(), [...old].toSorted(), 'not each page once');
    const total = plan.runs.reduce((sum, run) => sum + run.length, plan.fresh);
    assert.equal(total, capacity);
    assert.ok(plan.runs.length + (plan.fresh > 0 ? 1 : 0) <= MOST_RUNS);
    for (const { offset, length } of plan.runs) assert.ok(offset % PAGE === 0 && length > 0);
    for (const { from, to, length } of plan.kept) {
      assert.ok(from % PAGE === 0 && to % PAGE === 0 && length % PAGE === 0);
    }
    for (const run of plan.runs) {
      assert.ok(run.offset + run.length <= run.file.size, 'a run goes on behind its file');
      if (this.elastic) continue;
      for (const page of pagesOf(run)) assert.ok(old.has(page), 'a page that is not set aside');
    }
  }
}

const names = new Map<Backing, number>();

function pageName(file: Backing, offset: number): string {
  if (!names.has(file)) names.set(file, names.size);
  return `${names.get(file)}:${offset}`;
}

function pagesOf({ file, offset, length }: Run): string[] {
  return Array.from({ length: length / PAGE }, (_, i) => pageName(file, offset + i * PAGE));
}

/** The bytes a plan copies. */
function copiedBytes(plan: Plan): number {
  return plan.copied.reduce((sum, { length }) => sum + length, 0);
}

/** A full ring that begins at a position. */
function fullAt(head: number, pages: number): SimulatedRing {
  const ring = new SimulatedRing(pages, true);
  ring.head = head;
  ring.write(ring.capacity);
  return ring;
}

describe('planResize', () => {
  it('grows what does not cross the end in one run, and copies nothing', () => {
    const ring = new SimulatedRing(4, true);
    ring.write(4 * PAGE);
    const plan = ring.resize(8 * PAGE);
    assert.deepEqual([plan.runs.length, plan.fresh, copiedBytes(plan)], [1, 0, 0]);
  });

  it('grows content that crosses the end from a page on, and copies nothing', () => {
    const ring = fullAt(3 * PAGE, 4);
    const content = ring.content();
    const plan = ring.resize(6 * PAGE);
    assert.deepEqual([plan.runs.length, plan.fresh, copiedBytes(plan)], [2, 2 * PAGE, 0]);
    assert.deepEqual(ring.content(), content);
  });

  it('copies the smaller part of the one page in which content begins and ends', () => {
    for (let inside = 1; inside < PAGE; inside++) {
      const ring = fullAt(2 * PAGE + inside, 4);
      const content = ring.content();
      const plan = ring.resize(5 * PAGE);
      assert.equal(copiedBytes(plan), Math.min(inside, PAGE - inside));
      assert.deepEqual(ring.content(), content);
    }
  });

  it('shrinks to the content, with less than a page copied', () => {
    for (let head = 0; head < 4 * PAGE; head++) {
      const ring = new SimulatedRing(4, true);
      ring.head = head;
      ring.write(2 * PAGE);
      const content = ring.content();
      const plan = ring.resize(2 * PAGE);
      assert.ok(copiedBytes(plan) <= PAGE / 2, `${copiedBytes(plan)} bytes copied`);
      assert.equal(plan.fresh, 0);
      assert.deepEqual(ring.content(), content);
    }
  });

  it('copies less than a page unless there would be too many runs', () => {
    let most = 0;
    for (const elastic of [true, false]) {
      for (let head = 0; head < 6 * PAGE; head++) {
        const ring = new SimulatedRing(6, elastic);
        ring.head = head;
        ring.write(6 * PAGE);
        const first = ring.resize(12 * PAGE);
        ring.write(3 * PAGE);
        ring.read(5 * PAGE + 3);
        const second = ring.resize(20 * PAGE);
        most = Math.max(most, copiedBytes(first), copiedBytes(second));
      }
    }
    assert.ok(most < PAGE, `${most} bytes copied`);
  });

  it('copies a fifth of the content at most, on average, of what is hardest to resize', () => {
    const random = randomFrom(7);
    let [copied, content] = [0, 0];
    for (let round = 0; round < 20; round++) {
      const ring = new SimulatedRing(4, true);
      for (let i = 0; i < 7; i++) {
        ring.read(ring.length);
        ring.head = random(ring.capacity);
        ring.write(ring.capacity);
        content += ring.length;
        copied += copiedBytes(ring.resize(2 * ring.capacity));
      }
    }
    assert.ok(copied > 0 && copied < content / 5, `${copied} of ${content} bytes`);
  });

  it('keeps every byte and every page over random operations', () => {
    const step = fc.tuple(fc.nat(3), fc.double({ min: 0, max: 1, noNaN: true }));
    const steps = fc.array(step, { minLength: 60, maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(fc.boolean(), steps, (elastic, sequence) => {
        const ring = new SimulatedRing(3, elastic);
        for (const [kind, share] of sequence) {
          const content = ring.content();
          if (kind === 0) ring.write(Math.round(share * (ring.capacity - ring.length)));
          else if (kind === 1) ring.read(Math.round(share * ring.length));
          else {
            const least = Math.max(1, Math.ceil(ring.length / PAGE));
            ring.resize((least + Math.round(share * (16 - least))) * PAGE);
            assert.deepEqual(ring.content(), content);
          }
        }
      }),
      { seed: printedSeed(), numRuns: 400 },
    );
  });
});
