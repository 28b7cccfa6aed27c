/**
 * Which opcodes the running kernel has.
 */
import { release } from 'node:os';

import { QUERY_HDR, QUERY_OPCODE, REGISTER } from '../sys/abi.ts';
import { AnnulusError } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { OPCODES } from './opcodes.ts';
import type { OpcodeName } from './opcodes.ts';

/** Opcodes a `REGISTER_PROBE` answer has room for. */
const PROBE_OPS = 256;
const OP_SUPPORTED = 1;

/** Added to a registration's number when the ring is named by its registered index. */
export const USE_REGISTERED_RING: number = 2 ** 31;

/**
 * The opcodes a ring's kernel has, by `REGISTER_PROBE` (5.6); none if it does not say.
 *
 * @param ring - The ring's descriptor, or ~index of one that is only registered with the thread.
 */
export function probeOpcodes(ring: number): Set<OpcodeName> {
  // Not closed, but left to the garbage collector: see scratch.ts.
  const answer = Region.allocate(16 + PROBE_OPS * 8);
  const operation = REGISTER.REGISTER_PROBE + (ring < 0 ? USE_REGISTERED_RING : 0);
  const name = ring < 0 ? ~ring : ring;
  const result = syscall('io_uring_register', name, operation, answer.bytes, PROBE_OPS);
  const found = new Set<OpcodeName>();
  if (result < 0) return found;
  const view = new DataView(answer.buffer);
  const count = view.getUint8(1);
  for (let i = 0; i < count; i++) {
    const code = view.getUint8(16 + i * 8);
    const supported = (view.getUint16(16 + i * 8 + 2, true) & OP_SUPPORTED) !== 0;
    const opcode = OPCODES[code];
    if (supported && opcode !== undefined) found.add(opcode.name);
  }
  return found;
}

/** One byte an opcode, 1 if the kernel has it: the same for every ring, so asked once a thread. */
let known: Uint8Array | undefined;

/** Which opcodes the kernel has, as a table that requests can look into. */
export function supportedOpcodes(ring: number): Uint8Array {
  if (known !== undefined) return known;
  const found = probeOpcodes(ring);
  // No answer (a kernel before 5.6): let the kernel speak for itself.
  known = Uint8Array.from(OPCODES, ({ name }) => (found.size === 0 || found.has(name) ? 1 : 0));
  return known;
}

/** What the kernel has, as `REGISTER_QUERY` (6.18) tells without a ring. */
export interface KernelMasks {
  /** How many requests and registrations it has: all with a smaller number. */
  readonly requests: number;
  readonly registrations: number;
  /** Bits it knows. */
  readonly features: number;
  readonly setup: number;
  readonly enter: number;
  readonly request: number;
}

let masks: KernelMasks | null | undefined;

/** What the kernel says of itself, asked once a thread; undefined where it cannot. */
export function kernelMasks(): KernelMasks | undefined {
  masks ??= readMasks(queryOpcodes());
  return masks ?? undefined;
}

function readMasks(answer: DataView | undefined): KernelMasks | null {
  if (answer === undefined) return null;
  const word = (at: number): number => answer.getUint32(at, true);
  return {
    requests: word(QUERY_OPCODE.REQUESTS),
    registrations: word(QUERY_OPCODE.REGISTRATIONS),
    features: word(QUERY_OPCODE.FEATURES),
    setup: word(QUERY_OPCODE.SETUP),
    enter: word(QUERY_OPCODE.ENTER),
    request: word(QUERY_OPCODE.SQE),
  };
}

/**
 * How many registration operations the kernel has, by `REGISTER_QUERY` (6.18), which needs no ring.
 * Infinite where it does not say: then the kernel speaks for itself.
 */
export function registrationCount(): number {
  return kernelMasks()?.registrations ?? Infinity;
}

/** The kernel's `struct io_uring_query_opcode`; undefined where there is none. */
function queryOpcodes(): DataView | undefined {
  const scratch = Region.allocate(QUERY_HDR.BYTES + QUERY_OPCODE.BYTES);
  const header = new DataView(scratch.buffer);
  header.setBigUint64(QUERY_HDR.DATA, BigInt(scratch.address + QUERY_HDR.BYTES), true);
  header.setUint32(QUERY_HDR.SIZE, QUERY_OPCODE.BYTES, true);
  const code = REGISTER.REGISTER_QUERY;
  const result = syscall('io_uring_register', -1, code, scratch.bytes, 0);
  if (result < 0 || header.getInt32(QUERY_HDR.RESULT, true) < 0) return undefined;
  return new DataView(scratch.bytes.slice(QUERY_HDR.BYTES).buffer);
}

/** The error of a request, flag or registration that the running kernel lacks. */
export function unsupported(what: string, since: string): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_UNSUPPORTED',
    `${what} needs Linux ${since} or later; this kernel (${release()}) does not have it.`,
  );
}
