/**
 * End: what sender and receiver have in common - descriptors, states, sleeping and waking.
 *
 * The wake-up protocol. A side that finds nothing to do stores ASLEEP in its own state word, looks
 * at the other's position once more, and only then waits on its eventfd. The other side stores its
 * position, then looks at that state word. All four are sequentially consistent (Atomics in
 * JavaScript are), so at least one of them sees what the other did: either the sleeper sees the new
 * position, or the mover sees ASLEEP and writes the eventfd. No wake-up is lost, and none is sent to
 * a side that is awake.
 */
import { AbortError, AnnulusError, checkInteger } from '../sys/errors.ts';
import { closeOwned, own, poll, POLL, read, write } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { STATE } from './layout.ts';
import type { ChannelMemory } from './memory.ts';
import type { Waiter, Watch } from './waiter.ts';

/** The four descriptors of one end. They move together, to a thread or to a process. */
export interface EndDescriptors {
  readonly memfd: number;
  /** Eventfd this end waits on. */
  readonly wake: number;
  /** Eventfd the other end waits on. */
  readonly peerWake: number;
  /** Socket whose other half the other end holds: it ends when that side dies. */
  readonly liveness: number;
}

/** How a wait can be ended early. */
export interface WaitOptions {
  readonly signal?: AbortSignal;
}

/** How long a blocking wait lasts at most. */
export interface BlockOptions {
  /** Milliseconds; without it the wait has no end. */
  readonly timeout?: number;
}

interface Pending {
  readonly minimum: number;
  readonly resolve: (ready: boolean) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** One side of a channel. */
export abstract class End {
  /** Bytes the ring can hold. */
  readonly capacity: number;
  /** @internal */
  protected readonly shared: ChannelMemory;
  /** @internal */
  protected readonly words: Int32Array;
  /** @internal */
  protected readonly fds: EndDescriptors;
  private readonly ownState: number;
  private readonly peerState: number;
  private readonly waiter: Waiter;
  private watches: { wake: Watch; liveness: Watch } | undefined;
  private pending: Pending | undefined;
  private isClosed = false;
  private peerGone = false;

  /** @internal Takes over memory and descriptors; throws if this side is taken already. */
  protected constructor(
    shared: ChannelMemory,
    fds: EndDescriptors,
    ownState: number,
    peerState: number,
    waiter: Waiter,
  ) {
    this.shared = shared;
    this.words = shared.words;
    this.capacity = shared.capacity;
    this.fds = fds;
    this.ownState = ownState;
    this.peerState = peerState;
    this.waiter = waiter;
    // SYNC POINT: claims the side. Whoever loses the race has changed nothing.
    if (Atomics.compareExchange(this.words, ownState, STATE.VACANT, STATE.AWAKE) !== STATE.VACANT) {
      throw new AnnulusError(
        'ERR_ANNULUS_CHANNEL_TAKEN',
        'This end of the channel was attached or closed before. A channel has one sender and one receiver.',
      );
    }
    for (const fd of Object.values(fds) as number[]) own(fd);
  }

  /** The ring's memory once, without its mirror; what to register as a fixed buffer. */
  get memory(): Uint8Array {
    return this.shared.region.bytes.subarray(
      this.shared.headerBytes,
      this.shared.headerBytes + this.capacity,
    );
  }

  /** Whether this end was closed. */
  get closed(): boolean {
    return this.isClosed;
  }

  /** @internal Bytes this side can work on now; throws when the shared words make no sense. */
  protected abstract available(): number;

  /** @internal Whether nothing more will ever become available; throws if that is a failure. */
  protected abstract finished(): boolean;

  /** @internal */
  protected checkOpen(): void {
    if (this.isClosed) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', 'This end of the channel is closed.');
    }
  }

  /** @internal A position of the other side, fetched once and checked. */
  protected usedBetween(head: number, tail: number): number {
    const used = tail - head;
    return used < 0 ? used + 2 * this.capacity : used;
  }

  /** @internal The state of the other side. */
  protected peer(): number {
    // SYNC POINT: sequentially consistent, after our own position was stored.
    return Atomics.load(this.words, this.peerState);
  }

  /** @internal Wakes the other side if it sleeps. Called after a position has moved. */
  protected wakePeer(state: number): void {
    if (state !== STATE.ASLEEP) return;
    // SYNC POINT: of several movers only the one that ends the sleep writes.
    const slept = Atomics.compareExchange(this.words, this.peerState, STATE.ASLEEP, STATE.AWAKE);
    // A full counter (EAGAIN) wakes as well; a closed descriptor means the peer is gone.
    if (slept === STATE.ASLEEP) write(this.fds.peerWake, ONE);
  }

  /**
   * @internal Ends this side: stores the state, wakes the other, closes everything. Throws
   * `ERR_REGION_BUSY`, and changes nothing, while the kernel uses the memory.
   */
  protected finish(state: number): void {
    if (this.isClosed) return;
    this.shared.checkReleasable();
    this.isClosed = true;
    this.announce(state);
    this.shared.release();
    this.watches?.wake.close();
    this.watches?.liveness.close();
    for (const fd of Object.values(this.fds) as number[]) closeOwned(fd);
    this.settle((pending) =>
      pending.reject(new AnnulusError('ERR_ANNULUS_CLOSED', 'This end of the channel was closed.')),
    );
  }

  /** Stores this side's final state and wakes the other. */
  private announce(state: number): void {
    // SYNC POINT: the last position was stored before, so whoever sees this state sees it too.
    Atomics.store(this.words, this.ownState, state);
    this.wakePeer(this.peer());
  }

  /** @internal Whether the other side's process or thread has ended. */
  protected get peerDied(): boolean {
    return this.peerGone;
  }

  /** @internal */
  protected wait(minimum: number, options: WaitOptions | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      checkInteger('minimum', minimum, 1, this.capacity);
      const signal = options?.signal;
      if (signal?.aborted === true) throw new AbortError(signal.reason);
      if (this.pending !== undefined) {
        throw new AnnulusError(
          'ERR_ANNULUS_CLAIM',
          'This end of the channel is being waited for already.',
        );
      }
      const onAbort = signal === undefined ? undefined : (): void => this.abortWait(signal);
      this.pending = { minimum, resolve, reject, signal, onAbort };
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
      this.watch();
      this.advance();
    });
  }

  /** @internal Blocks the thread. */
  protected block(minimum: number, options: BlockOptions | undefined): boolean {
    this.checkOpen();
    checkInteger('minimum', minimum, 1, this.capacity);
    const until = options?.timeout === undefined ? Infinity : performance.now() + options.timeout;
    for (;;) {
      if (this.ready(minimum)) return true;
      if (this.finished()) return this.available() > 0;
      if (!this.fallAsleep(minimum)) continue;
      const left = until === Infinity ? -1 : until - performance.now();
      if (left <= 0 && left !== -1) {
        this.wakeUp();
        return false;
      }
      const [woken, ended] = poll(
        [
          { fd: this.fds.wake, events: POLL.IN },
          { fd: this.fds.liveness, events: POLL.IN | POLL.RDHUP },
        ],
        left,
      );
      if (woken !== 0) this.takeWakeUps();
      if (ended !== 0) this.peerGone = true;
      this.wakeUp();
    }
  }

  private ready(minimum: number): boolean {
    return this.available() >= minimum;
  }

  /** Goes on with a pending wait: settles it, or makes sure that it will be woken. */
  private advance(): void {
    const pending = this.pending;
    if (pending === undefined) return;
    try {
      for (;;) {
        if (this.ready(pending.minimum)) return this.settle((it) => it.resolve(true));
        if (this.finished()) {
          const rest = this.available() > 0;
          return this.settle((it) => it.resolve(rest));
        }
        if (this.fallAsleep(pending.minimum)) return;
      }
    } catch (error) {
      this.settle((it) => it.reject(error));
    }
  }

  /** Announces sleep; returns whether there really is nothing to do. */
  private fallAsleep(minimum: number): boolean {
    // SYNC POINT: store own state, then load the other's position (in ready()); see the file header.
    Atomics.compareExchange(this.words, this.ownState, STATE.AWAKE, STATE.ASLEEP);
    if (!this.ready(minimum) && !this.finished()) return true;
    this.wakeUp();
    return false;
  }

  private wakeUp(): void {
    Atomics.compareExchange(this.words, this.ownState, STATE.ASLEEP, STATE.AWAKE);
  }

  private watch(): void {
    if (this.watches === undefined) {
      const wake = this.waiter.watch(this.fds.wake, WATCH.READABLE, () => {
        this.takeWakeUps();
        this.advance();
      });
      const events = WATCH.READABLE | WATCH.DISCONNECT;
      const liveness = this.waiter.watch(this.fds.liveness, events, () => {
        this.peerGone = true;
        this.watches?.liveness.close(); // it would stay readable for ever
        this.advance();
      });
      this.watches = { wake, liveness };
    }
    this.watches.wake.ref();
  }

  private takeWakeUps(): void {
    // Empty (EAGAIN) is fine: somebody else's reader may have taken it after a hand-over.
    read(this.fds.wake, new Uint8Array(8));
  }

  private abortWait(signal: AbortSignal): void {
    this.wakeUp();
    this.settle((pending) => pending.reject(new AbortError(signal.reason)));
  }

  private settle(how: (pending: Pending) => void): void {
    const pending = this.pending;
    if (pending === undefined) return;
    this.pending = undefined;
    if (pending.onAbort !== undefined) {
      pending.signal?.removeEventListener('abort', pending.onAbort);
    }
    if (!this.isClosed) this.watches?.wake.unref();
    how(pending);
  }
}
