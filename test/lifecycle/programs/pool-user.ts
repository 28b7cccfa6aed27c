/**
 * Fills a pool of so many MiB with reads of Node's own program file and says what was registered.
 */

import { openSync, readSync } from 'node:fs';

import { BufferPool } from 'annulus/pool';
import { Proactor } from 'annulus/proactor';
import type { PooledBytes } from 'annulus/proactor';
import { pageSize } from '#src/sys/linux.js';

const bufferSize = pageSize();
const budget = Number(process.argv[2]) * 2 ** 20;
const fd = openSync(process.execPath, 'r');

/** Reads the file's first bytes into all of the pool; how many buffers have what they must. */
async function fill(io: Proactor, pool: BufferPool): Promise<number> {
  const positions = Array.from({ length: pool.capacity }, (_, index) => index * bufferSize);
  const parts = await Promise.all(positions.map((position) => io.read(fd, pool, { position })));
  const wanted = Buffer.alloc(bufferSize);
  let right = 0;
  parts.forEach((part: PooledBytes, index) => {
    readSync(fd, wanted, 0, bufferSize, positions[index]!);
    if (wanted.equals(part.bytes)) right++;
  });
  const { slabs, registeredSlabs, resident } = pool.stats;
  process.stdout.write(
    `${JSON.stringify({ ring: true, right, slabs, registeredSlabs, resident })}\n`,
  );
  for (const part of parts) part.release();
  return right;
}

const pool = new BufferPool({ bufferSize, maxMemory: budget, trimAfter: Infinity });
try {
  const io = new Proactor({ entries: 8, completionEntries: 16 });
  await fill(io, pool);
  await io.close();
} catch (error) {
  const { code } = error as { code?: string };
  if (code !== 'ERR_ANNULUS_URING_UNAVAILABLE') throw error;
  process.stdout.write(`${JSON.stringify({ ring: false })}\n`);
}
await pool.close();
