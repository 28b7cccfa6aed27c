/**
 * Writes a file through a proactor and exits at once. Arguments: the file, how it ends.
 */

import { openSync } from 'node:fs';

import { alloc } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { steadyExit } from '#src/cli/steady-exit.js';

steadyExit();

const [path, end] = process.argv.slice(2);
const BLOCK = 65_536;

const io = Proactor.default();
const fd = openSync(path!, 'w');
for (let i = 0; i < 64; i++) {
  // Half of it from ordinary memory, which is copied when the request is made.
  const block = (i % 2 === 0 ? alloc(BLOCK) : new Uint8Array(BLOCK)).fill(i);
  void io.write(fd, block, { position: i * BLOCK });
}
if (end === 'throw') throw new Error('thrown on purpose');
process.exit(0);
