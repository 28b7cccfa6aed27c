/**
 * Ring: an io_uring of one thread.
 */
import { CONTROL, native } from '../sys/native.ts';
import type { Native, SyscallArgument } from '../sys/native.ts';
import { CANCEL, CQ, ENTER, GETEVENTS_ARG, REG_WAIT, REGISTER, SETUP, SQ } from '../sys/abi.ts';
import { AnnulusError, checkInteger, ERRNO, invalidArgValue } from '../sys/errors.ts';
import { outOfRange, SystemError } from '../sys/errors.ts';
import { closeOwned, eventfd, own, syscall } from '../sys/linux.ts';
import { unpin } from '../memory/pins.ts';
import { Region } from '../memory/region.ts';
import { CompletionQueue } from './cqueue.ts';
import type { CompletionCallback } from './cqueue.ts';
import type { OpcodeName } from './opcodes.ts';
import { Registrar } from './register/registrar.ts';
import { CommandRequests } from './requests/command.ts';
import type { RingOptions } from './options.ts';
import { resizeQueues, setUpRing } from './setup.ts';
import { probeOpcodes, USE_REGISTERED_RING } from './supported.ts';
import { encodeWait, WAIT_BYTES, waitFlags } from './wait.ts';
import type { SubmitWaitOptions } from './wait.ts';

/** How long `close()` waits for requests the kernel cannot cancel, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2000;
const CLOSE_STEP = { timeout: 20 };

/** Counters of a ring since it was made. */
export interface RingStats {
  /** `io_uring_enter` calls. */
  readonly enters: number;
  /** Requests the kernel has consumed. */
  readonly submitted: number;
  /** Completions reaped. */
  readonly completed: number;
  /** Requests prepared whose terminal completion is not reaped. */
  readonly inFlight: number;
  /** Times the completion queue overflowed into the kernel's backlog, as seen when reaping. */
  readonly overflows: number;
  /** Requests consumed by the last enter. */
  readonly batchSize: number;
}

/**
 * An io_uring that belongs to the thread that made it. Its methods prepare requests; `submit()`
 * hands them to the kernel in one call; `drain()` reaps the completions.
 *
 * @example Read a file
 * ```ts
 * import { openSync } from 'node:fs';
 * import { alloc } from 'annulus';
 * import { Ring } from 'annulus/uring';
 * using ring = new Ring({ entries: 8 });
 * const memory = alloc(4096);
 * ring.read(1, openSync('/etc/hostname', 'r'), memory, { position: 0 });
 * ring.submitAndWait(1);
 * ring.drain((token, result) => console.log(token, result, memory.subarray(0, result)));
 * ```
 */
export class Ring extends CommandRequests {
  /** Registered memory, files and eventfd. */
  readonly register: Registrar;
  readonly #native: Native;
  readonly #completions: CompletionQueue;
  #tailIndex: number;
  readonly #sqPoll: boolean;
  readonly #ioPoll: boolean;
  #enters = 0;
  #submitted = 0;
  #overflows = 0;
  #batchSize = 0;
  #closed = false;
  #pumped = false;
  #eventFd = -1;
  #finalStats: RingStats | undefined;

  /**
   * @throws {AnnulusError} `ERR_ANNULUS_URING_UNAVAILABLE` with the likely cause and the remedy;
   *   `ERR_ANNULUS_UNSUPPORTED_PLATFORM` elsewhere than on Linux.
   */
  constructor(options: RingOptions = {}) {
    super(setUpRing(options));
    this.#native = native();
    const { files, holds, memory } = this;
    this.register = new Registrar({ name: memory.name, files, tags: holds.tags });
    this.#completions = new CompletionQueue(this.memory, this.ringWords, this.control, this.holds);
    this.#tailIndex = this.memory.offsets.sqTail >> 2;
    this.#sqPoll = (this.memory.flags & SETUP.SQPOLL) !== 0;
    this.#ioPoll = (this.memory.flags & SETUP.IOPOLL) !== 0;
  }

  /**
   * Descriptor of the ring, which becomes readable when completions are ready; -1 for a ring with
   * `SETUP.REGISTERED_FD_ONLY`.
   */
  get fd(): number {
    return this.memory.fd;
  }

  /** `SETUP` flags the kernel agreed to. */
  get flags(): number {
    return this.memory.flags;
  }

  /** `FEATURE` bits of the kernel. */
  get features(): number {
    return this.memory.features;
  }

  /** Submission queue entries. */
  get entries(): number {
    return this.memory.sqEntries;
  }

  /** Completion queue entries. */
  get completionEntries(): number {
    return this.memory.cqEntries;
  }

  /** Whether {@link Ring.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Completions ready to be reaped. */
  get ready(): number {
    return this.#closed ? 0 : this.#completions.ready;
  }

  /** Requests prepared whose terminal completion is not reaped. */
  get inFlight(): number {
    if (this.retired) return 0;
    return (this.tail - this.#completions.ended) | 0;
  }

  /** Counters since the ring was made. */
  get stats(): RingStats {
    if (this.#finalStats !== undefined) return this.#finalStats;
    return {
      enters: this.#enters + this.control[CONTROL.ENTERS]!,
      submitted: this.#submitted + this.control[CONTROL.SUBMITTED]!,
      completed: this.#completions.completed,
      inFlight: this.inFlight,
      overflows: this.#overflows,
      batchSize: this.#batchSize,
    };
  }

  /**
   * Gives the ring queues of another size. Requests prepared and completions not reaped are kept.
   * The ring must have `SETUP.DEFER_TASKRUN`; its descriptor may get another number. Linux 6.13.
   *
   * @param size - What is not given stays as it is, if it can; rounded up to powers of two.
   * @throws {SystemError} `EOVERFLOW` if what is in the queues does not fit; `EINVAL` if the ring
   *   cannot be resized.
   */
  resize(size: Pick<RingOptions, 'entries' | 'completionEntries'>): void {
    this.#checkOpen();
    const { entries = this.entries } = size;
    const { completionEntries = Math.max(entries, this.completionEntries) } = size;
    checkInteger('entries', entries, Math.max(1, this.unsubmitted), 32768);
    checkInteger('completionEntries', completionEntries, entries, 65536);
    if (this.#pumped) throw invalidArgValue('ring', 'is driven by the event loop', this.fd);
    if ((this.flags & SETUP.NO_MMAP) !== 0) {
      throw invalidArgValue('ring', 'lies in memory of the program (SETUP.NO_MMAP)', this.fd);
    }
    this.register.requireOperation('REGISTER_RESIZE_RINGS');
    const old = this.memory;
    if (
      (old.flags & SETUP.CQE_MIXED) !== 0 &&
      completionEntries < old.cqEntries &&
      this.ready > 0
    ) {
      // A wide completion might have to be cut in two.
      throw outOfRange(
        'completionEntries',
        `>= ${old.cqEntries} before drain()`,
        completionEntries,
      );
    }
    const memory = resizeQueues(old, entries, completionEntries, () => this.#abandon());
    this.moveQueue(memory);
    this.#completions.move(memory, this.ringWords);
    this.#tailIndex = memory.offsets.sqTail >> 2;
    this.register.fd = memory.fd;
    old.sqes.close();
    old.rings.close();
  }

  /**
   * Keeps the kernel from counting completions into the registered eventfd, or lets it again: cheaper
   * than unregistering it, for while the program is reaping anyway. Linux 5.8.
   */
  muteEventfd(muted: boolean): void {
    this.#checkOpen();
    const flags = muted ? CQ.EVENTFD_DISABLED : 0;
    Atomics.store(this.ringWords, this.memory.offsets.cqFlags >> 2, flags);
  }

  /** Names of the opcodes this ring's kernel has. */
  probe(): Set<OpcodeName> {
    this.#checkOpen();
    return probeOpcodes(this.memory.name);
  }

  /**
   * Hands every prepared request to the kernel in one call.
   *
   * @returns The number consumed. What the kernel did not take stays prepared for the next call.
   * @throws {SystemError} `EBUSY` when the completion queue has overflowed: `drain()` first. `EEXIST`
   *   when called from another thread than the ring's.
   */
  submit(): number {
    return this.#enter(0);
  }

  /**
   * Submits, then blocks this thread until `count` completions are ready.
   *
   * @param options - Time limits and more. A wait they have ended returns like any other.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if it would wait for ever: nothing is in flight.
   */
  submitAndWait(count: number, options?: SubmitWaitOptions): number {
    this.#checkOpen();
    checkInteger('count', count, 0, this.completionEntries);
    if (count > 0 && this.inFlight === 0 && this.ready < count) {
      throw outOfRange(
        'count',
        `0 (nothing is in flight, ${this.ready} completions are ready)`,
        count,
      );
    }
    if (options !== undefined) return this.#enterAsTold(count, options);
    const submitted = this.#enter(count);
    // A signal may end the wait after the submission: the kernel then reports only the latter.
    while (this.#completions.ready < count) this.#enterOnce(0, count, ENTER.GETEVENTS);
    return submitted;
  }

  /**
   * With `SETUP.SQPOLL`, blocks this thread until the poller has taken an entry if the submission
   * queue is full. Other rings have space as soon as they have submitted. Linux 5.10.
   *
   * @returns Entries that can be prepared.
   */
  waitForSpace(): number {
    this.#checkOpen();
    while (this.#sqPoll && this.space === 0) this.#wakePoller(0, ENTER.SQ_WAIT);
    return this.space;
  }

  /**
   * One of the four further 32-bit words of the wide completion that `drain()` is calling back for, in
   * a ring with `SETUP.CQE32` or `CQE_MIXED`; 0 if it is not a wide one. To be asked before anything
   * else is done in the callback.
   */
  extraWord(index: number): number {
    this.#checkOpen();
    checkInteger('index', index, 0, 3);
    return this.#completions.extraWord(index);
  }

  /**
   * Calls back for every ready completion: the request's token, its result or -errno, `CQE` flags.
   * Never blocks. The callback may prepare, submit and even drain.
   *
   * @returns The number of completions reaped.
   */
  drain(callback: CompletionCallback): number {
    this.#checkOpen();
    if (this.#ioPoll && this.inFlight > 0) this.#enterOnce(0, 0, ENTER.GETEVENTS);
    let count = this.#completions.drain(callback);
    if (this.#closed || !this.#completions.needsEnter) return count;
    // The kernel's work is finished once, and what it holds back is fetched: not the work that comes
    // meanwhile, which a request that completes again and again may make without end.
    do {
      if (this.#completions.overflowing) this.#overflows++;
      this.#enterOnce(0, 0, ENTER.GETEVENTS);
      const more = this.#completions.drain(callback);
      if (more === 0) break;
      count += more;
    } while (!this.#closed && this.#completions.overflowing);
    return count;
  }

  /**
   * Cancels what is in flight, waits for its completion, then closes. Requests that were never
   * submitted are forgotten. Closing twice does nothing.
   *
   * If a request cannot be cancelled within two seconds, its memory stays pinned for good: better
   * lost than written by the kernel after reuse.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.forgetUnsubmitted();
    const drained = this.#drainForClose();
    this.#finalStats = this.stats;
    const { name, given, rings, sqes, control } = this.memory;
    this.#native.closeRing(name);
    if (this.#eventFd >= 0) closeOwned(this.#eventFd);
    this.register.retire();
    this.#completions.retire();
    if (drained) this.holds.close();
    this.retire();
    control.close();
    if (!given) sqes.close();
    if (!given) rings.close();
    else if (drained) unpin(rings.slot);
  }

  /** The kernel has ended the ring. What was in flight keeps its memory for good. */
  #abandon(): void {
    this.#closed = true;
    this.#finalStats = this.stats;
    this.register.retire();
    this.#completions.retire();
    this.retire();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Drives this ring from the event loop: `reap` is called when completions are ready. */
  startPump(reap: () => void): number {
    this.#eventFd = eventfd();
    own(this.#eventFd);
    this.register.eventfd(this.#eventFd);
    return this.#native.watch(this.memory.name, 0, reap, this.#eventFd);
  }

  /**
   * @internal Has nobody hear of messages and tags: whoever has the ring's descriptor can send one with
   * any token, which must not be taken for the end of a request.
   */
  ignoreForeign(): void {
    this.#completions.deaf = true;
  }

  /** @internal Errno of the pump's last enter; see native/ring.c. */
  get pumpError(): number {
    return this.control[CONTROL.ERROR]!;
  }

  /** @internal Whether the pump keeps the event loop alive. */
  get referenced(): boolean {
    return this.control[CONTROL.REFERENCED] === 1;
  }

  /** @internal Takes back prepared requests the kernel never saw, newest last. */
  takeUnsubmitted(visit: (token: number) => void): void {
    const tokens = this.forgetUnsubmitted();
    this.control[CONTROL.ERROR] = 0;
    tokens.forEach(visit);
  }

  /** @internal */
  protected override countSkipped(count: 1 | -1): void {
    this.#completions.countSkipped(count);
  }

  /** Cancels and waits; JavaScript reaps so that each request's holds end. */
  #drainForClose(): boolean {
    const until = performance.now() + CLOSE_TIMEOUT_MS;
    this.#completions.discard();
    while (this.inFlight > 0) {
      if (performance.now() >= until) return false;
      cancelEverything(this.memory.name);
      // That does not find what the poller's worker threads run; a request that the poller runs does.
      const asks = this.#sqPoll && this.hasSpace(1);
      if (asks) this.cancelAll(0);
      try {
        this.#enterAsTold(asks ? 2 : 1, CLOSE_STEP);
      } catch {
        return false; // the descriptor is gone: nothing more can be learnt from it
      }
      this.#completions.discard();
    }
    return true;
  }

  #enter(minComplete: number): number {
    this.#checkOpen();
    if (this.#sqPoll) return this.#wakePoller(minComplete, 0);
    // SYNC POINT: release, the entries below the tail are filled before the kernel can see it.
    Atomics.store(this.ringWords, this.#tailIndex, this.tail);
    this.publish(); // the pump must not store an older tail
    let consumed = 0;
    let pending = (this.tail - this.headSeen) | 0;
    const flags = minComplete > 0 ? ENTER.GETEVENTS : 0;
    while (pending > 0 || (minComplete > 0 && this.#completions.ready < minComplete)) {
      const result = this.#enterOnce(pending, minComplete, flags);
      if (result < 0) {
        this.headSeen = (this.tail - this.unsubmitted) | 0;
      } else {
        this.headSeen = (this.headSeen + result) | 0;
        consumed += result;
        this.#batchSize = result;
        if (result === 0 || result === pending) break;
      }
      pending = (this.tail - this.headSeen) | 0;
    }
    this.#submitted += consumed;
    return consumed;
  }

  /** One enter. EINTR comes back as a negative result; what cannot be retried is thrown. */
  #enterOnce(toSubmit: number, minComplete: number, flags: number): number {
    const { enterFd, enterFlags } = this.register;
    const result = this.#native.enter(enterFd, toSubmit, minComplete, flags | enterFlags);
    this.#enters++;
    if (result >= 0 || result === ERRNO.EINTR) return result;
    throw new SystemError(result, 'io_uring_enter', { message: explainEnter(result) });
  }

  #enterRegistered(minComplete: number, index: number, told: number): number {
    const waits = this.register.registeredWaits;
    if (waits === undefined) throw invalidArgValue('wait', 'needs register.waits()', index);
    const flags = told | ENTER.EXT_ARG | ENTER.EXT_ARG_REG;
    return this.#enterWith(minComplete, flags, waits.offsetOf(index), REG_WAIT.BYTES);
  }

  #enterAsTold(count: number, options: SubmitWaitOptions): number {
    const flags = waitFlags(options, this.features) | ENTER.GETEVENTS;
    if (options.wait !== undefined) return this.#enterRegistered(count, options.wait, flags);
    if ((flags & ENTER.EXT_ARG) === 0) return this.#enterOften(count, flags, null, 0);
    const cell = this.holds.cell(WAIT_BYTES);
    encodeWait(cell, options);
    const limited = options.timeout !== undefined || options.deadline !== undefined;
    try {
      if (limited) return this.#enterWith(count, flags, cell.bytes, GETEVENTS_ARG.BYTES);
      return this.#enterOften(count, flags, cell.bytes, GETEVENTS_ARG.BYTES);
    } finally {
      this.holds.release(cell.hold);
    }
  }

  /** Waits without end, by as many enters as signals make necessary. */
  #enterOften(count: number, flags: number, argument: SyscallArgument, bytes: number): number {
    let submitted = this.#enterWith(count, flags, argument, bytes);
    const want = (flags & ENTER.EXT_ARG) === 0 ? count : Math.min(count, 1);
    while (this.#completions.ready < want) {
      submitted += this.#enterWith(count, flags, argument, bytes);
    }
    return submitted;
  }

  /** One enter with an argument; the requests consumed. The end of its time is no failure. */
  #enterWith(minComplete: number, flags: number, argument: SyscallArgument, bytes: number): number {
    const published = this.#sqPoll ? this.#wakePoller(0, 0) : 0;
    Atomics.store(this.ringWords, this.#tailIndex, this.tail);
    this.publish();
    const pending = this.#sqPoll ? 0 : this.unsubmitted;
    const { enterFd, enterFlags } = this.register;
    const all = flags | enterFlags;
    const result = syscall('io_uring_enter', enterFd, pending, minComplete, all, argument, bytes);
    this.#enters++;
    if (result === ERRNO.ETIME || result === ERRNO.EINTR) return published;
    if (result < 0) {
      throw new SystemError(result, 'io_uring_enter', { message: explainEnter(result) });
    }
    this.headSeen = (this.tail - this.unsubmitted) | 0;
    this.#submitted += result;
    return published + result;
  }

  /** Publishes what is prepared to the polling thread, and enters only if that sleeps or to wait. */
  #wakePoller(minComplete: number, flags: number): number {
    const words = this.ringWords;
    const submitted = (this.tail - words[this.#tailIndex]!) | 0;
    // SYNC POINT: the entries are filled before the poller can see the tail, and the tail is stored
    // before the flags word is loaded. Atomics are sequentially consistent, and so is the poller.
    Atomics.store(words, this.#tailIndex, this.tail);
    this.publish();
    const { sqFlags } = this.memory.offsets;
    const asleep = (Atomics.load(words, sqFlags >> 2) & SQ.NEED_WAKEUP) !== 0;
    const wait = minComplete > 0 && this.#completions.ready < minComplete;
    const all = flags | (asleep ? ENTER.SQ_WAKEUP : 0) | (wait ? ENTER.GETEVENTS : 0);
    if (all !== 0) this.#enterOnce(submitted, minComplete, all);
    this.#submitted += submitted;
    if (submitted > 0) this.#batchSize = submitted;
    this.headSeen = (this.tail - this.unsubmitted) | 0;
    return submitted;
  }

  #checkOpen(): void {
    if (this.#closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
  }
}

function cancelEverything(ring: number): void {
  using argument = Region.allocate(64);
  const view = new DataView(argument.buffer);
  view.setInt32(8, -1, true);
  view.setUint32(12, CANCEL.ALL | CANCEL.ANY, true);
  view.setBigInt64(24, 20_000_000n, true);
  // Not there before Linux 6.0, and ENOENT when nothing can be cancelled: the caller waits anyway.
  const code = REGISTER.REGISTER_SYNC_CANCEL + (ring < 0 ? USE_REGISTERED_RING : 0);
  syscall('io_uring_register', ring < 0 ? ~ring : ring, code, argument.bytes, 1);
}

/** @internal Why an enter fails, where more is known than the errno. */
export function explainEnter(errno: number): string | undefined {
  switch (errno) {
    case ERRNO.EBUSY:
      return 'the completion queue has overflowed; drain() before submitting more';
    case ERRNO.EAGAIN:
      return 'the kernel has no memory for more requests; drain() and try again';
    case ERRNO.EEXIST:
      return 'a ring belongs to the thread that made it; make one ring a thread';
    case ERRNO.EBADF:
      return 'the descriptor of the ring was closed by somebody else';
    case ERRNO.EBADFD:
      return 'the ring is disabled; ring.register.enable() starts it';
    case ERRNO.EOWNERDEAD:
      return 'the polling thread of the ring has ended';
    default:
      return undefined;
  }
}
