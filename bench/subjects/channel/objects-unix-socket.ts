/**
 * One-way objects from a child process through a unix socket, each as JSON after its length. As many
 * as fit into 64 KiB are written together.
 */

import { exitWithParent, role } from '../support/child.ts';
import { checkEvent, makeEvent } from '../support/events.ts';
import type { Event } from '../support/events.ts';
import { StreamMeter } from '../support/stream-meter.ts';
import { connectChild, connectParent, PREFIX_BYTES } from '../support/unix-socket.ts';

const BATCH_BYTES = 65_536;

/** Room that any object has. */
const OBJECT_BYTES_MAX = 1024;

/** Batches in the hands of the socket at a time, so that it never runs dry. */
const BATCHES = 4;

async function receive(): Promise<void> {
  const { child, socket } = await connectChild('sender');
  const meter = new StreamMeter(0, 64, () => {
    child.kill('SIGKILL');
    socket.destroy();
  });
  let rest: Buffer = Buffer.alloc(0);
  let sequence = 0;
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const first = sequence;
    let at = 0;
    while (at + PREFIX_BYTES <= bytes.length) {
      const end = at + PREFIX_BYTES + bytes.readInt32LE(at);
      if (end > bytes.length) break;
      const event = JSON.parse(bytes.toString('utf8', at + PREFIX_BYTES, end)) as Event;
      checkEvent(event, sequence++);
      at = end;
    }
    rest = bytes.subarray(at);
    meter.tick(sequence - first);
  });
}

function send(): void {
  exitWithParent();
  const socket = connectParent();
  let sequence = 0;

  function sendBatch(batch: Buffer): void {
    let at = 0;
    while (at + OBJECT_BYTES_MAX <= batch.length) {
      const text = JSON.stringify(makeEvent(sequence++));
      const bytes = batch.write(text, at + PREFIX_BYTES);
      batch.writeInt32LE(bytes, at);
      at += PREFIX_BYTES + bytes;
    }
    socket.write(batch.subarray(0, at), (error) => {
      if (error === undefined || error === null) sendBatch(batch);
    });
  }

  for (let batch = 0; batch < BATCHES; batch++) sendBatch(Buffer.alloc(BATCH_BYTES));
}

if (role === 'parent') await receive();
else send();
