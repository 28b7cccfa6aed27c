/**
 * End: what sender and receiver have in common - states, sleeping and waking.
 *
 * The wake-up protocol. Each side's position is a word that the side itself stores by an exchange;
 * its highest bit, ATTENTION, is set by the other side, which sleeps until the position moves. Setting
 * it returns the position as it was then, and the exchange that moves the position returns the bit
 * and clears it. Both are operations on one word, so one comes first: either the sleeper sees that the
 * position has moved and does not sleep, or the mover sees the bit and wakes it. No wake-up is lost,
 * a sleeper is woken once, and a side that is awake is never written to.
 */
import { AbortError, AnnulusError, checkInteger, checkSignal } from '../sys/errors.ts';
import { invalidArgValue } from '../sys/errors.ts';
import { renewDescriptors } from './descriptors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { ATTENTION, POSITION, SIGNAL, STATE, WORD } from './layout.ts';
import { makeLink } from './link.ts';
import type { Link } from './link.ts';
import type { ChannelMemory } from './memory.ts';
import { Offer } from './offer.ts';
import { BLOCKING_SPIN_MS, LOOP_SPIN_MS, spin, Spinner } from './spinner.ts';
import type { Waiting } from './spinner.ts';
import { loopWaiter } from './waiter.ts';
import type { Waiter } from './waiter.ts';

/** How a wait can be ended early. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How long a blocking wait lasts at most. */
export interface BlockOptions {
  /** Milliseconds; without it the wait has no end. */
  readonly timeout?: number | undefined;
}

/** What has become of an end's other side. */
export type PeerState = 'vacant' | 'attached' | 'closed' | 'failed' | 'died';

/** What a caller needs who waits by himself. */
export interface WaitStatus {
  /** Whether there is something to do, so that waiting makes no sense. */
  readonly ready: boolean;
  /** What becomes readable when there may be. */
  readonly descriptors: readonly number[];
}

/** How an end of a channel works in this thread. */
export interface EndOptions {
  /** Default: `adaptive`. */
  readonly waiting?: Waiting | undefined;
  /** Waits for descriptors. Default: Node's event loop. */
  readonly waiter?: Waiter | undefined;
}

/** What this side stands for: where its words are. */
export interface Side {
  readonly state: number;
  readonly pid: number;
  readonly peerState: number;
  /** The word whose change this side sleeps for: the other's position. */
  readonly sleepsOn: number;
  readonly peerSleepsOn: number;
}

export const SENDER_SIDE: Side = {
  state: WORD.SENDER,
  pid: WORD.SENDER_PID,
  peerState: WORD.RECEIVER,
  sleepsOn: WORD.HEAD,
  peerSleepsOn: WORD.TAIL,
};

export const RECEIVER_SIDE: Side = {
  state: WORD.RECEIVER,
  pid: WORD.RECEIVER_PID,
  peerState: WORD.SENDER,
  sleepsOn: WORD.TAIL,
  peerSleepsOn: WORD.HEAD,
};

interface Pending {
  readonly minimum: number;
  readonly resolve: (ready: boolean) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

const WAITINGS: readonly Waiting[] = ['adaptive', 'spin', 'sleep'];

/** One side of a channel. */
export abstract class End {
  /** @internal */
  readonly shared: ChannelMemory;
  /** @internal */
  protected readonly words: Int32Array;
  /** @internal */
  protected link: Link;
  private readonly side: Side;
  private readonly waiter: Waiter;
  private readonly spinner: Spinner;
  private pending: Pending | undefined;
  /** A number: of a boolean in a field V8 does not know that it is one, and looks at all it could be. */
  private isClosed: 0 | 1 = 0;

  /** @internal Takes over memory and descriptors with `attach()`. */
  protected constructor(
    shared: ChannelMemory,
    fds: EndDescriptors,
    side: Side,
    options: EndOptions | undefined,
  ) {
    const { waiting = 'adaptive', waiter = loopWaiter } = options ?? {};
    if (!WAITINGS.includes(waiting)) {
      throw invalidArgValue('waiting', `must be one of ${WAITINGS.join(', ')}`, waiting);
    }
    this.shared = shared;
    this.words = shared.words;
    this.side = side;
    this.waiter = waiter;
    this.spinner = new Spinner(waiting);
    this.link = this.connect(fds);
  }

  /** @internal Whether content and room are always one piece. */
  get isMirrored(): boolean {
    return this.shared.mirrored;
  }

  /** The ring's memory once, without its mirror; what to register as a fixed buffer. */
  get memory(): Uint8Array {
    const { buffer, headerBytes, capacity } = this.shared;
    return this.closed
      ? new Uint8Array(0)
      : new Uint8Array(buffer, headerBytes, Math.min(capacity, buffer.byteLength - headerBytes));
  }

  /** Whether this end was closed. */
  get closed(): boolean {
    return this.isClosed === 1;
  }

  /** @internal A minimum as the caller gave it, checked, in bytes. */
  protected abstract checkMinimum(minimum: number): number;

  /** @internal Looks at the other's position: fetched once, and checked. */
  protected abstract refresh(): void;

  /** @internal Whether there is so much to work on, by the other's position as last seen. */
  protected abstract enough(minimum: number): boolean;

  /** @internal Whether nothing more will ever become available; throws if that is a failure. */
  protected abstract finished(): boolean;

  /** @internal What to do before waiting: the other side may wait for it. */
  protected abstract beforeWait(): void;

  /**
   * @internal Makes this the one end of its side, the last thing its constructor does: if it throws,
   * nothing has changed, and the descriptors are still the caller's.
   *
   * @param position - This side's, as it was loaded.
   */
  protected attach(position: number): void {
    const { state, pid, peerSleepsOn } = this.side;
    // SYNC POINT: claims the side. Whoever loses the race has changed nothing.
    const found = Atomics.compareExchange(this.words, state, STATE.VACANT, STATE.ATTACHED);
    // SYNC POINT: from now on nobody else stores this side's position. If it is not the one that was
    // loaded before, an end has come and gone in between, and this one would begin where that one did.
    const isOurs = found === STATE.VACANT;
    const now = Atomics.load(this.words, peerSleepsOn) & POSITION;
    if (isOurs && now !== position) Atomics.store(this.words, state, STATE.VACANT);
    if (!isOurs || now !== position) {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        'This end of the channel was attached or closed before. A channel has one sender and one receiver.',
      );
    }
    this.words[pid] = process.pid;
    this.link.adopt();
  }

  /** @internal */
  protected checkOpen(): void {
    if (this.isClosed === 1) throw closedEnd();
  }

  /** @internal The state of the other side. */
  protected peer(): number {
    // SYNC POINT: sequentially consistent; loaded after our own position or flag was stored.
    return Atomics.load(this.words, this.side.peerState);
  }

  /** @internal Whether the other side's process or thread has ended, as far as was noticed. */
  protected get peerDied(): boolean {
    return this.link.dead;
  }

  /**
   * @internal Ends this side: stores the state, wakes the other, closes everything. Throws
   * `ERR_REGION_BUSY`, and changes nothing, while the kernel uses the memory.
   */
  protected finish(state: number): void {
    if (this.closed) return;
    this.shared.checkReleasable();
    this.isClosed = 1;
    this.announce(state);
    this.link.close();
    this.shared.release();
    this.settle((pending) =>
      pending.reject(new AnnulusError('ERR_ANNULUS_CLOSED', 'This end of the channel was closed.')),
    );
  }

  /** @internal */
  protected wait(minimum: number | undefined, options?: WaitOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      const signal = options?.signal;
      checkSignal(signal);
      if (this.pending !== undefined) {
        throw new AnnulusError(
          'ERR_ANNULUS_CLAIM',
          'This end of the channel is being waited for already.',
        );
      }
      const bytes = minimum === undefined ? this.shared.format.unit : this.checkMinimum(minimum);
      this.beforeWait();
      if (this.comes(bytes, LOOP_SPIN_MS)) return resolve(true);
      const onAbort = signal === undefined ? undefined : (): void => this.abortWait(signal);
      this.pending = { minimum: bytes, resolve, reject, signal, onAbort };
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
      this.link.watch(() => this.proceed());
      this.link.hold(true);
      this.proceed();
    });
  }

  /** @internal Blocks the thread. */
  protected block(minimum: number, options: BlockOptions | undefined): boolean {
    this.checkOpen();
    const bytes = this.checkMinimum(minimum);
    this.beforeWait();
    const timeout = options?.timeout;
    if (timeout !== undefined) checkInteger('timeout', Math.ceil(timeout), 0, MAX_TIMEOUT_MS);
    const until = timeout === undefined ? Infinity : performance.now() + timeout;
    for (;;) {
      if (this.comes(bytes, Math.min(BLOCKING_SPIN_MS, until - performance.now()))) return true;
      const word = this.fallAsleep();
      if (this.enough(bytes)) return this.wakeUp(true);
      if (this.finished()) return this.wakeUp(this.enough(this.shared.format.unit));
      const left = until === Infinity ? -1 : until - performance.now();
      if (left <= 0 && left !== -1) return this.wakeUp(false);
      if (this.spinner.neverSleeps) this.link.clear();
      else this.link.sleep(left, word);
      this.wakeUp(true);
    }
  }

  /** What has become of the other side, as far as this one can know without waiting. */
  get peerState(): PeerState {
    this.checkOpen();
    const state = this.peer();
    if (state === STATE.CLOSED) return 'closed';
    if (state === STATE.FAILED) return 'failed';
    this.notice();
    if (this.link.dead) return 'died';
    return state === STATE.VACANT ? 'vacant' : 'attached';
  }

  /**
   * For callers who wait by themselves: announces that this end is about to sleep, unless there is
   * something to do. Wait until one of `descriptors` is readable, then call `waitClear()`. With the
   * signal `none` there is nothing that becomes readable but the other side's end.
   *
   * @throws What `whenReadable()` and `whenWritable()` reject with.
   */
  waitStatus(): WaitStatus {
    this.checkOpen();
    this.beforeWait();
    this.fallAsleep();
    const ready = this.enough(this.shared.format.unit) || this.finished();
    if (ready) this.wakeUp(ready);
    return { ready, descriptors: this.link.entries.map(({ fd }) => fd) };
  }

  /** Ends what `waitStatus()` has begun, and takes the wake-up. Never waits. */
  waitClear(): void {
    this.checkOpen();
    this.link.clear();
    this.wakeUp(true);
  }

  /**
   * Lets another end take the place of one that has died or was closed: it goes on where that one
   * stopped. What is on offer then is to be given to a thread or a process.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_CHANNEL_TAKEN` while the other side lives.
   */
  renewPeer(): Offer {
    const state = this.peerState;
    if (state === 'attached' || state === 'vacant') {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        `The other end of this channel is ${state}: it can be replaced once it has died or closed.`,
      );
    }
    const fds = renewDescriptors(this.link.fds, this.shared.format.signal);
    const isSender = this.side === SENDER_SIDE;
    const old = this.link;
    this.link = this.connect(isSender ? fds.sender : fds.receiver);
    this.link.adopt();
    old.close();
    this.forgetPeer();
    // SYNC POINT: the dead store no more, and nobody attaches before the side is vacant.
    Atomics.store(this.words, this.side.peerState, STATE.VACANT);
    const role = isSender ? 'receiver' : 'sender';
    return new Offer(role, this.shared, fds[role]);
  }

  /** @internal Waits until there is something to do at all. */
  whenReady(options: WaitOptions): Promise<boolean> {
    return this.wait(undefined, options);
  }

  /** @internal The connection, for a thread that waits for several ends. */
  get connection(): Link {
    return this.link;
  }

  /** @internal What this end remembers of the other one, which is replaced. */
  protected abstract forgetPeer(): void;

  /** Notices death without waiting, behind as many wake-ups as may lie before it. */
  private notice(): void {
    for (let i = 0; i < NOTICE_MAX && !this.link.dead; i++) this.link.clear();
  }

  private connect(fds: EndDescriptors): Link {
    const { sleepsOn, peerSleepsOn } = this.side;
    const { format } = this.shared;
    return makeLink(fds, format.signal, this.waiter, this.words, sleepsOn, peerSleepsOn);
  }

  /** Stores this side's final state and wakes the other, now or when it next moves. */
  private announce(state: number): void {
    // SYNC POINT: the last position was stored before, so whoever sees this state sees it too.
    Atomics.store(this.words, this.side.state, state);
    // The other side looks at the state when it next stores its position,
    Atomics.or(this.words, this.side.sleepsOn, ATTENTION);
    // and is woken if it sleeps. It loads the state after setting the bit, we store it before
    // looking at the bit: one of both sees what the other did.
    const { peerSleepsOn } = this.side;
    // A futex sleeps only on a word that has not changed: taking the bit makes a late one look again.
    // A descriptor stays readable, and the bit must stay: if this side has been replaced since its
    // state was stored, its wake-up goes nowhere, and the bit is for the one that replaced it.
    const isFutex = this.shared.format.signal === SIGNAL.FUTEX;
    const word = isFutex
      ? Atomics.and(this.words, peerSleepsOn, POSITION)
      : Atomics.load(this.words, peerSleepsOn);
    if (word < 0) this.link.wake();
  }

  /** Whether so much is there, now or within a short spin. */
  private comes(minimum: number, longestMs: number): boolean {
    if (this.enough(minimum) || this.look(minimum)) return true;
    const limit = longestMs > 0 ? this.spinner.limit(longestMs) : 0;
    if (limit === 0) return false;
    const paid = spin(() => this.look(minimum), limit);
    this.spinner.tell(paid);
    return paid;
  }

  private look(minimum: number): boolean {
    this.refresh();
    return this.enough(minimum);
  }

  /** Announces sleep, and looks at the position as it was then; returns the word. */
  private fallAsleep(): number {
    // SYNC POINT: sets the bit and fetches the position in one; see the file header.
    const word = Atomics.or(this.words, this.side.sleepsOn, ATTENTION) | ATTENTION;
    this.accept(word & POSITION);
    return word;
  }

  /** @internal Takes a position of the other side that was fetched; throws if it makes no sense. */
  protected abstract accept(position: number): void;

  private wakeUp<T>(result: T): T {
    // SYNC POINT: takes the bit back, if the other side has not. Awake, this side needs no wake-up.
    Atomics.and(this.words, this.side.sleepsOn, POSITION);
    return result;
  }

  /** Goes on with a pending wait: settles it, or makes sure that it will be woken. */
  private proceed(): void {
    const pending = this.pending;
    if (pending === undefined) return;
    try {
      const word = this.fallAsleep();
      if (this.enough(pending.minimum)) return this.settle((it) => it.resolve(true));
      if (this.finished()) {
        const rest = this.enough(this.shared.format.unit);
        return this.settle((it) => it.resolve(rest));
      }
      this.link.arm(word);
    } catch (error) {
      this.settle((it) => it.reject(error));
    }
  }

  private abortWait(signal: AbortSignal): void {
    this.settle((pending) => pending.reject(new AbortError(signal.reason)));
  }

  private settle(how: (pending: Pending) => void): void {
    const pending = this.pending;
    if (pending === undefined) return;
    this.pending = undefined;
    if (pending.onAbort !== undefined) {
      pending.signal?.removeEventListener('abort', pending.onAbort);
    }
    if (!this.closed) {
      this.link.hold(false);
      this.wakeUp(true);
    }
    how(pending);
  }
}

/** Wake-ups that are taken at most before death, which lies behind them, counts as not noticed. */
const NOTICE_MAX = 4;

/** Longest time limit of a blocking wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

// By itself: V8 inlines small functions only.
function closedEnd(): AnnulusError {
  return new AnnulusError('ERR_ANNULUS_CLOSED', 'This end of the channel is closed.');
}
