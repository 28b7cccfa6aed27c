/**
 * Requests on open files.
 */
import { ATTR_PI, FEATURE, FSYNC, MADVISE, RW_ATTR, SQE_WORD as W } from '../../sys/abi.ts';
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import { pin } from '../../memory/pins.ts';
import { pageSize } from '../../sys/linux.ts';
import { requireRegion } from '../../memory/region.ts';
import type { Region } from '../../memory/region.ts';
import { FixedBuffer } from '../descriptors.ts';
import type { Fd, Memory, MemoryRange } from '../descriptors.ts';
import { OP } from '../opcodes.ts';
import { unsupported } from '../supported.ts';
import { NOTHING, RequestQueue } from './queue.ts';

const IOV_MAX = 1024;

// See queue.ts on constants of other modules.
const READ: number = OP.READ;
const WRITE: number = OP.WRITE;
const READ_FIXED: number = OP.READ_FIXED;
const WRITE_FIXED: number = OP.WRITE_FIXED;

const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

/** What `madvise()` lets through: anything else could make memory fault, or appear in a child. */
const SAFE_ADVICE: readonly number[] = Object.values(MADVISE);

/** Advice after which the pages are empty. */
const EMPTYING: ReadonlySet<number> = new Set([MADVISE.DONTNEED, MADVISE.FREE, MADVISE.REMOVE]);

/** Options of a read or write: what part of the memory and of the file, and `RWF` flags. */
export interface FileRange extends MemoryRange {
  /** `RWF` bits. A flag that the file or the kernel does not have is -`EOPNOTSUPP`. Default 0. */
  flags?: number | undefined;
}

/** Protection information of a transfer: what a device with such sectors checks. */
export interface Integrity {
  /** Where the information is, or goes. */
  readonly memory: Memory;
  /** What is checked: 1 the guard, 2 the reference tag, 4 the application tag. Default all. */
  readonly flags?: number;
  /** Default 0. */
  readonly appTag?: number;
  /** The first reference tag. Default 0. */
  readonly seed?: number;
}

/** One piece of registered memory. */
export interface BufferPart {
  /** First byte inside the buffer. */
  readonly offset: number;
  readonly length: number;
}

/** Every method prepares one request and returns its key, which `cancel()` wants beside the token. */
export abstract class FileRequests extends RequestQueue {
  /** Does nothing and completes with 0. Linux 5.1. */
  nop(token: number): number {
    this.putNop(token);
    return 0;
  }

  /** `pread(2)` into memory; completes with the bytes read, 0 at the end of the file. Linux 5.6. */
  read(token: number, fd: Fd, memory: Memory, range?: FileRange): number {
    return this.transfer(READ, token, fd, memory, range, flagsOf(range), -1);
  }

  /** `pwrite(2)` from memory; completes with the bytes written. Linux 5.6. */
  write(token: number, fd: Fd, memory: Memory, range?: FileRange): number {
    return this.transfer(WRITE, token, fd, memory, range, flagsOf(range), -1);
  }

  /** `read()` into registered memory, which spares the kernel mapping it. Linux 5.1. */
  readFixed(token: number, fd: Fd, buffer: FixedBuffer, range?: FileRange): number {
    return this.transferFixed(READ_FIXED, token, fd, buffer, range, flagsOf(range));
  }

  /** `write()` from registered memory. Linux 5.1. */
  writeFixed(token: number, fd: Fd, buffer: FixedBuffer, range?: FileRange): number {
    return this.transferFixed(WRITE_FIXED, token, fd, buffer, range, flagsOf(range));
  }

  /** `preadv2(2)`: fills several pieces of memory in order. `flags` of `RWF`. Linux 5.1. */
  readv(
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    position: number = -1,
    flags: number = 0,
  ): number {
    return this.vectored(OP.READV, token, fd, memories, position, flags);
  }

  /** `pwritev2(2)`: writes several pieces of memory in order. `flags` of `RWF`. Linux 5.1. */
  writev(
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    position: number = -1,
    flags: number = 0,
  ): number {
    return this.vectored(OP.WRITEV, token, fd, memories, position, flags);
  }

  /** `readv()` into pieces of one registered buffer. Linux 6.15. */
  readvFixed(
    token: number,
    fd: Fd,
    buffer: FixedBuffer,
    parts: readonly BufferPart[],
    position: number = -1,
    flags: number = 0,
  ): number {
    return this.vectoredFixed(OP.READV_FIXED, token, fd, buffer, parts, position, flags);
  }

  /** `writev()` from pieces of one registered buffer. Linux 6.15. */
  writevFixed(
    token: number,
    fd: Fd,
    buffer: FixedBuffer,
    parts: readonly BufferPart[],
    position: number = -1,
    flags: number = 0,
  ): number {
    return this.vectoredFixed(OP.WRITEV_FIXED, token, fd, buffer, parts, position, flags);
  }

  /**
   * `read()` of sectors together with their protection information, from a file that is open with
   * `O_DIRECT` on a device that has it: else -`EINVAL` or -`EOPNOTSUPP`. Linux 6.14.
   */
  readIntegrity(
    token: number,
    fd: Fd,
    memory: Memory,
    integrity: Integrity,
    position: number = -1,
  ): number {
    return this.withIntegrity(OP.READ, token, fd, memory, integrity, position);
  }

  /** `write()` of sectors together with their protection information. Linux 6.14. */
  writeIntegrity(
    token: number,
    fd: Fd,
    memory: Memory,
    integrity: Integrity,
    position: number = -1,
  ): number {
    return this.withIntegrity(OP.WRITE, token, fd, memory, integrity, position);
  }

  /**
   * `fsync(2)`, or `fdatasync(2)` with `datasync`; of `length` bytes from `offset`, or of the whole
   * file. Linux 5.1.
   */
  fsync(
    token: number,
    fd: Fd,
    options?: { readonly datasync?: boolean; readonly offset?: number; readonly length?: number },
  ): number {
    const flags = options?.datasync === true ? FSYNC.DATASYNC : 0;
    const { offset = 0, length = 0 } = options ?? NOTHING;
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('length', length, 0, TWO_32 - 1);
    return this.simple(OP.FSYNC, token, fd, offset, 0, length, flags);
  }

  /**
   * `sync_file_range(2)`: starts or awaits the writing of part of a file, and nothing about its
   * size or place. `flags` of `SYNC_RANGE`. Linux 5.2.
   *
   * @param length - Bytes, below 2^32; 0 is to the end of the file.
   */
  syncFileRange(token: number, fd: Fd, offset: number, length: number, flags: number): number {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('length', length, 0, TWO_32 - 1);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    return this.simple(OP.SYNC_FILE_RANGE, token, fd, offset, 0, length, flags);
  }

  /**
   * `posix_fadvise(2)`: says how a file will be read. Linux 5.6; lengths of 2^32 and more want 6.10.
   *
   * @param length - Bytes; 0 is to the end of the file.
   * @param advice - One of `FADVISE`.
   */
  fadvise(token: number, fd: Fd, offset: number, length: number, advice: number): number {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('advice', advice, 0, TWO_31 - 1);
    const long = length >= TWO_32;
    const short = long ? 0 : length;
    return this.simple(OP.FADVISE, token, fd, offset, long ? length : 0, short, advice);
  }

  /**
   * `madvise(2)` on memory, which must begin at a page. Only advice after which the memory is still
   * the program's is accepted: one of `MADVISE`. Linux 5.6.
   */
  madvise(token: number, memory: Memory, advice: number): number {
    this.checkToken(token);
    const region = requireRegion('memory', memory);
    if (!SAFE_ADVICE.includes(advice)) {
      throw invalidArgValue('advice', 'must be one of MADVISE', advice);
    }
    const address = region.address + startOf(memory);
    const length = memory.byteLength;
    // The kernel takes whole pages: these would empty the rest of the last one, which is not ours.
    if (EMPTYING.has(advice) && length % pageSize() !== 0) {
      throw outOfRange('memory.byteLength', `a multiple of ${pageSize()} for this advice`, length);
    }
    // A Region may have 2^32 bytes, which only the longer field can say (6.10).
    const long = length >= TWO_32 ? length : 0;
    this.pinning(OP.MADVISE, -1, long, address, long > 0 ? 0 : length, advice, token, region);
    return region.slot;
  }

  /** `fallocate(2)`: `length` bytes from `offset`; `mode` as in linux/falloc.h. Linux 5.6. */
  fallocate(token: number, fd: Fd, offset: number, length: number, mode: number = 0): number {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('length', length, 1, Number.MAX_SAFE_INTEGER);
    return this.simple(OP.FALLOCATE, token, fd, offset, length, mode, 0);
  }

  /** `ftruncate(2)` to `length` bytes. Linux 6.9. */
  ftruncate(token: number, fd: Fd, length: number): number {
    this.requireOpcode(OP.FTRUNCATE);
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

  /** @internal A request that holds one region, which it names by an address of its own. */
  protected pinning(
    head: number,
    fd: number,
    position: number,
    address: number,
    length: number,
    opFlags: number,
    token: number,
    region: Region,
  ): number {
    const at = this.put(head, fd, position, address, length, opFlags, token, region.slot);
    pin(region.slot);
    return at;
  }

  private withIntegrity(
    op: number,
    token: number,
    fd: Fd,
    memory: Memory,
    integrity: Integrity,
    position: number,
  ): number {
    this.checkToken(token);
    if ((this.memory.features & FEATURE.RW_ATTR) === 0) throw unsupported('RW_ATTR', '6.14');
    checkInteger('position', position, -1, Number.MAX_SAFE_INTEGER);
    const { flags = 7, appTag = 0, seed = 0 } = integrity;
    checkInteger('integrity.flags', flags, 0, 0xffff);
    checkInteger('integrity.appTag', appTag, 0, 0xffff);
    checkInteger('integrity.seed', seed, 0, Number.MAX_SAFE_INTEGER);
    const region = requireRegion('memory', memory);
    const information = requireRegion('integrity.memory', integrity.memory);
    const number = this.descriptor(fd);
    this.requireSpace();
    const cell = this.holds.cell(ATTR_PI.BYTES);
    cell.keep(region);
    cell.keep(information);
    cell.bytes.fill(0, 0, ATTR_PI.BYTES);
    cell.view.setUint16(ATTR_PI.FLAGS, flags, true);
    cell.view.setUint16(ATTR_PI.APP_TAG, appTag, true);
    cell.view.setUint32(ATTR_PI.LEN, integrity.memory.byteLength, true);
    cell.setU64(ATTR_PI.ADDR, information.address + startOf(integrity.memory));
    cell.setU64(ATTR_PI.SEED, seed);
    const address = region.address + startOf(memory);
    const { byteLength } = memory;
    const head = this.headFor(op, fd);
    const at = this.put(head, number, position, address, byteLength, 0, token, cell.hold);
    this.setRare(at, W.ADDR3_LOW, cell.address | 0);
    this.setRare(at, W.ADDR3_HIGH, (cell.address / TWO_32) | 0);
    this.setRare(at, W.ATTR_LOW, RW_ATTR.PI);
    return cell.hold;
  }

  private vectored(
    op: number,
    token: number,
    fd: Fd,
    memories: readonly Memory[],
    position: number,
    flags: number,
  ): number {
    this.checkToken(token);
    checkInteger('position', position, -1, Number.MAX_SAFE_INTEGER);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    checkCount('memories', memories.length);
    const number = this.descriptor(fd);
    const regions = memories.map((memory) => requireRegion('memories', memory));
    this.requireSpace();
    const cell = this.holds.cell(memories.length * 16);
    memories.forEach((memory, index) => {
      const region = regions[index]!;
      cell.setU64(index * 16, region.address + startOf(memory));
      cell.setU64(index * 16 + 8, memory.byteLength);
      cell.keep(region);
    });
    const head = this.headFor(op, fd);
    this.put(head, number, position, cell.address, memories.length, flags, token, cell.hold);
    return cell.hold;
  }

  private vectoredFixed(
    op: number,
    token: number,
    fd: Fd,
    buffer: FixedBuffer,
    parts: readonly BufferPart[],
    position: number,
    flags: number,
  ): number {
    this.requireOpcode(op);
    this.checkToken(token);
    checkInteger('position', position, -1, Number.MAX_SAFE_INTEGER);
    checkInteger('flags', flags, 0, TWO_31 - 1);
    checkCount('parts', parts.length);
    if (!(buffer instanceof FixedBuffer)) throw invalidArgType('buffer', 'a FixedBuffer', buffer);
    for (const part of parts) checkPart(part, buffer.byteLength);
    const number = this.descriptor(fd);
    this.requireSpace();
    const cell = this.holds.cell(parts.length * 16);
    parts.forEach(({ offset, length }, index) => {
      cell.setU64(index * 16, buffer.region.address + buffer.byteOffset + offset);
      cell.setU64(index * 16 + 8, length);
    });
    cell.keep(buffer.region);
    const head = this.headFor(op, fd);
    const count = parts.length;
    const at = this.put(head, number, position, cell.address, count, flags, token, cell.hold);
    this.setWord(at, W.BUF_INDEX, buffer.index);
    return cell.hold;
  }
}

/** @internal Where a view begins in its Region. */
export function startOf(memory: Memory): number {
  return memory instanceof Uint8Array ? memory.byteOffset : 0;
}

function flagsOf(range: FileRange | undefined): number {
  if (range === undefined || range.flags === undefined) return 0;
  return checkedFlags(range.flags);
}

// By itself: V8 inlines small functions only.
function checkedFlags(flags: number): number {
  checkInteger('flags', flags, 0, TWO_31 - 1);
  return flags;
}

function checkCount(name: string, count: number): void {
  if (count === 0 || count > IOV_MAX) {
    throw invalidArgValue(name, `must have 1 to ${IOV_MAX} elements`, count);
  }
}

function checkPart({ offset, length }: BufferPart, available: number): void {
  const integers = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!integers || offset < 0 || length < 0 || offset + length > available) {
    throw outOfRange(
      'parts',
      `inside the ${available} bytes of the buffer`,
      `offset ${offset}, length ${length}`,
    );
  }
}
