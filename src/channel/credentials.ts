/**
 * Credentials: which processes may be met, by what the kernel says about them.
 */
import { invalidArgType } from '../sys/errors.ts';
import type { PeerCredentials } from '../sys/sockets.ts';

/** Which users and groups may be met; all that is given must fit. */
export interface AllowedPeers {
  /** Effective user, or several. The superuser is not excepted: name 0 if it is to be allowed. */
  readonly uid?: number | readonly number[] | undefined;
  /** Effective group, or several. Supplementary groups do not count. */
  readonly gid?: number | readonly number[] | undefined;
}

/** Users and groups, or a function that decides; one that throws refuses, and its error is uncaught. */
export type AllowPeer = AllowedPeers | ((peer: PeerCredentials) => boolean);

/**
 * The check that is made. What is not said is allowed, but a name without a file, which every user of
 * the machine can take and connect to, is for the own user.
 */
export function peerCheck(
  allow: AllowPeer | undefined,
  isAbstract: boolean,
): (peer: PeerCredentials) => boolean {
  if (allow === undefined) {
    const own = isAbstract ? process.geteuid?.() : undefined;
    return own === undefined ? () => true : ({ uid }) => uid === own;
  }
  // Nothing but true: a promise, which an async function would return, is no permission.
  if (typeof allow === 'function') return (peer) => (allow(peer) as unknown) === true;
  if (allow === null || typeof allow !== 'object') {
    throw invalidArgType('allow', 'a function or an object with uid and gid', allow);
  }
  const uids = idList('allow.uid', allow.uid);
  const gids = idList('allow.gid', allow.gid);
  return ({ uid, gid }) => uids?.includes(uid) !== false && gids?.includes(gid) !== false;
}

function idList(name: string, ids: unknown): readonly number[] | undefined {
  if (ids === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(ids) ? ids : [ids];
  for (const id of list) {
    if (!Number.isInteger(id)) throw invalidArgType(name, 'a number or an array of numbers', id);
  }
  return list as readonly number[];
}

/** Such as `user 1000, group 1000, process 4711`. */
export function describePeer({ uid, gid, pid }: PeerCredentials): string {
  return `user ${uid}, group ${gid}, process ${pid}`;
}
