/**
 * Reads through a proactor with 128 requests in flight; prints how many there were.
 */

import { openSync } from 'node:fs';

import { alloc } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';

const READS = 50_000;
const DEPTH = 128;
const BYTES = 4096;

const io = Proactor.default();
const file = openSync(process.execPath, 'r');
let started = 0;

async function lane(): Promise<void> {
  const memory = alloc(BYTES);
  while (started < READS) await io.read(file, memory, { position: (started++ & 1023) * BYTES });
}

await Promise.all(Array.from({ length: DEPTH }, lane));
await io.close();
process.stdout.write(`${READS}\n`);
