/**
 * PositionedFile: an open file with a position of its own, beside reads and writes at any place.
 *
 * The kernel's file position is not used: requests that share it are served in no particular order.
 * Here each names its place, and those that move the position take their turn.
 */
import { AnnulusError, checkInteger, invalidArgValue, outOfRange } from '../sys/errors.ts';
import type { PathOptions } from '../uring/requests/path.ts';
import { AT } from '../uring/statx.ts';
import type { FileStatus } from '../uring/statx.ts';
import type { Buffer, TransferOptions } from './proactor.ts';

/** What part of the memory a transfer is about, and how it can be ended early. */
export type FileTransferOptions = Omit<TransferOptions, 'position'>;

/** What a seek counts from. */
export type SeekOrigin = 'start' | 'current' | 'end';

/** What a file needs of its proactor. */
export interface FileRequester {
  read(fd: number, buffer: Buffer, options: TransferOptions): Promise<number>;
  write(fd: number, buffer: Buffer, options: TransferOptions): Promise<number>;
  statx(path: string, options: PathOptions & { readonly flags: number }): Promise<FileStatus>;
  closeFd(fd: number): Promise<void>;
}

/**
 * A file opened by `Proactor.openFile()`. `read`, `write` and `seek` go one after another, in the
 * order they were called; `readAt` and `writeAt` go at once, in any order.
 */
export class PositionedFile {
  /** Descriptor of the file. */
  readonly fd: number;
  readonly #io: FileRequester;
  #position = 0;
  /** Settles, without a failure, when every read, write and seek so far has ended. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #inFlight: Set<Promise<unknown>> = new Set();
  #closing: Promise<void> | undefined;

  /** @internal Use `Proactor.openFile()`. */
  constructor(io: FileRequester, fd: number) {
    this.#io = io;
    this.fd = fd;
  }

  /** Byte position after the last read, write or seek that has ended. */
  get position(): number {
    return this.#position;
  }

  /** Reads at the position and moves it; resolves with the bytes read, 0 at the end of the file. */
  read(buffer: Buffer, options?: FileTransferOptions): Promise<number> {
    return this.#inTurn(() => this.#moving(this.#readAt(buffer, this.#position, options)));
  }

  /** Writes at the position and moves it; resolves with the bytes written, possibly fewer. */
  write(buffer: Buffer, options?: FileTransferOptions): Promise<number> {
    return this.#inTurn(() => this.#moving(this.#writeAt(buffer, this.#position, options)));
  }

  /** Reads at a byte position and leaves the file's own alone. */
  readAt(buffer: Buffer, position: number, options?: FileTransferOptions): Promise<number> {
    return this.#atOnce(position, () => this.#readAt(buffer, position, options));
  }

  /** Writes at a byte position and leaves the file's own alone. */
  writeAt(buffer: Buffer, position: number, options?: FileTransferOptions): Promise<number> {
    return this.#atOnce(position, () => this.#writeAt(buffer, position, options));
  }

  /**
   * Moves the position; resolves with it. It may lie behind the end of the file.
   *
   * @param offset - Bytes from `origin`, negative to go back.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` when it would lie before the file's beginning.
   */
  seek(offset: number, origin: SeekOrigin = 'start'): Promise<number> {
    return this.#inTurn(async () => {
      checkInteger('offset', offset, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      const position = (await this.#originOf(origin)) + offset;
      if (!(position >= 0 && position <= Number.MAX_SAFE_INTEGER)) {
        throw outOfRange('offset', `such that the position is 0 to 2^53 - 1`, offset);
      }
      this.#position = position;
      return position;
    });
  }

  /** Closes the file once everything asked of it has ended. Closing twice does nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  /** `close()`, at the end of a block that declares it with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #originOf(origin: SeekOrigin): Promise<number> {
    switch (origin) {
      case 'start':
        return 0;
      case 'current':
        return this.#position;
      case 'end':
        return (await this.#io.statx('', { directory: this.fd, flags: AT.EMPTY_PATH })).size;
      default:
        throw invalidArgValue('origin', "must be 'start', 'current' or 'end'", origin);
    }
  }

  async #moving(transfer: Promise<number>): Promise<number> {
    const count = await transfer;
    this.#position += count;
    return count;
  }

  /** Runs when everything called before has ended, however it ended. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #readAt(buffer: Buffer, position: number, options?: FileTransferOptions): Promise<number> {
    return this.#io.read(this.fd, buffer, { ...options, position });
  }

  #writeAt(buffer: Buffer, position: number, options?: FileTransferOptions): Promise<number> {
    return this.#io.write(this.fd, buffer, { ...options, position });
  }

  async #atOnce(position: number, transfer: () => Promise<number>): Promise<number> {
    if (this.#closing !== undefined) throw closedError();
    checkInteger('position', position, 0, Number.MAX_SAFE_INTEGER);
    const result = transfer();
    this.#inFlight.add(result);
    try {
      return await result;
    } finally {
      this.#inFlight.delete(result);
    }
  }

  async #shutDown(): Promise<void> {
    await this.#turn;
    await Promise.allSettled(this.#inFlight);
    await this.#io.closeFd(this.fd);
  }
}

function closedError(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'The file is closed.');
}
