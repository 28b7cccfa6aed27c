/**
 * Requests whose memory the kernel selects from provided buffers, when there is something to put
 * into it. The completion's flags name the buffer: `bufferIdOf()`, `BufferRing.take()`.
 *
 * Where the group is empty the request completes with -`ENOBUFS`, and that ends a multishot, too:
 * give buffers back and prepare it again.
 */
import { MSG_FLAG, MSGHDR, RECVSEND, SQE, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { pin } from '../../memory/pins.ts';
import { BufferGroup, BufferRing, ProvidedBuffers } from '../buffers.ts';
import type { BufferOptions } from '../buffers.ts';
import type { Fd } from '../descriptors.ts';
import { layoutBytes } from '../msghdr.ts';
import type { MessageLayout, SocketMessage } from '../msghdr.ts';
import { OP } from '../opcodes.ts';
import type { Registrar } from '../register/registrar.ts';
import { messageFlags, MessageRequests, pollBits } from './message.ts';
import type { MessageRange } from './message.ts';
import { NOTHING } from './queue.ts';

const MAX_INT = 2 ** 31 - 1;
const BUFFER_SELECT = SQE.BUFFER_SELECT << 8;

/** How much a read takes, and from where. */
export interface SelectRange {
  /** Most bytes. Default: the size of a buffer. */
  length?: number | undefined;
  /** Byte position in the file; -1 is the file's current position. Default -1. */
  position?: number | undefined;
}

/** How much a receive takes, and how. */
export interface SelectSocketRange extends MessageRange {
  /** Most bytes a completion. Default: the size of a buffer; of a bundle, no limit. */
  length?: number | undefined;
  /**
   * Fills several buffers of a {@link BufferRing} with one completion: `BufferRing.bundle()` finds
   * them. For experts. Linux 6.10.
   */
  bundle?: boolean | undefined;
}

/** Requests with provided buffers; each returns the key that `cancel()` wants beside the token. */
export abstract class SelectRequests extends MessageRequests {
  abstract readonly register: Registrar;

  /** `read()` into a buffer the kernel selects; completes with the bytes read. Linux 5.7. */
  readSelect(token: number, fd: Fd, buffers: ProvidedBuffers, range?: SelectRange): number {
    const { length = buffers.size, position = -1 } = range ?? NOTHING;
    checkInteger('range.length', length, 0, buffers.size);
    checkInteger('range.position', position, -1, Number.MAX_SAFE_INTEGER);
    return this.putSelect(OP.READ, token, fd, buffers, position, length, 0, 0);
  }

  /**
   * Reads again and again from what can be waited on (a pipe, a terminal; not a regular file, which
   * completes with `-EBADFD`): one completion a read, with `CQE.F_MORE` while more follow. 0 is the
   * end. Linux 6.7.
   */
  readMultishot(token: number, fd: Fd, buffers: ProvidedBuffers): number {
    this.requireOpcode(OP.READ_MULTISHOT);
    return this.markMany(this.putSelect(OP.READ_MULTISHOT, token, fd, buffers, -1, 0, 0, 0));
  }

  /** `recv()` into a buffer the kernel selects; completes with the bytes received. Linux 5.7. */
  recvSelect(token: number, fd: Fd, buffers: ProvidedBuffers, range?: SelectSocketRange): number {
    return this.putReceive(token, fd, buffers, range, 0);
  }

  /**
   * Receives again and again: one completion a receive, with `CQE.F_MORE` while more follow. 0 is the
   * end, -`ENOBUFS` a group without buffers. `MSG_FLAG.WAITALL` is refused. Linux 6.0.
   */
  recvMultishot(
    token: number,
    fd: Fd,
    buffers: ProvidedBuffers,
    range?: SelectSocketRange,
  ): number {
    this.requireOpcode(OP.SEND_ZC);
    checkNoWaitAll(range);
    return this.markMany(this.putReceive(token, fd, buffers, range, RECVSEND.MULTISHOT));
  }

  /**
   * `send()` of a buffer the kernel selects: the next in the ring, with the length it was recycled
   * with. `bundle` sends as many as there are. Linux 6.10.
   */
  sendSelect(token: number, fd: Fd, buffers: BufferRing, range?: SelectSocketRange): number {
    const bits = bundleBits(buffers, range);
    const { length = 0 } = range ?? NOTHING;
    checkInteger('range.length', length, 0, MAX_INT);
    const flags = messageFlags(range, MSG_FLAG.NOSIGNAL);
    return this.putSelect(OP.SEND, token, fd, buffers, 0, length, flags, bits);
  }

  /**
   * `recvmsg()` into a buffer the kernel selects. The message has at most one piece, whose length
   * bounds that of the payload; its memory is not used. Linux 5.7.
   */
  recvmsgSelect(
    token: number,
    fd: Fd,
    buffers: ProvidedBuffers,
    message: SocketMessage,
    range?: MessageRange,
  ): number {
    this.checkBuffers(buffers);
    const always = MSG_FLAG.CMSG_CLOEXEC;
    const hold = this.putMessage(
      OP.RECVMSG,
      token,
      fd,
      message,
      range,
      always,
      0,
      BUFFER_SELECT,
      buffers.region,
    );
    this.setWord(this.lastEntry, W.BUF_INDEX, buffers.group);
    return hold;
  }

  /**
   * Receives messages again and again, each whole in one buffer: a header, the sender's address,
   * control messages and the payload, which `decodeReceivedMessage()` tells apart. Linux 6.0.
   *
   * @param layout - The room for address and control messages; the rest of a buffer is payload's.
   */
  recvmsgMultishot(
    token: number,
    fd: Fd,
    buffers: ProvidedBuffers,
    layout: MessageLayout,
    range?: MessageRange,
  ): number {
    this.requireOpcode(OP.SEND_ZC);
    this.checkToken(token);
    this.checkBuffers(buffers);
    checkNoWaitAll(range);
    const used = layoutBytes(layout);
    if (used > buffers.size) throw outOfRange('layout', `<= ${buffers.size} bytes`, used);
    const number = this.descriptor(fd);
    const flags = messageFlags(range, MSG_FLAG.CMSG_CLOEXEC);
    this.requireSpace();
    const cell = this.holds.cell(MSGHDR.BYTES);
    cell.keep(buffers.region);
    // Of this header the kernel uses the two lengths only.
    cell.bytes.fill(0, 0, MSGHDR.BYTES);
    cell.view.setUint32(MSGHDR.NAMELEN, layout.addressSpace ?? 0, true);
    cell.setU64(MSGHDR.CONTROLLEN, layout.controlSpace ?? 0);
    const { hold, address } = cell;
    const head = this.headFor(OP.RECVMSG, fd) | BUFFER_SELECT;
    const at = this.put(head, number, 0, address, 1, flags, token, hold);
    this.setIoprio(at, RECVSEND.MULTISHOT | pollBits(range));
    this.setWord(at, W.BUF_INDEX, buffers.group);
    return this.markMany(hold);
  }

  /**
   * Reserves a group for buffers of the older kind, which requests give to the kernel. Its memory
   * stays pinned from the first `provideBuffers()` until the ring is closed.
   */
  bufferGroup(options: BufferOptions): BufferGroup {
    return this.register.groups.group(options);
  }

  /**
   * Gives buffers of a group to the kernel, or gives them back after they were used; completes with
   * 0, or on old kernels the number of the last. Linux 5.7.
   *
   * @param first - The first buffer's id.
   */
  provideBuffers(token: number, group: BufferGroup, first: number = 0, count?: number): number {
    this.checkToken(token);
    this.checkBuffers(group);
    if (!(group instanceof BufferGroup)) throw invalidArgType('group', 'a BufferGroup', group);
    const address = group.addressOf(first);
    const number = count ?? group.count - first;
    checkInteger('count', number, 1, group.count - first);
    const at = this.put(OP.PROVIDE_BUFFERS, number, first, address, group.size, 0, token, 0);
    this.setWord(at, W.BUF_INDEX, group.group);
    group.acquire();
    return 0;
  }

  /**
   * Takes buffers of a group back from the kernel; completes with how many it had, or -`ENOENT`.
   * Linux 5.7.
   */
  removeBuffers(token: number, group: BufferGroup, count: number = group.count): number {
    this.checkToken(token);
    this.checkBuffers(group);
    if (!(group instanceof BufferGroup)) throw invalidArgType('group', 'a BufferGroup', group);
    checkInteger('count', count, 1, group.count);
    const at = this.put(OP.REMOVE_BUFFERS, count, 0, 0, 0, 0, token, 0);
    this.setWord(at, W.BUF_INDEX, group.group);
    return 0;
  }

  private putReceive(
    token: number,
    fd: Fd,
    buffers: ProvidedBuffers,
    range: SelectSocketRange | undefined,
    bits: number,
  ): number {
    const all = bits | bundleBits(buffers, range);
    const { length = 0 } = range ?? NOTHING;
    checkInteger('range.length', length, 0, MAX_INT);
    return this.putSelect(OP.RECV, token, fd, buffers, 0, length, messageFlags(range, 0), all);
  }

  private putSelect(
    op: number,
    token: number,
    fd: Fd,
    buffers: ProvidedBuffers,
    position: number,
    length: number,
    flags: number,
    bits: number,
  ): number {
    this.checkToken(token);
    this.checkBuffers(buffers);
    const number = this.descriptor(fd);
    const { slot } = buffers.region;
    const head = this.headFor(op, fd) | BUFFER_SELECT;
    const at = this.put(head, number, position, 0, length, flags, token, slot);
    this.setIoprio(at, bits);
    this.setWord(at, W.BUF_INDEX, buffers.group);
    pin(slot);
    return slot;
  }

  private checkBuffers(buffers: ProvidedBuffers): void {
    if (!(buffers instanceof ProvidedBuffers)) {
      throw invalidArgType('buffers', 'a BufferRing or a BufferGroup', buffers);
    }
    buffers.checkUsable(this.register.groupOwner);
  }
}

/** Which of a ring's buffers a bundle filled cannot be told once the kernel splits buffers, too. */
function bundleBits(buffers: ProvidedBuffers, range: SelectSocketRange | undefined): number {
  if (range?.bundle !== true) return pollBits(range);
  if (!(buffers instanceof BufferRing) || buffers.incremental) {
    throw invalidArgValue('range.bundle', 'needs a BufferRing that is not incremental', true);
  }
  return pollBits(range) | RECVSEND.BUNDLE;
}

function checkNoWaitAll(range: MessageRange | undefined): void {
  const flags = range?.flags ?? 0;
  if ((flags & MSG_FLAG.WAITALL) === 0) return;
  throw invalidArgValue('range.flags', 'must not have WAITALL in a multishot', flags);
}
