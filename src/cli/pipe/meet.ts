/**
 * Meeting the other side of a pipe: whoever comes first waits for the other.
 */
import { lstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { Channel } from '../../channel/index.ts';
import type { Receiver, Sender } from '../../channel/index.ts';
import { codeOf, CommandError } from '../failure.ts';

/** Which side of a pipe a process is. */
export type Side = 'sender' | 'receiver';

/** The end of a channel to the other side, and its process. */
export interface Met {
  readonly sender: Sender | undefined;
  readonly receiver: Receiver | undefined;
  readonly pid: number;
}

/** What a side needs to meet the other. */
export interface Meeting {
  readonly name: string;
  readonly side: Side;
  /** Bytes of the channel, if this side makes it. */
  readonly memory: number;
  readonly signal: AbortSignal;
  /** Called when the other side is not there yet. */
  readonly onWait: () => void;
}

/** Means that the other side, or one like this, came or went at just that moment. */
const AGAIN: ReadonlySet<string | undefined> = new Set([
  'ERR_ANNULUS_NO_LISTENER',
  'ERR_ANNULUS_PEER_DIED',
  'EADDRINUSE',
]);

/** How soon it is tried again then. */
const AGAIN_MS = 5;

/** Where a name is met: a name with a slash is a path, another one is without a file. */
export function placeOf(name: string): string {
  return name.includes('/') ? name : `@annulus-pipe-${process.geteuid?.()}-${name}`;
}

/** Connects to the other side if it waits, else waits for it. Both must be of the same user. */
export async function meet(meeting: Meeting): Promise<Met> {
  for (;;) {
    const met = (await connect(meeting)) ?? (await listen(meeting));
    if (met !== undefined) return met;
    await delay(AGAIN_MS, undefined, { signal: meeting.signal });
  }
}

const sameUser = (): { uid?: number } => {
  const uid = process.geteuid?.();
  return uid === undefined ? {} : { uid };
};

async function connect({ name, side, signal }: Meeting): Promise<Met | undefined> {
  try {
    const options = { role: side, allow: sameUser(), signal };
    const { sender, receiver, peer } = await Channel.connect(placeOf(name), options);
    return { sender, receiver, pid: peer.pid };
  } catch (error) {
    const code = codeOf(error);
    if (AGAIN.has(code)) return undefined;
    if (code !== 'ERR_ANNULUS_REFUSED') throw error;
    throw new CommandError(
      `'${name}' is taken: another ${side} waits there for its other side, or another user has that ` +
        'name. Choose another name',
      { cause: error },
    );
  }
}

async function listen({ name, side, memory, signal, onWait }: Meeting): Promise<Met | undefined> {
  try {
    using listener = await Channel.listen(placeOf(name), {
      capacity: memory,
      role: side,
      allow: sameUser(),
      mode: 0o600,
      backlog: 1,
    });
    onWait();
    const { sender, receiver, peer } = await listener.accept({ signal });
    return { sender, receiver, pid: peer.pid };
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') refuseFile(name, error);
    if (AGAIN.has(codeOf(error))) return undefined;
    throw error;
  }
}

/** Throws if what is at a path will never be a place to meet. */
function refuseFile(name: string, cause: unknown): void {
  const found = name.includes('/') ? lstatSync(name, { throwIfNoEntry: false }) : undefined;
  if (found === undefined || found.isSocket()) return;
  throw new CommandError(`there is something else than a socket at '${name}'`, { cause });
}
