/**
 * Setting rings up: sizes, flags that go together, what a kernel lacks, disabled and attached rings.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { probe } from 'annulus';
import { Region } from 'annulus/memory';
import { Ring, ringMemoryBytes, SETUP, SETUP_FLAGS } from 'annulus/uring';
import { kernelMasks } from '#src/uring/supported.js';

import { finish, needs } from '../../support/uring.ts';

const invalid = { code: 'ERR_INVALID_ARG_VALUE' };

describe('setting up', needs(), () => {
  it('has twice as many completions as entries where only flags are given', () => {
    using ring = new Ring({ entries: 8, flags: 0 });
    assert.deepEqual([ring.entries, ring.completionEntries], [8, 16]);
  });

  it('CLAMP and CQSIZE take what is asked for', () => {
    using ring = new Ring({ entries: 8, completionEntries: 64, flags: SETUP.CLAMP });
    assert.equal(ring.completionEntries, 64);
    assert.equal(ring.flags, SETUP.CLAMP | SETUP.CQSIZE);
  });

  it('refuses flags that no kernel has', () => {
    for (const flags of [0x200000, 0x80000000]) {
      assert.throws(() => new Ring({ flags }), { code: 'ERR_OUT_OF_RANGE', message: /SETUP bits/ });
    }
  });

  it('refuses flags this kernel lacks, naming the release that has them', (t) => {
    const mask = kernelMasks()?.setup;
    if (mask === undefined) return t.skip('this kernel does not say which it has');
    const lacking = SETUP_FLAGS.filter(({ bit }) => (mask & bit) === 0);
    for (const { name, bit, since } of lacking) {
      assert.throws(() => new Ring({ flags: bit }), {
        code: 'ERR_ANNULUS_UNSUPPORTED',
        message: new RegExp(`SETUP_${name} needs Linux ${since.replace('.', '\\.')}`),
      });
    }
  });

  it('refuses flags that do not go together', () => {
    for (const flags of [
      SETUP.DEFER_TASKRUN,
      SETUP.DEFER_TASKRUN | SETUP.SINGLE_ISSUER | SETUP.SQPOLL,
      SETUP.COOP_TASKRUN | SETUP.SQPOLL,
      SETUP.HYBRID_IOPOLL,
      SETUP.CQE_MIXED | SETUP.CQE32,
    ]) {
      assert.throws(() => new Ring({ flags }), invalid);
    }
  });

  it('refuses flags whose option is missing', () => {
    for (const flags of [SETUP.SQ_AFF | SETUP.SQPOLL, SETUP.ATTACH_WQ, SETUP.NO_MMAP]) {
      assert.throws(() => new Ring({ flags }), invalid);
    }
  });

  it('says when completions wait for the thread, also where that was not asked for', () => {
    using ring = new Ring({ flags: SETUP.COOP_TASKRUN });
    assert.equal(ring.flags & SETUP.TASKRUN_FLAG, SETUP.TASKRUN_FLAG);
  });

  it('R_DISABLED: refuses to run requests until it is enabled', () => {
    using ring = new Ring({ entries: 4, flags: SETUP.R_DISABLED });
    ring.nop(1);
    assert.throws(() => ring.submit(), { code: 'EBADFD', message: /enable\(\) starts it/ });
    ring.register.enable();
    assert.equal(finish(ring).get(1), 0);
  });

  it('ATTACH_WQ: shares the worker threads of another ring', () => {
    using first = new Ring({ entries: 4 });
    using second = new Ring({ entries: 4, attach: first });
    assert.equal(second.flags & SETUP.ATTACH_WQ, SETUP.ATTACH_WQ);
    second.nop(1);
    assert.equal(finish(second).get(1), 0);
    first.close();
    second.nop(2);
    assert.equal(finish(second).get(2), 0, 'the first ring is closed');
    assert.throws(() => new Ring({ attach: first }), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('hazard 20: there is no polling thread unless it is asked for', () => {
    using ring = new Ring();
    assert.equal(ring.flags & (SETUP.SQPOLL | SETUP.IOPOLL), 0);
  });
});

/** Options of a ring in memory of the program. */
const GIVEN = { entries: 8, flags: SETUP.NO_SQARRAY } as const;

describe('NO_MMAP: queues in memory of the program', needs(), () => {
  const lacks = !probe().kernel?.setupFlags.includes('NO_MMAP') && 'this kernel has no NO_MMAP';

  it('run requests, and the memory is pinned until the ring is closed', { skip: lacks }, () => {
    using memory = Region.allocate(ringMemoryBytes(GIVEN));
    const ring = new Ring({ ...GIVEN, memory });
    for (let token = 0; token < 8; token++) ring.nop(token);
    assert.equal(finish(ring).size, 8);
    assert.throws(() => memory.close(), { code: 'ERR_REGION_BUSY' });
    ring.close();
    assert.equal(memory.busy, false);
  });

  it('write nothing outside of the memory they need', { skip: lacks }, () => {
    const bytes = ringMemoryBytes(GIVEN);
    using memory = Region.allocate(bytes + 8192);
    memory.bytes.fill(0xa5, bytes);
    using ring = new Ring({ ...GIVEN, memory });
    for (let round = 0; round < 40; round++) {
      for (let token = 0; token < 8; token++) ring.nop(token);
      finish(ring);
    }
    assert.ok(memory.bytes.subarray(bytes).every((byte) => byte === 0xa5));
    ring.close();
  });

  it('refuse memory that is too small, before the kernel sees it', { skip: lacks }, () => {
    using memory = Region.allocate(4096);
    const options = { ...GIVEN, entries: 4096, memory };
    assert.throws(() => new Ring(options), { code: 'ERR_OUT_OF_RANGE', message: /at least \d+/ });
    assert.equal(memory.busy, false);
  });

  it('cannot be resized', { skip: lacks }, () => {
    using memory = Region.allocate(ringMemoryBytes(GIVEN));
    using ring = new Ring({ ...GIVEN, memory });
    assert.throws(() => ring.resize({ entries: 16 }), invalid);
    ring.close();
  });
});

describe('REGISTERED_FD_ONLY: a ring without a descriptor', needs(), () => {
  const lacks =
    !probe().kernel?.setupFlags.includes('REGISTERED_FD_ONLY') && 'this kernel has no such rings';
  const options = {
    entries: 8,
    flags: SETUP.NO_SQARRAY | SETUP.NO_MMAP | SETUP.REGISTERED_FD_ONLY,
  };

  it('submits, waits, registers and is probed by its index', { skip: lacks }, () => {
    using memory = Region.allocate(ringMemoryBytes(options));
    using ring = new Ring({ ...options, memory });
    assert.equal(ring.fd, -1);
    ring.nop(1);
    assert.equal(finish(ring).get(1), 0);
    const [fixed] = ring.register.buffers([Region.allocate(4096)]);
    assert.equal(fixed!.byteLength, 4096);
    assert.deepEqual(ring.probe(), probe().opcodes);
    assert.throws(() => ring.register.unregisterRingFd(), { code: 'ERR_INVALID_STATE' });
    ring.close();
  });

  it('ends what is in flight when closed, and frees its index', { skip: lacks }, () => {
    for (let round = 0; round < 20; round++) {
      using memory = Region.allocate(ringMemoryBytes(options));
      const ring = new Ring({ ...options, memory });
      ring.timeout(1, 60_000);
      ring.submit();
      ring.close(); // a thread has room for 16
    }
  });
});
