/**
 * ChannelListener: where unrelated processes come to get a channel each.
 *
 * Nothing here waits in the kernel: the socket is watched, and whoever connects has a bounded time to
 * say its greeting. Descriptors that come along are refused, or closed where the kernel cannot refuse.
 */
import {
  AbortError,
  AnnulusError,
  check,
  checkInteger,
  checkSignal,
  ERRNO,
  invalidArgType,
  SystemError,
} from '../sys/errors.ts';
import { closeOwned, own, refuseDescriptors } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { closePassed, drainSocket, receivePassing, sendPassing } from '../sys/passing.ts';
import { takePath } from '../sys/socket-path.ts';
import type { TakenPath } from '../sys/socket-path.ts';
import {
  acceptSocket,
  bindSocket,
  listenSocket,
  meetingSocket,
  peerCredentials,
} from '../sys/sockets.ts';
import type { PeerCredentials } from '../sys/sockets.ts';
import { Connection, meetingPlace } from './connection.ts';
import type { AnyEnd, MeetingPlace } from './connection.ts';
import { describePeer, peerCheck } from './credentials.ts';
import type { AllowPeer } from './credentials.ts';
import {
  checkRole,
  decodeGreeting,
  encodeAnswer,
  endsOf,
  GREETING_VERSION,
  opposite,
  printable,
  VERDICT,
  versionDiffers,
} from './greeting.ts';
import type { Role } from './descriptors.ts';
import type { MeetingRole } from './greeting.ts';
import { VERSION } from './layout.ts';
import { loopWaiter } from './waiter.ts';
import type { Waiter, Watch } from './waiter.ts';

/** How long whoever connects may take to say its greeting. */
const GREETING_MS = 5_000;

/** How long accepting rests when the system lacks descriptors or memory. */
const REST_MS = 50;

/** How often a folder is tried whose lock somebody else holds, and how long. */
const LOCK_RETRY_MS = 5;
const LOCK_RETRIES = 1_000;

const BACKLOG_MAX = 4096;

const SHORTAGE: ReadonlySet<number> = new Set([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOMEM]);

/** How a {@link ChannelListener} meets others. */
export interface ListenOptions {
  /** What this side is: it sends, it receives, or both by two channels. Default `duplex`. */
  readonly role?: MeetingRole | undefined;
  /**
   * Who may connect. Default: for a path, whoever its permissions let; for a name without a file, which
   * has none, processes of the same user.
   */
  readonly allow?: AllowPeer | undefined;
  /** Permissions of the socket's file, such as `0o660`. Default: what the process's umask leaves. */
  readonly mode?: number | undefined;
  /** Processes that wait to be met or taken at most, 1 to 4096. Default 64. */
  readonly backlog?: number | undefined;
  /** How it and its channels wait. Default: on Node's event loop. */
  readonly waiter?: Waiter | undefined;
  /**
   * Told of everyone who came and was not given a channel, and why: `ERR_ANNULUS_REFUSED`,
   * `ERR_ANNULUS_VERSION`, or what making a channel failed with. `peer` is missing where nobody could be
   * let in at all.
   */
  readonly onRefused?: ((error: Error, peer: PeerCredentials | undefined) => void) | undefined;
}

/** A channel that was made for a connection, as far as meeting is concerned. */
export interface MadeChannel {
  readonly sender: AnyEnd;
  readonly receiver: AnyEnd;
  descriptors(role: Role): number[];
  release(role: Role): void;
  close(): void;
}

interface Taker<C> {
  readonly resolve: (connection: C) => void;
  readonly reject: (reason: unknown) => void;
}

/** Somebody who has connected and not said its greeting. */
interface Guest {
  readonly fd: number;
  readonly peer: PeerCredentials;
  watch: Watch | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Gives each process that connects a channel of its own, or two for a duplex. Made by
 * `Channel.listen()`; it keeps the process alive while somebody waits for a connection.
 */
export class ChannelListener<
  S extends AnyEnd = AnyEnd,
  R extends AnyEnd = AnyEnd,
  M extends MeetingRole = MeetingRole,
> implements AsyncIterable<Connection<S, R, M>> {
  /** Where it listens; a name without a file begins with `@`. */
  readonly path: string;
  /** What this side of its connections is. */
  readonly role: M;
  readonly #fd: number;
  readonly #taken: TakenPath | undefined;
  readonly #make: () => MadeChannel;
  readonly #mayConnect: (peer: PeerCredentials) => boolean;
  readonly #waiter: Waiter;
  readonly #backlog: number;
  readonly #onRefused: ListenOptions['onRefused'];
  readonly #guests: Set<Guest> = new Set();
  readonly #ready: Connection<S, R, M>[] = [];
  readonly #takers: Taker<Connection<S, R, M>>[] = [];
  #watch: Watch | undefined;
  #rest: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(
    place: MeetingPlace,
    options: ListenOptions,
    make: () => MadeChannel,
    socket: { readonly fd: number; readonly taken: TakenPath | undefined },
  ) {
    this.path = printable(place.path);
    this.role = (options.role ?? 'duplex') as M;
    this.#make = make;
    this.#fd = socket.fd;
    this.#taken = socket.taken;
    this.#mayConnect = peerCheck(options.allow, place.isAbstract);
    this.#waiter = options.waiter ?? loopWaiter;
    this.#backlog = options.backlog ?? 64;
    this.#onRefused = options.onRefused;
    this.#open();
  }

  /** @internal Use `Channel.listen()`. */
  static async open<S extends AnyEnd, R extends AnyEnd, M extends MeetingRole>(
    path: string,
    options: ListenOptions,
    make: () => MadeChannel,
  ): Promise<ChannelListener<S, R, M>> {
    const place = meetingPlace(path);
    const { role = 'duplex', backlog = 64, mode } = options;
    checkRole(role);
    checkInteger('backlog', backlog, 1, BACKLOG_MAX);
    if (mode !== undefined) checkInteger('mode', mode, 0, 0o777);
    peerCheck(options.allow, place.isAbstract);
    if (options.onRefused !== undefined && typeof options.onRefused !== 'function') {
      throw invalidArgType('onRefused', 'a function', options.onRefused);
    }
    // What is wrong with the options of the channels is said here, and not to those who connect.
    make().close();
    const fd = meetingSocket();
    own(fd);
    refuseDescriptors(fd);
    let taken: TakenPath | undefined;
    try {
      taken = await take(fd, place, mode, backlog);
      return new ChannelListener(place, options, make, { fd, taken });
    } catch (error) {
      taken?.release();
      closeOwned(fd);
      throw error;
    }
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The next connection, in the order in which the others came.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED` when the listener is closed; an `AbortError`.
   */
  accept(options?: { readonly signal?: AbortSignal }): Promise<Connection<S, R, M>> {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closed();
      checkSignal(signal);
      const ready = this.#ready.shift();
      if (ready !== undefined) {
        this.#open();
        resolve(ready);
        return;
      }
      const onAbort = (): void => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        this.#keepAlive();
        reject(new AbortError(signal?.reason));
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      const taker: Taker<Connection<S, R, M>> = {
        resolve: (connection) => {
          settled();
          resolve(connection);
        },
        reject: (reason) => {
          settled();
          reject(reason instanceof Error ? reason : new Error(String(reason)));
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#takers.push(taker);
      this.#keepAlive();
    });
  }

  /**
   * The connections, until the listener is closed or the loop is left, which does not close it.
   *
   * @yields Each is its taker's to close.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection<S, R, M>, void, undefined> {
    while (!this.#closed) {
      try {
        yield await this.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
    }
  }

  /** Stops listening, gives the path back and closes what nobody took. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#rest);
    this.#watch?.close();
    this.#taken?.release();
    closeOwned(this.#fd);
    for (const guest of this.#guests) this.#dismiss(guest);
    for (const connection of this.#ready.splice(0)) connection.close();
    for (const taker of this.#takers.splice(0)) taker.reject(closed());
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Watches for connections while there is room for them. */
  #open(): void {
    const isFull = this.#guests.size + this.#ready.length >= this.#backlog;
    if (this.#closed || isFull || this.#rest !== undefined || this.#watch !== undefined) return;
    this.#watch = this.#waiter.watch(this.#fd, WATCH.READABLE, () => this.#letIn());
    this.#keepAlive();
  }

  #shut(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** Whoever waits for a connection keeps the process alive: all that leads to one does, then. */
  #keepAlive(): void {
    const guests = [...this.#guests].map(({ watch }) => watch);
    for (const one of [this.#watch, this.#rest, ...guests]) {
      if (this.#takers.length > 0) one?.ref();
      else one?.unref();
    }
  }

  /** Takes whoever waits in the kernel, as far as there is room. */
  #letIn(): void {
    while (!this.#closed && this.#watch !== undefined) {
      if (this.#guests.size + this.#ready.length >= this.#backlog) return this.#shut();
      const fd = acceptSocket(this.#fd);
      if (fd === ERRNO.EAGAIN) return;
      if (fd >= 0) this.#greet(fd);
      else if (SHORTAGE.has(fd)) return this.#takeRest(new SystemError(fd, 'accept4'));
      // Anything else ended with the one who connected.
    }
  }

  /** The socket stays readable without a descriptor to take anybody: watching would spin. */
  #takeRest(error: SystemError): void {
    this.#shut();
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#open();
    }, REST_MS);
    this.#keepAlive();
    this.#onRefused?.(error, undefined);
  }

  #greet(fd: number): void {
    own(fd);
    const guest: Guest = { fd, peer: peerCredentials(fd), watch: undefined, timer: undefined };
    this.#guests.add(guest);
    let mayConnect = false;
    try {
      mayConnect = this.#mayConnect(guest.peer);
    } finally {
      // Before it says anything: nobody who is not allowed takes a place.
      if (!mayConnect) {
        const who = describePeer(guest.peer);
        this.#refuse(guest, VERDICT.REFUSED, refused(`${who} is not allowed at '${this.path}'`));
      }
    }
    if (!mayConnect) return;
    guest.timer = setTimeout(() => {
      this.#refuse(
        guest,
        VERDICT.FAILED,
        refused(`its greeting did not come in ${GREETING_MS} ms`),
      );
    }, GREETING_MS).unref();
    guest.watch = this.#waiter.watch(fd, WATCH.READABLE | WATCH.DISCONNECT, () =>
      this.#hear(guest),
    );
    this.#keepAlive();
  }

  #hear(guest: Guest): void {
    const message = receivePassing(guest.fd);
    if (message === ERRNO.EAGAIN) return;
    if (typeof message !== 'number') closePassed(message.fds);
    const greeting = typeof message === 'number' ? undefined : decodeGreeting(message.bytes);
    if (greeting === undefined) {
      const what = typeof message !== 'number' && message.bytes.length > 0 ? 'nonsense' : 'nothing';
      this.#refuse(guest, VERDICT.FAILED, refused(`it said ${what} and no greeting`));
    } else if (greeting.version !== GREETING_VERSION || greeting.layout !== VERSION) {
      this.#refuse(guest, VERDICT.VERSION, versionDiffers(this.path, VERSION, greeting));
    } else if (greeting.role !== undefined && greeting.role !== opposite(this.role)) {
      const error = refused(`it wants to be ${greeting.role}, and this side is ${this.role}`);
      this.#refuse(guest, VERDICT.ROLE, error);
    } else {
      this.#welcome(guest);
    }
  }

  /** Makes the channels, and sends the other side its ends. */
  #welcome(guest: Guest): void {
    const role = opposite(this.role);
    const made: MadeChannel[] = [];
    const ends: Partial<Record<Role, AnyEnd>> = {};
    try {
      const passed = endsOf(role).map((theirs) => {
        const channel = this.#make();
        made.push(channel);
        const ours = theirs === 'sender' ? 'receiver' : 'sender';
        ends[ours] = channel[ours];
        return channel.descriptors(theirs);
      });
      const answer = encodeAnswer(VERSION, VERDICT.WELCOME, role, passed[0]!.length);
      check(sendPassing(guest.fd, answer, passed.flat()), 'sendmsg');
      endsOf(role).forEach((theirs, index) => made[index]!.release(theirs));
    } catch (error) {
      for (const end of Object.values(ends)) end.close();
      for (const channel of made) channel.close();
      this.#refuse(guest, VERDICT.FAILED, error as Error);
      return;
    }
    for (const channel of made) channel.close(); // what is in use goes on by itself
    this.#dismiss(guest);
    const connection = new Connection<S, R, M>(this.role, ends, guest.peer);
    const taker = this.#takers.shift();
    if (taker === undefined) this.#ready.push(connection);
    else taker.resolve(connection);
    this.#open();
    this.#keepAlive();
  }

  #refuse(guest: Guest, verdict: number, error: Error): void {
    // It may be gone; then there is nobody to tell.
    sendPassing(guest.fd, encodeAnswer(VERSION, verdict, opposite(this.role)), []);
    this.#dismiss(guest);
    this.#open();
    this.#onRefused?.(error, guest.peer);
  }

  #dismiss(guest: Guest): void {
    clearTimeout(guest.timer);
    guest.watch?.close();
    drainSocket(guest.fd);
    closeOwned(guest.fd);
    this.#guests.delete(guest);
  }
}

/** Takes the place, waiting while another process is just taking one in the same folder. */
async function take(
  fd: number,
  place: MeetingPlace,
  mode: number | undefined,
  backlog: number,
): Promise<TakenPath | undefined> {
  if (place.isAbstract) {
    try {
      bindSocket(fd, place.address);
    } catch (error) {
      const { errno, syscall } = error as SystemError;
      throw new SystemError(errno, syscall, { path: printable(place.path), cause: error });
    }
    listenSocket(fd, backlog);
    return undefined;
  }
  for (let tries = 0; tries < LOCK_RETRIES; tries++) {
    const taken = takePath(fd, place.path, place.address, { mode, backlog });
    if (taken !== undefined) return taken;
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
  throw new AnnulusError(
    'ERR_ANNULUS_TIMEOUT',
    `The folder of '${place.path}' was locked by another process (flock) for ` +
      `${(LOCK_RETRIES * LOCK_RETRY_MS) / 1_000} s. Choose another folder, or end that process.`,
  );
}

function closed(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'The listener is closed.');
}

function refused(why: string): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_REFUSED', `A process that connected was refused: ${why}.`);
}
