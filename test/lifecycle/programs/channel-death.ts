/**
 * One end of a channel, in a process that ends at a given store to the shared memory. If it gets to
 * the end it prints how many points it passed.
 */

import { MessageReceiver, MessageSender, Receiver, Sender } from 'annulus/channel';
import { byteOf, MESSAGES, messageOf, STREAM_BYTES } from '../../support/sent.js';
import { StoreSwitch } from '../../support/stores.js';

const [work, last] = process.argv.slice(2);
const stores = new StoreSwitch(last === undefined ? Infinity : Number(last));

async function sendMessages(): Promise<void> {
  const sender = MessageSender.fromStdio(3, { highWaterMark: 3000 });
  stores.watch(sender);
  for (let number = 0; number < MESSAGES; number++) {
    if (number % 3 === 0) await sendInPlace(sender, number);
    else await sender.write(messageOf(number));
    if (number % 4 === 0) sender.flush();
  }
  sender.end();
}

async function sendInPlace(sender: MessageSender, number: number): Promise<void> {
  const message = messageOf(number);
  await sender.whenWritable(message.length + 8);
  sender.claim(message.length)!.fill(0xee);
  sender.abort();
  stores.copy(sender.claim(message.length + 8)!, message);
  sender.commit(message.length);
}

async function sendBytes(): Promise<void> {
  const sender = Sender.fromStdio();
  stores.watch(sender);
  for (let sent = 0; sent < STREAM_BYTES;) {
    await sender.whenWritable();
    const free = sender.claim()!;
    const count = Math.min(free.length, 1111, STREAM_BYTES - sent);
    stores.copy(
      free,
      Uint8Array.from({ length: count }, (_, at) => byteOf(sent + at)),
    );
    sender.commit(count);
    sent += count;
  }
  sender.end();
}

async function receiveMessages(): Promise<void> {
  const receiver = MessageReceiver.fromStdio();
  stores.watch(receiver);
  for await (const message of receiver) void message;
  receiver.close();
}

async function receiveBytes(): Promise<void> {
  const receiver = Receiver.fromStdio();
  stores.watch(receiver);
  while (await receiver.whenReadable()) receiver.consume(Math.min(receiver.length, 1500));
  receiver.close();
}

const works = { sendMessages, sendBytes, receiveMessages, receiveBytes };
await works[work as keyof typeof works]();
process.stdout.write(`${stores.passed}\n`);
