/**
 * Sending a message to a ring without having one.
 */
import { MSG, MSG_RING, REGISTER, SIZEOF, SQE_WORD as W } from '../sys/abi.ts';
import { ERRNO } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import { OP } from './opcodes.ts';
import { refusal, requireRegistration } from './register/calls.ts';
import { checkMessage, checkMessageFlags, ringOf } from './requests/command.ts';
import type { MessageOptions, RingTarget } from './requests/command.ts';
import { FOREIGN } from './tags.ts';

/**
 * Posts a completion to a ring, at once: there, `token` completes with `result`. Linux 6.13.
 *
 * @param target - A ring of any thread or process that has its descriptor.
 * @param result - A 32-bit integer.
 * @throws {SystemError} `EBADFD` if the target is no ring, or is disabled.
 */
export function sendMessage(
  target: RingTarget,
  token: number,
  result: number,
  options?: MessageOptions,
): void {
  checkMessage(token, result);
  const flags = options?.flags;
  if (flags !== undefined) checkMessageFlags(flags);
  const fd = ringOf(target);
  requireRegistration('REGISTER_SEND_MSG_RING');
  const entry = new Int32Array(SIZEOF.SQE / 4);
  entry[W.HEAD] = OP.MSG_RING;
  entry[W.FD] = fd;
  entry[W.OFF_LOW] = token;
  entry[W.OFF_HIGH] = FOREIGN;
  entry[W.ADDR_LOW] = MSG.DATA;
  entry[W.LEN] = result;
  entry[W.OP_FLAGS] = flags === undefined ? 0 : MSG_RING.FLAGS_PASS;
  entry[W.FILE_INDEX] = flags ?? 0;
  const name = 'REGISTER_SEND_MSG_RING';
  const answer = syscall('io_uring_register', -1, REGISTER[name], entry, 1);
  if (answer >= 0) return;
  throw refusal(name, answer, {
    [ERRNO.EBADFD]: 'the target is no ring, or is not enabled yet',
  });
}
