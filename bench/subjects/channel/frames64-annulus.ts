/** One-way 64-byte messages from a child process as frames of a channel, claimed and read in place. */

import { Channel, MessageSender } from 'annulus/channel';
import { exitWithParent, role, startChild } from '../support/child.ts';
import { NumbersOf } from '../support/channel-pair.ts';
import { MESSAGE_BYTES, messageMatches, writeMessage } from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const CAPACITY = 1 << 18;

/** Standard streams and the IPC channel come first in the child. */
const FIRST_DESCRIPTOR = 4;

async function receive(): Promise<void> {
  const channel = Channel.create({ capacity: CAPACITY, messages: true });
  const stdio = channel.stdio('sender', ['ignore', 'inherit', 'inherit', 'ipc']);
  const child = startChild('sender', stdio);
  channel.release('sender');
  const { receiver } = channel;
  const meter = new StreamMeter(MESSAGE_BYTES, 4_096, () => child.kill('SIGKILL'));
  const memory = new NumbersOf();
  let sequence = 0;
  const take = (message: Uint8Array): void => {
    const numbers = memory.of(message);
    if (!messageMatches(numbers, message.byteOffset >> 3, sequence)) {
      throw new Error(`message ${sequence} is wrong`);
    }
    sequence++;
  };
  await pollThenWait(
    () => receiver.receive(take, 256),
    () => receiver.whenReadable(),
    (count) => meter.tick(count),
  );
  receiver.close();
}

async function send(): Promise<void> {
  exitWithParent();
  const sender = MessageSender.fromStdio(FIRST_DESCRIPTOR);
  const memory = new NumbersOf();
  let sequence = 0;
  for (;;) {
    const message = sender.claim(MESSAGE_BYTES);
    if (message === null) {
      await sender.whenWritable(16_384);
      continue;
    }
    writeMessage(memory.of(message), message.byteOffset >> 3, sequence);
    sequence++;
    sender.commit();
  }
}

if (role === 'parent') await receive();
else await send();
