/**
 * Cancelling requests from outside of the ring's queues.
 */
import { CANCEL, SYNC_CANCEL } from '../../sys/abi.ts';
import { ERRNO, outOfRange } from '../../sys/errors.ts';
import { matchOf } from '../cancel-target.ts';
import type { CancelMatch, CancelTarget } from '../cancel-target.ts';
import { refusal } from './calls.ts';
import { MemoryRegistrations } from './memory.ts';

/** Which requests to end, and how long to wait for it. */
export interface SyncCancelTarget extends CancelTarget {
  /** Milliseconds to wait for requests that are running to end. Default: without end. */
  readonly timeout?: number;
}

/** Cancellation. */
export abstract class CancelRegistrations extends MemoryRegistrations {
  /**
   * Ends requests without preparing one for it. Completions of those that were waiting are there when
   * it returns. For one that is running it waits; with `all` it does not. With `SETUP.SQPOLL` it does
   * not find what the kernel's worker threads run (Linux 6.18): `cancelAll()` and its like do.
   * Linux 6.0.
   *
   * @returns How many there were.
   * @throws {SystemError} `ETIME` if one is still running when the time is over.
   */
  cancel(target: SyncCancelTarget): number {
    const match = matchOf(target, this.fileTable);
    return this.#cancel(match, match.key | this.keyBits, target.timeout);
  }

  /** @internal Begins to end a request of any thread, by its key as the kernel has it. */
  cancelOf(token: number, keyInKernel: number): void {
    const match = matchOf({ token, key: keyInKernel, all: true }, this.fileTable);
    this.#cancel(match, keyInKernel, 0);
  }

  #cancel(match: CancelMatch, key: number, timeout: number | undefined): number {
    const argument = new Uint8Array(SYNC_CANCEL.BYTES);
    const view = new DataView(argument.buffer);
    view.setInt32(SYNC_CANCEL.ADDR, match.token, true);
    view.setInt32(SYNC_CANCEL.ADDR + 4, key, true);
    view.setInt32(SYNC_CANCEL.FD, match.fd, true);
    view.setUint8(SYNC_CANCEL.OPCODE, match.opcode);
    view.setUint32(SYNC_CANCEL.FLAGS, match.flags, true);
    setTimeout64(view, timeout);
    const result = this.attempt('REGISTER_SYNC_CANCEL', argument, 1);
    if (result >= 0) return (match.flags & CANCEL.ALL) === 0 ? 1 : result;
    if (result === ERRNO.ENOENT) return 0;
    throw refusal('REGISTER_SYNC_CANCEL', result, {
      [ERRNO.ETIME]: `a request was still running after ${timeout} ms`,
    });
  }
}

/** The time limit; -1 and -1 for none. */
function setTimeout64(view: DataView, timeout: number | undefined): void {
  if (timeout !== undefined && !(timeout >= 0 && timeout <= Number.MAX_SAFE_INTEGER)) {
    throw outOfRange('timeout', 'a number >= 0', timeout);
  }
  const seconds = timeout === undefined ? -1 : Math.floor(timeout / 1000);
  const left = timeout === undefined ? -1 : Math.floor((timeout - seconds * 1000) * 1e6);
  view.setBigInt64(SYNC_CANCEL.TIMEOUT, BigInt(seconds), true);
  view.setBigInt64(SYNC_CANCEL.TIMEOUT + 8, BigInt(left), true);
}
