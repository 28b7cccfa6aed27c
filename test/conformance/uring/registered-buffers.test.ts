/**
 * Registered buffers: slots, their replacement, tags, and sharing them between rings.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc, Region } from 'annulus';
import { Ring } from 'annulus/uring';
import type { FixedBuffer } from 'annulus/uring';

import { finish, Folder, needs, registers, runOne, take } from '../../support/uring.ts';
import { pair } from '../../unit/support/pair.ts';

const EFAULT = -14;
const busy = { code: 'ERR_REGION_BUSY' };

/** Reads the start of a file through a registered buffer: the text, or the errno. */
function readThrough(ring: Ring, fd: number, buffer: FixedBuffer): string | number {
  const result = runOne(ring, (token) => ring.readFixed(token, fd, buffer, { position: 0 }));
  if (result < 0) return result;
  const { region, byteOffset } = buffer;
  return Buffer.from(region.bytes.subarray(byteOffset, byteOffset + result)).toString();
}

describe('registering buffers', needs(), () => {
  it('keeps the memory until it is taken back', () => {
    using ring = new Ring({ entries: 4 });
    const region = Region.allocate(4096);
    ring.register.buffers([region]);
    assert.throws(() => region.close(), busy);
    assert.throws(() => ring.register.buffers([region]), { code: 'EBUSY' });
    ring.register.unregisterBuffers();
    assert.throws(() => ring.register.unregisterBuffers(), { code: 'ENXIO' });
    region.close();
  });

  it('keeps the memory until the ring is closed', () => {
    const ring = new Ring({ entries: 4 });
    const region = Region.allocate(4096);
    ring.register.buffers([region, region.bytes.subarray(8, 16)]);
    assert.throws(() => region.close(), busy);
    ring.close();
    region.close();
  });

  it('moves bytes of the registered range, and of no other', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('0123456789');
    const memory = alloc(64).fill(46);
    const [buffer] = ring.register.buffers([memory.subarray(8, 12)]);
    assert.equal(readThrough(ring, fd, buffer!), '0123');
    assert.equal(Buffer.from(memory.subarray(4, 16)).toString(), '....0123....');
    assert.throws(() => ring.readFixed(1, fd, buffer!, { offset: 2, length: 3 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });

  it('completes with EFAULT once the memory is not registered', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('x');
    const [buffer] = ring.register.buffers([alloc(16)]);
    ring.register.unregisterBuffers();
    assert.equal(readThrough(ring, fd, buffer!), EFAULT);
  });

  it('leaves a request in flight its memory', () => {
    using ring = new Ring({ entries: 4 });
    using ends = pair();
    const region = Region.allocate(4096);
    const [buffer] = ring.register.buffers([region]);
    ring.readFixed(1, ends.reader, buffer!);
    ring.submit();
    ring.register.unregisterBuffers();
    assert.throws(() => region.close(), busy);
    ends.write('late');
    assert.equal(finish(ring).get(1), 4);
    assert.equal(Buffer.from(region.bytes.subarray(0, 4)).toString(), 'late');
    region.close();
  });
});

describe('empty and replaced buffers', registers('REGISTER_BUFFERS_UPDATE'), () => {
  it('fills and clears slots of a sparse table', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('x');
    const regions = [Region.allocate(4096), Region.allocate(4096)];
    ring.register.sparseBuffers(4);
    const [one, two] = ring.register.updateBuffers(1, regions);
    assert.deepEqual([one!.index, two!.index], [1, 2]);
    assert.equal(readThrough(ring, fd, one!), 'x');
    assert.equal(readThrough(ring, fd, two!), 'x');
    ring.register.clearBuffers(1, 1);
    assert.equal(readThrough(ring, fd, one!), EFAULT);
    assert.equal(readThrough(ring, fd, two!), 'x');
    regions[0]!.close();
    assert.throws(() => regions[1]!.close(), busy);
  });

  it('lets go of the memory it replaces', () => {
    using ring = new Ring({ entries: 4 });
    const [old, next] = [Region.allocate(4096), Region.allocate(4096)];
    ring.register.buffers([old]);
    ring.register.updateBuffers(0, [next]);
    old.close();
    assert.throws(() => next.close(), busy);
    ring.register.unregisterBuffers();
    next.close();
  });

  it('refuses slots that are not there, and changes none', () => {
    using ring = new Ring({ entries: 4 });
    const region = Region.allocate(4096);
    assert.throws(() => ring.register.updateBuffers(0, [region]), { code: 'ENXIO' });
    ring.register.sparseBuffers(2);
    assert.throws(() => ring.register.updateBuffers(1, [region, region]), { code: 'EINVAL' });
    assert.throws(() => ring.register.updateBuffers(0, []), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => ring.register.updateBuffers(0, [new Uint8Array(8)]), {
      code: 'ERR_ANNULUS_NOT_A_REGION',
    });
    region.close();
  });

  it('serves a request that follows its registration at once, round after round', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    const fd = folder.open('abc');
    ring.register.sparseBuffers(1);
    for (let round = 0; round < 50; round++) {
      const region = Region.allocate(4096);
      const [buffer] = ring.register.updateBuffers(0, [region]);
      assert.equal(readThrough(ring, fd, buffer!), 'abc');
      ring.register.clearBuffers(0, 1);
      region.close();
    }
  });
});

describe('tagged buffers', registers('REGISTER_BUFFERS2', 'REGISTER_BUFFERS_UPDATE'), () => {
  it('stay pinned until the kernel says that it has let go', () => {
    using ring = new Ring({ entries: 4 });
    using ends = pair();
    const region = Region.allocate(4096);
    const [buffer] = ring.register.buffers([region], { tags: [9] });
    ring.readFixed(1, ends.reader, buffer!);
    ring.submit();
    ring.register.updateBuffers(0, [alloc(16)]);
    assert.equal(ring.ready, 0, 'a request uses it');
    ends.write('x');
    const tokens = new Set<number>();
    while (tokens.size < 2) {
      assert.throws(() => region.close(), busy);
      ring.submitAndWait(1, { timeout: 1000 });
      ring.drain((token) => tokens.add(token));
    }
    assert.deepEqual(tokens, new Set([1, 9]));
    region.close();
  });

  it('complete with their tags when they are unregistered', () => {
    using ring = new Ring({ entries: 8 });
    const regions = [1, 2, 3].map(() => Region.allocate(4096));
    ring.register.buffers(regions, { tags: [1, -1, 3] });
    assert.deepEqual(take(ring, 0), []);
    ring.register.unregisterBuffers();
    regions[1]!.close();
    assert.throws(() => regions[0]!.close(), busy);
    const tokens = take(ring, 0).map(({ token }) => token);
    assert.deepEqual(new Set(tokens), new Set([1, 3]));
    assert.equal(ring.inFlight, 0);
    regions.forEach((region) => region.close());
  });

  it('are let go of by closing the ring', () => {
    const ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    ring.register.buffers([region], { tags: [1] });
    ring.close();
    region.close();
  });

  it('are let go of when the kernel refuses them', () => {
    using ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    ring.register.buffers([region]);
    const other = Region.allocate(4096);
    assert.throws(() => ring.register.buffers([other], { tags: [1] }), { code: 'EBUSY' });
    other.close();
  });
});

describe('cloning buffers', registers('REGISTER_CLONE_BUFFERS'), () => {
  it('gives another ring the same memory, for as long as either has it', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 4 });
    using target = new Ring({ entries: 4 });
    const fd = folder.open('shared');
    const region = Region.allocate(4096);
    source.register.buffers([region]);
    const [clone] = target.register.cloneBuffers(source);
    source.register.unregisterBuffers();
    assert.equal(readThrough(target, fd, clone!), 'shared');
    assert.throws(() => region.close(), busy);
    target.register.unregisterBuffers();
    region.close();
  });

  it('refuses a source without buffers, and a target with some', () => {
    using source = new Ring({ entries: 4 });
    using target = new Ring({ entries: 4 });
    assert.throws(() => target.register.cloneBuffers(source, { count: 1 }), { code: 'ENXIO' });
    assert.throws(() => target.register.cloneBuffers(source), { code: 'ERR_OUT_OF_RANGE' });
    source.register.buffers([alloc(16)]);
    target.register.buffers([alloc(16)]);
    assert.throws(() => target.register.cloneBuffers(source), { code: 'EBUSY' });
  });

  it('takes a range, and leaves empty slots empty', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 4 });
    using target = new Ring({ entries: 4 });
    const fd = folder.open('range');
    source.register.sparseBuffers(5);
    source.register.updateBuffers(1, [alloc(16), alloc(16)]);
    source.register.updateBuffers(4, [alloc(16)]);
    const clones = target.register.cloneBuffers(source, { from: 2, count: 3, to: 1 });
    assert.deepEqual(
      clones.map(({ index }) => index),
      [1, 3],
    );
    for (const clone of clones) assert.equal(readThrough(target, fd, clone), 'range');
    assert.throws(() => source.register.cloneBuffers(target, { from: 3, count: 9 }), {
      code: /EBUSY|EOVERFLOW/,
    });
  });

  it('replaces what the target has, which lets go of it', () => {
    using folder = new Folder();
    using source = new Ring({ entries: 4 });
    using target = new Ring({ entries: 4 });
    const fd = folder.open('new');
    const old = [Region.allocate(4096), Region.allocate(4096)];
    const [kept] = target.register.buffers(old);
    source.register.buffers([alloc(16)]);
    const [clone] = target.register.cloneBuffers(source, { to: 1, replace: true });
    old[1]!.close();
    assert.throws(() => old[0]!.close(), busy);
    assert.equal(readThrough(target, fd, kept!), 'new');
    assert.equal(readThrough(target, fd, clone!), 'new');
  });

  it('clones from a ring that is registered with the thread', () => {
    using source = new Ring({ entries: 4 });
    using target = new Ring({ entries: 4 });
    source.register.buffers([alloc(16)]);
    source.register.ringFd();
    assert.equal(target.register.cloneBuffers(source).length, 1);
  });
});
