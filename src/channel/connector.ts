/**
 * Connecting to a {@link ChannelListener} of another process. Nothing here waits in the kernel, and
 * nothing that comes from there is believed: the message is checked, then each descriptor by whoever
 * opens the end.
 */
import {
  AbortError,
  AnnulusError,
  checkInteger,
  checkSignal,
  ERRNO,
  SystemError,
} from '../sys/errors.ts';
import { closeOwned, own } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { closePassed, drainSocket, receivePassing, sendPassing } from '../sys/passing.ts';
import type { PassedMessage } from '../sys/passing.ts';
import { connectSocket, meetingSocket, peerCredentials } from '../sys/sockets.ts';
import type { PeerCredentials } from '../sys/sockets.ts';
import { Connection, meetingPlace } from './connection.ts';
import type { AnyEnd, MeetingPlace } from './connection.ts';
import { describePeer, peerCheck } from './credentials.ts';
import type { AllowPeer } from './credentials.ts';
import {
  checkRole,
  decodeAnswer,
  encodeGreeting,
  endsOf,
  printable,
  VERDICT,
  versionDiffers,
} from './greeting.ts';
import type { Role } from './descriptors.ts';
import type { Answer, MeetingRole } from './greeting.ts';
import { VERSION } from './layout.ts';
import { loopWaiter } from './waiter.ts';
import type { Waiter, Watch } from './waiter.ts';

/** How long a listener may take to answer, unless said otherwise. */
const TIMEOUT_MS = 10_000;

/** How often a listener is tried whose queue is full. */
const RETRY_MS = 5;

/** How to connect. */
export interface ConnectOptions {
  /** What this side wants to be. Default: whatever the listener makes of it. */
  readonly role?: MeetingRole | undefined;
  /**
   * Who may have listened, by the credentials it had when it began to. Default: at a path, whoever could
   * take it; at a name without a file, which anybody can take, the same user.
   */
  readonly allow?: AllowPeer | undefined;
  /** Milliseconds the listener may take to answer, 1 to 2^31 - 1. Default 10 000. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How the channel waits. Default: on Node's event loop. */
  readonly waiter?: Waiter | undefined;
}

/** Opens an end from its descriptors, which it takes over, also when it throws. */
export type OpenEnd = (role: Role, fds: number[]) => AnyEnd;

/** Connects; see `Channel.connect()`. */
export async function connect<S extends AnyEnd, R extends AnyEnd, M extends MeetingRole>(
  path: string,
  options: ConnectOptions,
  open: OpenEnd,
): Promise<Connection<S, R, M>> {
  const place = meetingPlace(path);
  const { role, signal, timeout = TIMEOUT_MS, waiter = loopWaiter } = options;
  if (role !== undefined) checkRole(role);
  checkInteger('timeout', timeout, 1, 2 ** 31 - 1);
  const mayMeet = peerCheck(options.allow, place.isAbstract);
  const fd = meetingSocket();
  own(fd);
  let end: Deadline | undefined;
  try {
    end = deadline(place, timeout, signal);
    await reach(fd, place, end);
    const peer = peerCredentials(fd);
    if (!mayMeet(peer)) throw notAllowed(place, peer);
    // A listener that has refused is gone by now, but has left its answer.
    sendPassing(fd, encodeGreeting(VERSION, role), []);
    const message = await nextMessage(fd, waiter, end);
    const given = checkMessage(message, place, role);
    return new Connection<S, R, M>(given as M, openEnds(given, message, open), peer);
  } finally {
    end?.clear();
    drainSocket(fd);
    closeOwned(fd);
  }
}

/** The end of a party's patience, for one connection. */
interface Deadline {
  /** A promise, unless the time is over first. */
  race<T>(promise: Promise<T>): Promise<T>;
  clear(): void;
}

function deadline(place: MeetingPlace, timeout: number, signal: AbortSignal | undefined): Deadline {
  checkSignal(signal);
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unanswered(place, timeout)), timeout);
    onAbort = (): void => reject(new AbortError(signal?.reason));
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  over.catch(() => undefined); // it may come when nobody races
  return {
    race: (promise) => Promise.race([promise, over]),
    clear: () => {
      clearTimeout(timer);
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    },
  };
}

function unanswered(place: MeetingPlace, timeout: number): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_TIMEOUT',
    `Whoever listens at '${printable(place.path)}' did not answer in ${timeout} ms. It is busy, ` +
      'stopped, or not a listener of channels.',
  );
}

/** Connects the socket, again and again while the listener's queue is full. */
async function reach(fd: number, place: MeetingPlace, end: Deadline): Promise<void> {
  for (;;) {
    const result = connectSocket(fd, place.address);
    if (result === 0) return;
    if (result !== ERRNO.EAGAIN) throw unreachable(place, result);
    await end.race(new Promise((resolve) => setTimeout(resolve, RETRY_MS)));
  }
}

function unreachable(place: MeetingPlace, errno: number): Error {
  const path = printable(place.path);
  const cause = new SystemError(errno, 'connect', { path });
  const why = {
    [ERRNO.ENOENT]: 'there is no such file',
    [ERRNO.ECONNREFUSED]: place.isAbstract
      ? 'nobody has that name'
      : 'whoever made the file is gone, or it is no socket',
    [ERRNO.EPROTOTYPE]: 'the socket there is of another kind',
  }[errno];
  if (why === undefined) return cause;
  return new AnnulusError(
    'ERR_ANNULUS_NO_LISTENER',
    `Nobody listens for channels at '${path}': ${why}. Start the process that calls ` +
      'Channel.listen() first.',
    { cause },
  );
}

/** Waits for the next message on a socket. */
async function nextMessage(fd: number, waiter: Waiter, end: Deadline): Promise<PassedMessage> {
  let watch: Watch | undefined;
  let isOver = false;
  const message = new Promise<PassedMessage>((resolve, reject) => {
    const take = (): void => {
      if (isOver) return;
      let found = receivePassing(fd);
      // A listener that closed without reading the greeting; its answer lies behind this error.
      if (found === ERRNO.ECONNRESET) found = receivePassing(fd);
      if (found === ERRNO.EAGAIN) return;
      if (typeof found === 'number') reject(new SystemError(found, 'recvmsg'));
      else resolve(found);
    };
    watch = waiter.watch(fd, WATCH.READABLE | WATCH.DISCONNECT, take);
    watch.ref();
  });
  try {
    return await end.race(message);
  } finally {
    isOver = true; // a message that comes later is drained
    watch?.close();
  }
}

/** Returns the role this side has, or throws; then it has closed what came. */
function checkMessage(
  message: PassedMessage,
  place: MeetingPlace,
  wanted: MeetingRole | undefined,
): MeetingRole {
  const answer = decodeAnswer(message.bytes);
  const error = objection(message, answer, place, wanted);
  if (error === undefined) return answer!.role!;
  closePassed(message.fds);
  throw error;
}

function objection(
  message: PassedMessage,
  answer: Answer | undefined,
  place: MeetingPlace,
  wanted: MeetingRole | undefined,
): AnnulusError | undefined {
  const path = printable(place.path);
  if (message.bytes.length === 0) {
    return new AnnulusError(
      'ERR_ANNULUS_PEER_DIED',
      `Whoever listened at '${path}' has ended before it answered.`,
    );
  }
  if (answer === undefined || message.isCut) {
    const { length } = message.bytes;
    return strange(path, `sent ${length} bytes and ${message.fds.length} descriptors`);
  }
  if (answer.verdict === VERDICT.VERSION) return versionDiffers(path, VERSION, answer);
  if (answer.verdict !== VERDICT.WELCOME) return refusal(path, answer.verdict, wanted);
  const { role, descriptors, layout } = answer;
  if (layout !== VERSION) return versionDiffers(path, VERSION, answer);
  if (role === undefined || (wanted !== undefined && role !== wanted)) {
    return strange(path, `gave the role ${role ?? 'of nobody'}`);
  }
  if (message.fds.length === descriptors * endsOf(role).length) return undefined;
  return strange(path, `gave ${message.fds.length} descriptors for a ${role}`);
}

function strange(path: string, what: string): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CHANNEL_CORRUPT',
    `Whoever listens at '${path}' ${what}. It is broken, or not a listener of channels.`,
  );
}

function refusal(path: string, verdict: number, wanted: MeetingRole | undefined): AnnulusError {
  const why =
    verdict === VERDICT.REFUSED
      ? 'this user or process is not allowed there'
      : verdict === VERDICT.ROLE
        ? `nobody there is looking for a ${wanted ?? 'peer'}`
        : 'it could not make a channel now, or did not understand the greeting';
  return new AnnulusError('ERR_ANNULUS_REFUSED', `The listener at '${path}' refused: ${why}.`);
}

function notAllowed(place: MeetingPlace, peer: PeerCredentials): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_REFUSED',
    `Who listens at '${printable(place.path)}' is not allowed: ${describePeer(peer)}.`,
  );
}

/** Opens the ends from the descriptors that came; all or none. */
function openEnds(
  role: MeetingRole,
  { fds }: PassedMessage,
  open: OpenEnd,
): Partial<Record<Role, AnyEnd>> {
  const ends: Partial<Record<Role, AnyEnd>> = {};
  const roles = endsOf(role);
  const each = fds.length / roles.length;
  let opened = 0;
  try {
    for (const one of roles) {
      opened += each;
      ends[one] = open(one, fds.slice(opened - each, opened));
    }
    return ends;
  } catch (error) {
    for (const end of Object.values(ends)) end.close();
    closePassed(fds.slice(opened));
    throw error;
  }
}
