/**
 * Listener: a listening socket with its options, and the connections that come to it.
 */
import { SO, SOL, TCP, IPV6 } from '../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue, SystemError } from '../sys/errors.ts';
import { closeOwned, own, setSocketOption, socketName } from '../sys/linux.ts';
import { bindSocket, fastOpenSetting, listenSocket, streamSocket } from '../sys/sockets.ts';
import { AF, decodeSocketAddress, encodeSocketAddress } from '../uring/sockaddr.ts';
import type { SocketAddress } from '../uring/sockaddr.ts';

/** What accepting fails with when the listener itself is at fault: it would fail again. */
const FATAL: ReadonlySet<string> = new Set(['EBADF', 'EFAULT', 'EINVAL', 'ENOTSOCK', 'EOPNOTSUPP']);

/** What accepting fails with while the system lacks something: it is tried again after a rest. */
const SHORTAGE: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** How long accepting rests when the system lacks something, in milliseconds. */
const REST_MS = 50;

/** Options of the socket, set before it is bound; connections inherit them. */
export interface ListenerSocketOptions {
  /** `SO_REUSEADDR`: take an address whose former connections still time out. Default true. */
  readonly reuseAddress?: boolean;
  /** `SO_REUSEPORT`: share the address with other listeners that say so. */
  readonly reusePort?: boolean;
  /** `SO_KEEPALIVE`. */
  readonly keepAlive?: boolean;
  /** `SO_RCVBUF`, bytes. */
  readonly receiveBuffer?: number;
  /** `SO_SNDBUF`, bytes. */
  readonly sendBuffer?: number;
  /** `TCP_NODELAY`. */
  readonly noDelay?: boolean;
  /** `TCP_DEFER_ACCEPT`: seconds a connection may take to send something before it is accepted. */
  readonly deferAccept?: number;
  /** `TCP_FASTOPEN`: connections that may be half open at a time. See {@link fastOpenAllowed}. */
  readonly fastOpen?: number;
  /** `IPV6_V6ONLY`: no IPv4 connections on an IPv6 address. */
  readonly ipv6Only?: boolean;
}

/** Level and number of each option, and whether it is a switch. */
const OPTIONS: Record<keyof ListenerSocketOptions, readonly [number, number, boolean]> = {
  reuseAddress: [SOL.SOCKET, SO.REUSEADDR, true],
  reusePort: [SOL.SOCKET, SO.REUSEPORT, true],
  keepAlive: [SOL.SOCKET, SO.KEEPALIVE, true],
  receiveBuffer: [SOL.SOCKET, SO.RCVBUF, false],
  sendBuffer: [SOL.SOCKET, SO.SNDBUF, false],
  noDelay: [SOL.TCP, TCP.NODELAY, true],
  deferAccept: [SOL.TCP, TCP.DEFER_ACCEPT, false],
  fastOpen: [SOL.TCP, TCP.FASTOPEN, false],
  ipv6Only: [SOL.IPV6, IPV6.V6ONLY, true],
};

/** What {@link Listener} is made with, besides an address (port 0: any that is free). */
export interface ListenerOptions {
  /** Connections that wait to be accepted at most; the system's `somaxconn` bounds it. Default 511. */
  readonly backlog?: number;
  readonly socketOptions?: ListenerSocketOptions;
  /**
   * Told when accepting fails for a passing reason: a connection that ended before it was accepted,
   * no descriptor left. Accepting goes on, after a rest if something is lacking. Without it such an
   * error ends the iteration, as every other does in any case.
   */
  readonly onError?: (error: SystemError) => void;
}

/** What a listener needs of its proactor. */
export interface Accepting {
  acceptMany(fd: number, options: { readonly signal: AbortSignal }): AsyncIterableIterator<number>;
  sleep(milliseconds: number, options: { readonly signal: AbortSignal }): Promise<void>;
}

/** Whether the system lets TCP connections begin with data (`net.ipv4.tcp_fastopen`). */
export function fastOpenAllowed(): { client: boolean; server: boolean } {
  const bits = fastOpenSetting();
  return { client: (bits & 1) !== 0, server: (bits & 2) !== 0 };
}

/**
 * A listening socket. Iterating it yields the descriptors of its connections; several loops share
 * them. The path of a Unix socket stays when it is closed.
 */
export class Listener implements AsyncIterable<number> {
  /** Descriptor of the socket. */
  readonly fd: number;
  /** Where it listens, with the port it was given. */
  readonly address: SocketAddress;
  readonly #io: Accepting;
  readonly #onError: ((error: SystemError) => void) | undefined;
  readonly #end: AbortController = new AbortController();
  readonly #accepting: Set<AsyncIterableIterator<number>> = new Set();
  #closing: Promise<void> | undefined;

  /** @internal Use `Proactor.openListener()`. */
  constructor(io: Accepting, options: SocketAddress & ListenerOptions) {
    const { backlog = 511, onError } = options;
    checkInteger('backlog', backlog, 0, 2 ** 31 - 1);
    if (onError !== undefined && typeof onError !== 'function') {
      throw invalidArgType('onError', 'a function', onError);
    }
    this.#io = io;
    this.#onError = onError;
    const address = encodeSocketAddress(options);
    const settings = checkOptions(options.socketOptions ?? {}, familyOf(address) !== AF.UNIX);
    this.fd = streamSocket(familyOf(address));
    own(this.fd);
    try {
      for (const [name, value] of settings) setSocketOption(this.fd, ...toOption(name, value));
      bindSocket(this.fd, address);
      listenSocket(this.fd, backlog);
      this.address = decodeSocketAddress(socketName(this.fd))!;
    } catch (error) {
      closeOwned(this.fd);
      throw error;
    }
  }

  /**
   * The connections, until the listener is closed or the loop is left.
   *
   * @yields Descriptors, each its taker's to close.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<number, void, undefined> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      const connections = this.#io.acceptMany(this.fd, { signal });
      this.#accepting.add(connections);
      try {
        yield* connections;
        return;
      } catch (error) {
        if (signal.aborted) return;
        await this.#tolerate(error);
      } finally {
        this.#accepting.delete(connections);
      }
    }
  }

  /** Ends accepting, closes what nobody took, then the socket. Connections taken stay open. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /** `close()`, at the end of a block that declares it with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Returns if accepting can go on, else throws. */
  async #tolerate(error: unknown): Promise<void> {
    if (!(error instanceof SystemError) || FATAL.has(error.code)) throw error;
    if (this.#onError === undefined) throw error;
    this.#onError(error);
    if (!SHORTAGE.has(error.code)) return;
    // A close() ends the rest, and the loop that asked for it with it.
    await this.#io.sleep(REST_MS, { signal: this.#end.signal }).catch(() => {});
  }

  async #shutDown(): Promise<void> {
    const accepting = [...this.#accepting];
    this.#end.abort();
    await Promise.all(accepting.map(async (connections) => connections.return?.()));
    closeOwned(this.fd);
  }
}

function familyOf(address: Uint8Array): number {
  return address[0]! | (address[1]! << 8);
}

type Setting = [keyof ListenerSocketOptions, number | boolean];

function checkOptions(options: ListenerSocketOptions, internet: boolean): Setting[] {
  const all = { ...(internet && { reuseAddress: true }), ...options };
  const given = Object.entries(all).filter(([, value]) => value !== undefined) as Setting[];
  for (const [name, value] of given) {
    const option = OPTIONS[name];
    if (option === undefined) {
      const known = Object.keys(OPTIONS).join(', ');
      throw invalidArgValue('socketOptions', `must have no options but ${known}`, name);
    }
    if (!option[2]) checkInteger(`socketOptions.${name}`, value as number, 0, 2 ** 31 - 1);
    else if (typeof value !== 'boolean') {
      throw invalidArgType(`socketOptions.${name}`, 'a boolean', value);
    }
  }
  return given;
}

function toOption(
  name: keyof ListenerSocketOptions,
  value: number | boolean,
): [number, number, number] {
  const [level, option] = OPTIONS[name];
  return [option, Number(value), level];
}
