/**
 * A ring as a pair of Node streams: one writes into it, one reads its content, both with back pressure.
 */
import { Readable, Writable } from 'node:stream';

import { AnnulusError, invalidState } from '../sys/errors.ts';
import type { MirroredRing } from './mirrored.ts';

/** Bytes of a chunk of the content, at most: what Node's own streams read at a time. */
const CHUNK_BYTES = 65536;

type Done = (error?: Error | null) => void;

/** The streams of one ring, at most one a direction. */
export class StreamPair {
  readonly #ring: MirroredRing;
  #writable: Writable | undefined = undefined;
  #readable: Readable | undefined = undefined;
  /** What is left of the chunk that is being written, and whom to tell. */
  #rest: Uint8Array | undefined = undefined;
  #done: Done | undefined = undefined;
  /** Whether the stream of the content waits for some. */
  #wanted = false;
  /** Whether it was told that there will be no more. */
  #gaveEnd = false;
  #scheduled = false;

  constructor(ring: MirroredRing) {
    this.#ring = ring;
  }

  writable(): Writable {
    if (this.#writable !== undefined) {
      throw invalidState('The ring has a stream that writes into it already.');
    }
    const stream = new Writable({
      write: (chunk: Uint8Array, _encoding, done: Done) => {
        this.#rest = chunk;
        this.#done = done;
        this.#fill();
      },
      final: (done: Done) => {
        this.#ring.end();
        done();
      },
      destroy: (error, done: Done) => {
        this.#writable = undefined;
        this.#rest = undefined;
        if (!this.#ring.ended) this.#readable?.destroy(peerError('writes into', error));
        done(error);
      },
    });
    this.#writable = stream;
    return stream;
  }

  readable(): Readable {
    if (this.#readable !== undefined) {
      throw invalidState('The ring has a stream of its content already.');
    }
    const stream = new Readable({
      read: () => {
        this.#wanted = true;
        this.#drain();
      },
      destroy: (error, done: Done) => {
        this.#readable = undefined;
        this.#wanted = false;
        if (!stream.readableEnded) this.#writable?.destroy(peerError('reads', error));
        done(error);
      },
    });
    this.#readable = stream;
    return stream;
  }

  /**
   * Content or free space have changed. What waits for that goes on when the caller is done, so that no
   * listener of a stream runs inside `advance()` or `consume()`.
   */
  changed(): void {
    if (this.#scheduled || (this.#rest === undefined && !this.#wanted)) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#fill();
      this.#drain();
    });
  }

  /** The ring is closed: ends what is not through. */
  destroy(error: AnnulusError): void {
    if (this.#writable?.writableFinished === false) this.#writable.destroy(error);
    // A stream that has all of the content already goes on to its end.
    if (this.#readable !== undefined && !this.#gaveEnd) this.#readable.destroy(error);
  }

  #fill(): void {
    while (this.#rest !== undefined && this.#ring.unusedLength > 0) {
      const { unusedLength, unusedOffset, bytes } = this.#ring;
      const part = this.#rest.subarray(0, unusedLength);
      try {
        bytes.set(part, unusedOffset);
        this.#ring.advance(part.length);
      } catch (error) {
        this.#finishChunk(error as Error); // somebody has ended the ring, or moved its buffer away
        return;
      }
      if (part.length === this.#rest.length) this.#finishChunk();
      else this.#rest = this.#rest.subarray(part.length);
    }
  }

  #finishChunk(error?: Error): void {
    this.#rest = undefined;
    this.#done!(error);
  }

  #drain(): void {
    if (!this.#wanted) return;
    if (this.#ring.contentLength > 0) {
      this.#wanted = false;
      const chunk = Buffer.from(this.#ring.content().subarray(0, CHUNK_BYTES));
      this.#ring.consume(chunk.length);
      this.#readable!.push(chunk);
    } else if (this.#ring.ended) {
      this.#wanted = false;
      this.#gaveEnd = true;
      this.#readable!.push(null);
    }
  }
}

function peerError(what: string, cause: Error | null): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_CLOSED',
    `The stream that ${what} the ring was destroyed before its end.`,
    cause === null ? undefined : { cause },
  );
}
