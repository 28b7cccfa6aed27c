/**
 * Connection: what two unrelated processes have of each other once they have met.
 */
import type { PeerCredentials } from '../sys/sockets.ts';
import { unixAddress } from '../sys/sockets.ts';
import { invalidArgType, invalidArgValue } from '../sys/errors.ts';
import type { Role } from './descriptors.ts';
import type { MeetingRole } from './greeting.ts';

/** An end of a channel, as far as meeting is concerned. */
export interface AnyEnd {
  /** Gives it up. */
  close(): void;
}

/** The ends by the role a side has. */
export interface Ends<S extends AnyEnd, R extends AnyEnd, M extends MeetingRole> {
  /** The writing end, where this side sends. */
  readonly sender: M extends 'receiver' ? undefined : S;
  /** The reading end, where this side receives. */
  readonly receiver: M extends 'sender' ? undefined : R;
}

/** One other process, and this side's end of the channel to it; two ends for a duplex. */
export class Connection<
  S extends AnyEnd = AnyEnd,
  R extends AnyEnd = AnyEnd,
  M extends MeetingRole = MeetingRole,
> implements Ends<S, R, M> {
  /** What this side is. */
  readonly role: M;
  readonly sender: Ends<S, R, M>['sender'];
  readonly receiver: Ends<S, R, M>['receiver'];
  /** Who the other side was when the two met, as the kernel says. */
  readonly peer: PeerCredentials;

  /** @internal Use `Channel.connect()` or a {@link ChannelListener}. */
  constructor(role: M, ends: Partial<Record<Role, AnyEnd>>, peer: PeerCredentials) {
    this.role = role;
    this.sender = ends.sender as Ends<S, R, M>['sender'];
    this.receiver = ends.receiver as Ends<S, R, M>['receiver'];
    this.peer = peer;
  }

  /** Closes its ends. To end a stream that is complete, call `sender.end()` before. */
  close(): void {
    this.sender?.close();
    this.receiver?.close();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Where to meet. */
export interface MeetingPlace {
  /** As the kernel has it: with a NUL in front if it is a name without a file. */
  readonly path: string;
  readonly address: Uint8Array;
  readonly isAbstract: boolean;
}

/** A path, or a name without a file: `@name`, or with a NUL in place of the `@`. */
export function meetingPlace(path: string): MeetingPlace {
  if (typeof path !== 'string') throw invalidArgType('path', 'a string', path);
  const plain = path.startsWith('@') ? `\0${path.slice(1)}` : path;
  const isAbstract = plain.startsWith('\0');
  if (!isAbstract && plain.includes('\0')) {
    throw invalidArgValue('path', 'must have a NUL at its beginning only', JSON.stringify(path));
  }
  return { path: plain, address: unixAddress(plain), isAbstract };
}
