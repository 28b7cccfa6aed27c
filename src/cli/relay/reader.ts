/**
 * Reader: the sending half of a relay. Files go straight into the channel's memory.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { Sender } from '../../channel/index.ts';
import { alloc } from '../../memory/index.ts';
import { Flight } from '../../proactor/flight.ts';
import { pieceLimits } from '../../proactor/pieces.ts';
import { failed, CommandError } from '../failure.ts';
import type { FileIo } from './file-io.ts';
import { encodeHeader, headerBytes, KIND } from './frame.ts';
import type { Header } from './frame.ts';
import { OpenAhead } from './open-ahead.ts';
import type { OpenFile } from './open-ahead.ts';
import { Transfer } from './transfer.ts';
import type { TransferMode } from './transfer.ts';
import { modeFor } from './walk.ts';
import type { Entry } from './walk.ts';

/** What the reading half needs. */
export interface ReaderJob {
  readonly source: string;
  readonly entries: readonly Entry[];
  readonly io: FileIo;
  readonly sender: Sender;
  readonly signal: AbortSignal;
  /** Hears of every piece that was sent. */
  readonly onBytes: (bytes: number) => void;
  /** Hears the SHA-256 of every file, in order. */
  readonly onHash: (hash: string) => void;
}

/** Reads entries into a channel. */
export class Reader {
  readonly mode: TransferMode;
  readonly #job: ReaderJob;
  readonly #transfer: Transfer;
  readonly #flight: Flight;
  readonly #pieceBytes: number;
  readonly #files: OpenAhead;
  /** Where a byte beyond the end of a file would go. */
  readonly #beyond: Uint8Array = alloc(1);

  constructor(job: ReaderJob) {
    this.#job = job;
    this.#transfer = new Transfer(job.io, job.sender.memory);
    this.mode = this.#transfer.mode;
    const limits = pieceLimits(job.sender.capacity);
    this.#flight = new Flight(limits.flightBytes);
    this.#pieceBytes = limits.pieceBytes;
    const files = job.entries.filter((entry) => entry.kind === KIND.FILE);
    this.#files = new OpenAhead(
      job.io,
      files.map((file) => join(job.source, file.path)),
    );
  }

  /** Sends everything and ends the stream. When it rejects, no request is under way any more. */
  async run(): Promise<void> {
    try {
      for (const entry of this.#job.entries) await this.#send(entry);
      await this.#flight.landed();
      this.#job.sender.end();
    } finally {
      await this.#flight.settled();
      await this.#files.closeAll();
    }
  }

  async #send(entry: Entry): Promise<void> {
    if (entry.kind === KIND.FILE) {
      await this.#sendFile(entry);
      return;
    }
    const target = new TextEncoder().encode(entry.target ?? '');
    await this.#sendHeader({ ...entry, size: target.length });
    if (target.length === 0) return;
    const view = await this.#reserve(target.length);
    view.set(target);
    this.#fly(view, undefined, () => undefined);
  }

  async #sendHeader(header: Header): Promise<void> {
    const view = await this.#reserve(headerBytes(header));
    encodeHeader(header, view);
    this.#fly(view, undefined, () => undefined);
  }

  async #sendFile(entry: Entry): Promise<void> {
    const file = await this.#files.next();
    const { size } = file.status;
    const { onHash } = this.#job;
    await this.#sendHeader({ ...entry, mode: modeFor(file.status), size });
    const hash = createHash('sha256');
    for (let position = 0; position < size; position += this.#pieceBytes) {
      const view = await this.#reserve(Math.min(size - position, this.#pieceBytes));
      this.#fly(view, this.#fill(file, view, position), () => hash.update(view));
    }
    await this.#flight.room(0);
    this.#flight.add(0, this.#checkEnd(file), () => {
      onHash(hash.digest('hex'));
      this.#flight.add(0, this.#files.close(file), () => undefined);
    });
  }

  async #fill(file: OpenFile, view: Uint8Array, position: number): Promise<void> {
    let count: number;
    try {
      count = await this.#transfer.read(file.fd, view, position);
    } catch (error) {
      throw failed(`cannot read '${file.path}'`, error);
    }
    if (count === view.length) return;
    throw changed(file, `it ends at ${position + count} bytes`);
  }

  /** Makes sure that the file ends where it ended when it was opened. */
  async #checkEnd(file: OpenFile): Promise<void> {
    const { size } = file.status;
    let more: number;
    try {
      more = await this.#job.io.read(file.fd, this.#beyond, { position: size, length: 1 });
    } catch (error) {
      throw failed(`cannot read '${file.path}'`, error);
    }
    if (more > 0) throw changed(file, 'there is more now');
  }

  /** Free memory of the channel behind everything that is under way. */
  async #reserve(length: number): Promise<Uint8Array> {
    const { sender, signal } = this.#job;
    await this.#flight.room(length);
    for (;;) {
      signal.throwIfAborted();
      const before = this.#flight.bytes;
      const view = sender.claim(before + length);
      if (view !== null) return view.subarray(before);
      await sender.whenWritable(before + length, { signal });
    }
  }

  #fly(view: Uint8Array, work: Promise<void> | undefined, land: () => void): void {
    this.#flight.add(view.length, work, () => {
      land();
      this.#job.sender.commit(view.length);
      this.#job.onBytes(view.length);
    });
  }
}

function changed(file: OpenFile, how: string): CommandError {
  return new CommandError(
    `'${file.path}' changed while it was being read: it had ${file.status.size} bytes, and ${how}. ` +
      'Stop what writes to it, and try again',
  );
}
