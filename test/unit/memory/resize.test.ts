/**
 * Resizing a MirroredRing: the content stays where nobody copies it, views end, mappings stay few.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { MirroredRing } from 'annulus/memory';
import type { RingBacking } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { pageSize } from '#src/sys/linux.js';
import { mappings } from '../../support/census.js';
import { withoutUring } from '../../support/skip.js';
import { pair } from '../support/pair.js';
import { held } from '../support/resources.js';
import { differsAt, ringMappings, shift, writeStream } from './support/rings.js';

const page = pageSize();

/** An ArrayBuffer of Node 22 or newer. */
interface Transferable extends ArrayBuffer {
  transfer(): ArrayBuffer;
}

const withoutTransfer =
  'transfer' in ArrayBuffer.prototype ? false : 'this Node has no ArrayBuffer.prototype.transfer';

/** A ring of four pages with content that begins and ends at every interesting place. */
function ringWith(head: number, length: number, backing: RingBacking): MirroredRing {
  const ring = MirroredRing.create(4 * page, { backing });
  shift(ring, head);
  writeStream(ring, 0, length);
  return ring;
}

/** Shared memory that nobody has mapped counts here as well. */
function sharedMemoryKib(): number {
  return Number(/^Shmem:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))![1]);
}

const places = [0, 1, page - 1, page, page + 1, 2 * page + page / 2, 4 * page - 1];

for (const backing of ['memfd', 'posix'] as const) {
  describe(`MirroredRing.resize() of ${backing}`, () => {
    it('keeps the content, wherever it begins and ends', () => {
      for (const head of places) {
        for (const length of [0, 1, page, 2 * page - 1, 3 * page + 1, 4 * page]) {
          const least = Math.max(1, Math.ceil(length / page));
          for (const pages of [least, least + 1, 5, 9]) {
            if (pages < least) continue;
            using ring = ringWith(head, length, backing);
            const where = `head ${head}, ${length} bytes, to ${pages} pages`;
            assert.equal(ring.resize(pages * page), pages * page, where);
            assert.equal(ring.capacity, pages * page, where);
            assert.equal(ring.length, length, where);
            assert.equal(differsAt(ring.content(), 0), -1, where);
            writeStream(ring, length, ring.unusedLength);
            assert.equal(ring.length, ring.capacity, where);
            assert.equal(differsAt(ring.content(), 0), -1, where);
            assert.ok(ringMappings() <= 8, `${ringMappings()} mappings, ${where}`);
          }
        }
      }
    });

    it('ends every view handed out before', () => {
      using ring = ringWith(page + 1, 3 * page, backing);
      const views = [ring.bytes, ring.content(), ring.unused(), ring.content().subarray(1, 2)];
      ring.resize(8 * page);
      for (const view of views) {
        assert.equal(view.length, 0);
        assert.equal(view[0], undefined);
      }
      assert.equal(ring.bytes.length, 16 * page);
    });

    it('has at most 8 mappings after any number of resizes', () => {
      using ring = ringWith(0, 0, backing);
      let position = 0;
      let most = 0;
      for (let i = 0; i < 200; i++) {
        writeStream(ring, position + ring.length, ring.unusedLength);
        ring.resize(ring.capacity + page); // a full ring that begins anywhere: the hardest there is
        assert.equal(differsAt(ring.content(), position), -1);
        most = Math.max(most, ringMappings());
        const count = (i * 2654435761) % ring.length;
        ring.consume(count);
        position += count;
        if (ring.capacity > 40 * page) ring.resize(Math.max(ring.length, 3 * page));
      }
      assert.ok(most > 2 && most <= 8, `${most} mappings`);
    });

    it('changes nothing when the content does not fit, and says how much that is', () => {
      using ring = ringWith(3, 2 * page + 1, backing);
      const { bytes } = ring;
      for (const wanted of [1, page, 2 * page]) {
        assert.throws(() => ring.resize(wanted), {
          code: 'ERR_OUT_OF_RANGE',
          message: new RegExp(
            `at least the ${2 * page + 1} bytes of content\\. Received ${wanted}`,
          ),
        });
      }
      for (const wanted of [0, -1, NaN, 1.5, 2 ** 31]) {
        assert.throws(() => ring.resize(wanted), { code: 'ERR_OUT_OF_RANGE' });
      }
      assert.equal(ring.bytes, bytes);
      assert.equal(differsAt(ring.content(), 0), -1);
    });

    it('is not inherited by a fork, after a resize either', () => {
      using ring = ringWith(page, 4 * page, backing);
      ring.resize(7 * page);
      const ours = mappings().filter(({ path }) => /memfd:annulus-ring|\/shm\/annulus-/.test(path));
      assert.ok(ours.length > 0);
      assert.ok(ours.every(({ unforked }) => unforked));
    });
  });
}

describe('MirroredRing.resize()', () => {
  it('does nothing when the capacity is what it is', () => {
    using ring = MirroredRing.create(2 * page);
    const { bytes } = ring;
    assert.equal(ring.resize(page + 1), 2 * page);
    assert.equal(ring.bytes, bytes);
  });

  it('gives back the memory it no longer has', () => {
    const bytes = 2 ** 27;
    // Others use shared memory at the same time: half of it will do, and in one of some attempts.
    const freed = Array.from({ length: 5 }, () => {
      using ring = MirroredRing.create(bytes);
      ring.unused().fill(1);
      const full = sharedMemoryKib();
      shift(ring, bytes - 10);
      writeStream(ring, 0, 20);
      ring.resize(3 * page);
      return (full - sharedMemoryKib()) * 1024;
    });
    assert.ok(Math.max(...freed) > bytes / 2, `${freed.join(', ')} of ${bytes} bytes`);
  });

  it(
    'is refused while requests or registrations use the memory',
    { skip: withoutUring },
    async () => {
      await using io = new Proactor({ entries: 8 });
      using ring = ringWith(1, 10, 'memfd');
      io.registerBuffers([ring.bytes.subarray(0, ring.capacity)]);
      assert.throws(() => ring.resize(8 * page), {
        code: 'ERR_REGION_BUSY',
        message: new RegExp(`region of ${8 * page} bytes is in use by 1 `),
      });
      assert.equal(ringMappings(), 2); // nothing was mapped in vain
      assert.equal(differsAt(ring.content(), 0), -1);
      io.unregisterBuffers();
      ring.resize(8 * page);
      assert.equal(differsAt(ring.content(), 0), -1);
      io.registerBuffers([ring.bytes.subarray(0, ring.capacity)]); // the new pages
      io.unregisterBuffers();

      using ends = pair();
      const reading = io.read(ends.reader, ring.unused());
      assert.throws(() => ring.resize(4 * page), { code: 'ERR_REGION_BUSY' });
      assert.throws(() => ring.close(), { code: 'ERR_REGION_BUSY' });
      ends.write('x');
      assert.equal(await reading, 1);
      ring.resize(4 * page);
    },
  );

  it('is refused once the buffer was moved away', { skip: withoutTransfer }, () => {
    using ring = ringWith(1, 10, 'memfd');
    const moved = (ring.bytes.buffer as Transferable).transfer();
    assert.equal(ring.bytes.length, 0);
    assert.throws(() => ring.resize(8 * page), {
      code: 'ERR_ANNULUS_BUFFER_DETACHED',
      message: new RegExp(`${8 * page} bytes was transferred`),
    });
    assert.equal(differsAt(new Uint8Array(moved, 1, 10), 0), -1);
  });

  it('commits nothing of a callback that resizes the ring it fills', () => {
    using ring = ringWith(0, 10, 'memfd');
    const fill = (free: Uint8Array): number => {
      free.fill(9);
      ring.resize(8 * page);
      return 5;
    };
    assert.throws(() => ring.write(fill), { code: 'ERR_INVALID_STATE' });
    assert.equal(ring.length, 10);
    ring.read(() => {
      ring.resize(2 * page);
      return 4;
    });
    assert.equal(differsAt(ring.content(), 4), -1);
  });

  it('names the mistake after close', () => {
    const ring = MirroredRing.create(page);
    ring.close();
    assert.throws(() => ring.resize(page), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('leaves no descriptor and no mapping behind', () => {
    const before = held();
    for (let i = 0; i < 200; i++) {
      const ring = MirroredRing.create(page * (1 + (i % 5)));
      shift(ring, (i * 997) % ring.capacity);
      ring.write((free) => free.length);
      ring.resize(ring.capacity * 3);
      ring.consume((i * 13) % ring.length);
      ring.resize(Math.max(1, ring.length));
      ring.close();
    }
    assert.deepEqual(held(), before);
  });
});
