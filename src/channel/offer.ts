/**
 * Offer: one end of a channel that nobody has attached to yet, to be given to a thread or a process.
 */
import { AnnulusError } from '../sys/errors.ts';
import { closeDescriptors, listDescriptors } from './descriptors.ts';
import type { EndDescriptors, Role } from './descriptors.ts';
import type { ChannelHandle } from './handle.ts';
import type { ChannelMemory } from './memory.ts';

/** What `child_process.spawn` takes for one descriptor. */
export type StdioEntry = 'inherit' | 'ignore' | 'pipe' | 'overlapped' | 'ipc' | number | null;

/** What has become of an end in the thread that offers it. */
type Fate = 'here' | 'attached' | 'handed over';

/** An end on offer. It is given away once: to this thread, another thread, or a process. */
export class Offer {
  readonly role: Role;
  readonly #memory: ChannelMemory;
  readonly #fds: EndDescriptors;
  #fate: Fate = 'here';

  /** @internal */
  constructor(role: Role, memory: ChannelMemory, fds: EndDescriptors) {
    this.role = role;
    this.#memory = memory;
    this.#fds = fds;
  }

  /** Whether nobody has got it yet. */
  get pending(): boolean {
    return this.#fate !== 'attached';
  }

  /** The end for another thread: post it, and attach it there. */
  get handle(): ChannelHandle {
    if (this.#fate !== 'here') this.#take('attached');
    return {
      annulusChannel: 2,
      role: this.role,
      pid: process.pid,
      mappingId: this.#memory.region?.mappingId ?? 0,
      fds: this.#fds,
      shared: this.#memory.sharedBuffer,
    };
  }

  /**
   * The end's descriptors, for another process: two, or four with a channel's `signal` of `eventfd` or
   * `pipe`. Call {@link Offer.release} once the process has them.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_TAKEN`; `ERR_ANNULUS_UNSUPPORTED` where the memory is
   *   this process's own.
   */
  descriptors(): number[] {
    if (this.#fds.memfd < 0) {
      throw new AnnulusError(
        'ERR_ANNULUS_UNSUPPORTED',
        "This channel lies in memory of this process: only the process's threads can attach to it. " +
          'Channel.create() and Channel.over() of a memfd make channels between processes.',
      );
    }
    this.#take('handed over');
    return listDescriptors(this.#fds);
  }

  /**
   * The `stdio` option that gives the end to a child process.
   *
   * @param first - What comes before its descriptors. Default: standard input, output and error
   *   inherited.
   */
  stdio(first: readonly StdioEntry[] = ['inherit', 'inherit', 'inherit']): StdioEntry[] {
    return [...first, ...this.descriptors()];
  }

  /** Closes this process's copies of an end that another process has been given. */
  release(): void {
    if (this.#fate !== 'handed over') {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        `The ${this.role} was not given to another process by stdio() or descriptors().`,
      );
    }
    closeDescriptors(this.#fds);
    this.#fate = 'attached';
  }

  /** Closes an end that was given to nobody. */
  close(): void {
    this.withdraw(() => true);
  }

  /** @internal Attaches it in this thread. */
  attach<E>(make: (memory: ChannelMemory, fds: EndDescriptors) => E): E {
    this.#take('attached');
    const memory = this.#memory.retain();
    try {
      return make(memory, this.#fds);
    } catch (error) {
      memory.release();
      this.#fate = 'here';
      throw error;
    }
  }

  /** @internal Closes its descriptors, unless somebody has attached to it meanwhile. */
  withdraw(isStillVacant: () => boolean): void {
    if (this.#fate === 'handed over') this.release();
    else if (this.#fate === 'here' && isStillVacant()) {
      closeDescriptors(this.#fds);
      this.#fate = 'attached';
    }
  }

  #take(fate: Fate): void {
    if (this.#fate !== 'here') {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        `The ${this.role} of this channel was given away before.`,
      );
    }
    this.#fate = fate;
  }
}
