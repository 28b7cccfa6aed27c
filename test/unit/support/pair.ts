/**
 * A pair of connected sockets, as plain descriptors.
 */

import { closeSync, writeSync } from 'node:fs';

import { check } from '#src/sys/errors.js';
import { syscall } from '#src/sys/linux.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** Two connected descriptors, closed at the end; they work in both directions. */
export class Ends {
  readonly reader: number;
  readonly writer: number;

  constructor(reader: number, writer: number) {
    this.reader = reader;
    this.writer = writer;
  }

  /** Writes text into the writing end. */
  write(text: string): void {
    writeSync(this.writer, text);
  }

  [Symbol.dispose](): void {
    closeSync(this.reader);
    closeSync(this.writer);
  }
}

/** A pair of connected stream sockets. */
export function pair(): Ends {
  const fds = new Int32Array(2);
  check(syscall('socketpair', AF_UNIX, SOCK_STREAM, 0, fds), 'socketpair');
  return new Ends(fds[0]!, fds[1]!);
}
