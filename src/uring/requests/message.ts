/**
 * Requests on sockets that carry more than bytes: messages with addresses and control data, sends
 * without a copy, and socket commands.
 */
import { MSG_FLAG, RECVSEND, SIZEOF, SOCKET_COMMAND, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, outOfRange } from '../../sys/errors.ts';
import { pin } from '../../memory/pins.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Region } from '../../memory/region.ts';
import { FixedBuffer } from '../descriptors.ts';
import type { Fd, Memory } from '../descriptors.ts';
import type { Cell } from '../holds.ts';
import { SocketMessage } from '../msghdr.ts';
import { OP } from '../opcodes.ts';
import { encodeSocketAddress, SOCKADDR_STORAGE } from '../sockaddr.ts';
import type { SocketAddress } from '../sockaddr.ts';
import { SocketRequests } from './socket.ts';
import type { SocketRange } from './socket.ts';

const IOV_MAX = 1024;
const MAX_INT = 2 ** 31 - 1;
const MAX_U32 = 2 ** 32 - 1;
const TWO_32 = 2 ** 32;
/** Where the vectors lie in a cell; before them there is room for an address. */
const VECTORS_AT = SOCKADDR_STORAGE;

/** Bytes `socketName()` fills: an address, then its length. */
const NAME_BYTES = SOCKADDR_STORAGE + 4;

/** How a message is sent or received. */
export interface MessageRange {
  /** `MSG_FLAG` bits. */
  flags?: number | undefined;
  /** Waits for the socket to be ready instead of trying first. Linux 5.19. */
  pollFirst?: boolean | undefined;
}

/** How a send without a copy goes. */
export interface ZeroCopyOptions {
  /** Has the notification say whether the bytes were copied after all. Linux 6.2. */
  reportUsage?: boolean | undefined;
}

/** `sendZc()`: which part of the memory, where to, and how. */
export interface ZeroCopyRange extends SocketRange, ZeroCopyOptions {
  /** Where to send it; none on a connected socket. */
  address?: SocketAddress | undefined;
}

/** `sendmsgZc()`: how the message is sent. */
export interface ZeroCopyMessageRange extends MessageRange, ZeroCopyOptions {
  /** Registered memory that all pieces of the message lie in. Linux 6.15. */
  fixed?: FixedBuffer | undefined;
}

/** `sendv()`: where to, and how. */
export interface VectorRange extends MessageRange {
  /** Where to send it; none on a connected socket. */
  address?: SocketAddress | undefined;
}

/** Message requests; each returns the key that `cancel()` wants beside the token. */
export abstract class MessageRequests extends SocketRequests {
  /**
   * `sendmsg(2)` with `MSG_NOSIGNAL`: sends a message's pieces, address and control messages;
   * completes with the bytes sent. Linux 5.3.
   */
  sendmsg(token: number, fd: Fd, message: SocketMessage, range?: MessageRange): number {
    return this.putMessage(OP.SENDMSG, token, fd, message, range, MSG_FLAG.NOSIGNAL, 0);
  }

  /**
   * `recvmsg(2)` with `MSG_CMSG_CLOEXEC`: fills a message's pieces; completes with the bytes
   * received. The message then has the sender, the control messages and the flags. Linux 5.3.
   *
   * Descriptors that come with it (`SCM.RIGHTS`) are open from the completion on: take them with
   * `passedDescriptors()` and close them. A program that closes the ring with this request in flight
   * cannot learn of them; without `controlSpace` the kernel closes them itself.
   */
  recvmsg(token: number, fd: Fd, message: SocketMessage, range?: MessageRange): number {
    return this.putMessage(OP.RECVMSG, token, fd, message, range, MSG_FLAG.CMSG_CLOEXEC, 0);
  }

  /** `sendto(2)` with `MSG_NOSIGNAL`: `send()` to an address. Linux 6.2. */
  sendTo(
    token: number,
    fd: Fd,
    memory: Memory,
    address: SocketAddress,
    range?: SocketRange,
  ): number {
    this.requireOpcode(OP.SEND_ZC);
    return this.putAddressed(OP.SEND, token, fd, memory, address, range, pollBits(range));
  }

  /**
   * `send()` of several pieces of memory in order; completes with the bytes sent. Where the kernel
   * does not have it, with `-EINVAL`. Linux 6.18.
   */
  sendv(token: number, fd: Fd, memories: readonly Memory[], range?: VectorRange): number {
    return this.putVectored(OP.SEND, token, fd, memories, range, 0);
  }

  /** `sendv()` without a copy, as `sendZc()` does. Linux 6.18. */
  sendvZc(
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    range?: VectorRange & ZeroCopyOptions,
  ): number {
    this.requireOpcode(OP.SEND_ZC);
    this.putVectored(OP.SEND_ZC, token, fd, memories, range, usageBits(range));
    return this.markMany(this.countOnce());
  }

  /**
   * `send()` that lets the network card read the memory itself. There are two completions: the bytes
   * sent, with `CQE.F_MORE`, and later one with `CQE.F_NOTIF`, when the memory can be changed. It
   * stays pinned until then. A send that fails has the first only. Linux 6.0.
   *
   * With `reportUsage` the result of the second says whether the bytes were copied after all, as on
   * the loopback device: {@link wasCopied}. To link a request after this one, set
   * `MSG_FLAG.WAITALL`: a short send does not break the chain without it. Not to be mixed with
   * `SQE.IO_DRAIN`: a send that waits for a drained request never runs (Linux 6.18).
   *
   * @param memory - A Region, a view into one, or registered memory.
   */
  sendZc(token: number, fd: Fd, memory: Memory | FixedBuffer, range?: ZeroCopyRange): number {
    this.requireOpcode(OP.SEND_ZC);
    const fixed = memory instanceof FixedBuffer;
    const bits = pollBits(range) | usageBits(range) | (fixed ? RECVSEND.FIXED_BUF : 0);
    const address = range?.address;
    if (address !== undefined) {
      this.putAddressed(OP.SEND_ZC, token, fd, memory, address, range, bits);
    } else {
      const flags = messageFlags(range, MSG_FLAG.NOSIGNAL);
      if (fixed) this.transferFixed(OP.SEND_ZC, token, fd, memory, range, flags);
      else this.transfer(OP.SEND_ZC, token, fd, memory, range, flags, 0);
      // What is a file's position elsewhere is the address here: none.
      this.setWord(this.lastEntry, W.OFF_LOW, 0);
      this.setWord(this.lastEntry, W.OFF_HIGH, 0);
      this.setIoprio(this.lastEntry, bits);
    }
    if (fixed) this.setWord(this.lastEntry, W.BUF_INDEX, memory.index);
    return this.markMany(this.countOnce());
  }

  /**
   * `sendmsg()` without a copy: two completions, as of `sendZc()`. The message, too, is in use until
   * the second. Linux 6.1.
   */
  sendmsgZc(token: number, fd: Fd, message: SocketMessage, range?: ZeroCopyMessageRange): number {
    this.requireOpcode(OP.SENDMSG_ZC);
    const fixed = range?.fixed;
    if (fixed !== undefined) checkInside(message, fixed);
    const bits = usageBits(range) | (fixed === undefined ? 0 : RECVSEND.FIXED_BUF);
    const always = MSG_FLAG.NOSIGNAL;
    this.putMessage(OP.SENDMSG_ZC, token, fd, message, range, always, bits);
    if (fixed !== undefined) this.setWord(this.lastEntry, W.BUF_INDEX, fixed.index);
    return this.markMany(this.countOnce());
  }

  /**
   * Receives into the memory of a network device's queue, again and again; each completion says
   * where (`CQE32`). Completes with `-EINVAL` where no such queue is registered. Linux 6.15.
   *
   * @param receiver - What `ring.register.zeroCopyReceive()` returned, or its number.
   * @param length - Bytes in all after which it ends; 0 for no limit.
   */
  recvZc(
    token: number,
    fd: Fd,
    receiver: number | { readonly id: number },
    length: number = 0,
  ): number {
    this.requireOpcode(OP.RECV_ZC);
    this.checkToken(token);
    const id = typeof receiver === 'number' ? receiver : receiver.id;
    checkInteger('receiver', id, 0, MAX_INT);
    checkInteger('length', length, 0, MAX_U32);
    const number = this.descriptor(fd);
    const at = this.put(this.headFor(OP.RECV_ZC, fd), number, 0, 0, length, 0, token, 0);
    this.setIoprio(at, RECVSEND.MULTISHOT);
    this.setRare(at, W.FILE_INDEX, id);
    return this.markMany(0);
  }

  /** How many bytes can be received at once; completes with their number. Linux 6.5. */
  unreadBytes(token: number, fd: Fd): number {
    return this.putSocketCommand(SOCKET_COMMAND.SIOCINQ, token, fd);
  }

  /** How many bytes are not sent yet; completes with their number. Linux 6.5. */
  unsentBytes(token: number, fd: Fd): number {
    return this.putSocketCommand(SOCKET_COMMAND.SIOCOUTQ, token, fd);
  }

  /**
   * `getsockopt(2)`: writes an option's value to memory; completes with its bytes. The kernel
   * answers for `SOL.SOCKET` only. Linux 6.7.
   */
  getSocketOption(token: number, fd: Fd, level: number, option: number, memory: Memory): number {
    return this.putOption(SOCKET_COMMAND.GETSOCKOPT, token, fd, level, option, memory);
  }

  /** `setsockopt(2)`: sets an option to the value in memory; completes with 0. Linux 6.7. */
  setSocketOption(token: number, fd: Fd, level: number, option: number, memory: Memory): number {
    return this.putOption(SOCKET_COMMAND.SETSOCKOPT, token, fd, level, option, memory);
  }

  /**
   * Reports when sent packets left, again and again, where `SO_TIMESTAMPING` is on; needs a ring
   * with `CQE32`, and completes with `-EINVAL` in another. Linux 6.17.
   */
  sendTimestamps(token: number, fd: Fd): number {
    return this.putSocketCommand(SOCKET_COMMAND.TX_TIMESTAMP, token, fd);
  }

  /**
   * `getsockname(2)`, or `getpeername(2)` with `peer`: writes an address for `decodePeerAddress()`;
   * completes with 0. Where the kernel does not have it, with `-EOPNOTSUPP`. Linux 6.19.
   *
   * @param memory - At least `PEER_BYTES` bytes of a Region.
   */
  socketName(token: number, fd: Fd, memory: Memory, options?: { readonly peer?: boolean }): number {
    const region = requireRegion('memory', memory);
    if (memory.byteLength < NAME_BYTES) {
      throw outOfRange('memory.byteLength', `>= ${NAME_BYTES}`, memory.byteLength);
    }
    const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
    const address = region.address + start;
    const hold = this.putSocketCommand(SOCKET_COMMAND.GETSOCKNAME, token, fd, region);
    const at = this.lastEntry;
    const length = address + SOCKADDR_STORAGE;
    this.setWord(at, W.ADDR_LOW, address | 0);
    this.setWord(at, W.ADDR_HIGH, (address / TWO_32) | 0);
    this.setRare(at, W.FILE_INDEX, options?.peer === true ? 1 : 0);
    this.setRare(at, W.ADDR3_LOW, length | 0);
    this.setRare(at, W.ADDR3_HIGH, (length / TWO_32) | 0);
    new DataView(region.buffer, start).setUint32(SOCKADDR_STORAGE, SOCKADDR_STORAGE, true);
    return hold;
  }

  /** @internal A request on a message, which pins it and its pieces. */
  protected putMessage(
    op: number,
    token: number,
    fd: Fd,
    message: SocketMessage,
    range: MessageRange | undefined,
    always: number,
    bits: number,
    headBits: number = 0,
    extra?: Region,
  ): number {
    this.checkToken(token);
    if (!(message instanceof SocketMessage)) {
      throw invalidArgType('message', 'a SocketMessage', message);
    }
    const number = this.descriptor(fd);
    const flags = messageFlags(range, always);
    this.requireSpace();
    const receives = op === OP.RECVMSG;
    if (receives) message.prepareReceive();
    else message.prepareSend();
    const cell = this.holds.cell(1);
    cell.keep(message.region);
    const { regions } = message;
    for (let i = 0; i < regions.length; i++) cell.keep(regions[i]!);
    if (extra !== undefined) cell.keep(extra);
    const head = this.headFor(op, fd) | headBits;
    const { address } = message.region;
    const at = this.put(head, number, 0, address, 1, flags, token, cell.hold);
    this.setIoprio(at, bits | pollBits(range));
    return cell.hold;
  }

  private putAddressed(
    op: number,
    token: number,
    fd: Fd,
    memory: Memory | FixedBuffer,
    to: SocketAddress,
    range: SocketRange | undefined,
    bits: number,
  ): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    const region = memory instanceof FixedBuffer ? memory.region : requireRegion('memory', memory);
    const offset = range?.offset ?? 0;
    checkInteger('range.offset', offset, 0, memory.byteLength);
    const length = range?.length ?? memory.byteLength - offset;
    checkInteger('range.length', length, 0, memory.byteLength - offset);
    const flags = messageFlags(range, MSG_FLAG.NOSIGNAL);
    const encoded = encodeSocketAddress(to);
    this.requireSpace();
    const cell = this.holds.cell(SOCKADDR_STORAGE);
    cell.keep(region);
    const head = this.headFor(op, fd);
    const address = region.address + startOf(memory) + offset;
    const at = this.put(head, number, 0, address, length, flags, token, cell.hold);
    this.setIoprio(at, bits);
    this.setDestination(at, cell, encoded);
    return cell.hold;
  }

  private putVectored(
    op: number,
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    range: VectorRange | undefined,
    bits: number,
  ): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    if (memories.length === 0 || memories.length > IOV_MAX) {
      throw outOfRange('memories.length', `1 to ${IOV_MAX}`, memories.length);
    }
    const regions = memories.map((memory) => requireRegion('memories', memory));
    const flags = messageFlags(range, MSG_FLAG.NOSIGNAL);
    const to = range?.address === undefined ? undefined : encodeSocketAddress(range.address);
    this.requireSpace();
    const cell = this.holds.cell(VECTORS_AT + memories.length * SIZEOF.IOVEC);
    memories.forEach((memory, index) => {
      const at = VECTORS_AT + index * SIZEOF.IOVEC;
      cell.setU64(at, regions[index]!.address + startOf(memory));
      cell.setU64(at + 8, memory.byteLength);
      cell.keep(regions[index]!);
    });
    const { hold, address } = cell;
    const head = this.headFor(op, fd);
    const vectors = address + VECTORS_AT;
    const at = this.put(head, number, 0, vectors, memories.length, flags, token, hold);
    this.setIoprio(at, bits | pollBits(range) | RECVSEND.VECTORIZED);
    if (to !== undefined) this.setDestination(at, cell, to);
    return hold;
  }

  /** Puts an address at the start of a cell, and where sends look for it. */
  private setDestination(at: number, cell: Cell, encoded: Uint8Array): void {
    cell.bytes.set(encoded);
    this.setWord(at, W.OFF_LOW, cell.address | 0);
    this.setWord(at, W.OFF_HIGH, (cell.address / TWO_32) | 0);
    this.setRare(at, W.FILE_INDEX, encoded.byteLength);
  }

  private putOption(
    command: number,
    token: number,
    fd: Fd,
    level: number,
    option: number,
    memory: Memory,
  ): number {
    checkInteger('level', level, 0, MAX_INT);
    checkInteger('option', option, 0, MAX_INT);
    const region = requireRegion('memory', memory);
    const { byteLength } = memory;
    checkInteger('memory.byteLength', byteLength, 0, MAX_INT);
    const hold = this.putSocketCommand(command, token, fd, region);
    const at = this.lastEntry;
    this.setWord(at, W.ADDR_LOW, level);
    this.setWord(at, W.ADDR_HIGH, option);
    this.setRare(at, W.FILE_INDEX, byteLength);
    const address = region.address + startOf(memory);
    this.setRare(at, W.ADDR3_LOW, address | 0);
    this.setRare(at, W.ADDR3_HIGH, (address / TWO_32) | 0);
    return hold;
  }

  private putSocketCommand(command: number, token: number, fd: Fd, region?: Region): number {
    this.requireOpcode(OP.URING_CMD);
    this.checkToken(token);
    const number = this.descriptor(fd);
    const hold = region?.slot ?? 0;
    // The command lies in the lower half of the offset field.
    const head = this.headFor(OP.URING_CMD, fd);
    this.put(head, number, command, 0, 0, 0, token, hold);
    pin(hold);
    return hold;
  }
}

/** Whether the notification of a zero-copy send with `reportUsage` says that the bytes were copied. */
export function wasCopied(result: number): boolean {
  return result < 0;
}

/** @internal `MSG_FLAG` bits of a request. */
export function messageFlags(range: MessageRange | undefined, always: number): number {
  const flags = range?.flags ?? 0;
  if ((flags | 0) !== flags || flags < 0) checkInteger('range.flags', flags, 0, MAX_INT);
  return flags | always;
}

/** @internal `RECVSEND` bits of any request on a socket. */
export function pollBits(range: MessageRange | undefined): number {
  return range?.pollFirst === true ? RECVSEND.POLL_FIRST : 0;
}

function usageBits(options: ZeroCopyOptions | undefined): number {
  return options?.reportUsage === true ? RECVSEND.ZC_REPORT_USAGE : 0;
}

/** Byte position of memory inside its Region. */
function startOf(memory: Memory | FixedBuffer): number {
  return memory instanceof Uint8Array || memory instanceof FixedBuffer ? memory.byteOffset : 0;
}

/** Registered memory must have all pieces of a message in it. */
function checkInside(message: SocketMessage, fixed: FixedBuffer): void {
  const end = fixed.byteOffset + fixed.byteLength;
  message.memories.forEach((memory, index) => {
    const start = startOf(memory);
    const inside = start >= fixed.byteOffset && start + memory.byteLength <= end;
    if (message.regions[index] === fixed.region && inside) return;
    throw outOfRange('message.memories', 'inside the registered memory', `element ${index}`);
  });
}
