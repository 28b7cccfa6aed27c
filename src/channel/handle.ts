/**
 * Attaching one end of a channel: by a handle within a process, by descriptors in another one.
 */
import { AnnulusError, invalidArgValue } from '../sys/errors.ts';
import { isOpen } from '../sys/linux.ts';
import { checkOpenDescriptors, descriptorCount, fromList } from './descriptors.ts';
import type { EndDescriptors, Role } from './descriptors.ts';
import { MODE } from './layout.ts';
import { attachFlat, attachMemory, openMemory } from './memory.ts';
import type { ChannelMemory } from './memory.ts';

/**
 * One end of a channel as a plain value, for `postMessage` within a process. Whoever attaches first
 * owns the end.
 */
export interface ChannelHandle {
  readonly annulusChannel: 2;
  readonly role: Role;
  readonly pid: number;
  /** Of mapped memory; 0 for a SharedArrayBuffer. */
  readonly mappingId: number;
  readonly fds: EndDescriptors;
  readonly shared?: SharedArrayBuffer | undefined;
}

type Make<E> = (memory: ChannelMemory, fds: EndDescriptors) => E;

/** Attaches an end from its handle. */
export function attachEnd<E>(handle: ChannelHandle, role: Role, make: Make<E>): E {
  if (handle?.annulusChannel !== 2 || handle.role !== role) {
    throw invalidArgValue('handle', `must be the ${role}Handle of a channel`, handle?.role);
  }
  const { shared, fds, mappingId } = handle;
  if (shared !== undefined) return withMemory(attachFlat(shared), fds, make);
  if (handle.pid !== process.pid) {
    throw invalidArgValue(
      'handle',
      'must be of this process; give other processes the descriptors (channel.stdio)',
      `pid ${handle.pid}`,
    );
  }
  checkOpenDescriptors(fds);
  return withMemory(attachMemory(mappingId, fds.memfd), fds, make);
}

/** Attaches an end from the descriptors a child process was spawned with. */
export function endFromStdio<E>(firstFd: number, make: Make<E>): E {
  return endFromDescriptors([firstFd, firstFd + 1, firstFd + 2, firstFd + 3], make);
}

/**
 * Attaches an end from its descriptors, the first two or four of a list: the channel's memory says how
 * many they are.
 */
export function endFromDescriptors<E>(list: readonly number[], make: Make<E>): E {
  checkList(list, 1);
  const memory = openMemory(list[0]!);
  try {
    const { signal } = memory.format;
    const count = descriptorCount(signal);
    checkList(list, count);
    return make(memory, fromList(list, signal));
  } catch (error) {
    memory.release();
    throw error;
  }
}

function checkList(list: readonly number[], count: number): void {
  for (let index = 0; index < count; index++) {
    const fd = list[index];
    if (fd === undefined || !isOpen(fd)) {
      throw invalidArgValue(
        'firstFd',
        `must be the first of a channel's descriptors (${ORDER[index]} is not open)`,
        list[0],
      );
    }
  }
}

/** The descriptors in the order in which they are handed over. */
const ORDER = ['memfd', 'liveness', 'wake', 'peerWake'];

/** Makes an end; the memory is let go of again when that fails. */
export function withMemory<E>(memory: ChannelMemory, fds: EndDescriptors, make: Make<E>): E {
  try {
    return make(memory, fds);
  } catch (error) {
    memory.release();
    throw error;
  }
}

const NAMES: Record<number, string> = {
  [MODE.BYTES]: 'bytes: use Sender and Receiver',
  [MODE.ELEMENTS]: 'elements: use ElementSender and ElementReceiver',
  [MODE.MESSAGES]: 'messages: use MessageSender and MessageReceiver',
};

/** Throws unless the channel carries what an end of this class is for. */
export function checkMode(memory: ChannelMemory, mode: number, className: string): void {
  if (memory.format.mode === mode) return;
  throw new AnnulusError(
    'ERR_ANNULUS_CHANNEL_MODE',
    `A ${className} cannot be attached to this channel, which carries ${NAMES[memory.format.mode]}.`,
  );
}
