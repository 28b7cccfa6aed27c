/**
 * A MirroredRing and its plain model: a queue that is two positions in a stream of known bytes.
 */

import assert from 'node:assert/strict';
import * as fc from 'fast-check';

import { MirroredRing } from 'annulus/memory';
import { pageSize } from '#src/sys/linux.js';
import { byteAt, differsAt, ringMappings } from './rings.js';

const page = pageSize();

/** The most pages a ring is given here. */
const MOST_PAGES = 12;

/** One step: which kind, and how much of what there is, from 0 to 1000. */
export type Operation = readonly [kind: number, share: number];

type Step = (this: ModelledRing, share: number) => void;

/** Random operations; shares of nothing and of everything are frequent, since they are the limits. */
export const operations = (count: number): fc.Arbitrary<Operation[]> =>
  fc.array(
    fc.tuple(fc.nat(STEPS.length - 1), fc.oneof(fc.nat(1000), fc.constantFrom(0, 1, 999, 1000))),
    { minLength: count, maxLength: count, size: 'max' },
  );

/** A ring on which steps are done, with all that is known about it. */
export class ModelledRing {
  ring: MirroredRing;
  /** Position in the stream of the oldest byte of content, and of the next one to be written. */
  first = 0;
  next = 0;
  readonly backing: 'memfd' | 'posix';

  constructor(backing: 'memfd' | 'posix') {
    this.backing = backing;
    this.ring = MirroredRing.create(3 * page, { backing });
  }

  /** Does one step to both and compares them. */
  do([kind, share]: Operation): void {
    STEPS[kind]!.call(this, share);
    const { ring } = this;
    const length = this.next - this.first;
    assert.equal(ring.length, length);
    assert.equal(ring.contentLength, length);
    assert.equal(ring.unusedLength, ring.capacity - length);
    assert.equal(ring.bytes.length, 2 * ring.capacity);
    const end = ring.contentOffset + length;
    assert.equal(ring.unusedOffset, end >= ring.capacity ? end - ring.capacity : end);
    const content = ring.content();
    assert.equal(content.byteOffset, ring.contentOffset);
    assert.equal(content.length, length);
    if (length === 0) return;
    assert.equal(content[0], byteAt(this.first));
    assert.equal(content[length - 1], byteAt(this.next - 1));
  }

  /** Compares the whole content and closes the ring. */
  finish(): void {
    assert.equal(differsAt(this.ring.content(), this.first), -1);
    this.ring.close();
    assert.equal(ringMappings(), 0);
  }
}

/** A part of a number of bytes. */
function part(bytes: number, share: number): number {
  return Math.round((bytes * share) / 1000);
}

/** Fills a view with what comes next in the stream. */
function fill(view: Uint8Array, position: number, count: number): void {
  for (let i = 0; i < count; i++) view[i] = byteAt(position + i);
}

const STEPS: readonly Step[] = [
  /** Writes by callback. */
  function write(share) {
    const count = part(this.ring.unusedLength, share);
    const written = this.ring.write((free) => {
      fill(free, this.next, count);
      return count;
    });
    this.next += written;
  },
  /** Writes by offset, in parts. */
  function advance(share) {
    for (const each of [share, 500]) {
      const { bytes, unusedOffset, unusedLength } = this.ring;
      const count = part(unusedLength, each) >> 1;
      fill(bytes.subarray(unusedOffset), this.next, count);
      this.ring.advance(count);
      this.next += count;
    }
  },
  /** Reads by callback. */
  function read(share) {
    const count = part(this.ring.length, share);
    this.ring.read((content) => {
      assert.equal(differsAt(content.subarray(0, count), this.first), -1);
      return count;
    });
    this.first += count;
  },
  /** Reads by offset, a little. */
  function consume(share) {
    const count = Math.min(this.ring.length, share);
    const { bytes, contentOffset } = this.ring;
    const content = bytes.subarray(contentOffset, contentOffset + count);
    assert.equal(differsAt(content, this.first), -1);
    this.ring.consume(count);
    this.first += count;
  },
  /** Writes and reads nothing, because the callbacks throw or lie. */
  function fail(share) {
    const { unusedLength, contentLength } = this.ring;
    const failure = new Error('mine');
    assert.throws(
      () =>
        this.ring.write((free) => {
          free.fill(share);
          throw failure;
        }),
      failure,
    );
    assert.throws(() => this.ring.write(() => unusedLength + 1 + share), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => this.ring.read(() => contentLength + 1 + share), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => this.ring.consume(-1), { code: 'ERR_OUT_OF_RANGE' });
  },
  /** Resizes to anything that holds the content. */
  function resize(share) {
    const least = Math.max(1, Math.ceil(this.ring.length / page));
    const pages = least + part(MOST_PAGES - least, share);
    const [capacity, views] = [this.ring.capacity, [this.ring.bytes, this.ring.unused()]];
    assert.equal(this.ring.resize(pages * page - (share & 1)), pages * page);
    if (this.ring.capacity !== capacity) assert.ok(views.every((view) => view.length === 0));
    assert.equal(differsAt(this.ring.content(), this.first), -1);
    const mappings = ringMappings();
    assert.ok(mappings >= 2 && mappings <= 8, `${mappings} mappings`);
  },
  /** Is refused a size that does not hold the content. */
  function refuse(share) {
    if (this.ring.length <= page) return;
    const pages = part(Math.ceil(this.ring.length / page) - 1, share);
    assert.throws(() => this.ring.resize(pages * page), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(differsAt(this.ring.content(), this.first), -1);
  },
  /** Closes it, which is rare, and goes on with a new one. */
  function close(share) {
    if (share % 10 !== 0) return;
    const { ring } = this;
    const views = [ring.bytes, ring.content(), ring.unused()];
    ring.close();
    assert.ok(views.every((view) => view.length === 0));
    assert.throws(() => ring.advance(0), { code: 'ERR_ANNULUS_CLOSED' });
    this.first = this.next;
    this.ring = MirroredRing.create((1 + (share % MOST_PAGES)) * page, { backing: this.backing });
  },
];
