/** Round trips to a child process with `process.send`, advanced serialization. */

import { exitWithParent, role, startChild } from '../support/child.ts';
import { checkPing, PING_WORDS, writePing } from '../support/ping.ts';
import { RoundTrips } from '../support/round-trips.ts';

const ping = new Int32Array(PING_WORDS);

function play(): void {
  const child = startChild('echo');
  const trips = new RoundTrips(16);
  let sequence = 0;
  function next(): void {
    writePing(ping, 0, ++sequence);
    child.send(ping);
  }
  child.on('message', (message) => {
    checkPing(message as Int32Array, 0, sequence);
    if (trips.tick()) {
      next();
    } else {
      trips.report();
      child.kill('SIGKILL');
    }
  });
  next();
}

function echo(): void {
  exitWithParent();
  let expected = 0;
  process.on('message', (message) => {
    checkPing(message as Int32Array, 0, ++expected);
    writePing(ping, 0, expected);
    process.send?.(ping);
  });
}

if (role === 'parent') play();
else echo();
