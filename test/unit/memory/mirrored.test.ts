/**
 * MirroredRing behaves as a plain queue of bytes, and its content is always one slice.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';

import { MirroredRing } from 'annulus/memory';
import { pageSize } from '#src/sys/linux.js';
import { collectGarbage } from '../../support/gc.js';
import { printedSeed } from '../../support/random.js';
import { held } from '../support/resources.js';
import { ringMappings, shift } from './support/rings.js';

const seed = printedSeed();

const page = pageSize();

const closedError = { name: 'AnnulusError', code: 'ERR_ANNULUS_CLOSED' };

describe('MirroredRing', () => {
  it('rounds its capacity up to whole pages and starts empty', () => {
    using ring = MirroredRing.create(1);
    assert.equal(ring.capacity, page);
    assert.equal(ring.length, 0);
    assert.equal(ring.content().length, 0);
    assert.equal(ring.unused().length, page);
    using larger = MirroredRing.create(page * 3 - 1);
    assert.equal(larger.capacity, page * 3);
  });

  it('refuses sizes that cannot be, with the value in the message', () => {
    for (const bytes of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
      const received = new RegExp(`Received ${String(bytes)}$`);
      assert.throws(() => MirroredRing.create(bytes), {
        code: 'ERR_OUT_OF_RANGE',
        message: received,
      });
    }
    assert.throws(() => MirroredRing.create('4096' as unknown as number), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  it('shows content that crosses the end as one slice', () => {
    using ring = MirroredRing.create(page);
    shift(ring, page - 3);
    ring.write((free) => {
      free.set([1, 2, 3, 4, 5, 6]);
      return 6;
    });
    const content = ring.content();
    assert.deepEqual([...content], [1, 2, 3, 4, 5, 6]);
    assert.equal(content.buffer, ring.unused().buffer);
    // The same bytes, seen through the first mapping.
    assert.deepEqual([...new Uint8Array(content.buffer, 0, 3)], [4, 5, 6]);
  });

  it('names the same bytes by offset and length, in one view that stays', () => {
    using ring = MirroredRing.create(page);
    const { bytes } = ring;
    assert.equal(bytes.length, 2 * ring.capacity);
    for (const at of [0, 1, page - 1]) {
      ring.unused().set([1, 2, 3]);
      ring.advance(3);
      const [content, unused] = [ring.content(), ring.unused()];
      assert.equal(ring.bytes, bytes);
      assert.deepEqual([ring.contentOffset, ring.contentLength], [content.byteOffset, 3]);
      assert.deepEqual([ring.unusedOffset, ring.unusedLength], [unused.byteOffset, unused.length]);
      assert.deepEqual([...bytes.subarray(ring.contentOffset, ring.contentOffset + 3)], [1, 2, 3]);
      ring.consume(3);
      shift(ring, at);
    }
    ring.close();
    assert.deepEqual([bytes.length, ring.contentLength], [0, 0]);
  });

  it('fills to the last byte at every position near the end', () => {
    using ring = MirroredRing.create(page);
    for (let at = page - 2; at <= page + 2; at++) {
      ring.unused().fill(at & 255);
      ring.advance(page);
      assert.equal(ring.unused().length, 0);
      assert.ok(ring.content().every((byte) => byte === (at & 255)));
      ring.consume(page);
      shift(ring, 1);
    }
  });

  it('refuses counts out of range with the values, and changes nothing', () => {
    using ring = MirroredRing.create(page);
    ring.advance(10);
    for (const count of [-1, 0.5, NaN, page - 9, Infinity]) {
      assert.throws(() => ring.advance(count), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`from 0 to ${page - 10}\\. Received ${String(count)}$`),
      });
    }
    for (const count of [-1, 0.5, NaN, 11]) {
      assert.throws(() => ring.consume(count), {
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`from 0 to 10\\. Received ${String(count)}$`),
      });
    }
    assert.equal(ring.length, 10);
  });

  it('commits nothing when a callback throws or returns nonsense', () => {
    using ring = MirroredRing.create(page);
    ring.advance(5);
    const failure = new Error('mine');
    const fail = (): never => {
      throw failure;
    };
    assert.throws(() => ring.write(fail), failure);
    assert.throws(() => ring.read(fail), failure);
    assert.throws(() => ring.write(() => page), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.read(() => 6), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.write(() => undefined as unknown as number), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.equal(ring.length, 5);
  });

  it('names the mistake when used after close, and empties every view', () => {
    const ring = MirroredRing.create(page);
    ring.advance(8);
    const views = [ring.content(), ring.unused()];
    ring.close();
    ring.close();
    assert.equal(ring.closed, true);
    assert.equal(ring.length, 0);
    for (const view of views) {
      assert.equal(view.length, 0);
      assert.equal(view[0], undefined);
      view[0] = 1;
    }
    assert.throws(() => ring.content(), closedError);
    assert.throws(() => ring.unused(), closedError);
    assert.throws(() => ring.advance(0), closedError);
    assert.throws(() => ring.consume(0), closedError);
    assert.throws(() => ring.write(() => 0), closedError);
    assert.throws(() => ring.read(() => 0), closedError);
  });

  it('may be closed by its own callback', () => {
    const ring = MirroredRing.create(page);
    const closeIt = (): number => {
      ring.close();
      return 0;
    };
    assert.throws(() => ring.write(closeIt), closedError);
  });

  it('is closed at the end of its block', () => {
    let outer: MirroredRing;
    {
      using ring = MirroredRing.create(page);
      outer = ring;
      assert.equal(outer.closed, false);
    }
    assert.equal(outer.closed, true);
  });

  it('is unmapped when it is forgotten', async () => {
    const before = ringMappings();
    for (let i = 0; i < 50; i++) MirroredRing.create(page).resize(3 * page);
    for (let i = 0; i < 10 && ringMappings() > before; i++) {
      collectGarbage();
      await setImmediate();
    }
    assert.equal(ringMappings(), before);
  });

  it('leaves no descriptor and no mapping behind', () => {
    MirroredRing.create(page).close();
    const before = held();
    for (let i = 0; i < 500; i++) {
      const ring = MirroredRing.create(page * (1 + (i % 5)));
      ring.write((free) => free.length);
      ring.close();
    }
    assert.deepEqual(held(), before);
  });

  it('agrees with a plain array over random operations', () => {
    const capacity = page;
    // Sizes are drawn often near the limits, and as fractions of the ring.
    const size = fc.oneof(
      fc.integer({ min: 0, max: capacity }),
      fc.constantFrom(0, 1, capacity - 1, capacity),
      fc.integer({ min: 0, max: 64 }),
    );
    const step = fc.tuple(fc.constantFrom('write', 'read', 'throw'), size, fc.nat(255));
    const steps = fc.array(step, { minLength: 200, maxLength: 200, size: 'max' });
    let operations = 0;
    fc.assert(
      fc.property(steps, (sequence) => {
        using ring = MirroredRing.create(capacity);
        let model: number[] = [];
        for (const [kind, wanted, start] of sequence) {
          operations++;
          model = apply(ring, model, kind, wanted, start);
          assert.equal(ring.length, model.length);
          assert.equal(ring.unused().length, capacity - model.length);
        }
        assert.deepEqual([...ring.content()], model);
      }),
      { seed, numRuns: 120 },
    );
    assert.ok(operations >= 20_000, `${operations} operations`);
  });
});

/** Does one step to both; returns the model's new state. */
function apply(
  ring: MirroredRing,
  model: number[],
  kind: string,
  wanted: number,
  start: number,
): number[] {
  if (kind === 'write') {
    const bytes = Array.from({ length: wanted }, (_, i) => (start + i) & 255);
    const fits = bytes.slice(0, ring.capacity - model.length);
    const written = ring.write((free) => {
      free.set(fits);
      return fits.length;
    });
    assert.equal(written, fits.length);
    return model.concat(fits);
  }
  if (kind === 'read') {
    const count = Math.min(wanted, model.length);
    ring.read((content) => {
      assert.equal(content[0], model[0]);
      assert.equal(content.at(-1), model.at(-1));
      return count;
    });
    return model.slice(count);
  }
  assert.throws(() =>
    ring.write((free) => {
      free.fill(start);
      throw new Error('nothing is committed');
    }),
  );
  return model;
}
