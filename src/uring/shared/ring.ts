/**
 * SharedRing: an io_uring of many threads.
 */
import { native } from '../../sys/native.ts';
import type { Native } from '../../sys/native.ts';
import { ENTER, FEATURE, SETUP, SQE, SQE_WORD } from '../../sys/abi.ts';
import {
  AnnulusError,
  check,
  checkInteger,
  ERRNO,
  invalidArgValue,
  outOfRange,
} from '../../sys/errors.ts';
import { SystemError } from '../../sys/errors.ts';
import { closeOwned, F_DUPFD_CLOEXEC, own, syscall } from '../../sys/linux.ts';
import type { BufferGroup } from '../buffers.ts';
import type { CompletionCallback } from '../cqueue.ts';
import { FixedBuffer } from '../descriptors.ts';
import { Region } from '../../memory/region.ts';
import type { OpcodeName } from '../opcodes.ts';
import { Registrar } from '../register/registrar.ts';
import { CommandRequests } from '../requests/command.ts';
import { explainEnter } from '../ring.ts';
import type { RingStats } from '../ring.ts';
import type { RingMemory } from '../setup.ts';
import { probeOpcodes } from '../supported.ts';
import { Claims } from './claims.ts';
import { checkHandle, layoutOf } from './handle.ts';
import type { SharedRingHandle, SharedRingOptions } from './handle.ts';
import { HEAD, Layout, MAGIC, MANY, MEMBER, OWNER_BITS, OWNER_SHIFT, RING } from './layout.ts';
import { SERIAL_BITS, SERIAL_SHIFT } from './layout.ts';
import { HOME, Members, ringEnded } from './members.ts';
import { leaveSeat, takeSeat } from './seats.ts';
import type { Seat } from './seats.ts';
import { makeMemory, unmap, wrapMemory } from './memory.ts';
import type { SharedMemory } from './memory.ts';
import { Reaper } from './reaper.ts';
import { SLEEP, Sleeper } from './sleep.ts';
import { Submission } from './submission.ts';

/** How long `close()` waits for requests of this thread, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2000;
const CLOSE_STEP_MS = 20;

/** How long a thread sleeps before it looks whether others have ended, in milliseconds. */
const SLEEP_MS = 100;

/** The same while completions wait for a thread that does not take its own. */
const BLOCKED_MS = 5;

/** Groups of buffers a thread can have. */
const GROUPS_EACH = 1024;

/** Counters of one thread of a shared ring; what is not said otherwise is about its requests. */
export interface SharedRingStats extends RingStats {
  /** Completions of other threads that this one has reaped. */
  readonly forwarded: number;
}

/** How long `submitAndWait()` waits. */
export interface SharedWaitOptions {
  /** Milliseconds after which it returns all the same. */
  readonly timeout?: number;
}

/** Registered memory as a plain value, for another thread: {@link SharedRing.buffer}. */
export interface FixedBufferHandle {
  readonly annulusFixedBuffer: 1;
  readonly pid: number;
  readonly index: number;
  readonly mapping: number;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What a thread has when it takes part. */
interface Part {
  readonly memory: SharedMemory;
  readonly layout: Layout;
  readonly seat: Seat;
}

/**
 * An io_uring that many threads of a process prepare, submit and reap, without a lock. Each has an
 * object of this class; all request methods are those of `Ring`. A thread prepares requests in
 * entries of its own; `submit()` hands them to the kernel, with those of others that are ready;
 * `drain()` reaps what is there, tells this thread's completions, and passes the others on.
 *
 * The thread that makes the ring is its home: the ring ends with it.
 *
 * @example
 * ```ts
 * import { Worker } from 'node:worker_threads';
 * import { SharedRing } from 'annulus/uring';
 * const ring = new SharedRing({ threads: 2 });
 * // In the worker: const ring = SharedRing.attach(workerData);
 * const worker = new Worker('./worker.js', { workerData: ring.handle });
 * ring.nop(1);
 * ring.submitAndWait(1);
 * ring.drain((token, result) => console.log(token, result));
 * ```
 */
export class SharedRing extends CommandRequests {
  /** Registered memory and files, which are the ring's: of all threads. */
  readonly register: Registrar;
  readonly #native: Native;
  readonly #part: Part;
  readonly #words: Int32Array;
  readonly #submission: Submission;
  readonly #claims: Claims;
  readonly #members: Members;
  readonly #reaper: Reaper;
  readonly #sleeper: Sleeper;
  readonly #attached: SharedRingHandle | undefined;
  readonly #ownerBits: number;
  #enters = 0;
  #submitted = 0;
  #batchSize = 0;
  #overflows = 0;
  #closed = false;
  #homeEnded = false;
  #finalStats: SharedRingStats | undefined;

  /**
   * @throws {AnnulusError} `ERR_ANNULUS_URING_UNAVAILABLE` with the likely cause and the remedy;
   *   `ERR_ANNULUS_UNSUPPORTED_PLATFORM` elsewhere than on Linux. A `RangeError` for bad options.
   */
  constructor(options?: SharedRingOptions);
  /** @internal */
  constructor(options: SharedRingOptions, attached: SharedRingHandle);
  constructor(options: SharedRingOptions = {}, attached?: SharedRingHandle) {
    const part = attached === undefined ? begin(options) : takePart(attached);
    super(privateView(part));
    const { memory, layout, seat } = part;
    this.#native = native();
    this.#part = part;
    this.#words = new Int32Array(memory.tables.buffer, 0, layout.words);
    this.#ownerBits = seat.member << OWNER_SHIFT;
    this.manyBit = MANY;
    const serialBits = (seat.serial << SERIAL_SHIFT) & SERIAL_BITS;
    this.holds.tags.mark(this.#ownerBits | serialBits, OWNER_BITS | SERIAL_BITS);
    const { files, holds } = this;
    const keyBits = this.#ownerBits;
    this.register = new Registrar({ name: memory.fd, files, tags: holds.tags, keyBits });
    const first = seat.member * GROUPS_EACH;
    this.register.groups.limit(first, first + GROUPS_EACH - 1);
    this.#submission = new Submission(memory, layout, seat.member, this.#ownerBits);
    this.#claims = new Claims(memory, layout, seat.member);
    const parts = { memory, layout, seat, submission: this.#submission, claims: this.#claims };
    this.#members = new Members(parts, {
      onHomeEnd: () => {
        this.#homeEnded = true;
      },
      onMemberEnd: () => this.#enterForEnded(),
      onLeftOver: (member) => this.#cancelOf(member),
    });
    const [claims, members] = [this.#claims, this.#members];
    const flush = (): boolean => this.#flush();
    this.#reaper = new Reaper({ memory, layout, claims, members, holds, flush });
    this.#sleeper = new Sleeper(members.wakeFd, memory.fd);
    this.#attached = attached;
    try {
      if (attached === undefined) this.#members.open();
      else this.#members.join(attached);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Takes part in a ring of another thread of this process.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED` if it was closed, `ERR_ANNULUS_LIMIT` if as many
   *   threads take part as it was made for.
   */
  static attach(handle: SharedRingHandle): SharedRing {
    checkHandle(handle);
    return new SharedRing({}, handle);
  }

  /**
   * The ring as a value to post to other threads of this process, for {@link SharedRing.attach}.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED`.
   */
  get handle(): SharedRingHandle {
    this.#checkOpen();
    // It names descriptors of the home.
    if (this.#attached !== undefined) return this.#attached;
    const { memory, layout } = this.#part;
    const { fd, name, flags, features, offsets } = memory;
    return {
      annulusSharedRing: 1,
      pid: process.pid,
      sizes: {
        threads: layout.threads,
        entries: layout.entries,
        completionEntries: layout.cqEntries,
      },
      queues: {
        fd,
        name,
        flags,
        features,
        sqEntries: layout.sqEntries,
        cqEntries: layout.cqEntries,
        offsets,
        rings: memory.rings.mappingId,
        sqes: memory.sqes.mappingId,
        tables: memory.tables.mappingId,
      },
      socket: this.#members.socket,
    };
  }

  /** This thread's descriptor of the ring, which becomes readable when completions are ready. */
  get fd(): number {
    return this.memory.fd;
  }

  /** `SETUP` flags the kernel agreed to. */
  get flags(): number {
    return this.#part.memory.flags;
  }

  /** `FEATURE` bits of the kernel. */
  get features(): number {
    return this.memory.features;
  }

  /** Submission queue entries of this thread. */
  get entries(): number {
    return this.memory.sqEntries;
  }

  /** Completion queue entries of the ring. */
  get completionEntries(): number {
    return this.memory.cqEntries;
  }

  /** Threads that can take part. */
  get threads(): number {
    return this.#part.layout.threads;
  }

  /** Whether {@link SharedRing.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the ring takes no more requests: it is closed, here or at its home, or that has ended. */
  get ended(): boolean {
    if (this.#closed || this.#homeEnded) return true;
    return this.#words[HEAD.STATE] !== RING.OPEN || this.#members.isGone(HOME);
  }

  /** Entries that can be prepared before the next `submit()`. */
  override get space(): number {
    if (!this.retired) this.#submission.reclaim();
    return super.space;
  }

  /** Prepared requests that were not handed over yet. */
  override get unsubmitted(): number {
    return this.retired ? 0 : (this.tail - this.#submission.handed) | 0;
  }

  /** Completions of this thread that `drain()` would tell. Reaps what is there. */
  get ready(): number {
    if (this.#closed) return 0;
    this.#reaper.gather();
    return this.#reaper.ready;
  }

  /** Requests of this thread prepared whose terminal completion is not told. */
  get inFlight(): number {
    return this.retired ? 0 : (this.tail - this.#reaper.ended) | 0;
  }

  /** Counters of this thread since it takes part. */
  get stats(): SharedRingStats {
    if (this.#finalStats !== undefined) return this.#finalStats;
    return {
      enters: this.#enters,
      submitted: this.#submitted,
      completed: this.#reaper.completed,
      inFlight: this.inFlight,
      overflows: this.#overflows,
      batchSize: this.#batchSize,
      forwarded: this.#reaper.forwarded,
    };
  }

  /** Names of the opcodes this ring's kernel has. */
  probe(): Set<OpcodeName> {
    this.#checkOpen();
    return probeOpcodes(this.memory.name);
  }

  /**
   * Adds `SQE` flags to the request prepared last, as `Ring` does. `CQE_SKIP_SUCCESS` is refused: a
   * request without a completion could not be told from one under way when its thread has ended.
   */
  override flagLast(flags: number): number {
    if ((flags & SQE.CQE_SKIP_SUCCESS) !== 0) {
      throw outOfRange('flags', 'without CQE_SKIP_SUCCESS in a shared ring', flags);
    }
    return super.flagLast(flags);
  }

  /**
   * Not in a shared ring, whose other threads could be given such buffers' memory.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_UNSUPPORTED`.
   */
  override bufferGroup(): BufferGroup {
    throw new AnnulusError(
      'ERR_ANNULUS_UNSUPPORTED',
      'Buffers that requests provide belong to a whole ring, and a shared ring outlives its threads: ' +
        'use ring.register.bufferRing().',
    );
  }

  /**
   * Registered memory for another thread: that makes its own `FixedBuffer` of it by
   * {@link SharedRing.buffer}. The registration is the ring's.
   */
  bufferHandle(buffer: FixedBuffer): FixedBufferHandle {
    this.#checkOpen();
    const { index, region, byteOffset, byteLength } = buffer;
    return {
      annulusFixedBuffer: 1,
      pid: process.pid,
      index,
      mapping: region.mappingId,
      byteOffset,
      byteLength,
    };
  }

  /**
   * Memory that another thread of this ring has registered, in this thread; `buffer.region` has its
   * bytes.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CLOSED` if the memory is not mapped any more.
   */
  buffer(handle: FixedBufferHandle): FixedBuffer {
    this.#checkOpen();
    if (handle?.annulusFixedBuffer !== 1 || handle.pid !== process.pid) {
      throw outOfRange('handle', 'made by bufferHandle() in this process', handle);
    }
    const { index, mapping, byteOffset, byteLength } = handle;
    const region = Region.attach(mapping);
    checkInteger('handle.index', index, 0, 16383);
    checkInteger('handle.byteOffset', byteOffset, 0, region.byteLength);
    checkInteger('handle.byteLength', byteLength, 0, region.byteLength - byteOffset);
    return new FixedBuffer(index, region, byteOffset, byteLength);
  }

  /**
   * Hands every prepared request over, and to the kernel whatever is ready, of any thread.
   *
   * @returns The number of this thread's requests handed over. The kernel may take them by the
   *   `submit()` of another thread that is under way.
   * @throws {SystemError} `EAGAIN` or `EBUSY` when the kernel takes no more: `drain()`, and `submit()`
   *   again. {@link AnnulusError} `ERR_ANNULUS_CLOSED`, `ERR_ANNULUS_PEER_DIED` if the home has ended.
   */
  submit(): number {
    this.#checkOpen();
    if (this.tail !== this.#submission.handed) this.#checkRing();
    const count = this.#submission.handOver(this.tail);
    if (count > 0) {
      this.#submitted += count;
      this.#batchSize = count;
    } else {
      // An earlier run may be marked, and its thread not have come to move the tail: an exception.
      this.#submission.moveTail();
    }
    this.#enterIfDue();
    return count;
  }

  /**
   * Submits, then blocks this thread until `count` completions of its own are ready. Completions of
   * other threads are passed on meanwhile.
   *
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if it would wait for ever: nothing is in flight.
   */
  submitAndWait(count: number, options?: SharedWaitOptions): number {
    this.#checkOpen();
    checkInteger('count', count, 0, this.completionEntries);
    const timeout = options?.timeout;
    if (timeout !== undefined && !(timeout >= 0)) throw outOfRange('timeout', '>= 0', timeout);
    const submitted = this.submit();
    if (count === 0 || this.ready >= count) return submitted;
    if (this.inFlight === 0) {
      throw outOfRange('count', `0 (nothing is in flight, ${this.ready} are ready)`, count);
    }
    const until = timeout === undefined ? Infinity : performance.now() + timeout;
    while (!this.#isReady(count) && this.#sleep(until));
    return submitted;
  }

  /**
   * Calls back for every ready completion of this thread: token, result or -errno, `CQE` flags.
   * Passes completions of other threads on to them. Never blocks. The callback may prepare, submit
   * and even drain.
   *
   * @returns The number told.
   */
  drain(callback: CompletionCallback): number {
    this.#checkOpen();
    return this.#reaper.drain(callback);
  }

  /**
   * Ends this thread's part, after its requests: those that were never submitted are forgotten, the
   * others cancelled and awaited, as far as the last `entries` of them go. At the ring's home it
   * ends the ring: requests of every thread are cancelled, and no more are taken.
   *
   * If a request has not ended within two seconds, its memory stays pinned for good.
   */
  close(): void {
    if (this.#closed) return;
    this.forgetUnsubmitted(this.#submission.handed);
    if (this.#part.seat.member === HOME) {
      Atomics.store(this.#words, HEAD.STATE, RING.CLOSED);
      this.cancelOwn();
    }
    const drained = !this.#members.entered || this.#drainForClose();
    this.#finalStats = this.stats;
    this.#closed = true;
    this.#reaper.closed = true;
    this.register.groups.withdraw();
    this.register.retire();
    this.#members.leave(drained);
    closeOwned(this.#part.memory.fd);
    this.retire();
    if (!drained) return;
    this.holds.close();
    unmap(this.#part.memory);
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Becomes readable when another thread has passed completions on to this one. */
  get wakeFd(): number {
    return this.#members.wakeFd;
  }

  /** @internal This thread was woken by `wakeFd`. */
  clearWake(): void {
    this.#members.clearWake();
  }

  /** @internal This thread may go to sleep, unless there is something to drain: then it may not. */
  arm(): boolean {
    return this.#isReady(1);
  }

  /** @internal Called when requests of a thread that has ended were cancelled, by this one. */
  onLeftOver: (() => void) | undefined;

  /** @internal Whether the kernel has requests of threads that have ended: somebody must reap them. */
  get hasLeftOver(): boolean {
    return this.#members.hasLeftOver;
  }

  /** @internal Whether completions are left in the queue for a thread that does not take its own. */
  get blocked(): boolean {
    return this.#claims.blocker >= 0;
  }

  /** @internal Takes back prepared requests that were not handed over, newest last. */
  takeUnsubmitted(visit: (token: number) => void): void {
    this.forgetUnsubmitted(this.#submission.handed).forEach(visit);
  }

  /** @internal */
  protected override keyInKernel(key: number): number {
    return key | this.#ownerBits;
  }

  /** @internal */
  protected override countSkipped(): void {}

  #checkOpen(): void {
    if (this.#closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring is closed.');
  }

  /** Throws if the ring takes no more requests. */
  #checkRing(): void {
    if (this.#words[HEAD.STATE] !== RING.OPEN) {
      throw new AnnulusError(
        'ERR_ANNULUS_CLOSED',
        'The ring was closed by the thread that made it.',
      );
    }
    if (!this.#homeEnded && !this.#members.isGone(HOME)) return;
    this.#homeEnded = true;
    throw new AnnulusError(
      'ERR_ANNULUS_PEER_DIED',
      'The thread that made the shared ring has ended without closing it.',
    );
  }

  #enter(toSubmit: number, flags: number): number {
    const { enterFd, enterFlags } = this.register;
    const result = this.#native.enter(enterFd, toSubmit, 0, flags | enterFlags);
    this.#enters++;
    if (result >= 0) return result;
    if (result === ERRNO.EINTR) return 1; // tried again
    throw new SystemError(result, 'io_uring_enter', { message: explainEnter(result) });
  }

  /** Enters until the kernel has what this thread is to see to. */
  #enterIfDue(): void {
    const submission = this.#submission;
    while (submission.isDue && this.#enter(submission.everything, 0) !== 0);
    submission.reclaim();
  }

  /** A thread has ended that may have handed something over and not entered. */
  #enterForEnded(): void {
    const submission = this.#submission;
    submission.moveTail();
    try {
      if (submission.pending > 0) this.#enter(submission.everything, 0);
      this.#enterIfDue();
    } catch {
      // EAGAIN and EBUSY: it goes with the next submit() of anybody.
    }
  }

  /** Has the kernel put what it holds back into the queue; whether there may be more now. */
  #flush(): boolean {
    if (!this.#claims.overflowing) return false;
    this.#overflows++;
    // The kernel looks at its backlog only if it has taken as many requests as it was told to.
    this.#enter(0, ENTER.GETEVENTS);
    return this.#claims.unclaimed > 0;
  }

  /** Whether `count` completions are ready; if not, this thread may go to sleep. */
  #isReady(count: number): boolean {
    const members = this.#members;
    members.arm();
    this.#reaper.gather();
    // Counted as waiting before the position is looked at: whoever moves it then wakes this thread.
    if (this.#reaper.waitsForOrder) members.waitForOrder(true);
    if (this.#reaper.ready < count) return false;
    members.disarm();
    return true;
  }

  /** Sleeps until there may be something to do, at most to a time; whether it is not over. */
  #sleep(until: number): boolean {
    const left = until === Infinity ? Infinity : until - performance.now();
    // What is left in the queue is another thread's, which does not take it.
    const blocked = this.#claims.unclaimed > 0;
    const limit = Math.max(0, Math.min(left, blocked ? BLOCKED_MS : SLEEP_MS));
    const ended = this.#sleeper.sleep(limit, !blocked);
    this.#members.disarm();
    if ((ended & SLEEP.WOKEN) !== 0) this.#members.clearWake();
    if (ended === SLEEP.OVER) {
      this.#members.recoverAll();
      if (!this.#submission.reclaim()) this.#enterForEnded();
    }
    return left > 0;
  }

  /** Cancels and waits; whether the kernel has none of this thread's requests any more. */
  #drainForClose(): boolean {
    const until = performance.now() + CLOSE_TIMEOUT_MS;
    this.#reaper.discard();
    while (this.inFlight > 0) {
      if (performance.now() >= until) return false;
      this.cancelOwn();
      if (!this.#isReady(1)) this.#sleep(performance.now() + CLOSE_STEP_MS);
      this.#reaper.discard();
    }
    // Another thread may be about to deliver an earlier completion of a request that has ended.
    const position = this.#claims.claimed;
    while (((this.#claims.delivered - position) | 0) < 0) {
      if (performance.now() >= until) return false;
      this.#members.recoverAll();
      this.#sleep(performance.now() + 1);
      this.#reaper.discard();
    }
    return true;
  }

  /** @internal Cancels what the entries of this thread say; at the home, everything. */
  cancelOwn(): void {
    const { member } = this.#part.seat;
    this.#cancel(() => {
      if (member === HOME) this.register.cancel({ all: true, timeout: CLOSE_STEP_MS });
      else this.#cancelEntries(member, this.tail);
    });
  }

  /** Cancels what the entries of a member say whose thread has ended. */
  #cancelOf(member: number): void {
    this.#enterForEnded(); // or the kernel may not have them yet
    const tail = this.#words[this.#part.layout.memberAt(member) + MEMBER.SQ_TAIL]!;
    this.#cancel(() => this.#cancelEntries(member, tail));
    this.onLeftOver?.();
  }

  #cancel(cancel: () => void): void {
    try {
      cancel();
    } catch {
      // Not there before Linux 6.0: then what is in flight must end by itself.
    }
  }

  #cancelEntries(member: number, tail: number): void {
    const { entries } = this;
    const { layout, memory } = this.#part;
    const words = new Int32Array(memory.sqes.buffer, layout.sqesAt(member), entries * 16);
    for (let index = 0; index < Math.min(entries, tail >>> 0); index++) {
      const at = index * 16;
      const [token, key] = [
        words[at + SQE_WORD.USER_DATA_LOW]!,
        words[at + SQE_WORD.USER_DATA_HIGH]!,
      ];
      // An entry that was not handed over does not say whose it is: it would be another's.
      const isOf = (key & OWNER_BITS) === member << OWNER_SHIFT;
      if (key >= 0 && isOf) this.register.cancelOf(token, key);
    }
  }
}

function begin(options: SharedRingOptions): Part {
  const layout = layoutOf(options);
  const memory = makeMemory(layout);
  own(memory.fd);
  try {
    return { memory, layout, seat: takeSeat(memory, layout, HOME) };
  } catch (error) {
    closeOwned(memory.fd);
    unmap(memory);
    throw error;
  }
}

function takePart(handle: SharedRingHandle): Part {
  const layout = new Layout(handle.sizes);
  const memory = wrapMemory(handle);
  try {
    const words = tablesOf(memory, layout);
    const seat = takeSeat(memory, layout, HOME + 1);
    try {
      const fd = duplicateFor(words, layout, memory.fd);
      return { memory: { ...memory, fd, name: fd }, layout, seat };
    } catch (error) {
      leaveSeat(memory, layout, seat);
      throw error;
    }
  } catch (error) {
    unmap(memory);
    throw error;
  }
}

/** A descriptor of this thread's for the ring of a home that is there. */
function duplicateFor(words: Int32Array, layout: Layout, homeFd: number): number {
  const copy = syscall('fcntl', homeFd, F_DUPFD_CLOEXEC, 3);
  if (copy >= 0) own(copy);
  // SYNC POINT: the home says that the ring is closed, or has ended, before its descriptor is closed.
  // If it has not by now, the copy is of the right one.
  const gone = Atomics.load(words, layout.memberAt(HOME) + MEMBER.GONE) !== 0;
  if (!gone && Atomics.load(words, HEAD.STATE) === RING.OPEN) return check(copy, 'fcntl');
  closeOwned(copy);
  throw ringEnded();
}

/** The tables, after checking that they are a shared ring's: mappings are named by numbers. */
function tablesOf({ tables }: SharedMemory, layout: Layout): Int32Array {
  const fits = tables.byteLength >= layout.words * 4;
  const words = new Int32Array(tables.buffer, 0, fits ? layout.words : 0);
  if (words[HEAD.MAGIC] === MAGIC) return words;
  throw invalidArgValue('handle', 'must be the handle of a SharedRing', tables.mappingId);
}

/** What the request methods see: this thread's entries, with a head and a tail of its own. */
function privateView({ memory, layout, seat }: Part): RingMemory {
  const at = layout.memberAt(seat.member) * 4;
  const { entries, cqEntries } = layout;
  return {
    ...memory,
    // The index array is not this view's to fill.
    flags: memory.flags | SETUP.NO_SQARRAY,
    features: memory.features & ~FEATURE.CQE_SKIP,
    sqEntries: entries,
    cqEntries,
    rings: memory.tables,
    sqesAt: layout.sqesAt(seat.member),
    offsets: {
      ...memory.offsets,
      sqHead: at + MEMBER.SQ_HEAD * 4,
      sqTail: at + MEMBER.SQ_TAIL * 4,
    },
  };
}
