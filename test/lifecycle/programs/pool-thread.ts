/**
 * A thread of a pool, for the tests of how it ends: does what it is told and says when it has.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { BufferPool } from 'annulus/pool';
import type { BufferPoolHandle } from 'annulus/pool';
import { tablesOf } from '#src/pool/handle.js';
import { acquire } from '#src/pool/lock.js';
import { takeSeat } from '#src/pool/seats.js';
import { HEAD, MEMBER, MEMBERS } from '#src/pool/words.js';

type Work = 'hold' | 'wait' | 'sleep' | 'post' | 'leave' | 'lock' | 'churn' | 'home' | 'sit';

const { work, handle } = workerData as { work: Work; handle: BufferPoolHandle };
const port = parentPort!;

function say(what: unknown): void {
  port.postMessage(what, []);
}

/**
 * Dies with the lock in hand, in the middle of a change that it has not finished. It ends by itself:
 * the home may want the lock before it could tell this thread to.
 */
function lockAndDie(pool: BufferPool): never {
  const run = pool.tryAllocate(1)!;
  run.bytes[0] = 1;
  const tables = tablesOf(handle);
  const serial = tables.words[tables.memberAt(1) + MEMBER.SERIAL]!;
  acquire(tables.words, serial, () => false);
  tables.words[HEAD.USED]! += 2;
  tables.words[HEAD.QUEUE_HEAD] = 0;
  tables.words[HEAD.QUEUE_TAIL] = 0;
  tables.words[HEAD.ALLOCATIONS] = 77;
  tables.words[tables.classAt(0)] = 0;
  process.exit();
}

function churn(pool: BufferPool): never {
  for (let turn = 0; ; turn++) {
    const run = pool.tryAllocate(1 + (turn % 4));
    const other = pool.tryAllocate(1);
    run?.release();
    other?.release();
    if (turn === 100) say('ready');
  }
}

/** Ends before it takes part, with all places that there are. */
function sitAndDie(): never {
  const tables = tablesOf(handle);
  for (let member = 1; member < MEMBERS; member++) takeSeat(tables);
  process.exit();
}

if (work === 'sit') sitAndDie();
if (work === 'home') {
  const own = new BufferPool({ bufferSize: 4096, maxMemory: 4 * 4096 });
  const [first] = [own.tryAllocate(3)!, own.handle];
  first.bytes.fill(9);
  say(own.handle);
  port.on('message', () => {
    first.release();
  });
} else {
  const pool = BufferPool.attach(handle);
  const kept = work === 'hold' || work === 'post' || work === 'leave' ? pool.tryAllocate(2) : null;
  port.on('message', () => process.exit());
  if (work === 'wait') void pool.allocate(2);
  if (work === 'lock') lockAndDie(pool);
  if (work === 'sleep') {
    say('ready');
    pool.allocateSync(2);
  } else if (work === 'churn') {
    churn(pool);
  } else if (kept && work !== 'hold') {
    kept.bytes.fill(7);
    say(kept.move());
    if (work === 'leave') await pool.close();
    say('ready');
  } else {
    say('ready');
  }
}
