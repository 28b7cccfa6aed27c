/**
 * What the running kernel can do.
 */
import { FEATURE, PARAMS, REGISTER, SETUP } from '../sys/abi.ts';
import { AnnulusError, ERRNO } from '../sys/errors.ts';
import { close, syscall } from '../sys/linux.ts';
import { isSupportedPlatform, native } from '../sys/native.ts';
import { Region } from '../memory/region.ts';
import { OPCODES } from './opcodes.ts';
import type { OpcodeName } from './opcodes.ts';
import { FLAG_LADDER } from './setup.ts';
import { explainUnavailable } from '../sys/unavailable.ts';

/** Opcodes a `REGISTER_PROBE` answer has room for. */
const PROBE_OPS = 256;
const OP_SUPPORTED = 1;

/** What {@link probe} found. */
export interface Probe {
  /** Whether a ring can be set up here. */
  readonly available: boolean;
  /** Why not, and what to do about it. */
  readonly reason?: string;
  /** Names of the feature bits. */
  readonly features: readonly string[];
  /** Names of the opcodes the kernel has. */
  readonly opcodes: ReadonlySet<OpcodeName>;
  /** Set-up flags {@link Ring} uses by default here. */
  readonly setupFlags: number;
}

const NOTHING = { available: false, features: [], opcodes: new Set<OpcodeName>(), setupFlags: 0 };

/**
 * Asks the kernel, with a ring of its own that it closes again. Never throws for a machine without
 * io_uring: `reason` says what is missing.
 */
export function probe(): Probe {
  if (!isSupportedPlatform()) {
    return { ...NOTHING, reason: `io_uring is a Linux interface; this is ${process.platform}.` };
  }
  try {
    native();
  } catch (error) {
    if (error instanceof AnnulusError) return { ...NOTHING, reason: error.message };
    throw error;
  }
  const params = new Int32Array(PARAMS.BYTES / 4);
  const { fd, flags } = tryLadder(params);
  if (fd < 0) return { ...NOTHING, reason: explainUnavailable(fd) };
  try {
    return {
      available: true,
      features: namesOf(FEATURE, params[PARAMS.FEATURES]!),
      opcodes: probeOpcodes(fd),
      setupFlags: flags,
    };
  } finally {
    close(fd);
  }
}

function tryLadder(params: Int32Array): { fd: number; flags: number } {
  let fd: number = ERRNO.EINVAL;
  for (const rung of FLAG_LADDER) {
    const flags = rung | SETUP.CQSIZE;
    params.fill(0);
    params[PARAMS.FLAGS] = flags;
    params[PARAMS.CQ_ENTRIES] = 8;
    fd = syscall('io_uring_setup', 4, params);
    if (fd !== ERRNO.EINVAL) return { fd, flags };
  }
  return { fd, flags: 0 };
}

/** Names of the bits that are set. */
export function namesOf(table: Readonly<Record<string, number>>, bits: number): string[] {
  return Object.entries(table)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name);
}

/** The opcodes a ring's kernel has, by `REGISTER_PROBE` (5.6). */
export function probeOpcodes(ringFd: number): Set<OpcodeName> {
  using answer = Region.allocate(16 + PROBE_OPS * 8);
  const result = syscall(
    'io_uring_register',
    ringFd,
    REGISTER.REGISTER_PROBE,
    answer.bytes,
    PROBE_OPS,
  );
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
