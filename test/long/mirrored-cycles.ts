/**
 * 200,000 mirrored rings created, resized twice and closed; fails if descriptors, mappings or memory
 * are not where they began: `node --max-semi-space-size=1 build/test/long/mirrored-cycles.js [cycles]`.
 *
 * The flag keeps V8's young generation from growing, of which every 256 KiB are a mapping.
 */

import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

import { MirroredRing } from 'annulus/memory';
import { dropSpares } from '#src/memory/spares.js';
import { pageSize } from '#src/sys/linux.js';
import { mappings } from '../support/census.js';
import { collectGarbage } from '../support/gc.js';

const count = Number(process.argv[2] ?? 200_000);
const warmUp = Number(process.argv[3] ?? 10_000);
const steps = 4;

/** What V8 and the allocator may take in between: much less than a mapping or a page a cycle. */
const ALLOWED = { mappings: 40, residentBytes: 8 * 2 ** 20 };

/** What a process holds. */
interface Holdings {
  readonly descriptors: number;
  /** All mappings of the process, those of V8 and of Node included. */
  readonly mappings: number;
  readonly residentBytes: number;
}

/** Counts, once everything that can be collected is. */
async function holdings(): Promise<Holdings> {
  dropSpares(); // which would be given back half a second later
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await setImmediate();
  }
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: mappings().length,
    residentBytes: process.memoryUsage.rss(),
  };
}

/** Creates, fills, grows, shrinks and closes rings of many sizes; says how many resizes that were. */
async function cycleRings(cycles: number): Promise<number> {
  const page = pageSize();
  for (let i = 0; i < cycles; i++) {
    const ring = MirroredRing.create(page * (1 + (i % 4)));
    const start = (i * 1009) % ring.capacity;
    ring.advance(start);
    ring.consume(start);
    ring.unused().fill(i & 255);
    ring.advance(ring.capacity);
    ring.resize(ring.capacity + page * (1 + (i % 3)));
    ring.unused().fill(1);
    ring.consume((i * 31) % ring.length);
    ring.resize(Math.max(page, ring.length));
    ring.close();
    if (i % 500 === 499) await setImmediate();
  }
  return 2 * cycles;
}

await cycleRings(warmUp);
const before = await holdings();
let latest = before;
let resizes = 0;
for (let step = 1; step <= steps; step++) {
  resizes += await cycleRings(count / steps);
  latest = await holdings();
  const memory = (latest.residentBytes / 2 ** 20).toFixed(1);
  process.stdout.write(
    `${(count / steps) * step} cycles, ${resizes} resizes: ${latest.descriptors} descriptors, ` +
      `${latest.mappings} mappings, ${memory} MiB\n`,
  );
}
const grown = {
  descriptors: latest.descriptors - before.descriptors,
  mappings: latest.mappings - before.mappings,
  residentBytes: latest.residentBytes - before.residentBytes,
};
process.stdout.write(`more than at the beginning: ${JSON.stringify(grown)}\n`);
const leaks =
  grown.descriptors > 0 ||
  grown.mappings > ALLOWED.mappings ||
  grown.residentBytes > ALLOWED.residentBytes;
process.exitCode = leaks ? 1 : 0;
