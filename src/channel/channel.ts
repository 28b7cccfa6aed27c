/**
 * Channel: a one-way byte ring in shared memory, between two threads or two processes.
 */
import { AnnulusError, checkInteger } from '../sys/errors.ts';
import { close, duplicate, eventfd, socketpair } from '../sys/linux.ts';
import type { EndDescriptors } from './end.ts';
import { closeDescriptors, withMemory } from './handle.ts';
import type { ChannelHandle, Role } from './handle.ts';
import { MAX_CAPACITY, STATE, WORD } from './layout.ts';
import { createMemory } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';

/** What a channel is made with. */
export interface ChannelOptions {
  /** Bytes the ring can hold, 1 to 2^30, rounded up to whole pages. */
  readonly capacity: number;
}

/** What `child_process.spawn` takes for one descriptor. */
export type StdioEntry = 'inherit' | 'ignore' | 'pipe' | 'overlapped' | 'ipc' | number | null;

/** What has become of an end in the thread that made the channel. */
type Fate = 'here' | 'attached' | 'handed over';

/**
 * Makes a channel and gives its two ends away: to this thread, another thread, or a child process.
 *
 * @example Between two processes
 * ```ts
 * import { spawn } from 'node:child_process';
 * import { Channel } from 'annulus/channel';
 * const channel = Channel.create({ capacity: 1 << 20 });
 * spawn(process.execPath, ['child.js'], { stdio: channel.stdio('receiver') });
 * channel.release('receiver'); // the child has it now; in child.js: Receiver.fromStdio()
 * channel.sender.send((free) => new TextEncoder().encodeInto('hello', free).written);
 * channel.sender.end();
 * ```
 */
export class Channel {
  readonly capacity: number;
  readonly #memory: ChannelMemory;
  readonly #fds: Record<Role, EndDescriptors>;
  readonly #fate: Record<Role, Fate> = { sender: 'here', receiver: 'here' };
  #sender: Sender | undefined;
  #receiver: Receiver | undefined;
  #closed = false;

  private constructor(memory: ChannelMemory, fds: Record<Role, EndDescriptors>) {
    this.#memory = memory;
    this.#fds = fds;
    this.capacity = memory.capacity;
  }

  /**
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. A system error (`EMFILE`, `ENOMEM`) with the cause.
   */
  static create(options: ChannelOptions): Channel {
    checkInteger('capacity', options?.capacity, 1, MAX_CAPACITY);
    const { memory, memfd } = createMemory(options.capacity);
    const opened: number[] = [memfd];
    const keep = (fd: number): number => {
      opened.push(fd);
      return fd;
    };
    try {
      const wakesSender = keep(eventfd());
      const wakesReceiver = keep(eventfd());
      const [left, right] = socketpair();
      opened.push(left, right);
      return new Channel(memory, {
        sender: { memfd, wake: wakesSender, peerWake: wakesReceiver, liveness: left },
        receiver: {
          memfd: keep(duplicate(memfd)),
          wake: keep(duplicate(wakesReceiver)),
          peerWake: keep(duplicate(wakesSender)),
          liveness: right,
        },
      });
    } catch (error) {
      opened.forEach(close);
      memory.release();
      throw error;
    }
  }

  /** The writing end, in this thread. */
  get sender(): Sender {
    if (this.#sender === undefined) {
      this.#take('sender', 'attached');
      this.#sender = withMemory(
        this.#memory.retain(),
        this.#fds.sender,
        (memory, fds) => new Sender(memory, fds),
      );
    }
    return this.#sender;
  }

  /** The reading end, in this thread. */
  get receiver(): Receiver {
    if (this.#receiver === undefined) {
      this.#take('receiver', 'attached');
      this.#receiver = withMemory(
        this.#memory.retain(),
        this.#fds.receiver,
        (memory, fds) => new Receiver(memory, fds),
      );
    }
    return this.#receiver;
  }

  /** The writing end for another thread: post it, and `Sender.attach()` it there. */
  get senderHandle(): ChannelHandle {
    return this.#handle('sender');
  }

  /** The reading end for another thread: post it, and `Receiver.attach()` it there. */
  get receiverHandle(): ChannelHandle {
    return this.#handle('receiver');
  }

  /**
   * The `stdio` option that gives one end to a child process, as four descriptors after `first`.
   * Call {@link Channel.release} after spawning.
   *
   * @param first - What comes before them. Default: standard input, output and error inherited.
   */
  stdio(
    role: Role,
    first: readonly StdioEntry[] = ['inherit', 'inherit', 'inherit'],
  ): StdioEntry[] {
    this.#take(role, 'handed over');
    const { memfd, wake, peerWake, liveness } = this.#fds[role];
    return [...first, memfd, wake, peerWake, liveness];
  }

  /** Closes this process's copies of an end that a child process has been given. */
  release(role: Role): void {
    if (this.#fate[role] !== 'handed over') {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        `The ${role} was not given to a child by stdio().`,
      );
    }
    closeDescriptors(this.#fds[role]);
    this.#fate[role] = 'attached';
  }

  /**
   * Lets go of what this thread still holds: an end nobody attached to is closed for good, ends in
   * use go on by themselves.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abandon('sender', WORD.SENDER, STATE.FAILED);
    this.#abandon('receiver', WORD.RECEIVER, STATE.CLOSED);
    this.#memory.release();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #handle(role: Role): ChannelHandle {
    if (this.#fate[role] !== 'here') this.#take(role, 'attached');
    const fds = this.#fds[role];
    const mappingId = this.#memory.region.mappingId;
    return { annulusChannel: 1, role, pid: process.pid, mappingId, fds };
  }

  #take(role: Role, fate: Fate): void {
    if (this.#closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The channel is closed.');
    if (this.#fate[role] !== 'here') {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        `The ${role} of this channel was given away before.`,
      );
    }
    this.#fate[role] = fate;
  }

  /** Closes an end nobody has attached to. A thread that comes later with its handle is told so. */
  #abandon(role: Role, word: number, state: number): void {
    if (this.#fate[role] === 'attached') return;
    if (this.#fate[role] === 'handed over') {
      this.release(role);
      return;
    }
    const { words } = this.#memory;
    // SYNC POINT: either we close the end or a thread has attached to it and owns the descriptors.
    if (Atomics.compareExchange(words, word, STATE.VACANT, state) === STATE.VACANT) {
      closeDescriptors(this.#fds[role]);
    }
  }
}
