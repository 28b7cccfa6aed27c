/**
 * Personalities: a request runs with the credentials the thread had when it registered them.
 */

import assert from 'node:assert/strict';
import { chmodSync, chownSync, closeSync, constants } from 'node:fs';
import { geteuid, setegid, seteuid } from 'node:process';
import { describe, it } from 'node:test';

import { Ring } from 'annulus/uring';

import { Folder, needs, runOne } from '../../support/uring.ts';

const [EACCES, EINVAL] = [-13, -22];
const NOBODY = 65534;

const unprivileged = geteuid?.() !== 0 && 'only root can be somebody else';

describe('a personality', needs(), () => {
  /** Opens a path, as a personality or as the thread is now; closes it again. */
  function tryOpen(ring: Ring, path: string, personality?: number): number {
    const result = runOne(ring, (token) => {
      ring.openat(token, path, constants.O_RDONLY);
      if (personality !== undefined) ring.personalityLast(personality);
    });
    if (result < 0) return result;
    closeSync(result);
    return 0;
  }

  it('opens what its owner may', { skip: unprivileged }, () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    folder.open('', 'secret');
    chmodSync(folder.at('secret'), 0o600);
    chmodSync(folder.path, 0o755);
    const root = ring.register.personality();
    try {
      setegid!(NOBODY);
      seteuid!(NOBODY);
      assert.equal(tryOpen(ring, folder.at('secret')), EACCES);
      assert.equal(tryOpen(ring, folder.at('secret'), root), 0);
      assert.equal(tryOpen(ring, folder.at('secret')), EACCES, 'the next request is itself again');
    } finally {
      seteuid!(0);
      setegid!(0);
    }
  });

  it('may do less than the thread', { skip: unprivileged }, () => {
    using folder = new Folder();
    using ring = new Ring({ entries: 4 });
    folder.open('', 'secret');
    chmodSync(folder.at('secret'), 0o600);
    chownSync(folder.path, NOBODY, NOBODY);
    seteuid!(NOBODY);
    const nobody = ring.register.personality();
    seteuid!(0);
    assert.equal(tryOpen(ring, folder.at('secret'), nobody), EACCES);
    assert.equal(tryOpen(ring, folder.at('secret')), 0);
  });

  it('is none before it is registered, and after', () => {
    using ring = new Ring({ entries: 4 });
    const first = ring.register.personality();
    const second = ring.register.personality();
    assert.notEqual(first, second);
    assert.equal(tryOpen(ring, '/', first), 0);
    ring.register.unregisterPersonality(first);
    assert.equal(tryOpen(ring, '/', first), EINVAL);
    assert.equal(tryOpen(ring, '/', second), 0);
    assert.throws(() => ring.register.unregisterPersonality(first), {
      code: 'EINVAL',
      message: new RegExp(`there is no personality ${first}`),
    });
  });

  it('has a number from 1 to 65535', () => {
    using ring = new Ring({ entries: 4 });
    ring.nop(1);
    for (const number of [0, -1, 65536, 1.5]) {
      assert.throws(() => ring.personalityLast(number), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => ring.register.unregisterPersonality(number), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
  });
});
