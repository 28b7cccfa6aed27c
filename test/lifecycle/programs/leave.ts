/**
 * A process that ends with requests in flight. Arguments: on what, and how it ends.
 */

import { openSync } from 'node:fs';

import { steadyExit } from '#src/cli/steady-exit.js';
import { blockingPipe, blockingSockets, quietListener } from '../../support/pipes.ts';
import { leaveOnProactor, leaveOnRing } from '../../support/in-flight.ts';

steadyExit();

const [way, end] = process.argv.slice(2);

const quiet = {
  file: openSync(process.execPath, 'r'),
  socket: blockingSockets()[0],
  pipe: blockingPipe(),
  listener: await quietListener(),
};
if (way === 'ring') leaveOnRing(quiet);
else leaveOnProactor(quiet).unref();

/** Ends this process, or waits for the signal that does. */
function leave(): void {
  process.stdout.write('in flight\n');
  if (end === 'exit') process.exit(3);
  if (end === 'throw') throw new Error('thrown on purpose');
  if (end === 'SIGTERM') setInterval(() => {}, 1000);
}

// Before the requests made in this turn are submitted, and after.
if (process.pid % 2 === 0) leave();
else setImmediate(leave);
