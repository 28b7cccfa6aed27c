/**
 * The table of registrations, the generations of file slots, and the tags of registrations.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Region } from 'annulus';
import { REGISTRATIONS, Ring } from 'annulus/uring';
import * as uring from 'annulus/uring';
import { FileTable } from '#src/uring/file-table.js';
import { FOREIGN, Tags } from '#src/uring/tags.js';

import { needs } from '../../support/uring.ts';

describe('the table of registrations', () => {
  it('has all 38, by number, each with its kernel', () => {
    assert.equal(REGISTRATIONS.length, 38);
    REGISTRATIONS.forEach(({ code, name, since }, index) => {
      assert.equal(code, index);
      assert.match(name, /^(UN)?REGISTER_[A-Z0-9_]+$/);
      assert.match(since, /^[5-9]\.\d+$/);
    });
    assert.equal(new Set(REGISTRATIONS.map(({ name }) => name)).size, 38);
  });

  it('names methods that there are', needs(), () => {
    using ring = new Ring({ entries: 4 });
    const methods: Record<string, object> = { ring, 'ring.register': ring.register, '': uring };
    for (const { name, method } of REGISTRATIONS) {
      const [, owner, called] = /^(?:(.*)\.)?(\w+)(?:\(|$)/.exec(method.split(',')[0]!)!;
      if (owner === 'BufferRing') continue;
      const found = (methods[owner ?? ''] as Record<string, unknown>)[called!];
      assert.equal(typeof found, 'function', `${name}: ${method}`);
    }
    const group = ring.register.bufferRing({ count: 1, size: 16 });
    for (const member of ['close', 'status']) assert.ok(member in group, member);
  });
});

describe('file tables', () => {
  const stale = { code: 'ERR_ANNULUS_STALE_FILE' };

  it('know the current handle of each slot', () => {
    const table = new FileTable();
    table.reset(3);
    const [first, second] = [table.handle(0), table.handle(1)];
    table.replace(0);
    assert.throws(() => table.slotOf(first), stale);
    assert.equal(table.slotOf(second), 1);
    assert.equal(table.slotOf(table.handle(0)), 0);
    table.replace(3);
    table.replace(1000);
    assert.equal(table.length, 3);
  });

  it('never take an old handle for a new one, whatever their size was', () => {
    const table = new FileTable();
    const handles = [];
    for (const length of [4, 1, 0, 2, 8]) {
      table.reset(length);
      for (const handle of handles) assert.throws(() => table.slotOf(handle), stale);
      for (let i = 0; i < length; i++) handles.push(table.handle(i));
    }
  });
});

describe('tags', () => {
  it('pin until they are released, once', () => {
    const tags = new Tags();
    const region = Region.allocate(4096);
    const [first, second] = [tags.take(region.slot), tags.take(region.slot)];
    assert.ok(first < 0 && second < 0 && first !== second);
    tags.release(first);
    tags.release(first);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    tags.release(second);
    region.close();
  });

  it('ignore messages and tags of others', () => {
    const tags = new Tags();
    const region = Region.allocate(4096);
    tags.take(region.slot);
    tags.release(FOREIGN);
    tags.release(FOREIGN | 77);
    assert.throws(() => region.close(), { code: 'ERR_REGION_BUSY' });
    tags.close();
    region.close();
  });
});
