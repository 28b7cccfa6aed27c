/**
 * Which requests a cancellation is about.
 */
import { CANCEL } from '../sys/abi.ts';
import { checkInteger, invalidArgValue } from '../sys/errors.ts';
import type { Fd } from './descriptors.ts';
import type { FileTable } from './file-table.ts';
import { OP } from './opcodes.ts';
import type { OpcodeName } from './opcodes.ts';

const MAX_TOKEN = 2 ** 31 - 1;

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
}

/** A target as the kernel has it. */
export interface CancelMatch {
  /** The request's user_data, low and high word. */
  readonly token: number;
  readonly key: number;
  readonly fd: number;
  readonly opcode: number;
  /** `CANCEL` bits. */
  readonly flags: number;
}

/** Checks a target and says it as the kernel does. */
export function matchOf(target: CancelTarget, files: FileTable): CancelMatch {
  const { token, key, fd, request, all = false } = target;
  let flags = all ? CANCEL.ALL : 0;
  if (token !== undefined) {
    checkInteger('token', token, 0, MAX_TOKEN);
    if (key === undefined) throw invalidArgValue('key', 'must be given with a token', key);
    flags |= CANCEL.USERDATA;
  }
  let number = -1;
  if (fd !== undefined) {
    const fixed = typeof fd !== 'number';
    number = fixed ? files.slotOf(fd) : fd;
    checkInteger('fd', number, 0, MAX_TOKEN);
    flags |= CANCEL.FD | (fixed ? CANCEL.FD_FIXED : 0);
  }
  const opcode = request === undefined ? 0 : opcodeOf(request);
  if (request !== undefined) flags |= CANCEL.OP;
  if (flags === 0) throw invalidArgValue('target', 'must say which requests', '{}');
  if (flags === CANCEL.ALL) flags |= CANCEL.ANY;
  // The token needs no flag where there is nothing else: kernels before 6.6 know none for it.
  const only = flags & ~CANCEL.ALL;
  if (only === CANCEL.USERDATA) flags &= ~CANCEL.USERDATA;
  return { token: token ?? 0, key: key ?? 0, fd: number, opcode, flags };
}

function opcodeOf(name: OpcodeName): number {
  const code = OP[name];
  if (code === undefined) throw invalidArgValue('request', 'is no name of a request', name);
  return code;
}
