/**
 * Writer: the receiving half of a relay. Files are written straight out of the channel's memory.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { chmodSync, closeSync, constants, fchmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { Receiver } from '../../channel/index.ts';
import { Flight } from '../../proactor/flight.ts';
import { pieceLimits } from '../../proactor/pieces.ts';
import { failed } from '../failure.ts';
import type { FileIo } from './file-io.ts';
import { decodeHeader, FIXED_BYTES, KIND, wholeHeaderBytes } from './frame.ts';
import type { Header } from './frame.ts';
import { Transfer } from './transfer.ts';
import type { TransferMode } from './transfer.ts';

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Without it a file could not be read back. */
const OWNER_READS = 0o400;

/** What the writing half needs. */
export interface WriterJob {
  /** Where the first entry goes; must not exist. */
  readonly root: string;
  readonly io: FileIo;
  readonly receiver: Receiver;
  readonly signal: AbortSignal;
  /** Hears the SHA-256 of every file, in order. */
  readonly onHash: (hash: string) => void;
}

interface OutputFile {
  readonly path: string;
  readonly mode: number;
  readonly fd: Promise<number>;
  readonly hash: Hash;
}

/** Writes what comes out of a channel. */
export class Writer {
  readonly mode: TransferMode;
  /** Paths of the files written, in order. */
  readonly files: string[] = [];
  readonly #job: WriterJob;
  readonly #transfer: Transfer;
  readonly #flight: Flight;
  readonly #pieceBytes: number;
  /** Modes to set at the end: until then this process has to be able to read and write there. */
  readonly #modes: { readonly path: string; readonly mode: number }[] = [];
  readonly #open = new Set<number>();

  constructor(job: WriterJob) {
    this.#job = job;
    this.#transfer = new Transfer(job.io, job.receiver.memory);
    this.mode = this.#transfer.mode;
    const limits = pieceLimits(job.receiver.capacity);
    this.#flight = new Flight(limits.flightBytes);
    this.#pieceBytes = limits.pieceBytes;
  }

  /** Writes everything. When it rejects, no request is under way any more. */
  async run(): Promise<void> {
    try {
      for (let header = await this.#header(); header; header = await this.#header()) {
        await this.#write(header);
      }
      await this.#flight.landed();
    } finally {
      await this.#flight.settled();
      for (const fd of this.#open) closeSync(fd);
    }
  }

  /** Gives directories, and files we could not read otherwise, their modes. */
  seal(): void {
    for (const { path, mode } of this.#modes.toReversed()) {
      try {
        chmodSync(path, mode);
      } catch (error) {
        throw failed(`cannot set the mode of '${path}'`, error);
      }
    }
  }

  async #header(): Promise<Header | undefined> {
    const start = await this.#content(FIXED_BYTES);
    if (start === undefined) return undefined;
    const length = wholeHeaderBytes(start);
    const bytes = await this.#all(length);
    // Views end here: what they show is copied into the header.
    const header = decodeHeader(bytes);
    this.#fly(length, undefined, () => undefined);
    return header;
  }

  async #write(header: Header): Promise<void> {
    const path = join(this.#job.root, header.path);
    switch (header.kind) {
      case KIND.FILE:
        return this.#writeFile(path, header);
      case KIND.LINK: {
        const target = Buffer.from(await this.#all(header.size)).toString();
        this.#fly(header.size, undefined, () => undefined);
        attempt(path, () => symlinkSync(target, path));
        return;
      }
      case KIND.DIRECTORY:
        attempt(path, () => mkdirSync(path, 0o700));
        this.#modes.push({ path, mode: header.mode });
    }
  }

  async #writeFile(path: string, header: Header): Promise<void> {
    await this.#flight.room(0);
    const hash = createHash('sha256');
    const file = { path, mode: header.mode, fd: this.#create(path), hash };
    this.files.push(path);
    this.#flight.add(0, file.fd, () => undefined);
    let position = 0;
    while (position < header.size) {
      const wanted = Math.min(header.size - position, this.#pieceBytes);
      const view = await this.#some(wanted);
      this.#fly(view.length, this.#put(file, view, position), () => hash.update(view));
      position += view.length;
    }
    await this.#flight.room(0);
    this.#flight.add(0, undefined, () => {
      this.#job.onHash(hash.digest('hex'));
      this.#flight.add(0, this.#finish(file), () => undefined);
    });
  }

  async #create(path: string): Promise<number> {
    try {
      const fd = await this.#job.io.open(path, CREATE, 0o600);
      this.#open.add(fd);
      return fd;
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  async #put(file: OutputFile, view: Uint8Array, position: number): Promise<void> {
    const fd = await file.fd;
    try {
      await this.#transfer.write(fd, view, position);
    } catch (error) {
      throw cannotWrite(file.path, error);
    }
  }

  async #finish(file: OutputFile): Promise<void> {
    const fd = await file.fd;
    try {
      fchmodSync(fd, file.mode | OWNER_READS);
      if ((file.mode & OWNER_READS) === 0) this.#modes.push({ path: file.path, mode: file.mode });
      this.#open.delete(fd);
      // Some file systems say only now that they had no space.
      await this.#job.io.closeFd(fd);
    } catch (error) {
      throw cannotWrite(file.path, error);
    }
  }

  /** Exactly `length` bytes of content behind everything that is under way. */
  async #all(length: number): Promise<Uint8Array> {
    const view = await this.#content(length);
    if (view === undefined) throw new Error('the stream ends inside an entry');
    return view;
  }

  /** Some bytes of content, at most `most`, behind everything that is under way. */
  async #some(most: number): Promise<Uint8Array> {
    await this.#flight.room(most);
    const view = await this.#content(1, most);
    if (view === undefined) throw new Error('the stream ends inside a file');
    return view;
  }

  /** From `least` to `most` bytes; undefined at the end of the stream. */
  async #content(least: number, most: number = least): Promise<Uint8Array | undefined> {
    const { receiver, signal } = this.#job;
    for (;;) {
      signal.throwIfAborted();
      const before = this.#flight.bytes;
      const content = receiver.content();
      const there = content.length - before;
      if (there >= least) return content.subarray(before, before + Math.min(there, most));
      await receiver.whenReadable(before + least, { signal });
      if (receiver.length - this.#flight.bytes >= least) continue;
      // It was early: nothing more comes. What is under way has to land to tell how it ends.
      await this.#flight.landed();
      if (!(await receiver.whenReadable(1, { signal }))) return undefined;
      throw new Error('the stream ends inside an entry');
    }
  }

  #fly(length: number, work: Promise<void> | undefined, land: () => void): void {
    this.#flight.add(length, work, () => {
      land();
      this.#job.receiver.consume(length);
    });
  }
}

function cannotWrite(path: string, error: unknown): Error {
  return failed(`cannot write '${path}'`, error);
}

function attempt(path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
