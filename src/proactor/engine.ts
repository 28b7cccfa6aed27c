/**
 * Engine: promises over a Ring on Node's event loop. It owns the slots, the waiting line and the
 * pump; the requests themselves are in proactor.ts.
 */
import { channel } from 'node:diagnostics_channel';

import { CQE } from '../sys/abi.ts';
import {
  AbortError,
  AnnulusError,
  checkInteger,
  checkSignal,
  ERRNO,
  invalidArgType,
  SystemError,
} from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import { OP, opcodeLabel } from '../uring/opcodes.ts';
import { Ring } from '../uring/ring.ts';
import type { RingStats } from '../uring/ring.ts';
import type { SharedRing } from '../uring/shared/ring.ts';
import type { RingOptions } from '../uring/options.ts';
import { BouncePool } from './bounce.ts';
import type { Attachment } from './attachment.ts';
import { Batcher } from './batching.ts';
import type { Batching } from './batching.ts';
import { PumpDrive } from './drive.ts';
import type { Drive } from './drive.ts';
import { flushAtExit, forgetAtExit } from './exit.ts';
import { SharedDrive } from './shared-drive.ts';
import { IGNORED, MAX_SLOTS, Slots } from './slots.ts';
import type { Reject, Resolve } from './slots.ts';
import { WaitingLine } from './waiting.ts';
import type { Waiting } from './waiting.ts';

/** How a {@link Proactor} treats requests. */
export interface EngineOptions {
  /**
   * Requests in flight at most; further ones wait in order. Default and most: half the CQ entries, of
   * a shared ring this thread's part of them, and never more than 16,351.
   */
  readonly maxInFlight?: number;
  /** When queued requests go to the kernel. Default `'turn'`. */
  readonly batching?: Batching;
  /**
   * Told when entering the kernel failed for good, which rejects the requests it did not take with
   * the same error, and when `submit()` failed, whose requests are tried again. Called later, from
   * the event loop: it may throw.
   */
  readonly onEnterError?: (error: SystemError) => void;
}

/** What a {@link Proactor} is made with. */
export interface ProactorOptions extends RingOptions, EngineOptions {}

/** Counters of a proactor. */
export interface ProactorStats extends RingStats {
  /** Requests waiting because `maxInFlight` is reached. */
  readonly waiting: number;
  /** Requests that went through pool memory because theirs was not a Region. */
  readonly bounced: number;
}

/** Requests that wait for something to happen: `close()` ends them instead of awaiting them. */
const WAITS: ReadonlySet<number> = new Set([
  OP.ACCEPT,
  OP.CONNECT,
  OP.POLL_ADD,
  OP.RECV,
  OP.TIMEOUT,
]);

/** Requests that change something: they are awaited when the process exits. */
const CHANGES: ReadonlySet<number> = new Set([
  OP.WRITE,
  OP.WRITE_FIXED,
  OP.WRITEV,
  OP.FSYNC,
  OP.FALLOCATE,
  OP.FTRUNCATE,
  OP.RENAMEAT,
  OP.UNLINKAT,
  OP.MKDIRAT,
  OP.SEND,
]);

/**
 * Most slots kept for requests that follow up another, so that they need not wait for one that is idle;
 * a small completion queue has fewer.
 */
const RESERVED_MAX = 32;

/** How long a process that exits waits for its writes, in milliseconds. */
const EXIT_TIMEOUT_MS = 2000;

const statsChannel = channel('annulus.proactor');

/** Prepares a request with the token it is given; returns the request's key. */
export type Prepare = (token: number) => number;

/** Slots, waiting line and pump. */
export abstract class Engine {
  /** @internal */
  protected readonly ring: Ring | SharedRing;
  /** @internal */
  protected readonly slots: Slots;
  /** @internal */
  protected readonly bounces: BouncePool = new BouncePool();
  /** @internal Requests that went through pool memory. */
  protected bounced = 0;
  private readonly line: WaitingLine = new WaitingLine();
  /** Requests that follow up another, and found every slot or the submission queue taken. */
  private readonly followers: (() => void)[] = [];
  private readonly maxInFlight: number;
  /** Slots that only follow-ups may take. */
  private readonly reserved: number;
  private readonly lateCancels: number[] = [];
  private readonly drive: Drive;
  private readonly onCompletion: (token: number, result: number, flags: number) => void;
  private readonly batcher: Batcher | undefined;
  private readonly onEnterError: ((error: SystemError) => void) | undefined;
  private wantsLoop = true;
  /** Whether the ring's descriptor was closed by somebody else. */
  private gone = false;
  /**
   * @internal While requests are rejected that the kernel has: it may use their memory yet, and nobody
   * will ever hear of their end.
   */
  protected abandoning = false;
  private closing: Promise<void> | undefined;
  private onIdle: (() => void) | undefined;

  /** @internal */
  protected constructor(options: ProactorOptions, shared?: SharedRing) {
    const own = shared === undefined ? makeRing(options) : undefined;
    this.ring = own ?? shared!;
    const part = (this.ring.completionEntries >> 1) / (shared?.threads ?? 1);
    const most = Math.max(1, Math.min(Math.floor(part), MAX_SLOTS - 1 - RESERVED_MAX));
    this.maxInFlight = options.maxInFlight ?? most;
    try {
      checkInteger('maxInFlight', this.maxInFlight, 1, most);
      checkHandler(options.onEnterError);
      this.batcher = this.makeBatcher(options.batching ?? 'turn');
      const reap = (): void => this.reap();
      this.drive = own === undefined ? new SharedDrive(shared!, reap) : new PumpDrive(own, reap);
      if (this.batcher !== undefined) this.drive.holdBack();
    } catch (error) {
      this.batcher?.close();
      own?.close();
      throw error;
    }
    this.onEnterError = options.onEnterError;
    this.reserved = Math.min(RESERVED_MAX, Math.max(1, this.ring.completionEntries >> 4));
    this.slots = new Slots(this.maxInFlight + this.reserved);
    this.onCompletion = (token, result, flags): void => this.complete(token, result, flags);
    flushAtExit(this);
  }

  /** Counters since the proactor was made; also published on the channel `annulus.proactor`. */
  get stats(): ProactorStats {
    return { ...this.ring.stats, waiting: this.line.length, bounced: this.bounced };
  }

  /** Whether {@link Engine.close} was called. */
  get closed(): boolean {
    return this.closing !== undefined;
  }

  /** Lets requests in flight keep the process alive. This is how it starts. */
  ref(): void {
    this.wantsLoop = true;
    if (this.ring.inFlight > 0) this.drive.keepAlive(true);
    this.batcher?.keepAlive(true);
  }

  /** Lets the process end although requests are in flight. */
  unref(): void {
    this.wantsLoop = false;
    this.drive.keepAlive(false);
    this.batcher?.keepAlive(false);
  }

  /**
   * Hands every request queued so far to the kernel at once, in one call, instead of with the turn's
   * end or when its batch is due.
   *
   * @returns The number the kernel took; what it has no room for follows by itself.
   */
  submit(): number {
    try {
      const count = this.ring.submit();
      this.batcher?.emptied();
      this.drive.handOver();
      this.keepLoop();
      return count;
    } catch (error) {
      // EBUSY and EAGAIN pass when completions are reaped; the pump reports anything else.
      if (!(error instanceof SystemError)) throw error;
      this.tellEnterError(error.errno);
      return 0;
    }
  }

  /**
   * Ends the proactor: new requests are refused, those that wait for an event (accept, receive, poll,
   * timer) are cancelled, all others are awaited.
   */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  /** `close()`, at the end of a block that declares it with `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal Whether a request can be prepared at once; if not it must wait its turn. */
  protected canPrepare(): boolean {
    return (
      this.slots.free > this.reserved &&
      this.line.length === 0 &&
      this.closing === undefined &&
      this.makeSpace(1)
    );
  }

  /** @internal The promise of a request just prepared under `token`. */
  protected promiseOf<T>(token: number, key: number): Promise<T> {
    this.drive.prepared(this.wantsLoop);
    if (this.batcher !== undefined) this.queued();
    return this.slots.promise<T>(token, key);
  }

  /** @internal Any request that is more than a plain transfer, or has to wait. */
  protected request<T>(op: number, attachment: Attachment, prepare: Prepare): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      this.ask(op, attachment, prepare, resolve, reject);
    }) as Promise<T>;
  }

  /** @internal `request()` for who has the functions to settle already. */
  protected ask(
    op: number,
    attachment: Attachment,
    prepare: Prepare,
    resolve: Resolve,
    rejectAsked: Reject,
  ): void {
    const reject = this.releasing(attachment, rejectAsked);
    const { signal, timeout } = attachment.options ?? {};
    try {
      if (this.closing !== undefined) throw closedError();
      checkSignal(signal);
      if (timeout !== undefined) checkInteger('timeout', timeout, 0, Number.MAX_SAFE_INTEGER);
    } catch (error) {
      reject(error);
      return;
    }
    const start = (): void => this.start(op, attachment, prepare, resolve, rejectAsked);
    if (this.slots.free > this.reserved && this.line.length === 0 && this.makeSpace(2)) start();
    else this.wait({ start, reject, signal });
  }

  /**
   * @internal A request that another one, which has ended, has made possible, and that ends by itself.
   * It holds what others may wait for, so it waits neither in line nor for a batch to be due.
   */
  protected followUp(
    op: number,
    attachment: Attachment,
    prepare: Prepare,
    resolve: Resolve,
    reject: Reject,
  ): void {
    if (this.closing !== undefined) {
      reject(closedError());
      return;
    }
    const start = (): void => {
      this.start(op, attachment, prepare, resolve, reject);
      if (this.batcher !== undefined) this.handOver();
    };
    if (this.slots.free > 0 && this.followers.length === 0 && this.makeSpace(2)) start();
    else this.followers.push(start);
  }

  /** @internal Asks the kernel to end the request in a slot. */
  protected cancelSlot(slot: number): void {
    const token = this.slots.tokenOf(slot);
    if (this.makeSpace(1)) this.ring.cancel(IGNORED, token, this.slots.keys[slot]!);
    else this.lateCancels.push(token);
    // It may be among those held back.
    if (this.batcher !== undefined) this.handOver();
    else this.keepLoop();
  }

  /** Cancellations that found the submission queue full, unless their request has ended since. */
  private cancelLate(): void {
    for (const token of this.lateCancels.splice(0)) {
      const slot = this.slots.slotOf(token);
      if (slot >= 0) this.cancelSlot(slot);
    }
  }

  /** @internal Waits, at exit, for requests that change something. */
  flush(): void {
    const until = performance.now() + EXIT_TIMEOUT_MS;
    try {
      while (!this.ring.closed && this.hasChanges() && performance.now() < until) {
        this.ring.submitAndWait(1, { timeout: 50 });
        this.reap();
      }
    } catch {
      // The process is going away and nobody can be told; what was submitted runs all the same.
    }
  }

  /** Rejects a request that never starts: what it borrowed goes back to the pool. */
  private releasing(attachment: Attachment, reject: Reject): Reject {
    const { bounced } = attachment;
    if (bounced === undefined) return reject;
    return (reason) => {
      this.bounces.release(bounced);
      reject(reason);
    };
  }

  private start(
    op: number,
    attachment: Attachment,
    prepare: Prepare,
    resolve: Resolve,
    reject: Reject,
  ): void {
    const token = this.slots.take(op);
    const slot = this.slots.slotOf(token);
    try {
      const key = prepare(token);
      const timeout = attachment.options?.timeout;
      if (timeout !== undefined) this.ring.linkTimeout(IGNORED, timeout);
      this.slots.adopt(token, key, resolve, reject);
    } catch (error) {
      this.slots.release(slot);
      if (attachment.bounced !== undefined) this.bounces.release(attachment.bounced);
      reject(error);
      return;
    }
    this.slots.attachments[slot] = attachment;
    this.watchSignal(slot, attachment);
    this.keepLoop();
    if (this.batcher !== undefined) this.queued();
  }

  /** A request was prepared that may be held back. */
  private queued(): void {
    this.batcher?.prepared(this.wantsLoop, this.slots.free <= this.reserved);
  }

  /** Keeps the loop alive; the shim lets it go when the kernel has nothing of ours. */
  private keepLoop(): void {
    this.drive.prepared(this.wantsLoop);
  }

  private wait(waiting: Waiting): void {
    this.line.add(waiting);
    this.batcher?.crowded();
  }

  private makeBatcher(policy: Batching): Batcher | undefined {
    if (policy === 'turn') return undefined;
    const most = Math.min(this.ring.entries, this.maxInFlight);
    const release = (): void => this.handOver();
    return new Batcher(policy, most, () => this.ring.unsubmitted, release);
  }

  /** Has the pump submit what is held back, with the turn's end. */
  private handOver(): void {
    if (this.ring.closed) return;
    this.drive.handOver();
    this.keepLoop();
  }

  private tellEnterError(errno: number): void {
    const tell = this.onEnterError;
    // Later, because it may throw, and may make or abort requests.
    if (tell !== undefined) setImmediate(() => tell(new SystemError(errno, 'io_uring_enter')));
  }

  private watchSignal(slot: number, attachment: Attachment): void {
    const signal = attachment.options?.signal;
    if (signal === undefined) return;
    attachment.onAbort = (): void => {
      attachment.aborted = true;
      this.cancelSlot(slot);
    };
    signal.addEventListener('abort', attachment.onAbort, { once: true });
  }

  /** Called by the shim when completions are ready, or when entering the kernel failed for good. */
  private reap(): void {
    const failure = this.drain();
    if (failure !== 0) this.fail(failure);
    if (this.lateCancels.length > 0) this.cancelLate();
    while (this.followers.length > 0 && this.slots.free > 0 && this.makeSpace(2)) {
      this.followers.shift()!();
    }
    while (this.line.length > 0 && this.slots.free > this.reserved && this.makeSpace(2)) {
      this.line.next();
    }
    if (this.line.length > 0) this.batcher?.crowded();
    if (statsChannel.hasSubscribers) statsChannel.publish(this.stats);
    if (this.onIdle !== undefined && (this.ring.inFlight === 0 || this.gone)) this.onIdle();
  }

  /** Settles what has completed; returns the errno of an enter that failed for good, or 0. */
  private drain(): number {
    const failure = this.drive.failure();
    try {
      this.ring.drain(this.onCompletion);
    } catch (error) {
      // Entering failed; the completions before that are settled.
      if (error instanceof SystemError) return error.errno;
      throw error;
    }
    return failure;
  }

  private complete(token: number, result: number, flags: number): void {
    const slot = this.slots.slotOf(token);
    // IGNORED has no slot of its own: a table is smaller than its token.
    if (slot < 0) return;
    const attachment = this.slots.attachments[slot];
    if (attachment !== undefined) {
      this.completeAttached(slot, attachment, result, flags);
      return;
    }
    const resolve = this.slots.resolveOf(slot)!;
    const reject = this.slots.rejectOf(slot)!;
    const op = this.slots.ops[slot]!;
    this.slots.release(slot);
    if (result >= 0) resolve(result);
    else reject(new SystemError(result, opcodeLabel(op)));
  }

  private completeAttached(
    slot: number,
    attachment: Attachment,
    result: number,
    flags: number,
  ): void {
    const more = (flags & CQE.F_MORE) !== 0;
    if (attachment.multishot !== undefined && more) {
      attachment.multishot.completed(result, true);
      return;
    }
    const resolve = this.slots.resolveOf(slot)!;
    const reject = this.slots.rejectOf(slot)!;
    const op = this.slots.ops[slot]!;
    this.slots.release(slot);
    const { signal } = attachment.options ?? {};
    if (attachment.onAbort !== undefined) signal?.removeEventListener('abort', attachment.onAbort);
    attachment.multishot?.completed(result, false);
    try {
      resolve(this.outcome(op, attachment, result));
    } catch (error) {
      reject(error);
    } finally {
      if (attachment.bounced !== undefined) this.bounces.release(attachment.bounced);
    }
  }

  /** What the promise resolves with; throws what it rejects with. */
  private outcome(op: number, attachment: Attachment, result: number): unknown {
    if (attachment.aborted === true && (result < 0 || attachment.yieldsFd === true)) {
      // The request may have won the race: nobody waits for the new descriptor any more.
      if (result >= 0) syscall('close', result);
      throw new AbortError(attachment.options?.signal?.reason);
    }
    if (result === ERRNO.ECANCELED && attachment.options?.timeout !== undefined) {
      throw new AnnulusError(
        'ERR_ANNULUS_TIMEOUT',
        `The ${opcodeLabel(op)} request did not complete within ${attachment.options.timeout} ms.`,
      );
    }
    if (attachment.convert !== undefined) return attachment.convert(result);
    if (result < 0) {
      const { path, dest } = attachment;
      throw new SystemError(result, opcodeLabel(op), { path, dest });
    }
    attachment.bounced?.deliver(result);
    return attachment.decode === undefined ? result : attachment.decode();
  }

  /** Whether `count` more entries can be prepared, after submitting if need be. */
  private makeSpace(count: number): boolean {
    if (this.ring.hasSpace(count)) return true;
    this.submit();
    return this.ring.hasSpace(count);
  }

  /**
   * The ring cannot be entered any more: requests the kernel never saw fail with the reason. If its
   * descriptor was closed by somebody else, those the kernel has fail too, because nobody would ever
   * hear of their end; their memory stays mapped, because the kernel may still use it.
   */
  private fail(errno: number): void {
    this.tellEnterError(errno);
    this.ring.takeUnsubmitted((token) => {
      const slot = this.slots.slotOf(token);
      if (slot < 0) return;
      const bounced = this.slots.attachments[slot]?.bounced;
      this.rejectSlot(slot, errno);
      if (bounced !== undefined) this.bounces.release(bounced);
    });
    // EBADF, or another file has the number now, which is no ring.
    if (errno !== ERRNO.EBADF && errno !== ERRNO.ENOTSUP) return;
    this.gone = true;
    this.abandoning = true;
    for (let slot = 0; slot < this.slots.size; slot++) {
      if (this.slots.rejectOf(slot) !== undefined) this.rejectSlot(slot, errno);
    }
    this.abandoning = false;
    this.drive.keepAlive(false);
  }

  private rejectSlot(slot: number, errno: number): void {
    const reject = this.slots.rejectOf(slot);
    const attachment = this.slots.attachments[slot];
    this.slots.release(slot);
    if (attachment?.onAbort !== undefined) {
      attachment.options?.signal?.removeEventListener('abort', attachment.onAbort);
    }
    attachment?.multishot?.completed(errno, false);
    reject?.(this.drive.reasonOf(errno));
  }

  private hasChanges(): boolean {
    return this.slots.ops.some((op) => CHANGES.has(op)) || this.line.length > 0;
  }

  /** @internal The proactor begins to close: what waits for something else than the ring ends. */
  protected onClosing(): void {}

  /** @internal Nothing is in flight any more; the ring ends next. */
  protected onClosed(): void {}

  private async shutDown(): Promise<void> {
    this.onClosing();
    this.line.rejectAll(closedError());
    this.slots.ops.forEach((op, slot) => {
      if (WAITS.has(op) && this.slots.resolveOf(slot) !== undefined) this.cancelSlot(slot);
    });
    if (this.batcher !== undefined) this.handOver();
    this.drive.closing();
    if (this.ring.inFlight > 0 && !this.gone) {
      this.drive.keepAlive(true);
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    forgetAtExit(this);
    this.batcher?.close();
    this.onClosed();
    this.drive.close();
    this.ring.close();
    this.bounces.close();
  }
}

function makeRing(options: ProactorOptions): Ring {
  const entries = options.entries ?? 1024;
  const completionEntries = Math.min(entries * 8, 2 * MAX_SLOTS);
  const ring = new Ring({ completionEntries, ...options, entries });
  ring.ignoreForeign();
  return ring;
}

function checkHandler(handler: unknown): void {
  if (handler === undefined || typeof handler === 'function') return;
  throw invalidArgType('onEnterError', 'a function', handler);
}

/** What a request of a closed proactor is refused with. */
export function closedError(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'The proactor is closed.');
}
