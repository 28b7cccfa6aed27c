/**
 * Sockets of every kind for a test, and completions with their flags.
 */

import assert from 'node:assert/strict';
import { closeSync, fstatSync } from 'node:fs';

import { alloc } from 'annulus';
import { AF, CQE, decodeSocketAddress, Ring, SOCK } from 'annulus/uring';
import type { SocketAddress } from 'annulus/uring';

import { check } from '#src/sys/errors.js';
import { socketName, syscall } from '#src/sys/linux.js';
import { runOne } from './uring.ts';

/** Far above what any completion on the loopback device needs. */
const LIMIT_MS = 5000;

/** One completion, with its flags. */
export interface Event {
  readonly token: number;
  readonly result: number;
  readonly flags: number;
}

/** Submits and waits for so many completions; fails if they do not come. */
export function collect(ring: Ring, count: number): Event[] {
  const events: Event[] = [];
  const until = performance.now() + LIMIT_MS;
  ring.submit();
  for (;;) {
    ring.drain((token, result, flags) => events.push({ token, result, flags }));
    if (events.length >= count) return events;
    assert.ok(performance.now() < until, `${count} completions: ${JSON.stringify(events)}`);
    ring.submitAndWait(1, { timeout: LIMIT_MS });
  }
}

/** Waits for the completions of these tokens, one each, in the order of the tokens. */
export function collectOf(ring: Ring, ...tokens: number[]): Event[] {
  const events = collect(ring, tokens.length);
  return tokens.map((token) => {
    const found = events.filter((event) => event.token === token);
    assert.equal(found.length, 1, `token ${token}: ${JSON.stringify(events)}`);
    return found[0]!;
  });
}

/** Whether a completion says that more of its request follow. */
export function hasMore({ flags }: Event): boolean {
  return (flags & CQE.F_MORE) !== 0;
}

/** Fails if anything but a request that does nothing completes now. */
export function nothingElse(ring: Ring): void {
  ring.nop(123_456);
  const events = collect(ring, 1);
  assert.deepEqual(
    events.map(({ token }) => token),
    [123_456],
  );
}

/** Whether a descriptor is open. */
export function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

/** The address a socket is bound to. */
export function addressOf(fd: number): SocketAddress {
  return decodeSocketAddress(socketName(fd))!;
}

/** Sockets, closed at the end. They are made through a ring of their own. */
export class Sockets {
  readonly #ring: Ring = new Ring({ entries: 4 });
  readonly #fds = new Set<number>();

  /** Has a descriptor closed at the end. */
  own(fd: number): number {
    assert.ok(fd >= 0, `a descriptor: ${fd}`);
    this.#fds.add(fd);
    return fd;
  }

  /** Closes a descriptor now. */
  close(fd: number): void {
    this.#fds.delete(fd);
    closeSync(fd);
  }

  /** Has nothing closed that is closed already. */
  forget(fd: number): void {
    this.#fds.delete(fd);
  }

  /** A new socket. */
  open(family: number = AF.INET, type: number = SOCK.STREAM): number {
    return this.own(runOne(this.#ring, (token) => this.#ring.socket(token, family, type)));
  }

  /** A new socket that is bound, by default to any free port of the loopback device. */
  bound(address: SocketAddress, type: number = SOCK.STREAM): number {
    const family = familyOf(address);
    const fd = this.open(family, type);
    assert.equal(
      runOne(this.#ring, (token) => this.#ring.bind(token, fd, address)),
      0,
    );
    return fd;
  }

  /** A socket that listens. */
  listener(address: SocketAddress = { address: '127.0.0.1', port: 0 }): number {
    const fd = this.bound(address);
    assert.equal(
      runOne(this.#ring, (token) => this.#ring.listen(token, fd, 16)),
      0,
    );
    return fd;
  }

  /** A socket connected to a listener, whose side is not accepted yet. */
  client(listener: number): number {
    const address = addressOf(listener);
    const fd = this.open(familyOf(address));
    assert.equal(
      runOne(this.#ring, (token) => this.#ring.connect(token, fd, address)),
      0,
    );
    return fd;
  }

  /** Both sides of a TCP connection. */
  tcp(address?: SocketAddress): [near: number, far: number] {
    const listener = this.listener(address);
    const near = this.client(listener);
    const far = this.own(runOne(this.#ring, (token) => this.#ring.accept(token, listener)));
    return [near, far];
  }

  /** Both sides of a Unix connection. */
  pair(type: number = SOCK.STREAM): [near: number, far: number] {
    const fds = new Int32Array(2);
    check(syscall('socketpair', AF.UNIX, type | SOCK.CLOEXEC, 0, fds), 'socketpair');
    return [this.own(fds[0]!), this.own(fds[1]!)];
  }

  /** A pipe: where to read, where to write. */
  pipe(): [reader: number, writer: number] {
    const memory = alloc(8);
    assert.equal(
      runOne(this.#ring, (token) => this.#ring.pipe(token, memory)),
      0,
    );
    const fds = new Int32Array(memory.buffer, 0, 2);
    return [this.own(fds[0]!), this.own(fds[1]!)];
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) closeSync(fd);
    this.#ring.close();
  }
}

function familyOf(address: SocketAddress): number {
  if ('path' in address) return AF.UNIX;
  return address.address.includes(':') ? AF.INET6 : AF.INET;
}
