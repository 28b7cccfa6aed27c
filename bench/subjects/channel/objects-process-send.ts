/** One-way objects from a child process with `process.send`, advanced serialization. */

import { exitWithParent, role, startChild } from '../support/child.ts';
import { checkEvent, makeEvent } from '../support/events.ts';
import type { Event } from '../support/events.ts';
import { StreamMeter } from '../support/stream-meter.ts';

/** Objects sent before waiting for the pipe: enough to keep it full. */
const BATCH = 256;

function receive(): void {
  const child = startChild('sender');
  const meter = new StreamMeter(0, 64, () => child.kill('SIGKILL'));
  let sequence = 0;
  child.on('message', (message) => {
    checkEvent(message as Event, sequence++);
    meter.tick(1);
  });
}

function send(): void {
  exitWithParent();
  let sequence = 0;
  function sendBatch(): void {
    for (let index = 1; index < BATCH; index++) process.send?.(makeEvent(sequence++));
    process.send?.(makeEvent(sequence++), undefined, {}, (error) => {
      if (error === null) sendBatch();
    });
  }
  sendBatch();
}

if (role === 'parent') receive();
else send();
