/**
 * Errors, shaped as Node's own: `code` is the contract, the message carries the values that were
 * wrong. docs/errors.md has one heading per code of ours.
 */
import { getSystemErrorMap } from 'node:util';

/** Codes of errors that are neither an errno nor one of Node's argument errors. */
export type AnnulusErrorCode =
  | 'ERR_ANNULUS_BUFFER_DETACHED'
  | 'ERR_ANNULUS_CHANNEL_CORRUPT'
  | 'ERR_ANNULUS_CHANNEL_FULL'
  | 'ERR_ANNULUS_CHANNEL_MODE'
  | 'ERR_ANNULUS_CHANNEL_TAKEN'
  | 'ERR_ANNULUS_CLAIM'
  | 'ERR_ANNULUS_CLOSED'
  | 'ERR_ANNULUS_DEADLOCK'
  | 'ERR_ANNULUS_DOUBLE_RELEASE'
  | 'ERR_ANNULUS_EXTERNAL_BUFFERS'
  | 'ERR_ANNULUS_LIMIT'
  | 'ERR_ANNULUS_MAIN_THREAD'
  | 'ERR_ANNULUS_NATIVE_MISSING'
  | 'ERR_ANNULUS_NO_LISTENER'
  | 'ERR_ANNULUS_NOT_A_REGION'
  | 'ERR_ANNULUS_PEER_CLOSED'
  | 'ERR_ANNULUS_PEER_DIED'
  | 'ERR_ANNULUS_REFUSED'
  | 'ERR_ANNULUS_RELEASED'
  | 'ERR_ANNULUS_SQ_FULL'
  | 'ERR_ANNULUS_STALE_FILE'
  | 'ERR_ANNULUS_TIMEOUT'
  | 'ERR_ANNULUS_UNSUPPORTED'
  | 'ERR_ANNULUS_UNSUPPORTED_PLATFORM'
  | 'ERR_ANNULUS_URING_UNAVAILABLE'
  | 'ERR_ANNULUS_VERSION'
  | 'ERR_ANNULUS_WRONG_POOL'
  | 'ERR_REGION_BUSY';

/** An error raised by Annulus itself. Match on `code`. */
export class AnnulusError extends Error {
  readonly code: AnnulusErrorCode;

  constructor(code: AnnulusErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AnnulusError';
    this.code = code;
  }
}

/** A request or a wait ended by its `AbortSignal`, shaped as Node's own. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR';

  /** @param cause - The signal's reason. */
  constructor(cause: unknown) {
    super('The operation was aborted', { cause });
    this.name = 'AbortError';
  }
}

/**
 * Checks the signal of a wait that is about to begin.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is none; an `AbortError` if it was aborted.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  // Not `instanceof`: test environments have an AbortSignal of their own.
  const given = signal as Partial<AbortSignal> | null;
  if (typeof given?.aborted !== 'boolean' || typeof given.addEventListener !== 'function') {
    throw invalidArgType('options.signal', 'an AbortSignal', signal);
  }
  if (given.aborted) throw new AbortError(given.reason);
}

/** What a failed system call or kernel request is called with, for its error. */
export interface SystemErrorDetails {
  /** Replaces Node's text for the errno where more is known about the cause. */
  readonly message?: string | undefined;
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
  readonly cause?: unknown;
}

/** A failed system call or kernel request, with the properties of Node's system errors. */
export class SystemError extends Error {
  /** The errno's name, such as `ENOENT`. */
  readonly code: string;
  /** The negative errno. */
  readonly errno: number;
  readonly syscall: string;
  declare readonly path?: string;
  declare readonly dest?: string;

  /**
   * @param errno - Negative errno value, as the kernel returns it.
   * @param syscall - The system call, or the request's name in lower case (`read`, `accept`).
   */
  constructor(errno: number, syscall: string, details: SystemErrorDetails = {}) {
    const [code, text] = describeErrno(errno);
    const target =
      (details.path === undefined ? '' : ` '${details.path}'`) +
      (details.dest === undefined ? '' : ` -> '${details.dest}'`);
    super(
      `${code}: ${details.message ?? text}, ${syscall}${target}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    if (details.path !== undefined) this.path = details.path;
    if (details.dest !== undefined) this.dest = details.dest;
  }
}

/** Name and text of a negative errno; unknown ones keep their number. */
export function describeErrno(errno: number): [code: string, text: string] {
  return getSystemErrorMap().get(errno) ?? LINUX_ONLY[errno] ?? [`E${-errno}`, 'unknown error'];
}

/** Errnos io_uring returns that libuv, and so Node, has no name for. */
const LINUX_ONLY: Record<number, [string, string]> = {
  [-15]: ['ENOTBLK', 'block device required'],
  [-62]: ['ETIME', 'timer expired'],
  [-77]: ['EBADFD', 'file descriptor in bad state'],
  [-53]: ['EBADR', 'completions were dropped by the kernel'],
  [-129]: ['EKEYREJECTED', 'key was rejected by service'],
  [-130]: ['EOWNERDEAD', 'owner died'],
};

/** Returns a non-negative result, or throws the system error it stands for. */
export function check(result: number, syscall: string, details?: SystemErrorDetails): number {
  if (result < 0) throw new SystemError(result, syscall, details);
  return result;
}

/** Errnos Annulus decides upon, as the kernel returns them. */
export const ERRNO = {
  EPERM: -1,
  ENOENT: -2,
  EINTR: -4,
  ENXIO: -6,
  EBADF: -9,
  EAGAIN: -11,
  ENOMEM: -12,
  EACCES: -13,
  EFAULT: -14,
  EBUSY: -16,
  EEXIST: -17,
  ENODEV: -19,
  EINVAL: -22,
  ENFILE: -23,
  EMFILE: -24,
  EFBIG: -27,
  ENOSPC: -28,
  EPIPE: -32,
  ENOSYS: -38,
  EPROTOTYPE: -91,
  EOVERFLOW: -75,
  EBADFD: -77,
  ETIME: -62,
  ENOTSUP: -95,
  ETIMEDOUT: -110,
  ECONNRESET: -104,
  ECONNREFUSED: -111,
  EALREADY: -114,
  EOWNERDEAD: -130,
  ECANCELED: -125,
} as const;

function withCode<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code });
}

/** A `TypeError` with `ERR_INVALID_ARG_TYPE`, worded as Node's. */
export function invalidArgType(name: string, expected: string, actual: unknown): TypeError {
  const received =
    actual === null ? 'null' : typeof actual === 'object' ? 'an object' : typeof actual;
  return withCode(
    new TypeError(`The "${name}" argument must be ${expected}. Received ${received}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

/** A `TypeError` with `ERR_INVALID_ARG_VALUE`, worded as Node's. */
export function invalidArgValue(name: string, reason: string, actual: unknown): TypeError {
  return withCode(
    new TypeError(`The argument "${name}" ${reason}. Received ${String(actual)}`),
    'ERR_INVALID_ARG_VALUE',
  );
}

/** An `Error` with `ERR_INVALID_STATE`: the call is right, but not now. */
export function invalidState(message: string): Error & { code: string } {
  return withCode(new Error(message), 'ERR_INVALID_STATE');
}

/** A `RangeError` with `ERR_OUT_OF_RANGE`, worded as Node's. */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  return withCode(
    new RangeError(
      `The value of "${name}" is out of range. It must be ${expected}. Received ${String(actual)}`,
    ),
    'ERR_OUT_OF_RANGE',
  );
}

/** Checks that `value` is an integer from `minimum` to `maximum`; throws with the values if not. */
export function checkInteger(name: string, value: number, minimum: number, maximum: number): void {
  if (typeof value !== 'number') throw invalidArgType(name, 'a number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < minimum || value > maximum) {
    throw outOfRange(name, `>= ${minimum} and <= ${maximum}`, value);
  }
}
