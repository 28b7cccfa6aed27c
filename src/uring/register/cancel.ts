/**
 * Cancelling requests from outside of the ring's queues.
 */
import { CANCEL, SYNC_CANCEL } from '../../sys/abi.ts';
import { checkInteger, ERRNO, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import type { Fd } from '../descriptors.ts';
import { OP } from '../opcodes.ts';
import type { OpcodeName } from '../opcodes.ts';
import { MAX_TOKEN } from '../requests/queue.ts';
import { refusal } from './calls.ts';
import { MemoryRegistrations } from './memory.ts';

/** Which requests to end. What is given must hold of a request; at least one thing must be. */
export interface CancelTarget {
  /** The request's token; wants its key, too. */
  readonly token?: number;
  /** What preparing it returned. */
  readonly key?: number;
  /** The descriptor it is about. */
  readonly fd?: Fd;
  /** What kind it is. Linux 6.6. */
  readonly request?: OpcodeName;
  /** Every one that matches instead of the first; alone, every request of the ring. */
  readonly all?: boolean;
  /** Milliseconds to wait for requests that are running to end. Default: without end. */
  readonly timeout?: number;
}

/** Cancellation. */
export abstract class CancelRegistrations extends MemoryRegistrations {
  /**
   * Ends requests without preparing one for it, and returns when they have ended: their completions
   * are there, with `-ECANCELED` or the result they had by then. Linux 6.0.
   *
   * @returns Whether there was such a request.
   * @throws {SystemError} `ETIME` if one is still running when the time is over.
   */
  cancel(target: CancelTarget): boolean {
    const { token, key, fd, request, all = false, timeout } = target;
    const argument = new Uint8Array(SYNC_CANCEL.BYTES);
    const view = new DataView(argument.buffer);
    let flags = all ? CANCEL.ALL : 0;
    view.setInt32(SYNC_CANCEL.FD, -1, true);
    if (token !== undefined) {
      checkInteger('token', token, 0, MAX_TOKEN);
      if (key === undefined) throw invalidArgValue('key', 'must be given with a token', key);
      view.setInt32(SYNC_CANCEL.ADDR, token, true);
      view.setInt32(SYNC_CANCEL.ADDR + 4, key, true);
      flags |= CANCEL.USERDATA;
    }
    if (fd !== undefined) {
      const fixed = typeof fd !== 'number';
      view.setInt32(SYNC_CANCEL.FD, fixed ? this.fileTable.slotOf(fd) : fd, true);
      flags |= CANCEL.FD | (fixed ? CANCEL.FD_FIXED : 0);
    }
    if (request !== undefined) {
      view.setUint8(SYNC_CANCEL.OPCODE, opcodeOf(request));
      flags |= CANCEL.OP;
    }
    if (flags === 0) throw invalidArgValue('target', 'must say which requests', '{}');
    if (flags === CANCEL.ALL) flags |= CANCEL.ANY;
    // Alone, the token needs no flag: kernels before 6.6 know none for it.
    if (flags === CANCEL.USERDATA) flags = 0;
    view.setUint32(SYNC_CANCEL.FLAGS, flags, true);
    setTimeout64(view, timeout);
    const result = this.attempt('REGISTER_SYNC_CANCEL', argument, 1);
    if (result >= 0) return true;
    if (result === ERRNO.ENOENT) return false;
    throw refusal('REGISTER_SYNC_CANCEL', result, {
      [ERRNO.ETIME]: `a request was still running after ${timeout} ms`,
    });
  }
}

function opcodeOf(name: OpcodeName): number {
  const code = OP[name];
  if (code === undefined) throw invalidArgValue('request', 'is no name of a request', name);
  return code;
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
