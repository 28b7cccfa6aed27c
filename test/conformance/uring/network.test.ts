/**
 * What concerns network devices and clocks: polling them, and refusals where there is no hardware.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Region } from 'annulus';
import { CLOCK, REGISTRATIONS, Ring, SETUP } from 'annulus/uring';
import { registrationCount } from '#src/uring/supported.js';

import { DEFERRED, needs, registers, take } from '../../support/uring.ts';

describe('busy polling', registers('REGISTER_NAPI'), () => {
  it('tells the settings it replaces', (test) => {
    using ring = new Ring({ entries: 4 });
    const off = { busyPollUs: 0, preferBusyPoll: false };
    const on = { busyPollUs: 50, preferBusyPoll: true };
    try {
      assert.deepEqual(ring.register.napi(on), off);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EINVAL');
      test.skip('this kernel is built without busy polling');
      return;
    }
    assert.deepEqual(ring.register.napi({ busyPollUs: 20 }), on);
    assert.deepEqual(ring.register.unregisterNapi(), { ...off, busyPollUs: 20 });
    assert.deepEqual(ring.register.unregisterNapi(), off);
    assert.throws(() => ring.register.napi({ busyPollUs: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    ring.timeout(1, 1);
    assert.equal(take(ring).length, 1);
  });
});

describe('the clock of waits', registers('REGISTER_CLOCK'), () => {
  it('is one of two', () => {
    using ring = new Ring({ entries: 4 });
    for (const clock of [CLOCK.BOOTTIME, CLOCK.MONOTONIC]) {
      ring.register.clock(clock);
      ring.timeout(1, 60_000);
      ring.submitAndWait(1, { timeout: 1 });
      assert.equal(ring.ready, 0);
    }
    assert.throws(() => ring.register.clock(0 as 1), { code: 'ERR_INVALID_ARG_VALUE' });
  });
});

describe('zero-copy receive', registers('REGISTER_ZCRX_IFQ'), () => {
  const queue = { interfaceIndex: 1, queue: 0, refillEntries: 8 };

  it('is refused by name, and lets go of the memory', () => {
    for (const flags of [DEFERRED | SETUP.CQE32, SETUP.SUBMIT_ALL]) {
      using ring = new Ring({ entries: 4, flags });
      const area = Region.allocate(65536);
      assert.throws(() => ring.register.zeroCopyReceive({ ...queue, area }), {
        code: /^(EINVAL|EPERM|EOPNOTSUPP|ENOTSUP|ENODEV)$/,
        message: /REGISTER_ZCRX_IFQ: (zero-copy receive needs|the device|there is no)/,
      });
      area.close();
    }
  });

  it('is refused with numbers that cannot be', () => {
    using ring = new Ring({ entries: 4 });
    using area = Region.allocate(4096);
    assert.throws(() => ring.register.zeroCopyReceive({ ...queue, refillEntries: 0, area }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    assert.throws(() => ring.register.zeroCopyReceive({ ...queue, interfaceIndex: -1, area }), {
      code: 'ERR_OUT_OF_RANGE',
    });
  });
});

describe('registrations of later kernels', needs(), () => {
  it('are refused by the name of the kernel that has them', (test) => {
    using ring = new Ring({ entries: 4 });
    const lacking = REGISTRATIONS.filter(({ code }) => code >= registrationCount());
    if (lacking.length === 0) {
      test.skip('this kernel has all of them, or does not say');
      return;
    }
    for (const { name, since } of lacking) {
      assert.throws(() => ring.register.requireOperation(name), {
        code: 'ERR_ANNULUS_UNSUPPORTED',
        message: new RegExp(`^IORING_${name} needs Linux ${since.replace('.', '\\.')} or later`),
      });
    }
    const names = new Set(lacking.map(({ name }) => name));
    if (names.has('REGISTER_BPF_FILTER')) {
      assert.throws(() => ring.register.bpfFilter(new Uint8Array(64)), {
        code: 'ERR_ANNULUS_UNSUPPORTED',
      });
    }
    if (names.has('REGISTER_ZCRX_CTRL')) {
      assert.throws(() => ring.register.zeroCopyFlush({ id: 0 } as never), {
        code: 'ERR_ANNULUS_UNSUPPORTED',
      });
    }
  });
});
