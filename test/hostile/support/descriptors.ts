/**
 * The descriptors of random requests: which are open, so that none is left in the end and none is
 * closed that is somebody else's.
 */

import { closeSync, openSync } from 'node:fs';

import { decodePipe } from 'annulus/uring';

import { socketpair } from '#src/sys/linux.js';
import type { RandomInteger } from '../../support/random.ts';

/** How many there should be: fewer are added to, more are closed. */
const [FEW, MANY] = [10, 60];

/** What a descriptor is open on. */
export type Kind = 'file' | 'socket' | 'pipe';

interface Open {
  readonly fd: number;
  readonly kind: Kind;
}

/** Descriptors that are open. */
export class Descriptors {
  readonly #random: RandomInteger;
  readonly #file: string;
  readonly #open: Open[] = [];
  /** Those which requests are to close, by the requests' tokens. */
  readonly #closing = new Map<number, Open>();
  /** What those are whose numbers are results of requests. */
  readonly #making = new Map<number, Kind>();
  /** Memory that requests write two descriptors to. */
  readonly #pipes = new Map<number, Uint8Array>();
  #token = 0;

  /** @param file - A file to open where there are few. */
  constructor(random: RandomInteger, file: string) {
    this.#random = random;
    this.#file = file;
  }

  /** Sees that there are neither few nor many. Nothing may be in flight. */
  balance(): void {
    while (this.#open.length < FEW) {
      this.#add('file', openSync(this.#file, 'w+'));
      this.#add('socket', ...socketpair());
    }
    while (this.#open.length > MANY) closeSync(this.#take().fd);
  }

  /** One that is open, of a kind if there is one. */
  any(kind?: Kind): number {
    const fitting = this.#open.filter((each) => kind === undefined || each.kind === kind);
    const from = fitting.length === 0 ? this.#open : fitting;
    return from[this.#random(from.length)]!.fd;
  }

  /** The request of a token is about to be prepared. */
  begin(token: number): void {
    this.#token = token;
  }

  /** One for the request to close, from now on nobody's unless that fails. */
  toClose(): number {
    if (this.#open.length === 1) return 1_000_000;
    const taken = this.#take();
    this.#closing.set(this.#token, taken);
    return taken.fd;
  }

  /** The results of the request are descriptors. */
  makes(kind: Kind): void {
    this.#making.set(this.#token, kind);
  }

  /** The request writes the two ends of a pipe. */
  makesPipe(memory: Uint8Array): void {
    this.#pipes.set(this.#token, memory);
  }

  /** The request was not prepared. */
  refused(): void {
    this.completed(this.#token, -1, false);
  }

  /** What has become of a request. */
  completed(token: number, result: number, more: boolean): void {
    const closing = this.#closing.get(token);
    if (closing !== undefined && result < 0) this.#open.push(closing);
    const kind = this.#making.get(token);
    if (result >= 0 && kind !== undefined) this.#add(kind, result);
    const pipe = this.#pipes.get(token);
    if (result >= 0 && pipe !== undefined) {
      const { reader, writer } = decodePipe(pipe);
      this.#add('pipe', reader, writer);
    }
    if (more) return;
    this.#closing.delete(token);
    this.#making.delete(token);
    this.#pipes.delete(token);
  }

  /** Closes all. */
  close(): void {
    for (const { fd } of this.#open.splice(0)) closeSync(fd);
  }

  #add(kind: Kind, ...fds: readonly number[]): void {
    for (const fd of fds) this.#open.push({ fd, kind });
  }

  #take(): Open {
    return this.#open.splice(this.#random(this.#open.length), 1)[0]!;
  }
}
