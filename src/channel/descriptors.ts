/**
 * The descriptors of a channel's ends, which move together to a thread or a process.
 */
import { AnnulusError, invalidArgValue } from '../sys/errors.ts';
import { close, duplicate, eventfd, isOpen, pipe, streamPair } from '../sys/linux.ts';
import { SIGNAL } from './layout.ts';

/** Which end. */
export type Role = 'sender' | 'receiver';

/** How a side is woken: by bytes on a socket, by an eventfd, by a pipe, or not at all. */
export type SignalKind = 'socket' | 'eventfd' | 'pipe' | 'none';

/** The descriptors of one end; -1 where there is none. */
export interface EndDescriptors {
  readonly memfd: number;
  /** Socket whose other half the other end holds: it ends when that side dies. */
  readonly liveness: number;
  /** What this end waits on. */
  readonly wake: number;
  /** What the other end waits on. */
  readonly peerWake: number;
}

/** An end without any: its memory is shared by threads, which wait on words of it. */
export const NO_DESCRIPTORS: EndDescriptors = { memfd: -1, liveness: -1, wake: -1, peerWake: -1 };

const SIGNALS: Record<SignalKind, number> = {
  none: SIGNAL.NONE,
  eventfd: SIGNAL.EVENTFD,
  pipe: SIGNAL.PIPE,
  socket: SIGNAL.SOCKET,
};

/** The number a channel's header has for a way of waking. */
export function signalNumber(kind: SignalKind): number {
  const number = Object.hasOwn(SIGNALS, kind) ? SIGNALS[kind] : undefined;
  if (number === undefined) {
    throw invalidArgValue('signal', `must be one of ${Object.keys(SIGNALS).join(', ')}`, kind);
  }
  return number;
}

/** How many descriptors an end has. */
export function descriptorCount(signal: number): 2 | 4 {
  return signal === SIGNAL.EVENTFD || signal === SIGNAL.PIPE ? 4 : 2;
}

/** An end's descriptors in the order in which they are handed over. */
export function listDescriptors(fds: EndDescriptors): number[] {
  return [fds.memfd, fds.liveness, fds.wake, fds.peerWake].filter((fd) => fd >= 0);
}

/** Makes of a list what {@link listDescriptors} has made a list of. */
export function fromList(list: readonly number[], signal: number): EndDescriptors {
  const count = descriptorCount(signal);
  if (list.length < count) {
    throw invalidArgValue('descriptors', `must be ${count} for this channel`, list.length);
  }
  const [memfd, liveness, wake = -1, peerWake = -1] = list.slice(0, count);
  return { memfd: memfd!, liveness: liveness!, wake, peerWake };
}

/** Closes descriptors nobody has attached to. */
export function closeDescriptors(fds: EndDescriptors): void {
  listDescriptors(fds).forEach(close);
}

/** Throws unless all of an end's descriptors are open: its channel may have been closed meanwhile. */
export function checkOpenDescriptors(fds: EndDescriptors): void {
  if (listDescriptors(fds).every(isOpen)) return;
  throw new AnnulusError(
    'ERR_ANNULUS_CLOSED',
    'The channel was closed before its end was attached.',
  );
}

/**
 * Opens what two ends need to wake each other and to notice each other's death.
 *
 * @param memfd - Becomes the sender's; the receiver gets a duplicate. -1 if there is none.
 */
export function openDescriptors(memfd: number, signal: number): Record<Role, EndDescriptors> {
  const opened: number[] = [];
  const keep = <T extends readonly number[]>(...fds: T): T => {
    opened.push(...fds);
    return fds;
  };
  try {
    const [left, right] = keep(...streamPair());
    const [copy] = memfd < 0 ? [-1] : keep(duplicate(memfd));
    const sender = { memfd, liveness: left, wake: -1, peerWake: -1 };
    const receiver = { memfd: copy, liveness: right, wake: -1, peerWake: -1 };
    if (descriptorCount(signal) === 2) return { sender, receiver };
    const open = signal === SIGNAL.PIPE ? pipe : twoEventfds;
    const [wakesSender, byReceiver] = keep(...open());
    const [wakesReceiver, bySender] = keep(...open());
    return {
      sender: { ...sender, wake: wakesSender, peerWake: bySender },
      receiver: { ...receiver, wake: wakesReceiver, peerWake: byReceiver },
    };
  } catch (error) {
    opened.forEach(close);
    throw error;
  }
}

function twoEventfds(): [number, number] {
  const fd = eventfd();
  try {
    return [fd, duplicate(fd)];
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Descriptors for both ends of a channel whose other end has died; ours are still to be closed. */
export function renewDescriptors(
  ours: EndDescriptors,
  signal: number,
): Record<Role, EndDescriptors> {
  if (signal === SIGNAL.FUTEX) return { sender: NO_DESCRIPTORS, receiver: NO_DESCRIPTORS };
  const memfd = ours.memfd < 0 ? -1 : duplicate(ours.memfd);
  try {
    return openDescriptors(memfd, signal);
  } catch (error) {
    if (memfd >= 0) close(memfd);
    throw error;
  }
}
