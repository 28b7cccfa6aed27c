/** One-way 64-byte messages from a child process, written and read in the memory of a channel. */

import { senderToParent, startSender, NumbersOf } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import {
  MESSAGE_BYTES,
  MESSAGE_NUMBERS,
  messageMatches,
  writeMessage,
} from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const CAPACITY = 1 << 18;

/** Published at a time: enough to make the atomics of a batch cheap, well below the capacity. */
const BATCH_BYTES = 1 << 14;

async function receive(): Promise<void> {
  const { child, receiver } = startSender('sender', CAPACITY);
  const meter = new StreamMeter(MESSAGE_BYTES, 4_096, () => child.kill('SIGKILL'));
  const memory = new NumbersOf();
  let sequence = 0;

  function takeMessages(): number {
    if (receiver.length === 0) return 0;
    const content = receiver.content();
    const numbers = memory.of(content);
    const start = content.byteOffset >> 3;
    const end = start + (Math.min(content.length, BATCH_BYTES) >> 3);
    for (let at = start; at < end; at += MESSAGE_NUMBERS) {
      if (!messageMatches(numbers, at, sequence)) throw new Error(`message ${sequence} is wrong`);
      sequence++;
    }
    receiver.consume((end - start) << 3);
    return (end - start) / MESSAGE_NUMBERS;
  }

  await pollThenWait(
    takeMessages,
    () => receiver.whenReadable(),
    (count) => meter.tick(count),
  );
  receiver.close();
}

async function send(): Promise<void> {
  exitWithParent();
  const sender = senderToParent();
  const memory = new NumbersOf();
  let sequence = 0;

  function putMessages(): number {
    const free = sender.claim();
    if (free === null) return 0;
    const numbers = memory.of(free);
    const start = free.byteOffset >> 3;
    const end = start + (Math.min(free.length, BATCH_BYTES) >> 3);
    for (let at = start; at < end; at += MESSAGE_NUMBERS) {
      writeMessage(numbers, at, sequence);
      sequence++;
    }
    sender.commit((end - start) << 3);
    return (end - start) / MESSAGE_NUMBERS;
  }

  // It ends when the receiver has its figure, and us killed.
  await pollThenWait(
    putMessages,
    () => sender.whenWritable(BATCH_BYTES),
    () => true,
  );
}

if (role === 'parent') await receive();
else await send();
