/**
 * One read or write of a descriptor, at its position or at a given one.
 */
import { check, checkInteger, ERRNO } from './errors.ts';
import { syscall } from './linux.ts';

/** Moves bytes between a descriptor and memory; throws the system error, tries again on `EINTR`. */
export function transfer(
  direction: 'read' | 'write',
  fd: number,
  bytes: Uint8Array,
  position: number | undefined,
): number {
  checkInteger('fd', fd, 0, 2 ** 31 - 1);
  if (position !== undefined) {
    checkInteger('options.position', position, 0, Number.MAX_SAFE_INTEGER);
  }
  for (;;) {
    const result =
      position === undefined
        ? syscall(direction, fd, bytes, bytes.byteLength)
        : syscall(`p${direction}64`, fd, bytes, bytes.byteLength, position);
    if (result !== ERRNO.EINTR) return check(result, direction);
  }
}
