/**
 * Closes a live ring's descriptor behind its back. Argument: what is done with the ring.
 */

import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';

import { alloc } from 'annulus/memory';
import { BufferPool } from 'annulus/pool';
import { Proactor } from 'annulus/proactor';
import { Ring } from 'annulus/uring';

import { blockingSockets } from '../../support/pipes.ts';

/** Descriptors of the rings of this process. */
function ringFds(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[io_uring]';
      } catch {
        return false;
      }
    });
}

/** Newer Nodes have rings of their own. */
const others = new Set(ringFds());

function revoke(): void {
  const fds = ringFds().filter((fd) => !others.has(fd));
  assert.equal(fds.length, 1);
  closeSync(fds[0]!);
  // So that no other descriptor gets the number, which would make the errors vary.
  assert.equal(openSync('/dev/null', 'r'), fds[0]);
  closeSync(fds[0]!);
}

/** Lets the event loop begin to watch what there is to watch: libuv aborts if it cannot any more. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

const revoked = { code: 'EBADF', syscall: 'io_uring_enter' };

const cases: Record<string, () => Promise<void>> = {
  async ring(): Promise<void> {
    const ring = new Ring({ entries: 8 });
    const [near, far] = blockingSockets();
    ring.read(1, near, alloc(16));
    ring.submit();
    revoke();
    ring.nop(2);
    assert.throws(() => ring.submit(), revoked);
    assert.throws(() => ring.submitAndWait(1), revoked);
    writeSync(far, 'x');
    ring.close();
    assert.equal(ring.closed, true);
    assert.throws(() => ring.submit(), { code: 'ERR_ANNULUS_CLOSED' });
  },

  /** Before anything was asked for. */
  async idle(): Promise<void> {
    const io = new Proactor({ entries: 8 });
    await turn();
    revoke();
    await assert.rejects(io.read(0, alloc(16)), revoked);
    await assert.rejects(io.read(0, new Uint8Array(16), { timeout: 1000 }), revoked);
    await assert.rejects(io.open('/dev/null', 0), revoked);
    await io.close();
  },

  /** Which asked to be told of failed enters. */
  async told(): Promise<void> {
    let tell: (error: unknown) => void;
    const told = new Promise((resolve) => (tell = resolve));
    const io = new Proactor({ entries: 8, onEnterError: (error) => tell(error) });
    await turn();
    revoke();
    await assert.rejects(io.read(0, alloc(16)), revoked);
    const { code, syscall } = (await told) as { code: string; syscall: string };
    assert.deepEqual({ code, syscall }, revoked);
    await io.close();
  },

  /** With requests submitted, prepared and waiting; those the kernel has may end either way. */
  async busy(): Promise<void> {
    const io = new Proactor({ entries: 8, maxInFlight: 6 });
    const [near, far] = blockingSockets();
    const submitted = Array.from({ length: 3 }, () => io.read(near, alloc(16)));
    await turn();
    const prepared = Array.from({ length: 3 }, () => io.sleep(1000));
    const waiting = Array.from({ length: 20 }, () => io.read(near, alloc(16)));
    revoke();
    for (const promise of [...prepared, ...waiting]) promise.catch(() => {});
    for (let i = 0; i < 3; i++) writeSync(far, 'x');
    for (const promise of prepared) await assert.rejects(promise, revoked);
    for (const promise of waiting) await assert.rejects(promise, revoked);
    for (const outcome of await Promise.allSettled(submitted)) {
      if (outcome.status === 'fulfilled') assert.equal(outcome.value, 1);
      else assert.match((outcome.reason as { code: string }).code, /^(?:EBADF|ECANCELED)$/);
    }
    await assert.rejects(io.open('/dev/null', 0), revoked);
    await io.close();
  },

  /** With reads into a pool that wait for data, for memory, and for a proactor that is no more. */
  async pool(): Promise<void> {
    const io = new Proactor({ entries: 8 });
    const pool = new BufferPool({ bufferSize: 16, maxMemory: 32 });
    const held = await pool.allocate(1);
    const [near, far] = blockingSockets();
    writeSync(far, 'x');
    const forMemory = io.recv(near, pool, { buffers: 2 });
    while (pool.stats.waiters === 0) await new Promise(setImmediate);
    const [idle] = blockingSockets();
    const forData = assert.rejects(io.recv(idle, pool), { code: /^(?:EBADF|ECANCELED)$/ });
    const into = assert.rejects(io.recv(idle, held), { code: /^(?:EBADF|ECANCELED)$/ });
    await turn();
    revoke();
    await assert.rejects(io.open('/dev/null', 0), revoked);
    await Promise.all([forData, into]);
    held.release();
    // The kernel may write into that one yet, unless its end was heard of before.
    const kept = pool.stats.used / 16;
    assert.ok(kept <= 1);
    if (kept === 0) await assert.rejects(forMemory, revoked);
    else forMemory.catch(() => {});
    await io.close();
    if (kept === 1) await assert.rejects(forMemory, { code: 'ERR_ANNULUS_CLOSED' });
    assert.deepEqual([pool.stats.used, pool.stats.waiters], [kept * 16, 0]);
  },

  /** With a request in flight that nothing will ever complete. */
  async stuck(): Promise<void> {
    const io = new Proactor({ entries: 8 });
    const [near] = blockingSockets();
    const read = assert.rejects(io.read(near, alloc(16)), { code: /^(?:EBADF|ECANCELED)$/ });
    await turn();
    revoke();
    await assert.rejects(io.open('/dev/null', 0), revoked);
    await io.close();
    await read;
  },
};

await cases[process.argv[2]!]!();
process.stdout.write('done\n');
