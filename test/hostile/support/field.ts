/**
 * Memory of known content that is given out piece by piece: what was not given out must stay as it is.
 */

import assert from 'node:assert/strict';

import { Region } from 'annulus/memory';

import { pageSize } from '#src/sys/linux.js';
import type { RandomInteger } from '../../support/random.ts';

/** Most bytes between two pieces; there is at least one. */
const GAP = 64;
const PAGE = pageSize();

/** One Region, whose content at first follows from the positions. */
export class Field {
  readonly region: Region;
  readonly #expected: Buffer;
  readonly #random: RandomInteger;
  #given: [start: number, end: number][] = [];
  #next = 0;

  constructor(bytes: number, random: RandomInteger) {
    this.region = Region.allocate(bytes);
    this.#random = random;
    this.#expected = Buffer.from(Array.from({ length: bytes }, (_, i) => i * 31 + (i >> 8)));
    this.region.bytes.set(this.#expected);
  }

  /** Takes all pieces back. Nothing may be in flight on them. */
  restart(): void {
    this.#given = [];
    this.#next = this.#random(GAP);
  }

  /** A piece that is in nobody else's hands; with fewer bytes where the field ends. */
  take(bytes: number, align: number = 1): Uint8Array {
    const start = Math.min(Math.ceil(this.#next / align) * align, this.region.byteLength);
    const end = Math.min(start + bytes, this.region.byteLength);
    this.#next = end + 1 + this.#random(GAP);
    this.#given.push([start, end]);
    return this.region.bytes.subarray(start, end);
  }

  /** Fails if a byte has changed that is in no piece. */
  check(): void {
    const { bytes } = this.region;
    for (const [start, end] of this.#given) {
      this.#expected.set(bytes.subarray(start, end), start);
      // After MADVISE.FREE a page may become empty until it is written to: now or in a later round.
      if (end - start >= PAGE) bytes.set(this.#expected.subarray(start, end), start);
    }
    if (Buffer.compare(bytes, this.#expected) === 0) return;
    const at = bytes.findIndex((byte, index) => byte !== this.#expected[index]);
    const before = this.#given.findLast(([start]) => start <= at);
    assert.fail(`byte ${at} was written to, behind the piece ${String(before)}`);
  }
}
