/**
 * OpenAhead: opens files before their turn, several at once, in order.
 */
import { closeSync, constants, fstatSync } from 'node:fs';
import type { Stats } from 'node:fs';

import { failed, CommandError } from '../failure.ts';
import type { FileIo } from './file-io.ts';

/** Files open before their turn. */
const AHEAD = 16;

/** A file somebody may have put another thing in the place of: never follow, never wait. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A regular file that is open for reading. */
export interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly status: Stats;
}

/** Opens the files of a list one after another, a few of them ahead. */
export class OpenAhead {
  readonly #io: FileIo;
  readonly #paths: Iterator<string>;
  readonly #queue: Promise<OpenFile>[] = [];
  readonly #open = new Set<number>();

  constructor(io: FileIo, paths: Iterable<string>) {
    this.#io = io;
    this.#paths = paths[Symbol.iterator]();
  }

  /** The next file; the caller gives it back to {@link OpenAhead.close}. */
  async next(): Promise<OpenFile> {
    while (this.#queue.length < AHEAD) {
      const { value, done } = this.#paths.next();
      if (done === true) break;
      const opening = this.#start(value);
      // Whoever takes it from the queue hears of a failure; until then it is nobody's.
      opening.catch(() => undefined);
      this.#queue.push(opening);
    }
    const file = this.#queue.shift();
    if (file === undefined) throw new Error('there are no more files');
    return file;
  }

  /** Closes one file. */
  async close(file: OpenFile): Promise<void> {
    this.#open.delete(file.fd);
    await this.#io.closeFd(file.fd);
  }

  /** Closes whatever is still open. Call it when no request on these files is under way. */
  async closeAll(): Promise<void> {
    await Promise.allSettled(this.#queue);
    for (const fd of this.#open) closeSync(fd);
    this.#open.clear();
  }

  async #start(path: string): Promise<OpenFile> {
    try {
      const fd = await this.#io.open(path, FLAGS);
      this.#open.add(fd);
      const status = fstatSync(fd);
      if (!status.isFile()) {
        throw new CommandError(`'${path}' has changed: it is no longer a regular file. Try again`);
      }
      return { path, fd, status };
    } catch (error) {
      throw failed(`cannot open '${path}'`, error);
    }
  }
}
