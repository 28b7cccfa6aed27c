/**
 * Requests that wait: polls, timers; and those that end other requests.
 */
import { CANCEL, POLL_FLAG, SQE, SQE_WORD as W, TIMEOUT } from '../../sys/abi.ts';
import { checkInteger, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { matchOf } from '../cancel-target.ts';
import type { CancelTarget } from '../cancel-target.ts';
import type { Fd } from '../descriptors.ts';
import type { Cell } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { SelectRequests } from './select.ts';
import { NOTHING } from './queue.ts';

const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

/** How a poll reports. */
export interface PollOptions {
  readonly multishot?: boolean;
  readonly level?: boolean;
}

/** What becomes of a poll. */
export interface PollChange {
  /** New events to wait for. */
  readonly events?: number;
  /** New token to complete with. Its key stays what it is. */
  readonly token?: number;
  /** Whether the new events are reported again and again. Default false: once. */
  readonly multishot?: boolean;
}

/** What a timeout counts, and by which clock. */
export interface TimeoutOptions {
  /**
   * Other completions after which it completes with 0. With `TIMEOUT.MULTISHOT`: how many times it
   * fires. Default 0: it does not count, or fires without end.
   */
  readonly count?: number;
  /**
   * `TIMEOUT` bits: `ABS` for a time instead of a span; `BOOTTIME` or `REALTIME` for another clock
   * than the monotonic one (5.15); `ETIME_SUCCESS` to let a chain go on (5.16); `MULTISHOT` to
   * fire again and again (6.4). A bit that the kernel does not have is -`EINVAL`.
   */
  readonly flags?: number;
}

/** Poll, timer and cancel requests; each returns the key that `cancel()` wants beside the token. */
export abstract class TimerRequests extends SelectRequests {
  /**
   * Waits until a descriptor is ready; completes with the events. Linux 5.1.
   *
   * @param events - `poll(2)` bits, or those of `EPOLL`: 1 readable, 4 writable.
   * @param options - `multishot` keeps reporting, with `CQE.F_MORE` while more follow (5.13); each
   *   new event once, or with `level` as long as it lasts (where the kernel has it).
   */
  pollAdd(token: number, fd: Fd, events: number, options?: PollOptions): number {
    checkEvents('events', events);
    const multishot = options?.multishot === true ? POLL_FLAG.ADD_MULTI : 0;
    const flags = options?.level === true ? multishot | POLL_FLAG.ADD_LEVEL : multishot;
    const hold = this.simple(OP.POLL_ADD, token, fd, 0, 0, flags, events);
    return multishot === 0 ? hold : this.markMany(hold);
  }

  /**
   * Changes a poll: what it waits for, its token, or both. Completes with 0, -`ENOENT` if there is
   * no such poll, -`EALREADY` if it is just completing. Linux 5.13.
   *
   * @param target - The poll's token.
   * @param key - What preparing it returned.
   */
  pollUpdate(token: number, target: number, key: number, change: PollChange): number {
    this.checkToken(token);
    this.checkToken(target);
    const { events, token: next, multishot = false } = change;
    if (events === undefined && next === undefined) {
      throw invalidArgValue('change', 'must have events or a token', JSON.stringify(change));
    }
    if (events !== undefined) checkEvents('change.events', events);
    if (next !== undefined) this.checkToken(next);
    const flags =
      (events === undefined ? 0 : POLL_FLAG.UPDATE_EVENTS) |
      (next === undefined ? 0 : POLL_FLAG.UPDATE_USER_DATA) |
      (multishot ? POLL_FLAG.ADD_MULTI : 0);
    const at = this.put(OP.POLL_REMOVE, -1, 0, 0, flags, events ?? 0, token, 0);
    this.setWord(at, W.ADDR_LOW, target);
    this.setWord(at, W.ADDR_HIGH, this.keyInKernel(key));
    if (next !== undefined) {
      this.setWord(at, W.OFF_LOW, next);
      this.setWord(at, W.OFF_HIGH, this.keyInKernel(key));
    }
    return 0;
  }

  /** Ends a poll; completes with 0, or -`ENOENT` if there is none. Linux 5.1. */
  pollRemove(token: number, target: number, key: number = 0): number {
    return this.putTarget(OP.POLL_REMOVE, token, target, key, 0);
  }

  /**
   * Completes with -`ETIME` after so many milliseconds, or with 0 after `count` other completions.
   * Linux 5.4.
   *
   * @param milliseconds - A span, or with `TIMEOUT.ABS` a time of the clock.
   */
  timeout(token: number, milliseconds: number, options?: TimeoutOptions): number {
    const { count = 0, flags = 0 } = options ?? NOTHING;
    checkInteger('count', count, 0, TWO_32 - 1);
    const hold = this.withTimespec(OP.TIMEOUT, token, milliseconds, count, flags);
    return (flags & TIMEOUT.MULTISHOT) === 0 ? hold : this.markMany(hold);
  }

  /**
   * Gives a timeout, or with `link` a `linkTimeout()`, another time. Completes with 0, or -`ENOENT`
   * if it has fired. Linux 5.11; `link` wants 5.13.
   *
   * @param target - The timeout's token.
   * @param key - What preparing it returned.
   * @param options - `flags`: `TIMEOUT.ABS`.
   */
  timeoutUpdate(
    token: number,
    target: number,
    key: number,
    milliseconds: number,
    options?: { readonly flags?: number; readonly link?: boolean },
  ): number {
    this.checkToken(token);
    this.checkToken(target);
    checkMilliseconds(milliseconds);
    const flags = options?.flags ?? 0;
    checkInteger('flags', flags, 0, TWO_31 - 1);
    const link = options?.link === true ? TIMEOUT.LINK_TIMEOUT_UPDATE : 0;
    this.requireSpace();
    const immediate = (flags & TIMEOUT.IMMEDIATE_ARG) !== 0;
    const cell = immediate ? undefined : this.timespec(milliseconds);
    const time = cell === undefined ? nanoseconds(milliseconds) : cell.address;
    const bits = TIMEOUT.UPDATE | link | flags;
    const hold = cell === undefined ? 0 : cell.hold;
    const at = this.put(OP.TIMEOUT_REMOVE, -1, time, 0, 0, bits, token, hold);
    this.setWord(at, W.ADDR_LOW, target);
    this.setWord(at, W.ADDR_HIGH, this.keyInKernel(key));
    return hold;
  }

  /** Ends a timeout; completes with 0, or -`ENOENT` if it has fired. Linux 5.5. */
  timeoutRemove(token: number, target: number, key: number): number {
    return this.putTarget(OP.TIMEOUT_REMOVE, token, target, key, 0);
  }

  /**
   * Bounds the request prepared just before, which is linked to this one: it is cancelled after so
   * many milliseconds. Completes with -`ETIME` if that happened, -`ECANCELED` if not. Linux 5.5.
   *
   * @param options - `flags`: `TIMEOUT` bits `ABS`, `BOOTTIME`, `REALTIME`.
   */
  linkTimeout(token: number, milliseconds: number, options?: { readonly flags?: number }): number {
    const flags = options?.flags ?? 0;
    this.checkToken(token);
    checkMilliseconds(milliseconds);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    this.requireSpace();
    this.flagLast(SQE.IO_LINK);
    return this.withTimespec(OP.LINK_TIMEOUT, token, milliseconds, 0, flags);
  }

  /**
   * Asks the kernel to end a request; completes with 0, -`ENOENT` or -`EALREADY` (it runs and cannot
   * be stopped); where the request waits for a child or a word, 1 stands for 0. The request itself
   * still completes, with -`ECANCELED` or its result. Linux 5.5.
   *
   * @param target - The request's token.
   * @param key - What preparing it returned.
   */
  cancel(token: number, target: number, key: number): number {
    return this.putTarget(OP.ASYNC_CANCEL, token, target, key, 0);
  }

  /** Ends every request on a descriptor; completes with their number. Linux 5.19. */
  cancelFd(token: number, fd: Fd): number {
    const flags = CANCEL.FD | CANCEL.ALL | (typeof fd === 'number' ? 0 : CANCEL.FD_FIXED);
    this.checkToken(token);
    this.put(OP.ASYNC_CANCEL, this.descriptor(fd), 0, 0, 0, flags, token, 0);
    return 0;
  }

  /** Ends every request of the ring; completes with their number. Linux 5.19. */
  cancelAll(token: number): number {
    this.checkToken(token);
    this.put(OP.ASYNC_CANCEL, -1, 0, 0, 0, CANCEL.ANY | CANCEL.ALL, token, 0);
    return 0;
  }

  /**
   * Ends the first request, or with `all` every one, of which all holds that is given: token and
   * key, descriptor, kind. Completes with 0, with `all` with their number, or with -`ENOENT`.
   * Linux 5.19; by kind, or by token together with something else, 6.6.
   */
  cancelMatching(token: number, target: CancelTarget): number {
    this.checkToken(token);
    const match = matchOf(target, this.files);
    const { fd, opcode, flags } = match;
    const at = this.put(OP.ASYNC_CANCEL, fd, 0, 0, opcode, flags, token, 0);
    this.setWord(at, W.ADDR_LOW, match.token);
    this.setWord(at, W.ADDR_HIGH, this.keyInKernel(match.key));
    return 0;
  }

  private putTarget(op: number, token: number, target: number, key: number, flags: number): number {
    this.checkToken(token);
    this.checkToken(target);
    const at = this.put(op, -1, 0, 0, 0, flags, token, 0);
    this.setWord(at, W.ADDR_LOW, target);
    this.setWord(at, W.ADDR_HIGH, this.keyInKernel(key));
    return 0;
  }

  private withTimespec(
    op: number,
    token: number,
    milliseconds: number,
    count: number,
    flags: number,
  ): number {
    this.checkToken(token);
    checkMilliseconds(milliseconds);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    this.requireSpace();
    if ((flags & TIMEOUT.IMMEDIATE_ARG) !== 0) {
      this.put(op, -1, count, nanoseconds(milliseconds), 1, flags, token, 0);
      return 0;
    }
    const cell = this.timespec(milliseconds);
    this.pointTo(this.put(op, -1, count, 0, 1, flags, token, cell.hold), cell);
    return cell.hold;
  }

  private timespec(milliseconds: number): Cell {
    const cell = this.holds.cell(16);
    cell.setTimespec(0, milliseconds);
    return cell;
  }
}

/** 32 bits, at least one of them set; JavaScript's operators make a negative number of the highest. */
function checkEvents(name: string, events: number): void {
  checkInteger(name, events, -TWO_31, TWO_32 - 1);
  if (events === 0) throw outOfRange(name, 'at least one bit', events);
}

/** What `TIMEOUT.IMMEDIATE_ARG` has in the entry itself. */
function nanoseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1e6);
}

function checkMilliseconds(milliseconds: number): void {
  if (!(milliseconds >= 0) || milliseconds > Number.MAX_SAFE_INTEGER) {
    throw outOfRange('milliseconds', 'a number >= 0', milliseconds);
  }
}
