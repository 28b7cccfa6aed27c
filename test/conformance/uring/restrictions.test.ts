/**
 * Disabled and restricted rings: nothing runs before they are enabled, and only what is allowed after.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { alloc } from 'annulus';
import { Ring, SETUP, SQE } from 'annulus/uring';
import type { Restrictions } from 'annulus/uring';

import { finish, Folder, registers, runOne, take } from '../../support/uring.ts';

const EACCES = -13;
const refused = { code: 'EACCES', message: /restrictions of this ring do not allow it/ };

/** A ring that may do only this. */
function restricted(restrictions: Restrictions): Ring {
  const ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED | SETUP.SUBMIT_ALL });
  ring.register.restrict(restrictions);
  ring.register.enable();
  return ring;
}

describe('a disabled ring', registers('REGISTER_RESTRICTIONS'), () => {
  it('runs what was prepared once it is enabled, and not before', () => {
    using ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    ring.nop(1);
    assert.throws(() => ring.submit(), { code: 'EBADFD' });
    assert.equal(ring.unsubmitted, 1);
    ring.register.enable();
    assert.deepEqual(take(ring), [{ token: 1, result: 0, more: false }]);
    assert.throws(() => ring.register.enable(), { code: 'EBADFD' });
  });

  it('takes registrations', () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    const [file] = ring.register.files([folder.open('x')]);
    ring.register.enable();
    assert.equal(
      runOne(ring, (token) => ring.fsync(token, file!)),
      0,
    );
  });

  it('can be closed', () => {
    const ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    ring.nop(1);
    ring.close();
    assert.equal(ring.closed, true);
  });
});

describe('a restricted ring', registers('REGISTER_RESTRICTIONS'), () => {
  it('runs the requests that are allowed', () => {
    using folder = new Folder();
    using ring = restricted({ requests: ['NOP', 'READ'] });
    const fd = folder.open('x');
    ring.nop(1);
    ring.read(2, fd, alloc(1), { position: 0 });
    ring.write(3, fd, alloc(1), { position: 0 });
    ring.fsync(4, fd);
    const results = finish(ring);
    assert.deepEqual(
      [1, 2, 3, 4].map((token) => results.get(token)),
      [0, 1, EACCES, EACCES],
    );
  });

  it('makes the registrations that are allowed', () => {
    using folder = new Folder();
    using ring = restricted({ registrations: ['REGISTER_FILES'] });
    ring.register.files([folder.open('x')]);
    assert.throws(() => ring.register.unregisterFiles(), refused);
    assert.throws(() => ring.register.buffers([alloc(1)]), refused);
    assert.throws(() => ring.register.personality(), refused);
  });

  it('refuses request flags beyond those allowed', () => {
    using ring = restricted({ requests: ['NOP'], flagsAllowed: SQE.IO_LINK });
    ring.nop(1);
    ring.flagLast(SQE.IO_LINK);
    ring.nop(2);
    ring.nop(3);
    ring.flagLast(SQE.ASYNC);
    const results = finish(ring);
    assert.deepEqual(
      [1, 2, 3].map((token) => results.get(token)),
      [0, 0, EACCES],
    );
  });

  it('refuses requests without the flags required', () => {
    using ring = restricted({ requests: ['NOP'], flagsRequired: SQE.ASYNC });
    ring.nop(1);
    ring.flagLast(SQE.ASYNC);
    ring.nop(2);
    const results = finish(ring);
    assert.deepEqual(
      [1, 2].map((token) => results.get(token)),
      [0, EACCES],
    );
  });

  it('is allowed nothing if nothing is named', () => {
    using ring = restricted({});
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      EACCES,
    );
    assert.throws(() => ring.register.files([0]), refused);
  });

  it('is restricted once, before it is enabled', () => {
    using ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    ring.register.restrict({ requests: ['NOP'] });
    assert.throws(() => ring.register.restrict({ requests: ['READ'] }), { code: 'EBUSY' });
    ring.register.enable();
    using ordinary = new Ring({ entries: 8 });
    assert.throws(() => ordinary.register.restrict({}), {
      code: 'EBADFD',
      message: /made with SETUP.R_DISABLED/,
    });
    assert.throws(() => ordinary.register.enable(), { code: 'EBADFD' });
  });

  it('is not restricted by names that mean nothing', () => {
    using ring = new Ring({ entries: 8, flags: SETUP.R_DISABLED });
    for (const wrong of [{ requests: ['RAED'] }, { registrations: ['FILES'] }]) {
      assert.throws(() => ring.register.restrict(wrong as unknown as Restrictions), {
        code: 'ERR_INVALID_ARG_VALUE',
      });
    }
    assert.throws(() => ring.register.restrict({ flagsAllowed: 0x80 }), {
      code: 'ERR_OUT_OF_RANGE',
    });
    ring.register.enable();
    assert.equal(
      runOne(ring, (token) => ring.nop(token)),
      0,
    );
  });
});
