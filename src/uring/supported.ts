/**
 * Which opcodes the running kernel has.
 */
import { REGISTER } from '../sys/abi.ts';
import { syscall } from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { OPCODES } from './opcodes.ts';
import type { OpcodeName } from './opcodes.ts';

/** Opcodes a `REGISTER_PROBE` answer has room for. */
const PROBE_OPS = 256;
const OP_SUPPORTED = 1;

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
