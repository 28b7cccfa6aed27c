/**
 * A ring under random requests, in rounds: a batch of them, to the end of each. After a round nothing is
 * in flight, no memory is in use, and no byte has changed that was not given out.
 */

import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { bufferIdOf, CQE, createEpoll, FILE_INDEX_ALLOC, Ring, SETUP, SQE } from 'annulus/uring';
import type { BufferGroup, BufferRing, Fd, FixedBuffer, FixedFile } from 'annulus/uring';
import type { RingOptions, SocketAddress } from 'annulus/uring';
import { SocketMessage } from 'annulus/uring';

import { randomFrom } from '../../support/random.ts';
import type { RandomInteger } from '../../support/random.ts';
import { addressOf, Sockets } from '../../support/sockets.ts';
import { Descriptors } from './descriptors.ts';
import type { Kind } from './descriptors.ts';
import { Field } from './field.ts';
import { REQUESTS, UNDRAINED } from './requests.ts';
import { Wrong } from './wrong.ts';

const FIELD_BYTES = 65_536;
const LASTING_BYTES = 16_384;
const ROUND = 48;
const SLOTS = 16;
/** Far above what any request here takes to end once it is cancelled. */
const HANG_MS = 30_000;
/** Cancellations after which connections are ended, too. */
const PATIENCE = 40;

/** Flags of requests: those there are, `BUFFER_SELECT`, and none. */
const FLAGS = [
  SQE.IO_LINK,
  SQE.IO_LINK,
  SQE.IO_HARDLINK,
  SQE.ASYNC,
  SQE.FIXED_FILE,
  SQE.CQE_SKIP_SUCCESS,
  SQE.BUFFER_SELECT,
  SQE.IO_LINK | SQE.ASYNC,
  0x80,
  -1,
];

/** What happened, in numbers. */
export interface FuzzCounts {
  prepared: number;
  refused: number;
  failed: number;
}

/** What requests choose their arguments from. */
export class Fuzz {
  readonly counts: FuzzCounts = { prepared: 0, refused: 0, failed: 0 };
  readonly random: RandomInteger;
  readonly wrong: Wrong;
  readonly ring: Ring;
  /** A ring to send messages to. */
  readonly other: Ring = new Ring({ entries: 4, completionEntries: 512 });
  readonly field: Field;
  readonly fds: Descriptors;
  readonly epoll: number = createEpoll();
  readonly directory: number;
  readonly buffers: BufferRing;
  readonly group: BufferGroup;
  address: SocketAddress;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'annulus-fuzz-'));
  readonly #sockets: Sockets = new Sockets();
  #listener: number;
  /** What the ring has registered, in pieces that stay given out. */
  readonly #lasting: Field;
  readonly #fixed: FixedBuffer[];
  readonly #personality: number;
  readonly #used = new Set<string>();
  /** What is under way: the method and the key, by token. */
  readonly #pending = new Map<number, { name: string; key: number }>();
  #messages: SocketMessage[] = [];
  #token = 0;
  /** Whether requests may have `IO_DRAIN`. */
  readonly #drains: boolean;

  constructor(seed: number, options: RingOptions, drains: boolean) {
    this.#drains = drains;
    this.random = randomFrom(seed);
    this.wrong = new Wrong(this.random);
    this.field = new Field(FIELD_BYTES, this.random);
    this.#lasting = new Field(LASTING_BYTES, this.random);
    this.ring = new Ring({ entries: 64, completionEntries: 128, ...options });
    this.fds = new Descriptors(this.random, this.path('kept'));
    mkdirSync(this.path('d'));
    this.directory = openSync(this.path('d'), 'r');
    this.#listener = this.#sockets.listener();
    this.address = addressOf(this.#listener);
    const { register } = this.ring;
    register.sparseFiles(SLOTS);
    this.#fixed = register.buffers([1, 100, 4000].map((bytes) => this.#lasting.take(bytes)));
    this.buffers = register.bufferRing({ count: 8, size: 50, memory: this.#lasting.take(400) });
    this.group = this.ring.bufferGroup({ count: 6, size: 30, memory: this.#lasting.take(180) });
    this.#personality = register.personality();
  }

  /** One batch of requests, to its end. */
  round(): void {
    this.field.restart();
    this.fds.balance();
    for (let i = 0; i < ROUND && this.ring.hasSpace(2); i++) this.#prepareOne();
    this.#finish();
    this.#check();
  }

  /** Methods that were prepared with success. */
  get used(): ReadonlySet<string> {
    return this.#used;
  }

  of<T>(values: readonly T[]): T {
    return values[this.random(values.length)]!;
  }

  /** Mostly a number from 0 to `limit` - 1. */
  number(limit: number): number {
    return this.random(15) === 0 ? this.wrong.number() : this.random(limit);
  }

  maybe(): boolean {
    return this.random(3) === 0;
  }

  /** A descriptor of the process: mostly an open one, mostly of a kind, else one that never was. */
  plainFd(kind?: Kind): number {
    const which = this.random(20);
    if (which === 0) return 1_000_000 + this.random(1000);
    if (which === 1) return this.#listener;
    if (which === 2) return this.epoll;
    return which === 3 ? this.wrong.fd() : this.fds.any(this.random(4) === 0 ? undefined : kind);
  }

  fd(kind?: Kind): Fd {
    return this.random(10) === 0 ? this.fixedFile() : this.plainFd(kind);
  }

  listener(): number {
    return this.random(3) === 0 ? this.#listener : this.plainFd();
  }

  fixedFile(): FixedFile {
    return this.ring.register.fixedFile(this.random(SLOTS));
  }

  slot(): number {
    return this.maybe() ? FILE_INDEX_ALLOC : this.number(SLOTS + 2);
  }

  fixedBuffer(): FixedBuffer {
    return this.of(this.#fixed);
  }

  /** Memory of nobody else. */
  memory(bytes: number = this.random(600), align: number = 1): Uint8Array {
    if (this.random(25) === 0) return this.wrong.memory();
    return this.field.take(bytes, align);
  }

  memories(): Uint8Array[] {
    return Array.from({ length: this.random(4) }, () => this.memory(this.random(200)));
  }

  message(controlSpace: number = 0, address?: SocketAddress): SocketMessage {
    const memories = this.memories();
    const message = new SocketMessage({
      memories,
      controlSpace,
      ...(address !== undefined && { address }),
    });
    this.#messages.push(message);
    return message;
  }

  /** Part of memory, a position, flags of transfers on files or sockets. */
  range(flags: readonly number[]): object | undefined {
    if (this.maybe()) return undefined;
    return {
      offset: this.number(40),
      length: this.maybe() ? undefined : this.number(200),
      position: this.number(4096) - 1,
      flags: this.maybe() ? this.number(2 ** 15) : this.of(flags),
      pollFirst: this.random(4) === 0,
    };
  }

  path(name: string = this.of(['a', 'b', 'c', 'd', 'd/e', 'f', 'd/g'])): string {
    return this.random(40) === 0 && this.#token > 0 ? this.wrong.path() : join(this.#folder, name);
  }

  /** Token and key of a request: mostly of one in flight. */
  target(): [token: number, key: number] {
    const targets = [...this.#pending];
    if (targets.length === 0 || this.random(6) === 0) return [this.number(99_999), this.number(99)];
    const [token, { key }] = this.of(targets);
    return [token, key];
  }

  /** Ends all, which must be possible. */
  close(): void {
    this.abandon();
    this.fds.close();
    for (const fd of [this.epoll, this.directory]) closeSync(fd);
    this.#sockets[Symbol.dispose]();
    this.field.region.close();
    this.#lasting.region.close();
  }

  /** Ends what would outlive the process, or keep it. */
  abandon(): void {
    this.ring.close();
    this.other.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #prepareOne(): void {
    const [name, prepare] = this.of(Object.entries(REQUESTS));
    if (this.#drains && UNDRAINED.has(name)) return;
    const token = this.#token++ & 0xffffff;
    const before = this.ring.unsubmitted;
    this.fds.begin(token);
    try {
      const key = prepare(this, this.random(60) === 0 ? this.wrong.token() : token);
      this.#used.add(name);
      this.#pending.set(token, { name, key });
      this.counts.prepared++;
    } catch (error) {
      this.counts.refused++;
      this.fds.refused();
      assertNamed(name, error);
      // What is refused must not be half prepared.
      assert.equal(this.ring.unsubmitted, before, name);
      return;
    }
    if (this.random(4) === 0) this.#addFlags(name, token);
    if (this.random(40) === 0) this.#try('personalityLast', () => this.#addPersonality());
  }

  #addFlags(name: string, token: number): void {
    const flags = this.#drains && this.maybe() ? SQE.IO_DRAIN : this.of(FLAGS);
    // Whether a skipped request has closed its descriptor could not be told.
    if (name === 'closeFd' && (flags & SQE.CQE_SKIP_SUCCESS) !== 0) return;
    this.#try('flagLast', () => {
      const key = this.ring.flagLast(flags);
      if ((flags & SQE.CQE_SKIP_SUCCESS) === 0) this.#pending.set(token, { name, key });
      else this.#pending.delete(token);
    });
  }

  #addPersonality(): void {
    this.ring.personalityLast(this.maybe() ? this.number(99) : this.#personality);
  }

  #try(name: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.counts.refused++;
      assertNamed(name, error);
    }
  }

  #finish(): void {
    const until = performance.now() + HANG_MS;
    this.ring.submit();
    for (let i = 0; this.ring.inFlight > 0; i++) {
      this.#drain();
      if (this.ring.inFlight === 0) break;
      const names = [...this.#pending.values()].map(({ name }) => name).join(', ');
      assert.ok(performance.now() < until, `requests never end: ${names}`);
      // From outside of the queue: a request to cancel may itself wait behind a drained one.
      if (i > 0) this.#cancel();
      if (i === PATIENCE) this.#endConnections();
      // What waits for an event would keep us for the whole of the first wait.
      this.ring.submitAndWait(1, { timeout: i === 0 ? 1 : 5 });
    }
    this.other.drain(() => {});
  }

  #cancel(): void {
    this.ring.register.cancel({ all: true });
    // What the poller's worker threads run is found by requests only.
    if ((this.ring.flags & SETUP.SQPOLL) !== 0 && this.ring.hasSpace(1)) this.ring.cancelAll(0);
  }

  /**
   * Memory sent without a copy is in use until the peer has acknowledged it, which a small receive
   * buffer that nobody empties puts off for ever.
   */
  #endConnections(): void {
    this.fds.close();
    this.fds.balance();
    this.ring.register.updateFiles(0, new Array<null>(SLOTS).fill(null));
    this.#sockets.close(this.#listener);
    this.#listener = this.#sockets.listener();
    this.address = addressOf(this.#listener);
  }

  #drain(): void {
    this.ring.drain((token, result, flags) => {
      const more = (flags & CQE.F_MORE) !== 0;
      if (!more) this.#pending.delete(token);
      if (result < 0) this.counts.failed++;
      if ((flags & CQE.F_NOTIF) === 0) this.fds.completed(token, result, more);
      const id = bufferIdOf(flags);
      if (id >= 0 && id < this.buffers.count) this.#try('recycle', () => this.buffers.recycle(id));
    });
  }

  #check(): void {
    assert.equal(this.ring.inFlight, 0);
    assert.equal(this.field.region.busy, false, 'memory is in use after all requests have ended');
    this.field.check();
    this.#lasting.check();
    for (const message of this.#messages.splice(0)) message.close();
    this.#pending.clear();
  }
}

function assertNamed(name: string, error: unknown): void {
  const { code, message, stack } = error as { code?: unknown; message: string; stack: string };
  const named = typeof code === 'string' && /^(?:ERR_|E[A-Z0-9]+$)/.test(code);
  assert.ok(named, `${name} threw ${String(code)}: ${message}\n${stack}`);
}
