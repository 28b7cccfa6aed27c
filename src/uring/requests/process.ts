/**
 * Requests that wait for other processes and threads: children, words in shared memory, epoll sets.
 */
import { EPOLL_CTL, FUTEX2, FUTEX_WAITV, SIGINFO, SQE_WORD } from '../../sys/abi.ts';
import { checkInteger, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Region } from '../../memory/region.ts';
import type { Fd, Memory } from '../descriptors.ts';
import { checkEpollEvent, encodeEpollEvent, epollBytes } from '../epoll.ts';
import type { EpollEvent } from '../epoll.ts';
import { OP } from '../opcodes.ts';
import { startOf } from './file.ts';
import { TimerRequests } from './timer.ts';

const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

/** Most words one request waits for. */
const WAITV_MAX = 128;

/** How a word is waited for or woken. */
export interface FutexOptions {
  /** Wakes only waiters that have one of these bits, and is woken by one. Default: all bits. */
  readonly mask?: number;
  /** Only within this process, which is cheaper: both sides must say so. Default false. */
  readonly private?: boolean;
}

/** One of several words to wait for. */
export interface FutexWaiter {
  /** Memory whose first 4 bytes, aligned, are the word. */
  readonly memory: Memory;
  /** What the word must be for the wait to begin. */
  readonly expected: number;
  /** As in {@link FutexOptions}. */
  readonly private?: boolean;
}

/** Process requests; each returns the key that `cancel()` wants beside the token. */
export abstract class ProcessRequests extends TimerRequests {
  /**
   * `waitid(2)`: waits for a child to change; completes with 0 when its status is in memory, where
   * `decodeChildStatus()` reads it. Linux 6.7.
   *
   * Node collects its own children when they end: wait for those with `W.NOWAIT`.
   *
   * @param idType - One of `P`: what `id` is.
   * @param options - Bits of `W`: at least one of `EXITED`, `STOPPED`, `CONTINUED`.
   * @param memory - At least 128 bytes of a Region.
   */
  waitid(token: number, idType: number, id: number, options: number, memory: Memory): number {
    this.requireOpcode(OP.WAITID);
    this.checkToken(token);
    checkInteger('idType', idType, 0, TWO_31 - 1);
    checkInteger('id', id, 0, TWO_31 - 1);
    checkInteger('options', options, 0, TWO_31 - 1);
    const region = requireRegion('memory', memory);
    if (memory.byteLength < SIGINFO.BYTES) {
      throw outOfRange('memory.byteLength', `>= ${SIGINFO.BYTES}`, memory.byteLength);
    }
    const answer = region.address + startOf(memory);
    const at = this.pinning(OP.WAITID, id, answer, 0, idType, 0, token, region);
    this.setRare(at, SQE_WORD.FILE_INDEX, options);
    return region.slot;
  }

  /**
   * Waits until somebody wakes a word: `futexWake()` of any ring, or futex(2) of any process that
   * shares the memory. Completes with 0, or with -`EAGAIN` if the word is not `expected`. Linux 6.7.
   *
   * @param memory - Its first 4 bytes, aligned, are the word.
   */
  futexWait(token: number, memory: Memory, expected: number, options?: FutexOptions): number {
    checkInteger('expected', expected, -TWO_31, TWO_32 - 1);
    return this.onFutex(OP.FUTEX_WAIT, token, memory, expected >>> 0, options);
  }

  /** Wakes at most `count` waiters of a word; completes with their number. Linux 6.7. */
  futexWake(token: number, memory: Memory, count: number, options?: FutexOptions): number {
    checkInteger('count', count, 0, TWO_31 - 1);
    return this.onFutex(OP.FUTEX_WAKE, token, memory, count, options);
  }

  /**
   * Waits until one of several words is woken; completes with its index, or with -`EAGAIN` if one of
   * them is not what is expected. Linux 6.7.
   *
   * @param waiters - 1 to 128.
   */
  futexWaitv(token: number, waiters: readonly FutexWaiter[]): number {
    this.requireOpcode(OP.FUTEX_WAITV);
    this.checkToken(token);
    if (waiters.length === 0 || waiters.length > WAITV_MAX) {
      throw invalidArgValue('waiters', `must have 1 to ${WAITV_MAX} elements`, waiters.length);
    }
    const regions = waiters.map(({ memory, expected }) => {
      checkInteger('expected', expected, -TWO_31, TWO_32 - 1);
      return requireWord(memory);
    });
    this.requireSpace();
    const cell = this.holds.cell(waiters.length * FUTEX_WAITV.BYTES);
    waiters.forEach((waiter, index) => {
      const at = index * FUTEX_WAITV.BYTES;
      const region = regions[index]!;
      cell.setU64(at + FUTEX_WAITV.VAL, waiter.expected >>> 0);
      cell.setU64(at + FUTEX_WAITV.UADDR, region.address + startOf(waiter.memory));
      cell.setU64(at + FUTEX_WAITV.FLAGS, futexFlags(waiter.private));
      cell.keep(region);
    });
    this.put(OP.FUTEX_WAITV, 0, 0, cell.address, waiters.length, 0, token, cell.hold);
    return cell.hold;
  }

  /**
   * `epoll_ctl(2)`: has an epoll set watch a descriptor, or watch it differently, or no more.
   * Linux 5.6.
   *
   * @param operation - One of `EPOLL_CTL`.
   * @param event - What to watch for; not needed to delete.
   */
  epollCtl(
    token: number,
    epollFd: number,
    operation: number,
    fd: number,
    event?: EpollEvent,
  ): number {
    this.checkToken(token);
    checkInteger('epollFd', epollFd, 0, TWO_31 - 1);
    checkInteger('operation', operation, 0, TWO_31 - 1);
    checkInteger('fd', fd, 0, TWO_31 - 1);
    if (event !== undefined) checkEpollEvent(event);
    else if (operation !== EPOLL_CTL.DEL) {
      throw invalidArgValue('event', 'must be given unless a descriptor is deleted', event);
    }
    this.requireSpace();
    const cell = this.holds.cell(epollBytes(1));
    encodeEpollEvent(cell, event ?? { events: 0, data: 0 });
    this.put(OP.EPOLL_CTL, epollFd, fd, cell.address, operation, 0, token, cell.hold);
    return cell.hold;
  }

  /**
   * `epoll_wait(2)`: completes with the number of events in memory, where `decodeEpollEvents()`
   * reads them. Linux 6.15.
   *
   * @param memory - Room for at least one event: 16 bytes each are enough everywhere.
   */
  epollWait(token: number, epollFd: Fd, memory: Memory): number {
    this.requireOpcode(OP.EPOLL_WAIT);
    this.checkToken(token);
    const region = requireRegion('memory', memory);
    const count = Math.floor(memory.byteLength / epollBytes(1));
    if (count === 0) {
      throw outOfRange('memory.byteLength', `>= ${epollBytes(1)}`, memory.byteLength);
    }
    const head = this.headFor(OP.EPOLL_WAIT, epollFd);
    const answer = region.address + startOf(memory);
    const limit = Math.min(count, MAX_EVENTS);
    this.pinning(head, this.descriptor(epollFd), 0, answer, limit, 0, token, region);
    return region.slot;
  }

  private onFutex(
    op: number,
    token: number,
    memory: Memory,
    value: number,
    options: FutexOptions | undefined,
  ): number {
    this.requireOpcode(op);
    this.checkToken(token);
    const region = requireWord(memory);
    const mask = options?.mask ?? TWO_32 - 1;
    // JavaScript's operators make a negative number of the highest bit.
    checkInteger('mask', mask, -TWO_31, TWO_32 - 1);
    if (mask === 0) throw outOfRange('mask', 'at least one bit', mask);
    const address = region.address + startOf(memory);
    const flags = futexFlags(options?.private);
    const at = this.pinning(op, flags, value, address, 0, 0, token, region);
    this.setRare(at, SQE_WORD.ADDR3_LOW, mask | 0);
    return region.slot;
  }
}

/** More events than the kernel gives at once. */
const MAX_EVENTS = 2 ** 26;

function futexFlags(inProcess: boolean | undefined): number {
  return FUTEX2.SIZE_U32 | (inProcess === true ? FUTEX2.PRIVATE : 0);
}

/** The Region of a word; throws if there are no 4 aligned bytes. */
function requireWord(memory: Memory): Region {
  const region = requireRegion('memory', memory);
  if (memory.byteLength < 4 || startOf(memory) % 4 !== 0) {
    throw outOfRange(
      'memory',
      '4 bytes or more, aligned to 4',
      `${memory.byteLength} bytes at byte ${startOf(memory)}`,
    );
  }
  return region;
}
