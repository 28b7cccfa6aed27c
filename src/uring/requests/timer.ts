/**
 * Requests that wait: polls, timers; and those that end other requests.
 */
import { CANCEL, POLL_FLAG, SQE, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, outOfRange } from '../../sys/errors.ts';
import type { Fd } from '../descriptors.ts';
import type { Cell } from '../holds.ts';
import { OP } from '../opcodes.ts';
import { SocketRequests } from './socket.ts';

const TWO_32 = 2 ** 32;

/** Poll, timer and cancel requests; each returns the key that `cancel()` wants beside the token. */
export abstract class TimerRequests extends SocketRequests {
  /**
   * Waits until a descriptor is ready; completes with the events. Linux 5.1.
   *
   * @param events - `poll(2)` bits: 1 readable, 4 writable.
   * @param options - `multishot` keeps reporting, with `CQE.F_MORE` while more follow (5.13).
   */
  pollAdd(
    token: number,
    fd: Fd,
    events: number,
    options?: { readonly multishot?: boolean },
  ): number {
    checkInteger('events', events, 1, 0x7fffffff);
    const flags = options?.multishot === true ? POLL_FLAG.ADD_MULTI : 0;
    return this.simple(OP.POLL_ADD, token, fd, 0, 0, flags, events);
  }

  /** Ends a poll; completes with 0, or -`ENOENT` if there is none. Linux 5.1. */
  pollRemove(token: number, target: number, key: number = 0): number {
    return this.putTarget(OP.POLL_REMOVE, token, target, key, 0);
  }

  /**
   * Completes with -`ETIME` after so many milliseconds, or with 0 after `count` other completions.
   * Linux 5.4.
   */
  timeout(token: number, milliseconds: number, options?: { readonly count?: number }): number {
    const count = options?.count ?? 0;
    checkInteger('count', count, 0, TWO_32 - 1);
    return this.withTimespec(OP.TIMEOUT, token, milliseconds, count);
  }

  /** Ends a timeout; completes with 0, or -`ENOENT` if it has fired. Linux 5.5. */
  timeoutRemove(token: number, target: number, key: number): number {
    return this.putTarget(OP.TIMEOUT_REMOVE, token, target, key, 0);
  }

  /**
   * Bounds the request prepared just before, which is linked to this one: it is cancelled after so
   * many milliseconds. Completes with -`ETIME` if that happened, -`ECANCELED` if not. Linux 5.5.
   */
  linkTimeout(token: number, milliseconds: number): number {
    this.checkToken(token);
    checkMilliseconds(milliseconds);
    this.requireSpace();
    this.flagLast(SQE.IO_LINK);
    return this.withTimespec(OP.LINK_TIMEOUT, token, milliseconds, 0);
  }

  /**
   * Asks the kernel to end a request; completes with 0, -`ENOENT` or -`EALREADY` (it runs and cannot
   * be stopped). The request itself still completes, with -`ECANCELED` or its result. Linux 5.5.
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

  private putTarget(op: number, token: number, target: number, key: number, flags: number): number {
    this.checkToken(token);
    this.checkToken(target);
    const at = this.put(op, -1, 0, 0, 0, flags, token, 0);
    this.setWord(at, W.ADDR_LOW, target);
    this.setWord(at, W.ADDR_HIGH, key);
    return 0;
  }

  private withTimespec(op: number, token: number, milliseconds: number, count: number): number {
    this.checkToken(token);
    checkMilliseconds(milliseconds);
    this.requireSpace();
    const cell: Cell = this.holds.cell(16);
    cell.setTimespec(0, milliseconds);
    this.put(op, -1, count, cell.address, 1, 0, token, cell.hold);
    return cell.hold;
  }
}

function checkMilliseconds(milliseconds: number): void {
  if (!(milliseconds >= 0) || milliseconds > Number.MAX_SAFE_INTEGER) {
    throw outOfRange('milliseconds', 'a number >= 0', milliseconds);
  }
}
