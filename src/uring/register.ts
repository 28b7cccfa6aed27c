/**
 * Registrations: memory and files the kernel looks up once instead of at every request.
 */
import { REGISTER } from '../sys/abi.ts';
import type { RegisterName } from '../sys/abi.ts';
import { AnnulusError, checkInteger, ERRNO, invalidArgType, SystemError } from '../sys/errors.ts';
import { resourceLimit, RLIMIT, syscall } from '../sys/linux.ts';
import type { SyscallArgument } from '../sys/native.ts';
import { pin, unpin } from '../memory/pins.ts';
import { Region, requireRegion } from '../memory/region.ts';
import { FixedBuffer, FixedFile } from './descriptors.ts';
import type { Memory } from './descriptors.ts';

/** A plain descriptor, or -1 for an empty slot. */
const MAX_FD = 2 ** 31 - 1;
const MAX_BUFFERS = 16384;
const MAX_FILES = 32768;

/** What a ring registers; reached as `ring.register`. */
export class Registrar {
  #fd: number;
  #pinned: number[] = [];

  /** @internal */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Registers memory, so that `readFixed()` and `writeFixed()` need not map it each time. The memory
   * stays pinned until {@link Registrar.unregisterBuffers}. Linux 5.1.
   *
   * @param memories - Regions, or views into them; 1 to 16384 of at most 1 GiB each.
   * @throws {SystemError} `ENOMEM` when `RLIMIT_MEMLOCK` (charged per user, over all processes) does
   *   not allow it; `EBUSY` when buffers are registered already.
   */
  buffers(memories: readonly Memory[]): FixedBuffer[] {
    checkInteger('memories.length', memories.length, 1, MAX_BUFFERS);
    const vectors = new BigInt64Array(memories.length * 2);
    const buffers = memories.map((memory, index) => {
      const region = requireRegion('memories', memory);
      const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
      vectors[index * 2] = BigInt(region.address + start);
      vectors[index * 2 + 1] = BigInt(memory.byteLength);
      return new FixedBuffer(index, region, start, memory.byteLength);
    });
    this.#call('REGISTER_BUFFERS', vectors, memories.length);
    for (const buffer of buffers) {
      pin(buffer.region.slot);
      this.#pinned.push(buffer.region.slot);
    }
    return buffers;
  }

  /** Takes the registered memory back. Linux 5.1. */
  unregisterBuffers(): void {
    this.#call('UNREGISTER_BUFFERS', null, 0);
    this.#unpinAll();
  }

  /** Registers descriptors; -1 leaves a slot empty. Linux 5.1. */
  files(fds: readonly number[]): FixedFile[] {
    checkInteger('fds.length', fds.length, 1, MAX_FILES);
    for (const fd of fds) checkInteger('fd', fd, -1, MAX_FD);
    this.#call('REGISTER_FILES', Int32Array.from(fds), fds.length);
    return fds.map((_, index) => new FixedFile(index));
  }

  /** Replaces the descriptor in a slot; -1 empties it. Linux 5.5. */
  updateFile(file: FixedFile, fd: number): void {
    if (!(file instanceof FixedFile)) throw invalidArgType('file', 'a FixedFile', file);
    checkInteger('fd', fd, -1, MAX_FD);
    // struct io_uring_files_update holds the address of the array, so both lie in a Region.
    using scratch = Region.allocate(24);
    const view = new DataView(scratch.buffer);
    view.setUint32(0, file.index, true);
    view.setBigUint64(8, BigInt(scratch.address + 16), true);
    view.setInt32(16, fd, true);
    this.#call('REGISTER_FILES_UPDATE', scratch.bytes, 1);
  }

  /** Forgets the registered descriptors; they stay open elsewhere. Linux 5.1. */
  unregisterFiles(): void {
    this.#call('UNREGISTER_FILES', null, 0);
  }

  /** Makes the kernel count completions into an eventfd. Linux 5.2. */
  eventfd(fd: number): void {
    checkInteger('fd', fd, 0, MAX_FD);
    this.#call('REGISTER_EVENTFD', Int32Array.of(fd), 1);
  }

  /** Ends {@link Registrar.eventfd}. Linux 5.2. */
  unregisterEventfd(): void {
    this.#call('UNREGISTER_EVENTFD', null, 0);
  }

  /** @internal The ring has ended, and with it, for the kernel, its registrations. */
  retire(): void {
    // The number may soon be another descriptor's.
    this.#fd = -1;
    this.#unpinAll();
  }

  #unpinAll(): void {
    const pinned = this.#pinned;
    this.#pinned = [];
    for (const slot of pinned) unpin(slot);
  }

  #call(name: RegisterName, argument: SyscallArgument, count: number): void {
    if (this.#fd < 0) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
    const result = syscall('io_uring_register', this.#fd, REGISTER[name], argument, count);
    if (result < 0) {
      throw new SystemError(result, 'io_uring_register', { message: explain(name, result) });
    }
  }
}

function explain(name: RegisterName, errno: number): string | undefined {
  switch (errno) {
    case ERRNO.ENOMEM: {
      const { soft } = resourceLimit(RLIMIT.MEMLOCK);
      return (
        `${name}: the memory cannot be locked; RLIMIT_MEMLOCK is ${soft} bytes for all processes of ` +
        'this user together. Raise it (ulimit -l), register less, or use plain requests'
      );
    }
    case ERRNO.EBUSY:
      return `${name}: there is such a registration already; take it back first`;
    case ERRNO.EINVAL:
      return `${name}: this kernel does not have it, or refuses the argument`;
    default:
      return undefined;
  }
}
