/**
 * Read-back: the SHA-256 of files as they are read from where they were written.
 */
import { createHash } from 'node:crypto';

import { MirroredRing } from '../../memory/index.ts';
import { failed } from '../failure.ts';
import type { FileIo } from './file-io.ts';
import { Flight } from '../../proactor/flight.ts';
import { pieceLimits } from '../../proactor/pieces.ts';
import { OpenAhead } from './open-ahead.ts';

/** Memory of its own, so that nothing of what was sent can be in it. */
const MEMORY_BYTES = 4 * 1024 * 1024;

/** What reading back needs. */
export interface ReadBackJob {
  readonly files: readonly string[];
  readonly io: FileIo;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
  /** Hears the SHA-256 of every file, in order. */
  readonly onHash: (hash: string) => void;
}

/** Reads and hashes files, several pieces at once. */
export async function readBack(job: ReadBackJob): Promise<void> {
  const { pieceBytes, flightBytes } = pieceLimits(MEMORY_BYTES);
  const ring = MirroredRing.create(MEMORY_BYTES);
  const flight = new Flight(flightBytes);
  const files = new OpenAhead(job.io, job.files);
  const read = async (
    file: { path: string; fd: number },
    view: Uint8Array,
    position: number,
  ): Promise<void> => {
    try {
      // A short read is no failure here: the hash will differ, and that is what this is for.
      for (let done = 0, count = 1; done < view.length && count > 0; done += count) {
        const range = { offset: done, position: position + done };
        count = await job.io.read(file.fd, view, range);
      }
    } catch (error) {
      throw failed(`cannot read back '${file.path}'`, error);
    }
  };
  try {
    for (let left = job.files.length; left > 0; left--) {
      const file = await files.next();
      const hash = createHash('sha256');
      const { size } = file.status;
      for (let position = 0; position < size; position += pieceBytes) {
        const length = Math.min(pieceBytes, size - position);
        await flight.room(length);
        job.signal.throwIfAborted();
        const view = ring.unused().subarray(0, length);
        ring.advance(length);
        flight.add(length, read(file, view, position), () => {
          hash.update(view);
          ring.consume(length);
          job.onBytes(length);
        });
      }
      await flight.room(0);
      flight.add(0, undefined, () => {
        job.onHash(hash.digest('hex'));
        flight.add(0, files.close(file), () => undefined);
      });
    }
    await flight.landed();
  } finally {
    await flight.settled();
    await files.closeAll();
    ring.close();
  }
}
