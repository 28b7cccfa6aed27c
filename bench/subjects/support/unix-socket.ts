/** A unix socket between the two processes of a subject. */

import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { startChild } from './child.ts';
import { textOption } from './options.ts';
import type { ChildProcess } from 'node:child_process';

/** The child and its end of the connection. */
export interface Connected {
  readonly child: ChildProcess;
  readonly socket: net.Socket;
}

/** Starts the child as `childRole` and waits for it to connect. */
export function connectChild(childRole: string): Promise<Connected> {
  const socketPath = path.join(os.tmpdir(), `annulus-bench-${process.pid}.sock`);
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      // One connection is all there will be; closing the server removes the path.
      server.close();
      resolve({ child, socket });
    });
    server.on('error', reject);
    let child: ChildProcess;
    server.listen(socketPath, () => {
      child = startChild(childRole, undefined, [`socket=${socketPath}`]);
    });
  });
}

/** The child's side: connects to the parent. */
export function connectParent(): net.Socket {
  const socket = net.connect(textOption('socket'));
  // The parent is killed when it has its figure, so a reset is how this ends.
  socket.on('error', () => process.exit(0));
  socket.on('close', () => process.exit(0));
  return socket;
}

/** Bytes of the length prefix of a frame: as many as keep numbers of eight bytes aligned. */
export const PREFIX_BYTES = 8;

/**
 * Cuts a byte stream into frames of one fixed payload size, each after its length.
 *
 * Chunks are gathered in one aligned buffer, so that payloads can be read as words wherever the
 * kernel happened to cut.
 */
export class FrameReader {
  readonly #payloadBytes: number;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  /** The gathered bytes again, for payloads of numbers. */
  readonly numbers: Float64Array;
  #length = 0;

  /** @param chunkBytes - The largest chunk that `push` will be given. */
  constructor(payloadBytes: number, chunkBytes: number) {
    this.#payloadBytes = payloadBytes;
    this.#bytes = new Uint8Array(chunkBytes + PREFIX_BYTES + payloadBytes);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.numbers = new Float64Array(this.#bytes.buffer);
  }

  /** Takes a chunk, calls `take` for each frame that is complete, and returns how many were. */
  push(chunk: Uint8Array, take: (words: Int32Array, start: number) => void): number {
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
    const frame = PREFIX_BYTES + this.#payloadBytes;
    let offset = 0;
    let frames = 0;
    for (; offset + frame <= this.#length; offset += frame, frames++) {
      const length = this.#words[offset >> 2];
      if (length !== this.#payloadBytes) throw new Error(`a frame says it has ${length} bytes`);
      take(this.#words, (offset + PREFIX_BYTES) >> 2);
    }
    this.#bytes.copyWithin(0, offset, this.#length);
    this.#length -= offset;
    return frames;
  }
}
