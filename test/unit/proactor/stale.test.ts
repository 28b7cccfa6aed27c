/**
 * A completion that comes after its slot was given away is not taken for the new owner's.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { IGNORED, MAX_SLOTS, Slots } from '#src/proactor/slots.js';

const NOP = 0;

describe('hazard 23: slots and their generations', () => {
  it('a token names its slot until that is released, and never the next owner', () => {
    const slots = new Slots(1);
    let previous = slots.take(NOP);
    for (let i = 0; i < 1000; i++) {
      const slot = slots.slotOf(previous);
      assert.equal(slot, 0);
      slots.release(slot);
      const token = slots.take(NOP);
      assert.notEqual(token, previous);
      assert.equal(slots.slotOf(previous), -1, 'the old request is over');
      assert.equal(slots.slotOf(token), 0);
      assert.equal(slots.tokenOf(0), token);
      previous = token;
    }
  });

  it('tokens stay small integers when the generations wrap around', () => {
    const slots = new Slots(2);
    const seen = new Set<number>();
    for (let i = 0; i < 2 ** 17; i++) {
      const token = slots.take(NOP);
      assert.ok(Number.isInteger(token) && token >= 0 && token < 2 ** 31, `token ${token}`);
      seen.add(token);
      slots.release(slots.slotOf(token));
    }
    assert.equal(seen.size, 2 ** 17, 'a token comes back after 131,072 others of its slot');
  });

  it('completions nobody waits for, and those of no slot, have none', () => {
    const slots = new Slots(MAX_SLOTS - 1);
    const tokens = Array.from({ length: slots.size }, () => slots.take(NOP));
    assert.equal(slots.free, 0);
    assert.equal(new Set(tokens).size, tokens.length);
    assert.equal(tokens.includes(IGNORED), false);
    assert.equal(slots.slotOf(IGNORED), -1);
    assert.equal(new Slots(4).slotOf(4), -1);
  });

  it('a released slot keeps nothing of its request', () => {
    const slots = new Slots(1);
    const token = slots.take(7);
    void slots.promise(token, 5);
    slots.attachments[0] = { options: undefined };
    assert.equal(slots.keys[0], 5);
    slots.release(0);
    assert.equal(slots.resolveOf(0), undefined);
    assert.equal(slots.rejectOf(0), undefined);
    assert.equal(slots.attachments[0], undefined);
    assert.equal(slots.ops[0], 0);
  });
});
