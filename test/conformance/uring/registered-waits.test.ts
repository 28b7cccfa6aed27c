/**
 * Registered regions: waits whose arguments the kernel reads where they are.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Region } from 'annulus';
import { Ring, SETUP } from 'annulus/uring';
import type { RegisteredWaits } from 'annulus/uring';

import { registers, take } from '../../support/uring.ts';

const busy = { code: 'ERR_REGION_BUSY' };

/** A ring with a table of waits. */
function waiting(length: number): { ring: Ring; waits: RegisteredWaits } {
  const ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
  const waits = ring.register.waits(length);
  ring.register.enable();
  return { ring, waits };
}

describe('registered waits', registers('REGISTER_MEM_REGION'), () => {
  it('end when their time is over', () => {
    const { ring, waits } = waiting(4);
    waits.set(3, { timeout: 1 });
    ring.timeout(1, 60_000);
    assert.equal(ring.submitAndWait(1, { wait: 3 }), 1, 'it was submitted');
    assert.equal(ring.submitAndWait(1, { wait: 3 }), 0);
    assert.equal(ring.ready, 0);
    ring.close();
  });

  it('end when as many have completed as asked for', () => {
    const { ring, waits } = waiting(2);
    waits.set(0, { timeout: 60_000 });
    ring.nop(1);
    ring.nop(2);
    assert.equal(ring.submitAndWait(2, { wait: 0 }), 2);
    assert.equal(take(ring, 0).length, 2);
    waits.set(1, {});
    ring.nop(3);
    ring.submitAndWait(1, { wait: 1 });
    assert.equal(take(ring, 0).length, 1);
    ring.close();
  });

  it('are as they were set last', () => {
    const { ring, waits } = waiting(1);
    ring.timeout(1, 60_000);
    ring.submit();
    for (const timeout of [2, 0, 1]) {
      waits.set(0, { timeout });
      ring.submitAndWait(1, { wait: 0 });
      assert.equal(ring.ready, 0);
    }
    ring.close();
  });

  it('settle for one completion after the shortest time', () => {
    const { ring, waits } = waiting(1);
    waits.set(0, { timeout: 60_000, minWaitUs: 500 });
    ring.timeout(1, 60_000);
    ring.nop(2);
    ring.submitAndWait(2, { wait: 0 });
    assert.deepEqual(take(ring, 0), [{ token: 2, result: 0, more: false }]);
    ring.close();
  });

  it('are as many as there is room for', () => {
    const { ring, waits } = waiting(64);
    assert.equal(waits.length, 64);
    for (const index of [-1, 64, 0.5]) {
      assert.throws(() => waits.set(index, {}), { code: 'ERR_OUT_OF_RANGE' });
    }
    assert.throws(() => waits.set(0, { timeout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    ring.nop(1);
    assert.throws(() => ring.submitAndWait(1, { wait: 64 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(ring.unsubmitted, 1);
    ring.close();
    assert.throws(() => waits.set(0, {}), { code: 'ERR_ANNULUS_CLOSED' });
  });

  it('are registered once, before the ring is enabled', () => {
    using ring = new Ring({ entries: 8 });
    assert.throws(() => ring.register.waits(1), { code: 'EINVAL', message: /SETUP.R_DISABLED/ });
    ring.nop(1);
    assert.throws(() => ring.submitAndWait(1, { wait: 0 }), { code: 'ERR_INVALID_ARG_VALUE' });
    using disabled = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    disabled.register.waits(1);
    assert.throws(() => disabled.register.waits(1), { code: 'EBUSY' });
  });

  it('keep a region of the program until the ring is closed', () => {
    const ring = new Ring({ entries: 8 });
    const region = Region.allocate(4096);
    ring.register.memoryRegion(region);
    assert.throws(() => region.close(), busy);
    assert.throws(() => ring.register.memoryRegion(region), { code: 'EBUSY' });
    ring.close();
    region.close();
  });
});
