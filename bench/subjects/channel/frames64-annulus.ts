/**
 * One-way 64-byte messages from a child process as frames of a channel, claimed and read in place: by
 * offsets, or with a view of each.
 */

import type { MessageReceiver } from 'annulus/channel';
import { messageSenderToParent, startMessageSender } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { MESSAGE_BYTES, messageMatches, writeMessage } from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const CAPACITY = 1 << 18;

/** Messages between two looks at the clock, or at the other side. */
const BATCH = 256;

const pair = role === 'parent' ? startMessageSender('sender', CAPACITY) : undefined;
const receiver = pair?.receiver as MessageReceiver;
const sender = pair === undefined ? messageSenderToParent() : (undefined as never);
// Constants, and copies of what is imported: V8 compiles these into the loops.
const numbers = new Float64Array((pair === undefined ? sender : receiver).memory.buffer);
const write: typeof writeMessage = writeMessage;
const matches: typeof messageMatches = messageMatches;
const messageBytes: number = MESSAGE_BYTES;
/** Number of the next message, as a double: that is what is written. */
const next = new Float64Array(1);

const byViews = textOption('by') === 'views';

function takeAt(offset: number): void {
  const sequence = next[0]!;
  if (!matches(numbers, offset >> 3, sequence)) throw new Error(`message ${sequence} is wrong`);
  next[0] = sequence + 1;
}

function take(message: Uint8Array): void {
  takeAt(message.byteOffset);
}

/** Where the next message goes; -1 without room. */
function claim(): number {
  if (byViews) return sender.claim(messageBytes)?.byteOffset ?? -1;
  return sender.claimOffset(messageBytes);
}

/** Writes messages as long as there is room; how many. */
function putMessages(): number {
  let count = 0;
  for (; count < BATCH; count++) {
    const offset = claim();
    if (offset === -1) break;
    const sequence = next[0]!;
    write(numbers, offset >> 3, sequence);
    next[0] = sequence + 1;
    sender.commit();
  }
  return count;
}

if (pair === undefined) {
  exitWithParent();
  // It ends when the receiver has its figure, and us killed.
  await pollThenWait(
    putMessages,
    () => sender.whenWritable(16_384),
    () => true,
  );
} else {
  const meter = new StreamMeter(MESSAGE_BYTES, 4_096, () => pair.child.kill('SIGKILL'));
  await pollThenWait(
    () => (byViews ? receiver.receive(take, BATCH) : receiver.receiveOffsets(takeAt, BATCH)),
    () => receiver.whenReadable(),
    (count) => meter.tick(count),
  );
  receiver.close();
}
