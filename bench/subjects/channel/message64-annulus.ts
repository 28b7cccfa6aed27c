/** One-way 64-byte messages from a child process, written and read in the memory of a channel. */

import type { Receiver } from 'annulus/channel';
import { senderToParent, startSender } from '../support/channel-pair.ts';
import { exitWithParent, role } from '../support/child.ts';
import { MESSAGE_BYTES } from '../support/payload.ts';
import { pollThenWait } from '../support/poll-then-wait.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const CAPACITY = 1 << 18;

/** Published at a time: enough to make the atomics of a batch cheap, well below the capacity. */
const BATCH_BYTES = 1 << 14;

/*
 * The loops are those of support/payload.ts, and here for four reasons, each worth a factor of up to two.
 * V8 compiles what is a constant of the module into them, but looks up imports at every use. The memory is
 * such a constant, so that its address and length are, too. The number of a message comes from its place: a
 * counter carried from message to message is spilled, and waited for. And both halves of a batch are gone
 * through at the same time: the processor fetches two streams from the other's cache faster than one.
 */
const pair = role === 'parent' ? startSender('sender', CAPACITY) : undefined;
const receiver = pair?.receiver as Receiver;
const sender = pair === undefined ? senderToParent() : (undefined as never);
const memory = pair === undefined ? sender.claim() : receiver.content();
const numbers = new Float64Array((memory as Uint8Array).buffer);
/** Number of the next message, as a double: that is what is written. */
const next = new Float64Array(1);

function write(start: number, sequence: number): void {
  numbers[start] = sequence;
  numbers[start + 1] = sequence + 1;
  numbers[start + 2] = sequence + 2;
  numbers[start + 3] = sequence + 3;
  numbers[start + 4] = sequence + 4;
  numbers[start + 5] = sequence + 5;
  numbers[start + 6] = sequence + 6;
  numbers[start + 7] = sequence * 7 + 21;
}

function matches(start: number, sequence: number): boolean {
  const first = numbers[start]!;
  const a = first + numbers[start + 1]!;
  const b = numbers[start + 2]! + numbers[start + 3]!;
  const c = numbers[start + 4]! + numbers[start + 5]!;
  return first === sequence && a + b + (c + numbers[start + 6]!) === numbers[start + 7];
}

function check(start: number, sequence: number): void {
  if (!matches(start, sequence)) throw new Error(`message ${sequence} is wrong`);
}

function takeMessages(): number {
  if (receiver.length === 0) return 0;
  const content = receiver.content();
  const start = content.byteOffset >> 3;
  const end = start + (Math.min(content.length, BATCH_BYTES) >> 3);
  const base = next[0]! - (start >> 3);
  const half = ((end - start) >> 4) << 3;
  for (let at = start; at < start + half; at += 8) {
    check(at, base + (at >> 3));
    check(at + half, base + ((at + half) >> 3));
  }
  if (start + 2 * half < end) check(end - 8, base + (end >> 3) - 1);
  next[0] = base + (end >> 3);
  receiver.consume((end - start) << 3);
  return (end - start) >> 3;
}

function putMessages(): number {
  const free = sender.claim();
  if (free === null) return 0;
  const start = free.byteOffset >> 3;
  const end = start + (Math.min(free.length, BATCH_BYTES) >> 3);
  const base = next[0]! - (start >> 3);
  const half = ((end - start) >> 4) << 3;
  for (let at = start; at < start + half; at += 8) {
    write(at, base + (at >> 3));
    write(at + half, base + ((at + half) >> 3));
  }
  if (start + 2 * half < end) write(end - 8, base + (end >> 3) - 1);
  next[0] = base + (end >> 3);
  sender.commit((end - start) << 3);
  return (end - start) >> 3;
}

if (pair === undefined) {
  exitWithParent();
  // It ends when the receiver has its figure, and us killed.
  await pollThenWait(
    putMessages,
    () => sender.whenWritable(BATCH_BYTES),
    () => true,
  );
} else {
  const meter = new StreamMeter(MESSAGE_BYTES, 4_096, () => pair.child.kill('SIGKILL'));
  await pollThenWait(
    takeMessages,
    () => receiver.whenReadable(),
    (count) => meter.tick(count),
  );
  receiver.close();
}
