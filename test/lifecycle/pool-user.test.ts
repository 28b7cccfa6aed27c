/**
 * A pool's slabs as registered memory of an ordinary user, with much, little and no memory he may lock.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { pageSize } from '#src/sys/linux.js';
import { runProgram } from '../support/program.ts';
import { registers } from '../support/uring.ts';
import { asUser, withoutUser } from '../support/user.ts';

const MIB = 2 ** 20;
/** Not the user of other tests, which may run at the same time: a limit is for all of his processes. */
const USER = 65_533;
const program = new URL('programs/pool-user.js', import.meta.url);

/** What the program says. */
interface Report {
  readonly ring: boolean;
  /** Buffers that had what they must. */
  readonly right: number;
  readonly slabs: number;
  readonly registeredSlabs: number;
  readonly resident: number;
}

/** Fills a pool of so many MiB as that user. */
async function fillAs(memlock: number, mebibytes: number): Promise<Report> {
  const options = { launcher: asUser(memlock, USER) };
  const { code, stdout, stderr } = await runProgram(program, [`${mebibytes}`], options);
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout) as Report;
  if (report.ring) assert.equal(report.right * pageSize(), mebibytes * MIB);
  return report;
}

const { skip } = registers('REGISTER_BUFFERS2', 'REGISTER_BUFFERS_UPDATE');
const missing = skip || withoutUser(8 * MIB, [process.execPath, '--version']);

describe('the slabs of a pool of an ordinary user', { skip: missing }, () => {
  it('are registered where the limit allows it', async () => {
    const { slabs, registeredSlabs } = await fillAs(8 * MIB, 4);
    assert.deepEqual([slabs, registeredSlabs], [2, 2]);
  });

  it('are registered as far as the limit allows it', async () => {
    const { slabs, registeredSlabs, resident } = await fillAs(8 * MIB, 12);
    assert.deepEqual([slabs, resident], [6, 12 * MIB]);
    // What an earlier process had may come back in between, and the ring takes its share.
    assert.ok(registeredSlabs >= 1 && registeredSlabs <= 4, `${registeredSlabs}`);
  });

  it('are not registered with the limit of old systems, and work all the same', async () => {
    const { ring, slabs, registeredSlabs } = await fillAs(64 * 1024, 4);
    // Kernels from 5.12 to 6.13 give rings to anybody, later ones count them.
    if (ring) assert.deepEqual([slabs, registeredSlabs], [2, 0]);
  });

  it('are not registered when nothing may be locked', async () => {
    const { ring, slabs, registeredSlabs } = await fillAs(0, 4);
    if (ring) assert.deepEqual([slabs, registeredSlabs], [2, 0]);
  });
});
