/**
 * Failure: why a command did not succeed, in one sentence, with a remedy where there is one.
 */

/** Exit codes of the verbs; a signal gives 128 and its number. */
export const EXIT = {
  /** All was done; for a relay, the bytes at the destination match. */
  DONE: 0,
  /** Something failed; nothing is left behind. */
  FAILED: 1,
  /** Nothing was tried: wrong arguments, or, for a relay, no io_uring here. */
  REFUSED: 2,
} as const;

/** A failure that is explained already. */
export class CommandError extends Error {
  /** The cause's code, such as `ENOSPC`. */
  readonly code: string | undefined;
  readonly exitCode: number;

  constructor(
    message: string,
    options: { cause?: unknown; code?: string | undefined; exitCode?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'CommandError';
    this.code = options.code ?? codeOf(options.cause);
    this.exitCode = options.exitCode ?? EXIT.FAILED;
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied. Check who owns it and its mode bits, or run as another user',
  EPERM: 'the system does not allow it. Check who owns it, and whether it is immutable',
  ENOENT: 'there is no such file or directory. Check the path',
  ENOTDIR: 'a part of the path is not a directory. Check the path',
  EISDIR: 'it is a directory',
  ENOSPC: 'the disk is full. Free some space there, or choose another destination',
  EDQUOT: 'the disk quota is used up. Free some space there, or choose another destination',
  EFBIG: 'the file is larger than this file system or the file size limit (ulimit -f) allows',
  EROFS: 'the file system is read-only. Choose another destination',
  EMFILE: 'this process has too many open files. Raise the limit (ulimit -n)',
  ENFILE: 'the system has too many open files. Close some, or raise fs.file-max',
  ENAMETOOLONG: 'the path is too long',
  ELOOP: 'it has become a symbolic link, or there are too many of them',
  ENOMEM: 'there is not enough memory. Lower --memory',
  EIO: 'the device failed. Check it, and the kernel log',
};

/** The code of an error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
}

/**
 * Says what could not be done and why.
 *
 * @param what - Such as `cannot read '/a/b'`.
 */
export function failed(what: string, cause: unknown): CommandError {
  if (cause instanceof CommandError) return cause;
  const code = codeOf(cause);
  const remedy = code === undefined ? undefined : REMEDIES[code];
  const why = remedy === undefined ? messageOf(cause) : `${remedy} (${code})`;
  return new CommandError(`${what}: ${why}`, { cause });
}

/** Runs `action`; what it throws is explained as {@link failed} does. */
export async function explained<T>(what: () => string, action: () => Promise<T> | T): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw failed(what(), error);
  }
}

/** A signal asked this process to end. */
export function interrupted(signal: NodeJS.Signals, number: number): CommandError {
  return new CommandError(`interrupted by ${signal}`, { code: signal, exitCode: 128 + number });
}
