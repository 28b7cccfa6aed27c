/** Channels between the two processes of a subject. */

import type { ChildProcess } from 'node:child_process';
import {
  Channel,
  ElementReceiver,
  ElementSender,
  MessageSender,
  Receiver,
  Sender,
} from 'annulus/channel';
import type { MessageReceiver, SignalKind, StdioEntry, Waiting } from 'annulus/channel';
import { startChild } from './child.ts';

/** Standard streams and the IPC channel come first in the child; then the channels. */
const STANDARD: readonly StdioEntry[] = ['ignore', 'inherit', 'inherit', 'ipc'];
const FIRST_CHANNEL = 4;

/** Descriptors of an end; twice as many where it waits on eventfds. */
const CHANNEL_DESCRIPTORS = 2;

/** The parent's ends, and the process that holds the others. */
export interface ParentEnds {
  readonly child: ChildProcess;
  readonly sender: Sender;
  readonly receiver: Receiver;
}

/** Starts `childRole` as the sender of a channel to us. */
export function startSender(
  childRole: string,
  capacity: number,
): { readonly child: ChildProcess; readonly receiver: Receiver } {
  const channel = Channel.create({ capacity });
  const child = startChild(childRole, channel.stdio('sender', STANDARD));
  channel.release('sender');
  return { child, receiver: channel.receiver };
}

/** In the child that `startSender` started. */
export function senderToParent(): Sender {
  return Sender.fromStdio(FIRST_CHANNEL);
}

/** Starts `childRole` as the sender of a channel of messages to us. */
export function startMessageSender(
  childRole: string,
  capacity: number,
): { readonly child: ChildProcess; readonly receiver: MessageReceiver } {
  const channel = Channel.create({ capacity, messages: true });
  const child = startChild(childRole, channel.stdio('sender', STANDARD));
  channel.release('sender');
  return { child, receiver: channel.receiver };
}

/** In the child that `startMessageSender` started. */
export function messageSenderToParent(): MessageSender {
  return MessageSender.fromStdio(FIRST_CHANNEL);
}

/** Starts `childRole` with a channel in each direction. */
export function startEcho(
  childRole: string,
  capacity: number,
  waiting: Waiting = 'adaptive',
  signal: SignalKind = 'socket',
): ParentEnds {
  const there = Channel.create({ capacity, waiting, signal });
  const back = Channel.create({ capacity, waiting, signal });
  const child = startChild(childRole, back.stdio('sender', there.stdio('receiver', STANDARD)));
  there.release('receiver');
  back.release('sender');
  return { child, sender: there.sender, receiver: back.receiver };
}

/** In the child that `startEcho` started. */
export function endsToParent(
  waiting: Waiting = 'adaptive',
  signal: SignalKind = 'socket',
): {
  readonly sender: Sender;
  readonly receiver: Receiver;
} {
  const second = FIRST_CHANNEL + (signal === 'socket' ? 1 : 2) * CHANNEL_DESCRIPTORS;
  return {
    receiver: Receiver.fromStdio(FIRST_CHANNEL, { waiting }),
    sender: Sender.fromStdio(second, { waiting }),
  };
}

/** Starts `childRole` with a channel of numbers in each direction, of so many. */
export function startNumberEcho(
  childRole: string,
  count: number,
): {
  readonly child: ChildProcess;
  readonly sender: ElementSender<Float64Array>;
  readonly receiver: ElementReceiver<Float64Array>;
} {
  const options = { capacity: count * 8, type: Float64Array };
  const there = Channel.create(options);
  const back = Channel.create(options);
  const child = startChild(childRole, back.stdio('sender', there.stdio('receiver', STANDARD)));
  there.release('receiver');
  back.release('sender');
  return { child, sender: there.sender, receiver: back.receiver };
}

/** In the child that `startNumberEcho` started. */
export function numberEndsToParent(): {
  readonly sender: ElementSender<Float64Array>;
  readonly receiver: ElementReceiver<Float64Array>;
} {
  const second = FIRST_CHANNEL + CHANNEL_DESCRIPTORS;
  return {
    receiver: ElementReceiver.fromStdio<Float64Array>(FIRST_CHANNEL),
    sender: ElementSender.fromStdio<Float64Array>(second),
  };
}

/** The memory behind a view as words: made once a channel, for every view is into the same buffer. */
export class WordsOf {
  #words: Int32Array = new Int32Array(0);

  of(view: Uint8Array): Int32Array {
    if (this.#words.buffer !== view.buffer) this.#words = new Int32Array(view.buffer);
    return this.#words;
  }
}
