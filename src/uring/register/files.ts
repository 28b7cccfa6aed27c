/**
 * Registered files: looked up once instead of at every request.
 */
import { RSRC_FLAG, RSRC_REGISTER, RSRC_UPDATE2 } from '../../sys/abi.ts';
import { checkInteger, ERRNO } from '../../sys/errors.ts';
import { resourceLimit, RLIMIT } from '../../sys/linux.ts';
import type { FixedFile } from '../descriptors.ts';
import { BufferRegistrations, checkTags, isTagged } from './buffers.ts';
import type { TagOptions } from './buffers.ts';
import { Scratch } from './calls.ts';
import type { Reasons } from './calls.ts';

const MAX_FD = 2 ** 31 - 1;
const MAX_FILES = 32768;

/** In an update: leave the slot as it is. */
const SKIP = -2;

/** Registrations of files. */
export abstract class FileRegistrations extends BufferRegistrations {
  /**
   * Registers descriptors; -1 leaves a slot empty. The files stay open while they are registered,
   * whatever happens to their descriptors. Linux 5.1.
   *
   * @throws {SystemError} `EMFILE` beyond `RLIMIT_NOFILE`; `EBUSY` when files are registered already.
   */
  files(fds: readonly number[], options?: TagOptions): FixedFile[] {
    checkInteger('fds.length', fds.length, 1, MAX_FILES);
    for (const fd of fds) checkInteger('fd', fd, -1, MAX_FD);
    if (options?.tags === undefined) {
      this.call('REGISTER_FILES', Int32Array.from(fds), fds.length, fileReasons());
    } else {
      this.#withTags(fds, options.tags, RSRC_REGISTER.BYTES, (scratch, numbers, tagged) => {
        scratch.view.setUint32(RSRC_REGISTER.NR, fds.length, true);
        scratch.view.setBigUint64(RSRC_REGISTER.DATA, scratch.addressOf(numbers), true);
        scratch.view.setBigUint64(RSRC_REGISTER.TAGS, scratch.addressOf(tagged), true);
        this.call('REGISTER_FILES2', scratch.bytes, RSRC_REGISTER.BYTES, fileReasons());
        return fds.length;
      });
    }
    this.fileTable.reset(fds.length);
    return fds.map((_, index) => this.fileTable.handle(index));
  }

  /**
   * Registers `count` empty slots, to be filled by `updateFiles()` or by requests that open straight
   * into them. Linux 5.19.
   */
  sparseFiles(count: number): void {
    checkInteger('count', count, 1, MAX_FILES);
    const argument = new Uint8Array(RSRC_REGISTER.BYTES);
    const view = new DataView(argument.buffer);
    view.setUint32(RSRC_REGISTER.NR, count, true);
    view.setUint32(RSRC_REGISTER.FLAGS, RSRC_FLAG.REGISTER_SPARSE, true);
    this.call('REGISTER_FILES2', argument, RSRC_REGISTER.BYTES, fileReasons());
    this.fileTable.reset(count);
  }

  /**
   * The handle for the file that is in a slot now: one the kernel chose, say, or one that arrived
   * from another ring.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if so many slots are not registered.
   */
  fixedFile(index: number): FixedFile {
    checkInteger('index', index, 0, this.fileTable.length - 1);
    return this.fileTable.handle(index);
  }

  /**
   * The handle for a file that something else than this registrar has put into a slot that may have
   * been in use, as a ring of another thread can. Earlier handles of the slot are refused from now on.
   */
  arrivedFile(index: number): FixedFile {
    checkInteger('index', index, 0, this.fileTable.length - 1);
    this.fileTable.replace(index);
    return this.fileTable.handle(index);
  }

  /** Replaces the descriptor in a slot; -1 empties it. The old handle is refused from now on. */
  updateFile(file: FixedFile, fd: number): FixedFile {
    return this.updateFiles(this.fileTable.slotOf(file), [fd])[0]!;
  }

  /**
   * Fills slots from `first` on; -1 empties one, `null` leaves one as it is. Requests in flight keep
   * the file they were submitted with. Linux 5.5.
   *
   * @returns The handles of all these slots. Earlier handles of what changed are refused.
   * @throws {SystemError} `EBADF` at a bad descriptor; the slots before it are filled all the same.
   */
  updateFiles(first: number, fds: readonly (number | null)[], options?: TagOptions): FixedFile[] {
    checkInteger('first', first, 0, MAX_FILES - 1);
    checkInteger('fds.length', fds.length, 1, MAX_FILES - first);
    for (const fd of fds) if (fd !== null) checkInteger('fd', fd, -1, MAX_FD);
    const numbers = fds.map((fd) => fd ?? SKIP);
    const { tags } = options ?? {};
    this.#withTags(
      numbers,
      tags,
      RSRC_UPDATE2.BYTES,
      (scratch, data, tagged, done) => {
        const { view } = scratch;
        view.setUint32(RSRC_UPDATE2.OFFSET, first + done, true);
        view.setBigUint64(RSRC_UPDATE2.DATA, scratch.addressOf(data + done * 4), true);
        if (tags === undefined) {
          return this.call(
            'REGISTER_FILES_UPDATE',
            scratch.bytes,
            fds.length - done,
            fileReasons(),
          );
        }
        view.setBigUint64(RSRC_UPDATE2.TAGS, scratch.addressOf(tagged + done * 8), true);
        view.setUint32(RSRC_UPDATE2.NR, fds.length - done, true);
        return this.call(
          'REGISTER_FILES_UPDATE2',
          scratch.bytes,
          RSRC_UPDATE2.BYTES,
          fileReasons(),
        );
      },
      (index) => {
        if (fds[index] !== null) this.fileTable.replace(first + index);
      },
    );
    return fds.map((_, index) => this.fileTable.handle(first + index));
  }

  /**
   * Limits the slots the kernel chooses from when a request lets it choose one: `length` slots from
   * `first` on. The others are left to the program. Linux 6.0.
   */
  fileAllocRange(first: number, length: number): void {
    checkInteger('first', first, 0, MAX_FILES);
    checkInteger('length', length, 0, MAX_FILES);
    this.call('REGISTER_FILE_ALLOC_RANGE', Int32Array.of(first, length, 0, 0), 0, {
      [ERRNO.EINVAL]: `${first} to ${first + length} is not within the registered slots`,
    });
  }

  /** Forgets the registered descriptors; they stay open elsewhere. Linux 5.1. */
  unregisterFiles(): void {
    this.call('UNREGISTER_FILES', null, 0);
    this.fileTable.reset(0);
  }

  /**
   * Lays out descriptors and tags behind a structure and calls until all are done; tags of what was
   * not registered are dropped.
   */
  #withTags(
    fds: readonly number[],
    tags: readonly number[] | undefined,
    bytes: number,
    call: (scratch: Scratch, numbers: number, tagged: number, done: number) => number,
    filled?: (index: number) => void,
  ): void {
    checkTags(tags, fds.length);
    const tagged = bytes + Math.ceil(fds.length / 2) * 8;
    using scratch = new Scratch(tagged + fds.length * 8);
    const holds = fds.map((fd, index) => {
      scratch.view.setInt32(bytes + index * 4, fd, true);
      if (!isTagged(tags, index) || fd < 0) return 0;
      const hold = this.tags.take(0);
      scratch.view.setInt32(tagged + index * 8, tags![index]!, true);
      scratch.view.setInt32(tagged + index * 8 + 4, hold, true);
      return hold;
    });
    let done = 0;
    try {
      while (done < fds.length) {
        const end = done + call(scratch, bytes, tagged, done);
        for (; done < end; done++) filled?.(done);
      }
    } catch (error) {
      for (const hold of holds.slice(done)) if (hold !== 0) this.tags.release(hold);
      throw error;
    }
  }
}

function fileReasons(): Reasons {
  return {
    [ERRNO.EMFILE]: `more slots than RLIMIT_NOFILE (${resourceLimit(RLIMIT.NOFILE).soft}) allows`,
    [ERRNO.EBADF]: 'one of the descriptors is not open, or is of another ring',
  };
}
