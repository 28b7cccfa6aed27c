/**
 * Mapping memory and wrapping it, exactly once an environment, in an ArrayBuffer.
 */
import { AnnulusError, check, ERRNO, SystemError } from './errors.ts';
import { native } from './native.ts';
import { resourceLimit, RLIMIT, syscall } from './linux.ts';

/**
 * One `mmap` inside a mapping; `fd` -1 is anonymous private memory, -2 - fd a private copy of a file's.
 */
export interface Piece {
  /** Byte position inside the mapping. */
  readonly at: number;
  readonly length: number;
  readonly fd: number;
  /** Byte position inside the file. */
  readonly offset: number;
}

/** Mapped memory as this environment sees it. */
export interface Mapping {
  /** Process-wide identity: another thread wraps the same memory by it. */
  readonly id: number;
  /** This environment's pin slot. */
  readonly slot: number;
  readonly address: number;
  readonly buffer: ArrayBuffer;
}

/** Maps `pieces` into one range of `length` bytes and wraps it. */
export function map(length: number, pieces: readonly Piece[]): Mapping {
  const rows = Float64Array.from(pieces.flatMap((p) => [p.at, p.length, p.fd, p.offset]));
  const id = native().map(length, rows);
  if (id < 0) throw new SystemError(id, 'mmap', { message: explainMapFailure(id, length) });
  return wrap(id, 0);
}

/** Wraps memory mapped by another environment of this process. */
export function attach(id: number): Mapping {
  return wrap(id, 1);
}

const MREMAP_MAYMOVE_FIXED = 3;

/**
 * Maps the file behind a mapping once more, in place of what is mapped at `to`.
 *
 * @param from - Where it begins: the first byte of a page of a file.
 * @param to - Whole pages. The file may go on for longer than it is mapped at `from`.
 */
export function mapAgain(from: Uint8Array, to: Uint8Array): void {
  // An old size of 0 has mremap() leave the pages where they are, as well.
  const result = syscall('mremap', from, 0, to.byteLength, MREMAP_MAYMOVE_FIXED, to);
  check(result, 'mremap', { message: explainMapFailure(result, to.byteLength) });
}

/**
 * Detaches the buffer of a mapping that nothing uses, and wraps the memory in another one.
 *
 * @returns Undefined if the buffer was moved away: its memory goes with its new owner.
 */
export function rewrap({ id, slot, buffer }: Mapping): Mapping | undefined {
  return native().unmap(slot, buffer, 1) === 0 ? wrap(id, 0) : undefined;
}

function wrap(id: number, acquire: 0 | 1): Mapping {
  const out = new Float64Array(2);
  const buffer = native().wrap(id, acquire, out);
  if (typeof buffer !== 'number') return { id, slot: out[0]!, address: out[1]!, buffer };
  if (buffer === ERRNO.ENOTSUP) {
    throw new AnnulusError(
      'ERR_ANNULUS_EXTERNAL_BUFFERS',
      'This runtime forbids ArrayBuffers over mapped memory (Electron does, for its sandbox). ' +
        'Run the part that uses Annulus in a plain Node process.',
    );
  }
  if (buffer === ERRNO.ENOENT) {
    throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The shared memory was already closed.');
  }
  check(buffer, 'mmap', { message: explainMapFailure(buffer, 0) });
  throw new SystemError(buffer, 'mmap');
}

/** Why a mapping fails, with the limit that most likely did it. */
function explainMapFailure(errno: number, length: number): string | undefined {
  const size = length === 0 ? '' : ` (${length} bytes were asked for)`;
  switch (errno) {
    case ERRNO.ENOMEM: {
      // Address space is used up, or the process holds vm.max_map_count mappings.
      const limit = resourceLimit(RLIMIT.AS).soft;
      const reason =
        limit === Infinity ? 'or vm.max_map_count is reached' : `RLIMIT_AS is ${limit}`;
      return `not enough memory or address space${size}; ${reason}`;
    }
    case ERRNO.EMFILE:
      return 'too many mapped regions in this thread; close the ones no longer used';
    default:
      return undefined;
  }
}
