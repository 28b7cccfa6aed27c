/**
 * Requests on sockets.
 */
import { ACCEPT, MSG_FLAG, RECVSEND } from '../../sys/abi.ts';
import { checkInteger, outOfRange } from '../../sys/errors.ts';
import { pin } from '../../memory/pins.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Fd, Memory, MemoryRange } from '../descriptors.ts';
import { YIELDS_FD } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { encodeSocketAddress, PEER_BYTES, SOCK, SOCKADDR_STORAGE } from '../sockaddr.ts';
import type { SocketAddress } from '../sockaddr.ts';
import { AttributeRequests } from './attribute.ts';
import { checkSlot, FILE_INDEX_ALLOC } from './descriptor.ts';

/** `shutdown(2)` directions. */
export const SHUT = { RD: 0, WR: 1, RDWR: 2 } as const;

/** Options of `send` and `recv`: what part of the memory, and how. */
export interface SocketRange extends MemoryRange {
  /** `MSG_FLAG` bits. */
  flags?: number | undefined;
  /** Waits for the socket to be ready instead of trying first. Linux 5.19. */
  pollFirst?: boolean | undefined;
}

/** How connections are accepted. */
export interface AcceptOptions {
  /** Makes the connection's descriptor non-blocking. */
  readonly nonBlocking?: boolean;
  /** Completes with -`EAGAIN` when there is no connection yet. Linux 6.10. */
  readonly dontWait?: boolean;
  /** Waits for a connection instead of trying first. Linux 6.10. */
  readonly pollFirst?: boolean;
}

/** How one connection is accepted. */
export interface AcceptOneOptions extends AcceptOptions {
  /**
   * At least `PEER_BYTES` bytes of a Region, which receive the peer's address for
   * `decodePeerAddress()`.
   */
  readonly address?: Memory;
}

/** Socket requests; each returns the key that `cancel()` wants beside the token. */
export abstract class SocketRequests extends AttributeRequests {
  /** `socket(2)`, with `SOCK_CLOEXEC`; completes with the descriptor. Linux 5.19. */
  socket(token: number, family: number, type: number, protocol: number = 0): number {
    this.requireOpcode(OP.SOCKET);
    this.checkToken(token);
    // fd is the family, off the type, len the protocol.
    this.put(OP.SOCKET, family, type | SOCK.CLOEXEC, 0, protocol, 0, token, YIELDS_FD);
    return YIELDS_FD;
  }

  /** `bind(2)`. Linux 6.11. */
  bind(token: number, fd: Fd, address: SocketAddress): number {
    this.requireOpcode(OP.BIND);
    return this.withAddress(OP.BIND, token, fd, address);
  }

  /** `listen(2)`: `backlog` is the most connections that wait to be accepted. Linux 6.11. */
  listen(token: number, fd: Fd, backlog: number): number {
    this.requireOpcode(OP.LISTEN);
    checkInteger('backlog', backlog, 0, 2 ** 31 - 1);
    return this.simple(OP.LISTEN, token, fd, 0, 0, backlog, 0);
  }

  /** `connect(2)`. Linux 5.5. */
  connect(token: number, fd: Fd, address: SocketAddress): number {
    return this.withAddress(OP.CONNECT, token, fd, address);
  }

  /** `accept4(2)` with `SOCK_CLOEXEC`; completes with the connection's descriptor. Linux 5.5. */
  accept(token: number, fd: Fd, options?: AcceptOneOptions): number {
    const memory = options?.address;
    if (memory === undefined) {
      this.putAccept(token, fd, 0, 0, acceptBits(options), acceptFlags(options), YIELDS_FD);
      return YIELDS_FD;
    }
    const region = requireRegion('options.address', memory);
    if (memory.byteLength < PEER_BYTES) {
      throw outOfRange('options.address.byteLength', `>= ${PEER_BYTES}`, memory.byteLength);
    }
    const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
    const address = region.address + start;
    const hold = region.slot | YIELDS_FD;
    const length = address + SOCKADDR_STORAGE;
    this.putAccept(token, fd, address, length, acceptBits(options), acceptFlags(options), hold);
    // The kernel reads the room for the address from where it writes the length.
    new DataView(region.buffer, start).setUint32(SOCKADDR_STORAGE, SOCKADDR_STORAGE, true);
    pin(region.slot);
    return hold;
  }

  /**
   * Accepts again and again: one completion a connection, with `CQE.F_MORE` while more follow.
   * Linux 5.19.
   */
  acceptMultishot(token: number, fd: Fd, options?: AcceptOptions): number {
    const bits = ACCEPT.MULTISHOT | acceptBits(options);
    this.putAccept(token, fd, 0, 0, bits, acceptFlags(options), YIELDS_FD);
    return this.markMany(YIELDS_FD);
  }

  /**
   * `socket()` straight into a slot of the registered files; completes with 0, or with
   * `FILE_INDEX_ALLOC` with the slot's number. Linux 5.19.
   *
   * @param slot - Its number, or `FILE_INDEX_ALLOC`. A file it has is replaced.
   */
  socketDirect(
    token: number,
    slot: number,
    family: number,
    type: number,
    protocol: number = 0,
  ): number {
    this.requireOpcode(OP.SOCKET);
    this.checkToken(token);
    checkSlot(slot);
    this.setSlot(this.put(OP.SOCKET, family, type, 0, protocol, 0, token, 0), slot);
    return 0;
  }

  /**
   * `accept()` straight into a slot of the registered files; completes with 0, or with
   * `FILE_INDEX_ALLOC` with the slot's number. Linux 5.15; to let the kernel choose, 5.19.
   */
  acceptDirect(token: number, slot: number, fd: Fd, options?: AcceptOptions): number {
    checkSlot(slot);
    const flags = acceptFlags(options) & ~SOCK.CLOEXEC;
    this.putAccept(token, fd, 0, 0, acceptBits(options), flags, 0);
    this.setSlot(this.lastEntry, slot);
    return 0;
  }

  /**
   * `acceptMultishot()` into slots the kernel chooses; each completion says which. With none free it
   * ends with -`ENFILE`. Linux 5.19.
   */
  acceptMultishotDirect(token: number, fd: Fd, options?: AcceptOptions): number {
    const flags = acceptFlags(options) & ~SOCK.CLOEXEC;
    this.putAccept(token, fd, 0, 0, ACCEPT.MULTISHOT | acceptBits(options), flags, 0);
    this.setSlot(this.lastEntry, FILE_INDEX_ALLOC);
    return this.markMany(0);
  }

  /** `send(2)` with `MSG_NOSIGNAL`; completes with the bytes sent, possibly fewer. Linux 5.6. */
  send(token: number, fd: Fd, memory: Memory, range?: SocketRange): number {
    const flags = (range?.flags ?? 0) | MSG_FLAG.NOSIGNAL;
    return this.transferSocket(OP.SEND, token, fd, memory, range, flags);
  }

  /** `recv(2)`; completes with the bytes received, 0 when the peer has shut down. Linux 5.6. */
  recv(token: number, fd: Fd, memory: Memory, range?: SocketRange): number {
    return this.transferSocket(OP.RECV, token, fd, memory, range, range?.flags ?? 0);
  }

  /** `shutdown(2)`: `how` of {@link SHUT}. Linux 5.11. */
  shutdown(token: number, fd: Fd, how: number): number {
    this.requireOpcode(OP.SHUTDOWN);
    checkInteger('how', how, 0, 2);
    return this.simple(OP.SHUTDOWN, token, fd, 0, 0, how, 0);
  }

  private putAccept(
    token: number,
    fd: Fd,
    address: number,
    lengthAddress: number,
    bits: number,
    flags: number,
    hold: number,
  ): void {
    this.checkToken(token);
    const number = this.descriptor(fd);
    const head = this.headFor(OP.ACCEPT, fd);
    const at = this.put(head, number, lengthAddress, address, 0, flags, token, hold);
    this.setIoprio(at, bits);
  }

  /** Sockets have no position: the entry's offset field means something else and must be 0. */
  private transferSocket(
    op: number,
    token: number,
    fd: Fd,
    memory: Memory,
    range: SocketRange | undefined,
    flags: number,
  ): number {
    if ((flags | 0) !== flags) checkInteger('range.flags', flags, 0, 2 ** 31 - 1);
    const hold = this.transfer(op, token, fd, memory, range, flags, 0);
    if (range?.pollFirst === true) this.setIoprio(this.lastEntry, RECVSEND.POLL_FIRST);
    return hold;
  }

  private withAddress(op: number, token: number, fd: Fd, address: SocketAddress): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    const encoded = encodeSocketAddress(address);
    this.requireSpace();
    const cell = this.holds.cell(encoded.byteLength);
    cell.bytes.set(encoded);
    const length = encoded.byteLength;
    this.put(this.headFor(op, fd), number, length, cell.address, 0, 0, token, cell.hold);
    return cell.hold;
  }
}

function acceptBits(options: AcceptOptions | undefined): number {
  if (options === undefined) return 0;
  const waiting = options.dontWait === true ? ACCEPT.DONTWAIT : 0;
  return waiting | (options.pollFirst === true ? ACCEPT.POLL_FIRST : 0);
}

function acceptFlags(options: AcceptOptions | undefined): number {
  return options?.nonBlocking === true ? SOCK.CLOEXEC | SOCK.NONBLOCK : SOCK.CLOEXEC;
}
