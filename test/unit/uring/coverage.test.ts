/**
 * Coverage of the ABI: every opcode, registration, set-up flag and feature is in its table and has what
 * uses it; and what the running kernel reports differs from the tables only as can be explained.
 */

import assert from 'node:assert/strict';
import { release } from 'node:os';
import { describe, it } from 'node:test';

import { probe } from 'annulus';
import { FEATURES, OPCODES, REGISTRATIONS, Ring, SETUP_FLAGS, SQE_FLAGS } from 'annulus/uring';
import { ENTER_FLAGS } from 'annulus/uring';
import { kernelMasks } from '#src/uring/supported.js';
import { needs } from '../support/requests.js';

/** Differences between the tables and a kernel that are no mistake, with the reason. */
const EXPLAINED: readonly { readonly name: string; readonly reason: string }[] = [
  { name: 'RECV_ZC', reason: 'only with CONFIG_IO_URING_ZCRX' },
  { name: 'EPOLL_CTL', reason: 'only with CONFIG_EPOLL' },
  { name: 'EPOLL_WAIT', reason: 'only with CONFIG_EPOLL' },
];

interface Row {
  readonly name: string;
  readonly since: string;
}

const masks = kernelMasks();

/** Whether the running kernel is at least this release. */
function isAtLeast(since: string): boolean {
  const [major, minor] = release().split('.').map(Number);
  const [wantMajor, wantMinor] = since.split('.').map(Number);
  return major! > wantMajor! || (major === wantMajor && minor! >= wantMinor!);
}

/** Rows in which the table and the kernel differ, and nothing explains it. */
function unexplained(rows: readonly Row[], has: (row: never) => boolean): string[] {
  return rows
    .filter((row) => has(row as never) !== isAtLeast(row.since))
    .filter(({ name }) => !EXPLAINED.some((known) => known.name === name))
    .map(({ name, since }) => `${name}: in the table since ${since}`);
}

describe('the tables of the ABI', () => {
  it('have 65 opcodes, each with methods that exist', (t) => {
    const lacking = OPCODES.filter(
      ({ methods }) => methods.length === 0 || methods.some((name) => !(name in Ring.prototype)),
    );
    t.diagnostic(`opcodes: ${OPCODES.length - lacking.length}/65`);
    assert.equal(OPCODES.length, 65);
    assert.deepEqual(lacking, []);
    for (const { code, fields } of OPCODES) assert.ok(fields.length > 0, String(code));
  });

  it('have 38 registrations, 21 set-up flags, 18 features', (t) => {
    t.diagnostic(`registrations: ${REGISTRATIONS.filter(({ method }) => method).length}/38`);
    t.diagnostic(`set-up flags: ${SETUP_FLAGS.filter(({ use }) => use).length}/21`);
    t.diagnostic(`features: ${FEATURES.filter(({ use }) => use).length}/18`);
    assert.deepEqual([REGISTRATIONS.length, SETUP_FLAGS.length, FEATURES.length], [38, 21, 18]);
    assert.deepEqual([ENTER_FLAGS.length, SQE_FLAGS.length], [8, 7]);
  });

  it('have one row a bit, without a gap', () => {
    for (const table of [SETUP_FLAGS, FEATURES, ENTER_FLAGS, SQE_FLAGS]) {
      assert.deepEqual(
        table.map(({ bit }) => bit),
        table.map((_, index) => 1 << index),
      );
    }
  });

  it('name methods of the registrar that exist', () => {
    using ring = new Ring({ entries: 4 });
    for (const { method } of REGISTRATIONS) {
      for (const [, name] of method.matchAll(/ring\.register\.(\w+)\(/g)) {
        assert.equal(typeof Reflect.get(ring.register, name!), 'function', method);
      }
    }
  });
});

describe('the running kernel', needs(), () => {
  const found = probe();

  it('has the opcodes the table says', () => {
    const has = ({ name }: (typeof OPCODES)[number]): boolean => found.opcodes.has(name);
    assert.deepEqual(unexplained(OPCODES, has), []);
  });

  it('has the features the table says', () => {
    const has = ({ name }: Row): boolean => found.features.includes(name);
    assert.deepEqual(unexplained(FEATURES, has), []);
    using ring = new Ring({ entries: 4 });
    const known = FEATURES.reduce((bits, { bit }) => bits | bit, 0);
    assert.equal(ring.features & ~known, 0, 'the kernel has a feature that is in no table');
  });

  const query = { skip: masks === undefined && 'REGISTER_QUERY is of Linux 6.18' };

  it('has the registrations and flags the tables say', query, () => {
    const { registrations, setup, enter, request, features } = masks!;
    assert.deepEqual(
      unexplained(REGISTRATIONS, ({ code }: { code: number }) => code < registrations),
      [],
    );
    for (const [rows, mask] of [
      [SETUP_FLAGS, setup],
      [ENTER_FLAGS, enter],
      [SQE_FLAGS, request],
      [FEATURES, features],
    ] as const) {
      assert.deepEqual(
        unexplained(rows, ({ bit }: { bit: number }) => (mask & bit) !== 0),
        [],
      );
    }
  });

  it('has no opcode, registration or flag that is in no table', query, (t) => {
    const { requests, registrations, setup, enter, request } = masks!;
    t.diagnostic(`this kernel: ${requests} opcodes, ${registrations} registrations`);
    assert.ok(requests <= OPCODES.length, `${requests} opcodes`);
    assert.ok(registrations <= REGISTRATIONS.length, `${registrations} registrations`);
    for (const [rows, mask] of [
      [SETUP_FLAGS, setup],
      [ENTER_FLAGS, enter],
      [SQE_FLAGS, request],
    ] as const) {
      assert.equal(mask & ~rows.reduce((bits, { bit }) => bits | bit, 0), 0);
    }
  });

  it('is probed alike with a ring and without', query, () => {
    using ring = new Ring({ entries: 4 });
    assert.deepEqual(ring.probe(), found.opcodes);
    assert.equal(ring.features, masks!.features);
    assert.equal(found.kernel!.registrations.length, masks!.registrations);
  });
});
