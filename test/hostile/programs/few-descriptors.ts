/**
 * The command line, where its process has few descriptors left. Those that are taken close in processes
 * it starts, and the program is loaded: loading alone takes more than some verbs.
 */

import { closeSync, openSync } from 'node:fs';

import { main } from '#src/cli/main.js';

const [left, ...args] = process.argv.slice(2);
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
}
for (const fd of taken.slice(0, Number(left))) closeSync(fd);
process.exitCode = await main(args);
