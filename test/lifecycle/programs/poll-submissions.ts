/**
 * Reads by a ring with a polling thread, which it never lets sleep; prints how many, its enters in
 * all, and those before the thread was awake.
 */

import { openSync } from 'node:fs';

import { alloc } from 'annulus/memory';
import { Ring, SETUP } from 'annulus/uring';

const READS = 20_000;

using ring = new Ring({ entries: 64, flags: SETUP.SQPOLL, sqThreadIdle: 10_000 });
const memory = alloc(64 * 512);
const file = openSync(process.execPath, 'r');
const range = { offset: 0, length: 512, position: 0 };
let reaped = 0;
const count = (_: number, result: number): void => {
  if (result !== 512) throw new Error(`a read completed with ${result}`);
  reaped++;
};

// The thread is born asleep, and waking takes it a while: as often as it says so meanwhile, it is woken.
ring.nop(0);
ring.submitAndWait(1);
ring.drain(() => {});
const waking = ring.stats.enters;

let prepared = 0;
while (reaped < READS) {
  // Never more than the completion queue has room for: an overflow is fetched by entering.
  while (prepared < READS && ring.hasSpace(1) && ring.inFlight < 64) {
    range.offset = (prepared & 63) * 512;
    ring.read(prepared++, file, memory, range);
  }
  ring.submit();
  ring.drain(count);
}
process.stdout.write(`${reaped} ${ring.stats.enters} ${waking}\n`);
