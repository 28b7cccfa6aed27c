/** One-way payloads from a child process with `process.send`, advanced serialization. */

import { exitWithParent, role, startChild } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { payloadNamed } from '../support/payload.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const payload = payloadNamed(textOption('payload'));

/** Bytes sent before waiting for the pipe: enough to keep it full, too little to fill the heap. */
const BATCH_BYTES = 65_536;

function receive(): void {
  const child = startChild('sender');
  const meter = new StreamMeter(payload.bytes, 64, () => child.kill('SIGKILL'));
  let sequence = 0;
  child.on('message', (message) => {
    payload.consume(message as Float64Array, 0, sequence++);
    meter.tick(1);
  });
}

function send(): void {
  exitWithParent();
  const batch = Math.max(1, BATCH_BYTES / payload.bytes);
  let sequence = 0;
  function sendBatch(): void {
    for (let index = 1; index < batch; index++) process.send?.(payload.produce(sequence++));
    process.send?.(payload.produce(sequence++), undefined, {}, (error) => {
      if (error === null) sendBatch();
    });
  }
  sendBatch();
}

if (role === 'parent') receive();
else send();
