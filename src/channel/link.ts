/**
 * Link: how one end of a channel wakes the other, sleeps until it is woken, and learns that the other
 * has died. One class for each kind of signal.
 */
import { ERRNO } from '../sys/errors.ts';
import { closeOwned, own, poll, POLL, read, receive, sendNow, write } from '../sys/linux.ts';
import { refuseDescriptors } from '../sys/linux.ts';
import type { PollEntry } from '../sys/linux.ts';
import { WATCH } from '../sys/native.ts';
import { drainSocket, receiveBytesOnly } from '../sys/passing.ts';
import { listDescriptors, NO_DESCRIPTORS } from './descriptors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { SIGNAL } from './layout.ts';
import type { Waiter, Watch } from './waiter.ts';

/** The connection of an end to the other one. */
export interface Link {
  readonly fds: EndDescriptors;
  /** Whether the other side's process or thread has ended without a word, as far as was looked. */
  readonly dead: boolean;
  /** Whether a sleeper is woken at all; if not, it has to look again and again. */
  readonly wakes: boolean;
  /** What to wait for where a thread waits for several ends. Empty: cannot be waited for so. */
  readonly entries: readonly PollEntry[];
  /** Wakes the other side. Never waits. */
  wake(): void;
  /**
   * Blocks the thread until there may be something to do.
   *
   * @param timeoutMs - At most so long; -1 is without end.
   * @param value - The word this side sleeps on, as it was when it decided to.
   */
  sleep(timeoutMs: number, value: number): void;
  /** Takes the wake-ups that have come, and notices death. Never waits. */
  clear(): void;
  /** From now on `onEvent` is called on the event loop after each wake-up, and after death. */
  watch(onEvent: () => void): void;
  /** Goes to sleep on the event loop, with the word as it is. */
  arm(value: number): void;
  /** Keeps the event loop alive, or lets it end. */
  hold(on: boolean): void;
  /** Has the environment close the descriptors if it ends. */
  adopt(): void;
  close(): void;
}

const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** Wake-ups are taken by the hundred; what they say does not matter. */
const scratch = new Uint8Array(256);

/** What the links over descriptors have in common. */
abstract class DescriptorLink implements Link {
  readonly fds: EndDescriptors;
  readonly wakes: boolean = true;
  abstract readonly entries: readonly PollEntry[];
  protected gone = false;
  protected readonly waiter: Waiter;
  protected watches: readonly Watch[] | undefined;
  /** Whether the kernel refuses descriptors, so that nothing but bytes can come. */
  private readonly refuses: boolean;

  constructor(fds: EndDescriptors, waiter: Waiter) {
    this.fds = fds;
    this.waiter = waiter;
    this.refuses = refuseDescriptors(fds.liveness);
  }

  get dead(): boolean {
    return this.gone;
  }

  abstract wake(): void;
  abstract sleep(timeoutMs: number, value: number): void;
  abstract clear(): void;
  protected abstract open(onEvent: () => void): readonly Watch[];

  watch(onEvent: () => void): void {
    this.watches ??= this.open(onEvent);
  }

  arm(): void {
    // The descriptors are watched all the time.
  }

  hold(on: boolean): void {
    const first = this.watches?.[0];
    if (on) first?.ref();
    else first?.unref();
  }

  adopt(): void {
    listDescriptors(this.fds).forEach(own);
  }

  close(): void {
    for (const watch of this.watches ?? []) watch.close();
    this.watches = undefined;
    if (!this.refuses) drainSocket(this.fds.liveness);
    listDescriptors(this.fds).forEach(closeOwned);
  }

  /** Reads what has come on the socket; its end is the other side's. */
  protected takeFromSocket(wait: boolean): number {
    const { liveness } = this.fds;
    const result = this.refuses ? receive(liveness, scratch, wait) : receiveBytesOnly(liveness);
    // 0 is the end; ECONNRESET the end of a peer that had not read everything.
    const more = result > 0 || result === ERRNO.EAGAIN || result === ERRNO.EINTR;
    if (!more) this.gone = true;
    return result;
  }
}

/** Wake-ups are bytes on the socket whose end is the other side's death. */
class SocketLink extends DescriptorLink {
  get entries(): readonly PollEntry[] {
    return [{ fd: this.fds.liveness, events: POLL.IN | POLL.RDHUP }];
  }

  wake(): void {
    // A full socket wakes as well, and a broken one means that nobody is there to wake.
    sendNow(this.fds.liveness, ONE_BYTE);
  }

  sleep(timeoutMs: number): void {
    // Without a time limit one call both waits and takes the wake-up.
    if (timeoutMs < 0 && this.takeFromSocket(true) !== ERRNO.EAGAIN) return;
    const [ready] = poll(this.entries, timeoutMs);
    if (ready !== 0) this.takeFromSocket(false);
  }

  clear(): void {
    this.takeFromSocket(false);
  }

  protected override open(onEvent: () => void): readonly Watch[] {
    const watch = this.waiter.watch(this.fds.liveness, WATCH.READABLE, () => {
      this.takeFromSocket(false);
      if (this.gone) {
        watch.close(); // it would stay readable for ever
        this.watches = [];
      }
      onEvent();
    });
    return [watch];
  }
}

const ONE_BYTE = ONE.subarray(0, 1);

/** Wake-ups are on descriptors of their own: eventfds, or pipes. */
class PairLink extends DescriptorLink {
  readonly #word: Uint8Array;

  constructor(fds: EndDescriptors, waiter: Waiter, word: Uint8Array) {
    super(fds, waiter);
    this.#word = word;
  }

  get entries(): readonly PollEntry[] {
    return [
      { fd: this.fds.wake, events: POLL.IN },
      { fd: this.fds.liveness, events: POLL.IN | POLL.RDHUP },
    ];
  }

  wake(): void {
    // A full counter or pipe (EAGAIN) wakes as well; a broken one means that nobody is there.
    write(this.fds.peerWake, this.#word);
  }

  sleep(timeoutMs: number): void {
    const [woken, ended] = poll(this.entries, timeoutMs);
    if (woken !== 0) this.#take();
    if (ended !== 0) this.takeFromSocket(false);
  }

  clear(): void {
    const [woken, ended] = poll(this.entries, 0);
    if (woken !== 0) this.#take();
    if (ended !== 0) this.takeFromSocket(false);
  }

  protected override open(onEvent: () => void): readonly Watch[] {
    const wake = this.waiter.watch(this.fds.wake, WATCH.READABLE, () => {
      this.#take();
      onEvent();
    });
    const liveness = this.waiter.watch(this.fds.liveness, WATCH.READABLE, () => {
      this.takeFromSocket(false);
      if (this.gone) liveness.close(); // it would stay readable for ever
      onEvent();
    });
    return [wake, liveness];
  }

  #take(): void {
    // Empty (EAGAIN) is fine: another wait may have taken it.
    read(this.fds.wake, scratch);
  }
}

/** Nobody is woken: a blocked thread is busy looking, and a promise looks every turn of the loop. */
class BusyLink extends DescriptorLink {
  override readonly wakes: boolean = false;
  #onEvent: (() => void) | undefined;
  #turn: NodeJS.Immediate | undefined;
  #held = true;

  get entries(): readonly PollEntry[] {
    return [{ fd: this.fds.liveness, events: POLL.IN | POLL.RDHUP }];
  }

  wake(): void {
    // Nobody waits to be woken.
  }

  sleep(): void {
    this.takeFromSocket(false);
  }

  clear(): void {
    this.takeFromSocket(false);
  }

  override arm(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.takeFromSocket(false);
      this.#onEvent?.();
    });
    if (!this.#held) this.#turn.unref();
  }

  override hold(on: boolean): void {
    this.#held = on;
    if (on) this.#turn?.ref();
    else if (this.#turn !== undefined) {
      clearImmediate(this.#turn);
      this.#turn = undefined;
    }
  }

  override close(): void {
    this.hold(false);
    super.close();
  }

  protected override open(onEvent: () => void): readonly Watch[] {
    this.#onEvent = onEvent;
    return [];
  }
}

/** Threads that share memory sleep on the words themselves. */
class FutexLink implements Link {
  readonly fds: EndDescriptors = NO_DESCRIPTORS;
  readonly wakes: boolean = true;
  readonly entries: readonly PollEntry[] = [];
  /** Nobody tells of a thread's death: whoever holds the Worker does, by `channel.abandon()`. */
  readonly dead: boolean = false;
  readonly #words: Int32Array;
  readonly #ownWord: number;
  readonly #peerWord: number;
  #onEvent: (() => void) | undefined;
  #keeper: NodeJS.Timeout | undefined;
  #armed = false;

  /**
   * @param ownWord - Index of the word this side sleeps on.
   * @param peerWord - Index of the word the other side sleeps on.
   */
  constructor(words: Int32Array, ownWord: number, peerWord: number) {
    this.#words = words;
    this.#ownWord = ownWord;
    this.#peerWord = peerWord;
  }

  wake(): void {
    // SYNC POINT: the word has changed before, so a sleeper that comes later does not fall asleep.
    Atomics.notify(this.#words, this.#peerWord);
  }

  sleep(timeoutMs: number, value: number): void {
    Atomics.wait(this.#words, this.#ownWord, value, timeoutMs < 0 ? Infinity : timeoutMs);
  }

  clear(): void {
    // A wake-up leaves nothing behind.
  }

  watch(onEvent: () => void): void {
    this.#onEvent = onEvent;
  }

  arm(value: number): void {
    if (this.#armed) return;
    const wait = Atomics.waitAsync(this.#words, this.#ownWord, value);
    const wakened = (): void => {
      this.#armed = false;
      this.#onEvent?.();
    };
    if (!wait.async) return queueMicrotask(wakened);
    this.#armed = true;
    void wait.value.then(wakened);
  }

  hold(on: boolean): void {
    clearInterval(this.#keeper);
    // Atomics.waitAsync does not keep the loop alive.
    this.#keeper = on ? setInterval(() => {}, LONG_MS) : undefined;
  }

  adopt(): void {
    // There is nothing that outlives the thread.
  }

  close(): void {
    this.hold(false);
    this.#onEvent = undefined;
    // Lets go of a promise that still waits; only this side sleeps on this word.
    Atomics.notify(this.#words, this.#ownWord);
  }
}

/** Longest delay of a Node timer. */
const LONG_MS = 2 ** 31 - 1;

/** A byte for a pipe, eight for an eventfd. */
export function makeLink(
  fds: EndDescriptors,
  signal: number,
  waiter: Waiter,
  words: Int32Array,
  ownWord: number,
  peerWord: number,
): Link {
  switch (signal) {
    case SIGNAL.FUTEX:
      return new FutexLink(words, ownWord, peerWord);
    case SIGNAL.SOCKET:
      return new SocketLink(fds, waiter);
    case SIGNAL.NONE:
      return new BusyLink(fds, waiter);
    default:
      return new PairLink(fds, waiter, signal === SIGNAL.PIPE ? ONE_BYTE : ONE);
  }
}
