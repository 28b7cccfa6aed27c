/**
 * Calling `io_uring_register`, and explaining what it refuses.
 */
import { ENTER, REGISTER } from '../../sys/abi.ts';
import type { RegisterName } from '../../sys/abi.ts';
import { AnnulusError, ERRNO, SystemError } from '../../sys/errors.ts';
import { resourceLimit, RLIMIT, syscall } from '../../sys/linux.ts';
import type { SyscallArgument } from '../../sys/native.ts';
import type { Region } from '../../memory/region.ts';
import { borrowScratch, returnScratch } from '../../memory/scratch.ts';
import type { FileTable } from '../file-table.ts';
import { REGISTRATIONS } from '../registrations.ts';
import { registrationCount, unsupported, USE_REGISTERED_RING } from '../supported.ts';
import type { Tags } from '../tags.ts';

/** What a registrar needs to know of its ring. */
export interface RegistrarOptions {
  /** The ring's descriptor, or ~index of one that is only registered with the thread. */
  readonly name: number;
  readonly files: FileTable;
  readonly tags: Tags;
  /** Bits that the kernel has in the keys of requests besides what the program is told. */
  readonly keyBits?: number;
}

/** Reasons for an errno, by the operation; `undefined` leaves Node's text. */
export type Reasons = Readonly<Record<number, string | undefined>>;

/** One ring's descriptor, and the system call on it. The subjects add the methods. */
export abstract class RegisterCalls {
  /** @internal */
  protected readonly fileTable: FileTable;
  /** @internal */
  protected readonly tags: Tags;
  /** @internal */
  protected readonly keyBits: number;
  /** @internal Index of the ring among the thread's registered rings; -1 if it is none. */
  protected ringIndex = -1;
  /** @internal The descriptor; -1 if there is none, or the ring is closed. */
  fd: number;

  /** @internal */
  protected constructor({ name, files, tags, keyBits = 0 }: RegistrarOptions) {
    this.fd = Math.max(name, -1);
    this.ringIndex = name < 0 ? ~name : -1;
    this.fileTable = files;
    this.tags = tags;
    this.keyBits = keyBits;
  }

  /** @internal What `io_uring_enter` names the ring by. */
  get enterFd(): number {
    return this.ringIndex < 0 ? this.fd : this.ringIndex;
  }

  /** @internal What `io_uring_enter` is told about that name. */
  get enterFlags(): number {
    return this.ringIndex < 0 ? 0 : ENTER.REGISTERED_RING;
  }

  /** @internal The ring has ended: the number may soon be another descriptor's. */
  retire(): void {
    this.fd = -1;
  }

  /** @internal Refuses what the running kernel lacks. */
  requireOperation(name: RegisterName): void {
    requireRegistration(name);
  }

  /** @internal Makes one call; the result, or a named error. */
  protected call(
    name: RegisterName,
    argument: SyscallArgument,
    count: number,
    reasons?: Reasons,
  ): number {
    const result = this.attempt(name, argument, count);
    if (result >= 0) return result;
    throw refusal(name, result, reasons);
  }

  /** @internal Makes one call; its raw result. */
  protected attempt(name: RegisterName, argument: SyscallArgument, count: number): number {
    if (this.fd < 0 && this.ringIndex < 0) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
    }
    requireRegistration(name);
    // The index spares the kernel looking the descriptor up among those of the process.
    const indexed = this.ringIndex >= 0;
    const fd = indexed ? this.ringIndex : this.fd;
    const code = REGISTER[name] + (indexed ? USE_REGISTERED_RING : 0);
    return syscall('io_uring_register', fd, code, argument, count);
  }
}

/** Refuses an operation that the running kernel lacks. */
export function requireRegistration(name: RegisterName): void {
  const { code, since } = REGISTRATIONS[REGISTER[name]]!;
  if (code >= registrationCount()) throw unsupported(`IORING_${name}`, since);
}

/** The error of a refused operation. */
export function refusal(name: RegisterName, errno: number, reasons?: Reasons): SystemError {
  const reason = reasons?.[errno] ?? explain(name, errno);
  return new SystemError(errno, 'io_uring_register', {
    message: reason === undefined ? undefined : `${name}: ${reason}`,
  });
}

function explain(name: RegisterName, errno: number): string | undefined {
  switch (errno) {
    case ERRNO.ENOMEM: {
      const { soft } = resourceLimit(RLIMIT.MEMLOCK);
      return (
        `the memory cannot be locked; RLIMIT_MEMLOCK is ${soft} bytes for all processes of ` +
        'this user together. Raise it (ulimit -l), register less, or use plain requests'
      );
    }
    case ERRNO.EBUSY:
      return 'there is such a registration already; take it back first';
    case ERRNO.EACCES:
      return 'the restrictions of this ring do not allow it';
    case ERRNO.EEXIST:
      return 'a ring belongs to the thread that made or enabled it';
    case ERRNO.EBADFD:
      return 'the ring must have been made with SETUP.R_DISABLED and not be enabled yet';
    case ERRNO.ENXIO:
      return 'nothing of the kind is registered';
    case ERRNO.EINVAL: {
      const { since } = REGISTRATIONS[REGISTER[name]]!;
      return `this kernel does not have it (it is of Linux ${since}), or refuses the argument`;
    }
    default:
      return undefined;
  }
}

/** Memory for one call whose argument points to more memory. Use it with `using`. */
export class Scratch {
  readonly view: DataView;
  readonly #region: Region;

  constructor(bytes: number) {
    this.#region = borrowScratch(bytes);
    this.view = new DataView(this.#region.buffer);
  }

  get bytes(): Uint8Array {
    return this.#region.bytes;
  }

  /** The kernel's address of a byte. */
  addressOf(offset: number): bigint {
    return BigInt(this.#region.address + offset);
  }

  [Symbol.dispose](): void {
    returnScratch(this.#region);
  }
}
