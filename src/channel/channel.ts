/**
 * Channel: a one-way ring in shared memory, between two threads or two processes.
 */
import { AnnulusError, checkInteger, invalidArgType, invalidArgValue } from '../sys/errors.ts';
import { close, duplicate } from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { chooseCodec } from './codec.ts';
import type { Codec, CodecName } from './codec.ts';
import { NO_DESCRIPTORS, openDescriptors, signalNumber } from './descriptors.ts';
import type { EndDescriptors, Role, SignalKind } from './descriptors.ts';
import type { ElementReceiver } from './element-receiver.ts';
import type { ElementSender } from './element-sender.ts';
import type { ConnectOptions } from './connector.ts';
import { describeElements } from './elements.ts';
import type { ElementArray, ElementArrayType, ElementType, RecordType } from './elements.ts';
import type { ChannelHandle } from './handle.ts';
import { FRAME_ALIGNMENT, FRAME_BYTES, MAX_CAPACITY, MODE, SIGNAL, STATE, WORD } from './layout.ts';
import type { Format } from './layout.ts';
import { ChannelListener } from './listener.ts';
import type { ListenOptions } from './listener.ts';
import { childOptions } from './inherit.ts';
import type { ChildBase, ChildOptions } from './inherit.ts';
import { connectExpecting, openInherited } from './meeting.ts';
import type { ConnectionFor, KindOptions, ListenerFor, ReceiverFor } from './meeting.ts';
import type { InheritOptions, RoleFor, SenderFor } from './meeting.ts';
import { createMemory, initializeFile, initializeFlat } from './memory.ts';
import type { ChannelMemory, MemoryOptions } from './memory.ts';
import type { MessageReceiver } from './message-receiver.ts';
import type { MessageSender } from './message-sender.ts';
import { Offer } from './offer.ts';
import type { StdioEntry } from './offer.ts';
import { makeReceiver, makeSender } from './open.ts';
import type { AnyEndOptions } from './open.ts';
import type { Receiver } from './receiver.ts';
import type { ReceivingEnd } from './receiving.ts';
import type { Sender } from './sender.ts';
import type { SenderOptions, SendingEnd } from './sending.ts';

/** What any channel can be made with; how its ends work in this thread is among it. */
export interface CommonOptions extends SenderOptions {
  /**
   * How a side is woken. `socket` (default) trusts the other process with nothing; `eventfd` and
   * `pipe` are for programs that wait on these; `none` wakes nobody: a side that waits is busy.
   */
  readonly signal?: SignalKind | undefined;
}

/** What the memory of a new channel is. */
export interface NewMemoryOptions extends MemoryOptions {
  /** Bytes the ring can hold, 1 to 2^30, rounded up to whole pages; for elements their number. */
  readonly capacity: number;
}

/** A channel of bytes. */
export interface BytesOptions extends CommonOptions {
  readonly type?: undefined;
  readonly messages?: false | undefined;
  readonly codec?: undefined;
}

/** A channel of numbers or records. */
export interface ElementsOptions<E extends ElementType> extends CommonOptions {
  /** A typed array's constructor, or `{ bytes }` for records of so many bytes. */
  readonly type: E;
  readonly messages?: false | undefined;
  readonly codec?: undefined;
}

/** A channel of messages of bytes. */
export interface MessagesOptions extends CommonOptions {
  readonly type?: undefined;
  readonly messages: true;
  readonly codec?: undefined;
}

/** A channel of objects. */
export interface ObjectsOptions<T> extends CommonOptions {
  readonly type?: undefined;
  readonly messages?: true | undefined;
  /** How objects become messages: `json`, `v8`, `text` (strings), or an object that can do it. */
  readonly codec: Codec<T> | CodecName;
}

/** What a channel of bytes is made with. */
export type ChannelOptions = BytesOptions & NewMemoryOptions;

/** Options of any channel. */
type AnyOptions = CommonOptions & {
  readonly type?: ElementType | undefined;
  readonly messages?: boolean | undefined;
  readonly codec?: Codec<unknown> | CodecName | undefined;
};

/** The typed array that a run of elements is. */
export type ArrayOf<E extends ElementType> = E extends ElementArrayType
  ? E['prototype']
  : E extends RecordType
    ? Uint8Array
    : ElementArray;

/**
 * Makes a channel and gives its two ends away: to this thread, another thread, or a child process.
 *
 * @typeParam S - Its sender.
 * @typeParam R - Its receiver.
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
export class Channel<S extends SendingEnd = Sender, R extends ReceivingEnd = Receiver> {
  /** Bytes the ring can hold; of elements their number. */
  readonly capacity: number;
  readonly #memory: ChannelMemory;
  readonly #options: AnyEndOptions;
  readonly #offers: Record<Role, Offer>;
  #sender: S | undefined;
  #receiver: R | undefined;
  #closed = false;

  private constructor(
    memory: ChannelMemory,
    fds: Record<Role, EndDescriptors>,
    options: AnyOptions,
  ) {
    this.#memory = memory;
    this.#options = options;
    this.#offers = {
      sender: new Offer('sender', memory, fds.sender),
      receiver: new Offer('receiver', memory, fds.receiver),
    };
    const { mode, unit } = memory.format;
    this.capacity = mode === MODE.ELEMENTS ? Math.floor(memory.capacity / unit) : memory.capacity;
  }

  /**
   * Makes a channel in new memory.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE`. A system error (`EMFILE`, `ENOMEM`) with the cause.
   */
  static create<E extends ElementType>(
    options: ElementsOptions<E> & NewMemoryOptions,
  ): Channel<ElementSender<ArrayOf<E>>, ElementReceiver<ArrayOf<E>>>;
  static create(
    options: MessagesOptions & NewMemoryOptions,
  ): Channel<MessageSender, MessageReceiver>;
  static create<T = unknown>(
    options: ObjectsOptions<T> & NewMemoryOptions,
  ): Channel<MessageSender<T>, MessageReceiver<T>>;
  static create(options: BytesOptions & NewMemoryOptions): Channel;
  static create(options: AnyOptions & NewMemoryOptions): Channel<SendingEnd, ReceivingEnd> {
    const format = formatOf(options);
    const { unit, mode } = format;
    const most = mode === MODE.ELEMENTS ? Math.floor(MAX_CAPACITY / unit) : MAX_CAPACITY;
    checkInteger('capacity', options?.capacity, 1, most);
    const bytes = options.capacity * (mode === MODE.ELEMENTS ? unit : 1);
    const { memory, memfd } = createMemory(
      // A message as large as the capacity that was asked for fits, with its frame.
      mode === MODE.MESSAGES ? Math.min(MAX_CAPACITY, bytes + FRAME_BYTES) : bytes,
      format,
      options,
    );
    return Channel.#withDescriptors(memfd, options, () => memory);
  }

  /**
   * Makes a channel in memory that was had in another way: a `SharedArrayBuffer`, which needs nothing
   * of Linux and is for threads; a {@link Region}, for threads; or a memfd, which is duplicated, sealed
   * against changes of its size, and mapped twice in a row. What it contained is lost.
   *
   * In memory that is not mapped twice, a claim never runs over the end: a gap is left there.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_CORRUPT` if its size is none that a channel can have.
   */
  static over<E extends ElementType>(
    place: Region | SharedArrayBuffer | number,
    options: ElementsOptions<E>,
  ): Channel<ElementSender<ArrayOf<E>>, ElementReceiver<ArrayOf<E>>>;
  static over(
    place: Region | SharedArrayBuffer | number,
    options: MessagesOptions,
  ): Channel<MessageSender, MessageReceiver>;
  static over<T = unknown>(
    place: Region | SharedArrayBuffer | number,
    options: ObjectsOptions<T>,
  ): Channel<MessageSender<T>, MessageReceiver<T>>;
  static over(place: Region | SharedArrayBuffer | number, options?: BytesOptions): Channel;
  static over(
    place: Region | SharedArrayBuffer | number,
    options: AnyOptions = {},
  ): Channel<SendingEnd, ReceivingEnd> {
    const format = formatOf(options);
    if (typeof place === 'number') {
      const memfd = duplicate(place);
      return Channel.#withDescriptors(memfd, options, () => initializeFile(memfd, format));
    }
    if (place instanceof Region) {
      return Channel.#withDescriptors(-1, options, () => initializeFlat(place, format));
    }
    if (!(place instanceof SharedArrayBuffer)) {
      throw invalidArgType('place', 'a Region, a SharedArrayBuffer or a descriptor', place);
    }
    if (options.signal !== undefined) {
      throw invalidArgValue(
        'signal',
        'must be left out: threads wait on the memory',
        options.signal,
      );
    }
    const memory = initializeFlat(place, { ...format, signal: SIGNAL.FUTEX });
    const fds = { sender: NO_DESCRIPTORS, receiver: NO_DESCRIPTORS };
    return new Channel<SendingEnd, ReceivingEnd>(memory, fds, options);
  }

  /**
   * Opens what the ends need beside the memory.
   *
   * @param memfd - That of the memory, or -1. It is closed if that fails.
   */
  static #withDescriptors(
    memfd: number,
    options: AnyOptions,
    memoryOf: () => ChannelMemory,
  ): Channel<SendingEnd, ReceivingEnd> {
    let memory: ChannelMemory | undefined;
    try {
      memory = memoryOf();
      const fds = openDescriptors(memfd, memory.format.signal);
      return new Channel<SendingEnd, ReceivingEnd>(memory, fds, options);
    } catch (error) {
      memory?.release();
      if (memfd >= 0) close(memfd);
      throw error;
    }
  }

  /**
   * Listens for other processes at the path of a Unix socket, or at a name without a file (`@name`);
   * whoever connects gets a channel of its own, made with these options.
   *
   * @param options - What `create()` takes, and who may connect.
   * @throws {SystemError} `EADDRINUSE` where somebody else listens, `EACCES`.
   * @example
   * ```ts
   * import { Channel } from 'annulus/channel';
   * using listener = await Channel.listen('@numbers', { capacity: 65536, role: 'sender' });
   * for await (const { sender, peer } of listener) {
   *   await sender.write(Buffer.from(`hello, process ${peer.pid}`));
   *   sender.end();
   * }
   * ```
   */
  static listen<O extends KindOptions & ListenOptions & SenderOptions & NewMemoryOptions>(
    path: string,
    options: O,
  ): Promise<ListenerFor<O>> {
    const { signal = 'socket' } = options as AnyOptions;
    if (signal !== 'socket') {
      // Writing to an eventfd or a pipe that an untrusted process has filled would block.
      throw invalidArgValue('signal', "must be 'socket' between unrelated processes", signal);
    }
    return ChannelListener.open<SenderFor<O>, ReceiverFor<O>, RoleFor<O, 'duplex'>>(
      path,
      options,
      () => Channel.create(options as BytesOptions & NewMemoryOptions),
    );
  }

  /**
   * Connects to a process that listens. The options say which kind of channel is expected, as
   * `listen()` was told: `type`, `messages` or `codec`, bytes without; how its ends work here; and
   * whom to meet.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_NO_LISTENER`, `ERR_ANNULUS_REFUSED`, `ERR_ANNULUS_VERSION`,
   *   `ERR_ANNULUS_CHANNEL_MODE`, `ERR_ANNULUS_TIMEOUT`, `ERR_ANNULUS_PEER_DIED`,
   *   `ERR_ANNULUS_CHANNEL_CORRUPT`; an `AbortError`.
   * @example
   * ```ts
   * import { Channel } from 'annulus/channel';
   * using connection = await Channel.connect('@numbers', { role: 'receiver' });
   * for await (const bytes of connection.receiver) console.log(bytes.toString());
   * ```
   */
  static connect(path: string): Promise<ConnectionFor<KindOptions>>;
  static connect<O extends KindOptions & ConnectOptions & SenderOptions>(
    path: string,
    options: O,
  ): Promise<ConnectionFor<O>>;
  static connect(
    path: string,
    options: KindOptions & ConnectOptions & SenderOptions = {},
  ): Promise<ConnectionFor<KindOptions>> {
    const { type, messages, codec } = options as AnyOptions;
    return connectExpecting(path, options, formatOf({ type, messages, codec }));
  }

  /**
   * Attaches in a child process to the end that its parent gave it by {@link Channel.childOptions}.
   *
   * @param options - Which end, by which name, and the kind of channel: `type`, `messages` or `codec`.
   * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_TAKEN` if there is none or it was taken before;
   *   `ERR_ANNULUS_CHANNEL_MODE`.
   */
  static inherit<O extends InheritOptions>(
    options: O,
  ): O extends { readonly role: 'sender' } ? SenderFor<O> : ReceiverFor<O> {
    const { type, messages, codec } = options as AnyOptions;
    return openInherited(options, formatOf({ type, messages, codec }));
  }

  /** The writing end, in this thread. */
  get sender(): S {
    if (this.#sender === undefined) {
      this.#checkOpen();
      this.#sender = this.#offers.sender.attach((memory, fds) =>
        makeSender(memory, fds, this.#options),
      ) as SendingEnd as S;
    }
    return this.#sender;
  }

  /** The reading end, in this thread. */
  get receiver(): R {
    if (this.#receiver === undefined) {
      this.#checkOpen();
      this.#receiver = this.#offers.receiver.attach((memory, fds) =>
        makeReceiver(memory, fds, this.#options),
      ) as ReceivingEnd as R;
    }
    return this.#receiver;
  }

  /** The writing end for another thread: post it, and `Sender.attach()` it there. */
  get senderHandle(): ChannelHandle {
    this.#checkOpen();
    return this.#offers.sender.handle;
  }

  /** The reading end for another thread: post it, and `Receiver.attach()` it there. */
  get receiverHandle(): ChannelHandle {
    this.#checkOpen();
    return this.#offers.receiver.handle;
  }

  /**
   * The `stdio` option that gives one end to a child process, as two descriptors after `first` (four
   * with a `signal` of `eventfd` or `pipe`). Call {@link Channel.release} after spawning.
   *
   * @param first - What comes before them. Default: standard input, output and error inherited.
   */
  stdio(role: Role, first?: readonly StdioEntry[]): StdioEntry[] {
    this.#checkOpen();
    return this.#offers[role].stdio(first);
  }

  /**
   * Options for `spawn`, `fork` and execa that give one end to a child process, which takes it by
   * `Channel.inherit()`. Call {@link Channel.release} after spawning. Several channels are given by
   * handing what the first returned on to the next, with another name.
   *
   * @param base - Other entries of `stdio`, and the environment, to which the end is added.
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a name that is taken, or none.
   * @example
   * ```ts
   * import { fork } from 'node:child_process';
   * import { Channel } from 'annulus/channel';
   * const channel = Channel.create({ capacity: 65536 });
   * const stdio = ['inherit', 'inherit', 'inherit', 'ipc'] as const;
   * fork('child.js', channel.childOptions('receiver', { stdio }));
   * channel.release('receiver'); // in child.js: Channel.inherit({ role: 'receiver' })
   * ```
   */
  childOptions(role: Role, base: ChildBase = {}): ChildOptions {
    this.#checkOpen();
    return childOptions(role, base, () => this.#offers[role].descriptors());
  }

  /** One end as descriptors, for another process. Call {@link Channel.release} once it has them. */
  descriptors(role: Role): number[] {
    this.#checkOpen();
    return this.#offers[role].descriptors();
  }

  /** Closes this process's copies of an end that another process has been given. */
  release(role: Role): void {
    this.#offers[role].release();
  }

  /**
   * Ends a side whose thread has ended without closing it, where nothing but the holder of the
   * `Worker` can know: in a channel over a `SharedArrayBuffer`. Its receiver is told that the stream is
   * incomplete, its sender that nobody reads.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_UNSUPPORTED` for other channels, which notice it themselves.
   */
  abandon(role: Role): void {
    if (this.#memory.format.signal !== SIGNAL.FUTEX) {
      throw new AnnulusError(
        'ERR_ANNULUS_UNSUPPORTED',
        'Only an end over a SharedArrayBuffer is abandoned: of others, death is noticed by itself.',
      );
    }
    const [word, wait] = role === 'sender' ? [WORD.SENDER, WORD.TAIL] : [WORD.RECEIVER, WORD.HEAD];
    const { words } = this.#memory;
    const gone = role === 'sender' ? STATE.FAILED : STATE.CLOSED;
    for (const live of [STATE.VACANT, STATE.ATTACHED]) {
      // SYNC POINT: an end that closed itself meanwhile has said better how.
      if (Atomics.compareExchange(words, word, live, gone) === live) break;
    }
    // Whoever sleeps until that side moves looks again, and whoever goes to sleep sees the state.
    Atomics.and(words, wait, 0x7fffffff);
    Atomics.notify(words, wait);
  }

  /**
   * Lets go of what this thread still holds: an end nobody attached to is closed for good, ends in
   * use go on by themselves.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#withdraw('sender', WORD.SENDER, STATE.FAILED);
    this.#withdraw('receiver', WORD.RECEIVER, STATE.CLOSED);
    this.#memory.release();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The channel is closed.');
  }

  /** Closes an end nobody has attached to. A thread that comes later with its handle is told so. */
  #withdraw(role: Role, word: number, state: number): void {
    const { words } = this.#memory;
    this.#offers[role].withdraw(
      // SYNC POINT: either we close the end or a thread has attached to it and owns the descriptors.
      () => Atomics.compareExchange(words, word, STATE.VACANT, state) === STATE.VACANT,
    );
  }
}

function formatOf(options: AnyOptions): Format {
  const { type, messages, codec, signal = 'socket' } = options ?? {};
  const number = signalNumber(signal);
  if (type !== undefined) {
    if (messages === true || codec !== undefined) {
      throw invalidArgValue('type', 'cannot be combined with messages or codec', typeof type);
    }
    return { mode: MODE.ELEMENTS, ...describeElements(type), signal: number };
  }
  if (messages === true || codec !== undefined) {
    const { kind } = chooseCodec(codec);
    return { mode: MODE.MESSAGES, unit: FRAME_ALIGNMENT, kind, signal: number };
  }
  return { mode: MODE.BYTES, unit: 1, kind: 0, signal: number };
}
