/**
 * The file of the write cases: a part of it is written over and over, block after block.
 *
 * `bench/peers/go/main.go` does the same in Go.
 */

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { textOption } from './options.ts';

const FILE_BYTES = 16 << 20;

export class WriteFile {
  readonly fd: number;
  /** Bytes of one write. */
  readonly size: number;
  readonly #blocks: number;

  /** Makes a file without a name, so that nothing is left of it, and brings it into the cache. */
  constructor(size: number) {
    this.size = size;
    this.#blocks = FILE_BYTES / size;
    const path = `${textOption('file')}.write-${process.pid}`;
    this.fd = openSync(path, 'wx+');
    unlinkSync(path);
    const zeros = new Uint8Array(1 << 20);
    for (let written = 0; written < FILE_BYTES; written += zeros.length) writeSync(this.fd, zeros);
  }

  /** Where write `number` goes. Its first word is to be its number. */
  position(number: number): number {
    return (number % this.#blocks) * this.size;
  }

  /** Throws unless the file holds the last of `count` writes. Closes it. */
  verify(count: number): void {
    const word = new Int32Array(1);
    for (let number = Math.max(count - this.#blocks, 0); number < count; number++) {
      readSync(this.fd, word, 0, 4, this.position(number));
      if (word[0] !== number) {
        throw new Error(`the file holds write ${word[0]} where ${number} belongs`);
      }
    }
    closeSync(this.fd);
  }
}
