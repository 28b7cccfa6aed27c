/** One-way 64 KiB blocks from a child process: copied into a channel, and out of it. */

import { senderToParent, startSender } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import { BLOCK_BYTES, BlockSink, BlockSource } from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

/** Four blocks: both sides can work at the same time, in memory that stays in the cache. */
const CAPACITY = 4 * BLOCK_BYTES;

async function receive(): Promise<void> {
  const { child, receiver } = startSender('sender', CAPACITY);
  const meter = new StreamMeter(BLOCK_BYTES, 64, () => child.kill('SIGKILL'));
  const sink = new BlockSink();
  let sequence = 0;

  function takeBlock(): number {
    if (receiver.length < BLOCK_BYTES) return 0;
    sink.bytes.set(receiver.content().subarray(0, BLOCK_BYTES));
    receiver.consume(BLOCK_BYTES);
    sink.verify(sequence++);
    return 1;
  }

  await pollThenWait(
    takeBlock,
    () => receiver.whenReadable(BLOCK_BYTES),
    (count) => meter.tick(count),
  );
  receiver.close();
}

async function send(): Promise<void> {
  exitWithParent();
  const sender = senderToParent();
  const source = new BlockSource();
  let sequence = 0;

  function putBlock(): number {
    const free = sender.claim(BLOCK_BYTES);
    if (free === null) return 0;
    free.set(source.block(sequence++).bytes);
    sender.commit(BLOCK_BYTES);
    return 1;
  }

  // It ends when the receiver has its figure, and us killed.
  await pollThenWait(
    putBlock,
    () => sender.whenWritable(BLOCK_BYTES),
    () => true,
  );
}

if (role === 'parent') await receive();
else await send();
