/** One-way objects from a child process through a channel, by JSON or `v8`. */

import { Channel, MessageSender } from 'annulus/channel';
import type { CodecName } from 'annulus/channel';
import { exitWithParent, role, startChild } from '../support/child.ts';
import { checkEvent, makeEvent } from '../support/events.ts';
import type { Event } from '../support/events.ts';
import { textOption } from '../support/options.ts';
import { StreamMeter } from '../support/stream-meter.ts';

const CAPACITY = 1 << 18;

const codec = textOption('codec', 'json') as CodecName;

/** Standard streams and the IPC channel come first in the child. */
const FIRST_DESCRIPTOR = 4;

async function receive(): Promise<void> {
  const channel = Channel.create<Event>({ capacity: CAPACITY, codec });
  const stdio = channel.stdio('sender', ['ignore', 'inherit', 'inherit', 'ipc']);
  const child = startChild('sender', stdio);
  channel.release('sender');
  const { receiver } = channel;
  const meter = new StreamMeter(0, 64, () => child.kill('SIGKILL'));
  let sequence = 0;
  let goOn = true;
  while (goOn && (await receiver.whenReadable())) {
    const count = receiver.receive((event) => checkEvent(event, sequence++));
    goOn = meter.tick(count);
  }
  receiver.close();
}

async function send(): Promise<void> {
  exitWithParent();
  const sender = MessageSender.fromStdio<Event>(FIRST_DESCRIPTOR);
  for (let sequence = 0; ; sequence++) {
    const wait = sender.write(makeEvent(sequence));
    if (wait !== undefined) await wait;
  }
}

if (role === 'parent') await receive();
else await send();
