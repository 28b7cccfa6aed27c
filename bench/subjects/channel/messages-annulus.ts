/**
 * One-way messages of any size from a child process, through a channel of messages: each is copied
 * into the channel, and verified where it lies.
 */

import { messageSenderToParent, startMessageSender } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { BlockSink, BlockSource, payloadNamed } from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const { bytes } = payloadNamed(textOption('payload'));

/** Several messages: both sides work at the same time, in memory that stays in the cache. */
const CAPACITY = Math.max(1 << 17, 4 * bytes);

async function receive(): Promise<void> {
  const { child, receiver } = startMessageSender('sender', CAPACITY);
  const meter = new StreamMeter(bytes, 64, () => child.kill('SIGKILL'));
  const sink = new BlockSink(bytes);
  let sequence = 0;
  function take(message: Uint8Array): void {
    sink.verify(sequence++, message);
  }
  await pollThenWait(
    () => receiver.receive(take),
    () => receiver.whenReadable(),
    (count) => meter.tick(count),
  );
  receiver.close();
}

async function send(): Promise<void> {
  exitWithParent();
  const sender = messageSenderToParent();
  const source = new BlockSource(bytes);
  let sequence = 0;

  function putMessage(): number {
    if (!sender.tryWrite(source.block(sequence).bytes)) return 0;
    sequence++;
    return 1;
  }

  // It ends when the receiver has its figure, and us killed.
  await pollThenWait(
    putMessage,
    () => sender.whenWritable(bytes),
    () => true,
  );
}

if (role === 'parent') await receive();
else await send();
