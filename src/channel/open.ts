/**
 * Opening an end of whatever a channel carries.
 */
import type { EndDescriptors, Role } from './descriptors.ts';
import { ElementReceiver } from './element-receiver.ts';
import { ElementSender } from './element-sender.ts';
import { endFromDescriptors } from './handle.ts';
import { MODE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import { MessageReceiver } from './message-receiver.ts';
import type { MessageReceiverOptions } from './message-receiver.ts';
import { MessageSender } from './message-sender.ts';
import type { MessageSenderOptions } from './message-sender.ts';
import { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';

/** The writing end of any channel. */
export type AnySender = Sender | ElementSender | MessageSender<unknown>;

/** The reading end of any channel. */
export type AnyReceiver = Receiver | ElementReceiver | MessageReceiver<unknown>;

/** Options of the end of any channel; what does not concern it is not looked at. */
export type AnyEndOptions = MessageSenderOptions<unknown> & MessageReceiverOptions<unknown>;

/** @internal Makes the sender that fits what the memory's header says. */
export function makeSender(
  memory: ChannelMemory,
  fds: EndDescriptors,
  options?: AnyEndOptions,
): AnySender {
  switch (memory.format.mode) {
    case MODE.BYTES:
      return new Sender(memory, fds, options);
    case MODE.ELEMENTS:
      return new ElementSender(memory, fds, options);
    default:
      return new MessageSender<unknown>(memory, fds, options);
  }
}

/** @internal Makes the receiver that fits what the memory's header says. */
export function makeReceiver(
  memory: ChannelMemory,
  fds: EndDescriptors,
  options?: AnyEndOptions,
): AnyReceiver {
  switch (memory.format.mode) {
    case MODE.BYTES:
      return new Receiver(memory, fds, options);
    case MODE.ELEMENTS:
      return new ElementReceiver(memory, fds, options);
    default:
      return new MessageReceiver<unknown>(memory, fds, options);
  }
}

/**
 * Takes over descriptors of an end that came from another process, and attaches to it.
 *
 * @param fds - As `channel.descriptors()` gave them, in their order.
 * @throws {TypeError} `ERR_INVALID_ARG_VALUE` if they are too few or not open.
 * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT` if they are no channel, `ERR_ANNULUS_CHANNEL_TAKEN`,
 *   `ERR_ANNULUS_CHANNEL_MODE`. The descriptors are the caller's then.
 */
export function openEnd(role: 'sender', fds: readonly number[], options?: AnyEndOptions): AnySender;
export function openEnd(
  role: 'receiver',
  fds: readonly number[],
  options?: AnyEndOptions,
): AnyReceiver;
export function openEnd(
  role: Role,
  fds: readonly number[],
  options?: AnyEndOptions,
): AnySender | AnyReceiver {
  return endFromDescriptors<AnySender | AnyReceiver>(fds, (memory, own) =>
    role === 'sender' ? makeSender(memory, own, options) : makeReceiver(memory, own, options),
  );
}
