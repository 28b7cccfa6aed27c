/**
 * Meeting: `Channel.listen()`, `Channel.connect()` and `Channel.inherit()`, with what each kind of
 * channel gives.
 */
import { SO } from '../sys/abi.ts';
import { AnnulusError, ERRNO, invalidArgValue, SystemError } from '../sys/errors.ts';
import { isOpen } from '../sys/linux.ts';
import { closePassed, drainSocket } from '../sys/passing.ts';
import { socketOption } from '../sys/sockets.ts';
import type { ArrayOf } from './channel.ts';
import type { Codec, CodecName } from './codec.ts';
import type { Connection } from './connection.ts';
import { connect } from './connector.ts';
import type { ConnectOptions } from './connector.ts';
import type { ElementReceiver } from './element-receiver.ts';
import type { ElementSender } from './element-sender.ts';
import type { ElementType } from './elements.ts';
import type { Role } from './descriptors.ts';
import type { MeetingRole } from './greeting.ts';
import { inheritedDescriptors } from './inherit.ts';
import { MODE } from './layout.ts';
import type { Format } from './layout.ts';
import type { ChannelListener } from './listener.ts';
import { corrupt } from './memory.ts';
import type { MessageReceiver } from './message-receiver.ts';
import type { MessageSender } from './message-sender.ts';
import { openEnd } from './open.ts';
import type { AnyEndOptions, AnyReceiver, AnySender } from './open.ts';
import type { Receiver } from './receiver.ts';
import type { Sender } from './sender.ts';
import type { SenderOptions } from './sending.ts';

/** What says which kind of channel it is. */
export interface KindOptions {
  readonly type?: ElementType | undefined;
  readonly messages?: boolean | undefined;
  readonly codec?: Codec<never> | CodecName | undefined;
  readonly role?: MeetingRole | undefined;
}

/** What messages a channel made with these options has. */
export type MessageOf<O> = O extends { readonly codec: Codec<infer T> }
  ? T
  : O extends { readonly codec: CodecName }
    ? unknown
    : Uint8Array;

/** The sender of a channel made with these options. */
export type SenderFor<O extends KindOptions> = O extends {
  readonly type: infer E extends ElementType;
}
  ? ElementSender<ArrayOf<E>>
  : O extends { readonly messages: true } | { readonly codec: Codec<never> | CodecName }
    ? MessageSender<MessageOf<O>>
    : Sender;

/** The receiver of a channel made with these options. */
export type ReceiverFor<O extends KindOptions> = O extends {
  readonly type: infer E extends ElementType;
}
  ? ElementReceiver<ArrayOf<E>>
  : O extends { readonly messages: true } | { readonly codec: Codec<never> | CodecName }
    ? MessageReceiver<MessageOf<O>>
    : Receiver;

/** The role that options name; what is not said is `Default`. */
export type RoleFor<O extends KindOptions, Default extends MeetingRole> = O extends {
  readonly role: infer M extends MeetingRole;
}
  ? M
  : Default;

/** Which end a process inherits, and what kind of channel it expects. */
export interface InheritOptions extends KindOptions, SenderOptions {
  readonly role: Role;
  /** What the parent calls it. Default `channel`. */
  readonly name?: string | undefined;
}

/** A listener whose channels are made with these options. */
export type ListenerFor<O extends KindOptions> = ChannelListener<
  SenderFor<O>,
  ReceiverFor<O>,
  RoleFor<O, 'duplex'>
>;

/** A connection that expects channels made with such options. */
export type ConnectionFor<O extends KindOptions> = Connection<
  SenderFor<O>,
  ReceiverFor<O>,
  RoleFor<O, MeetingRole>
>;

/**
 * Connects, and opens only ends of the kind that is expected: nobody else decides what code works on
 * what comes, or what this process waits on.
 */
export function connectExpecting<O extends KindOptions & ConnectOptions & AnyEndOptions>(
  path: string,
  options: O,
  expected: Format,
): Promise<ConnectionFor<O>> {
  return connect<SenderFor<O>, ReceiverFor<O>, RoleFor<O, MeetingRole>>(
    path,
    options,
    (role, fds) => openExpected(role, fds, options, expected),
  );
}

/** An end that this process inherited, of the kind that is expected. */
export function openInherited<O extends InheritOptions>(
  options: O,
  expected: Format,
): O extends { readonly role: 'sender' } ? SenderFor<O> : ReceiverFor<O> {
  const { role } = options;
  if (role !== 'sender' && role !== 'receiver') {
    throw invalidArgValue('role', "must be 'sender' or 'receiver'", role);
  }
  const fds = inheritedDescriptors(role, options.name);
  const own = options as AnyEndOptions;
  const end = role === 'sender' ? openEnd(role, fds, own) : openEnd(role, fds, own);
  type End = O extends { readonly role: 'sender' } ? SenderFor<O> : ReceiverFor<O>;
  return checkKind(end, expected) as unknown as End;
}

function openExpected(
  role: Role,
  fds: number[],
  options: AnyEndOptions,
  expected: Format,
): AnySender | AnyReceiver {
  const end = open(role, fds, options);
  const { format } = end.shared;
  if (format.signal === expected.signal) return checkKind(end, expected);
  end.close();
  throw otherKind(format, expected);
}

/** Returns an end if its channel is of the kind that is expected, else closes it and throws. */
function checkKind<E extends AnySender | AnyReceiver>(end: E, expected: Format): E {
  const { format } = end.shared;
  const isElements = format.mode === MODE.ELEMENTS;
  const isSame =
    format.mode === expected.mode &&
    (!isElements || (format.unit === expected.unit && format.kind === expected.kind));
  if (isSame) return end;
  end.close();
  throw otherKind(format, expected);
}

function otherKind(format: Format, expected: Format): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CHANNEL_MODE',
    `The channel is of another kind: ${describe(format)} instead of ${describe(expected)} (mode, ` +
      'unit, kind, signal). Give the options that the channel was made with.',
  );
}

function describe({ mode, unit, kind, signal }: Format): string {
  return [mode, unit, kind, signal].join(', ');
}

/** What is wrong with a descriptor that came is the other side's fault, and is called so. */
function open(role: Role, fds: number[], options: AnyEndOptions): AnySender | AnyReceiver {
  try {
    checkLiveness(fds[1]);
    return role === 'sender' ? openEnd(role, fds, options) : openEnd(role, fds, options);
  } catch (error) {
    closePassed(fds);
    const isOurs = !(error instanceof SystemError) || error.errno === ERRNO.ENOMEM;
    if (isOurs || error.errno === ERRNO.EMFILE) throw error;
    throw Object.assign(corrupt(`its memory is none (${error.message})`), { cause: error });
  }
}

/** Anything else that can be waited for could stop this process when it is asked for its state. */
function checkLiveness(fd: number | undefined): void {
  const AF_UNIX = 1;
  const SOCK_STREAM = 1;
  try {
    if (fd !== undefined && isOpen(fd)) {
      const [domain] = socketOption(fd, SO.DOMAIN, 1);
      const [type] = socketOption(fd, SO.TYPE, 1);
      if (domain === AF_UNIX && type === SOCK_STREAM) return drainSocket(fd);
    }
  } catch {
    // no socket
  }
  throw corrupt('what tells of its end is no Unix socket');
}
