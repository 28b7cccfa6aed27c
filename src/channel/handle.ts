/**
 * Handing one end of a channel to another thread or process.
 */
import { AnnulusError, invalidArgValue } from '../sys/errors.ts';
import { close, isOpen } from '../sys/linux.ts';
import type { EndDescriptors } from './end.ts';
import { attachMemory, openMemory } from './memory.ts';
import type { ChannelMemory } from './memory.ts';

/** Which end. */
export type Role = 'sender' | 'receiver';

/**
 * One end of a channel as a plain value, for `postMessage` within a process. Whoever attaches first
 * owns the end.
 */
export interface ChannelHandle {
  readonly annulusChannel: 1;
  readonly role: Role;
  readonly pid: number;
  readonly mappingId: number;
  readonly fds: EndDescriptors;
}

type Make<E> = (memory: ChannelMemory, fds: EndDescriptors) => E;

/** Attaches an end from its handle. */
export function attachEnd<E>(handle: ChannelHandle, role: Role, make: Make<E>): E {
  if (handle?.annulusChannel !== 1 || handle.role !== role) {
    throw invalidArgValue('handle', `must be the ${role}Handle of a channel`, handle?.role);
  }
  if (handle.pid !== process.pid) {
    throw invalidArgValue(
      'handle',
      'must be of this process; give other processes the descriptors (channel.stdio)',
      `pid ${handle.pid}`,
    );
  }
  if (!isOpen(handle.fds.memfd)) {
    throw new AnnulusError(
      'ERR_ANNULUS_CLOSED',
      'The channel was closed before its end was attached.',
    );
  }
  return withMemory(attachMemory(handle.mappingId, handle.fds.memfd), handle.fds, make);
}

/** Attaches an end from four consecutive descriptors a child process was spawned with. */
export function endFromStdio<E>(firstFd: number, make: Make<E>): E {
  const fds = {
    memfd: firstFd,
    wake: firstFd + 1,
    peerWake: firstFd + 2,
    liveness: firstFd + 3,
  };
  for (const [name, fd] of Object.entries(fds)) {
    if (!isOpen(fd)) {
      throw invalidArgValue(
        'firstFd',
        `must be the first of a channel's four descriptors (${name} is not open)`,
        firstFd,
      );
    }
  }
  return withMemory(openMemory(fds.memfd), fds, make);
}

/** Makes an end; the memory is let go of again when that fails. */
export function withMemory<E>(memory: ChannelMemory, fds: EndDescriptors, make: Make<E>): E {
  try {
    return make(memory, fds);
  } catch (error) {
    memory.release();
    throw error;
  }
}

/** Closes descriptors nobody has attached to. */
export function closeDescriptors(fds: EndDescriptors): void {
  for (const fd of Object.values(fds) as number[]) close(fd);
}
