/**
 * Requests on open files.
 */
import { FSYNC, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgValue } from '../../sys/errors.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Fd, FixedBuffer, Memory, MemoryRange } from '../descriptors.ts';
import { OP } from '../opcodes.ts';
import { RequestQueue } from './queue.ts';

const IOV_MAX = 1024;

/** Every method prepares one request and returns its key, which `cancel()` wants beside the token. */
export abstract class FileRequests extends RequestQueue {
  /** Does nothing and completes with 0. Linux 5.1. */
  nop(token: number): number {
    this.putNop(token);
    return 0;
  }

  /** `pread(2)` into memory; completes with the bytes read, 0 at the end of the file. Linux 5.6. */
  read(token: number, fd: Fd, memory: Memory, range?: MemoryRange): number {
    return this.transfer(OP.READ, token, fd, memory, range, 0, -1);
  }

  /** `pwrite(2)` from memory; completes with the bytes written. Linux 5.6. */
  write(token: number, fd: Fd, memory: Memory, range?: MemoryRange): number {
    return this.transfer(OP.WRITE, token, fd, memory, range, 0, -1);
  }

  /** `read()` into registered memory, which spares the kernel mapping it. Linux 5.1. */
  readFixed(token: number, fd: Fd, buffer: FixedBuffer, range?: MemoryRange): number {
    return this.transferFixed(OP.READ_FIXED, token, fd, buffer, range);
  }

  /** `write()` from registered memory. Linux 5.1. */
  writeFixed(token: number, fd: Fd, buffer: FixedBuffer, range?: MemoryRange): number {
    return this.transferFixed(OP.WRITE_FIXED, token, fd, buffer, range);
  }

  /** `preadv(2)`: fills several pieces of memory in order. Linux 5.1. */
  readv(token: number, fd: Fd, memories: readonly Memory[], position: number = -1): number {
    return this.vectored(OP.READV, token, fd, memories, position);
  }

  /** `pwritev(2)`: writes several pieces of memory in order. Linux 5.1. */
  writev(token: number, fd: Fd, memories: readonly Memory[], position: number = -1): number {
    return this.vectored(OP.WRITEV, token, fd, memories, position);
  }

  /** `fsync(2)`, or `fdatasync(2)` with `datasync`. Linux 5.1. */
  fsync(token: number, fd: Fd, options?: { readonly datasync?: boolean }): number {
    const flags = options?.datasync === true ? FSYNC.DATASYNC : 0;
    return this.simple(OP.FSYNC, token, fd, 0, 0, 0, flags);
  }

  /** `fallocate(2)`: `length` bytes from `offset`; `mode` as in linux/falloc.h. Linux 5.6. */
  fallocate(token: number, fd: Fd, offset: number, length: number, mode: number = 0): number {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('length', length, 1, Number.MAX_SAFE_INTEGER);
    return this.simple(OP.FALLOCATE, token, fd, offset, length, mode, 0);
  }

  /** `ftruncate(2)` to `length` bytes. Linux 6.9. */
  ftruncate(token: number, fd: Fd, length: number): number {
    checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
    return this.simple(OP.FTRUNCATE, token, fd, length, 0, 0, 0);
  }

  /**
   * `close(2)` of a descriptor or a registered file. From then on its FixedFile is refused, so
   * prepare it last. Linux 5.6.
   */
  closeFd(token: number, fd: Fd): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    if (typeof fd === 'number') {
      this.put(OP.CLOSE, number, 0, 0, 0, 0, token, 0);
      return 0;
    }
    // A registered slot goes into file_index, counted from 1; FIXED_FILE here would be EBADF.
    const at = this.put(OP.CLOSE, 0, 0, 0, 0, 0, token, 0);
    this.setRare(at, W.FILE_INDEX, number + 1);
    this.files.replace(number);
    return 0;
  }

  /** @internal A request without memory. */
  protected simple(
    op: number,
    token: number,
    fd: Fd,
    position: number,
    address: number,
    length: number,
    opFlags: number,
  ): number {
    this.checkToken(token);
    const number = this.descriptor(fd);
    this.put(this.headFor(op, fd), number, position, address, length, opFlags, token, 0);
    return 0;
  }

  private vectored(
    op: number,
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    position: number,
  ): number {
    this.checkToken(token);
    checkInteger('position', position, -1, Number.MAX_SAFE_INTEGER);
    if (memories.length === 0 || memories.length > IOV_MAX) {
      throw invalidArgValue('memories', `must have 1 to ${IOV_MAX} elements`, memories.length);
    }
    const number = this.descriptor(fd);
    const regions = memories.map((memory) => requireRegion('memories', memory));
    this.requireSpace();
    const cell = this.holds.cell(memories.length * 16);
    memories.forEach((memory, index) => {
      const region = regions[index]!;
      const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
      cell.setU64(index * 16, region.address + start);
      cell.setU64(index * 16 + 8, memory.byteLength);
      cell.keep(region);
    });
    const head = this.headFor(op, fd);
    this.put(head, number, position, cell.address, memories.length, 0, token, cell.hold);
    return cell.hold;
  }
}
