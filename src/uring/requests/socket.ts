/**
 * Requests on sockets.
 */
import { ACCEPT } from '../../sys/abi.ts';
import { checkInteger } from '../../sys/errors.ts';
import type { Fd, Memory, MemoryRange } from '../descriptors.ts';
import { YIELDS_FD } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { encodeSocketAddress, SOCK } from '../sockaddr.ts';
import type { SocketAddress } from '../sockaddr.ts';
import { PathRequests } from './path.ts';

/** No signal when the peer is gone: the request fails with `EPIPE` instead. */
const MSG_NOSIGNAL = 0x4000;

/** `shutdown(2)` directions. */
export const SHUT = { RD: 0, WR: 1, RDWR: 2 } as const;

/** Options of `send` and `recv`: what part of the memory, and `MSG_*` flags. */
export interface SocketRange extends MemoryRange {
  flags?: number | undefined;
}

/** Socket requests; each returns the key that `cancel()` wants beside the token. */
export abstract class SocketRequests extends PathRequests {
  /** `socket(2)`, with `SOCK_CLOEXEC`; completes with the descriptor. Linux 5.19. */
  socket(token: number, family: number, type: number, protocol: number = 0): number {
    this.checkToken(token);
    // fd is the family, off the type, len the protocol.
    this.put(OP.SOCKET, family, type | SOCK.CLOEXEC, 0, protocol, 0, token, YIELDS_FD);
    return YIELDS_FD;
  }

  /** `bind(2)`. Linux 6.11. */
  bind(token: number, fd: Fd, address: SocketAddress): number {
    return this.withAddress(OP.BIND, token, fd, address);
  }

  /** `listen(2)`: `backlog` is the most connections that wait to be accepted. Linux 6.11. */
  listen(token: number, fd: Fd, backlog: number): number {
    checkInteger('backlog', backlog, 0, 2 ** 31 - 1);
    return this.simple(OP.LISTEN, token, fd, 0, 0, backlog, 0);
  }

  /** `connect(2)`. Linux 5.5. */
  connect(token: number, fd: Fd, address: SocketAddress): number {
    return this.withAddress(OP.CONNECT, token, fd, address);
  }

  /** `accept4(2)` with `SOCK_CLOEXEC`; completes with the connection's descriptor. Linux 5.5. */
  accept(token: number, fd: Fd): number {
    this.putAccept(token, fd);
    return YIELDS_FD;
  }

  /**
   * Accepts again and again: one completion a connection, with `CQE.F_MORE` while more follow.
   * Linux 5.19.
   */
  acceptMultishot(token: number, fd: Fd): number {
    this.setIoprio(this.putAccept(token, fd), ACCEPT.MULTISHOT);
    return YIELDS_FD;
  }

  /** `send(2)` with `MSG_NOSIGNAL`; completes with the bytes sent, possibly fewer. Linux 5.6. */
  send(token: number, fd: Fd, memory: Memory, range?: SocketRange): number {
    const flags = (range?.flags ?? 0) | MSG_NOSIGNAL;
    return this.transferSocket(OP.SEND, token, fd, memory, range, flags);
  }

  /** `recv(2)`; completes with the bytes received, 0 when the peer has shut down. Linux 5.6. */
  recv(token: number, fd: Fd, memory: Memory, range?: SocketRange): number {
    return this.transferSocket(OP.RECV, token, fd, memory, range, range?.flags ?? 0);
  }

  /** `shutdown(2)`: `how` of {@link SHUT}. Linux 5.11. */
  shutdown(token: number, fd: Fd, how: number): number {
    checkInteger('how', how, 0, 2);
    return this.simple(OP.SHUTDOWN, token, fd, 0, 0, how, 0);
  }

  private putAccept(token: number, fd: Fd): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    const head = this.headFor(OP.ACCEPT, fd);
    return this.put(head, number, 0, 0, 0, SOCK.CLOEXEC, token, YIELDS_FD);
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
    return this.transfer(op, token, fd, memory, range, flags, 0);
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
