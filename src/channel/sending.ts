/**
 * SendingEnd: what all senders have in common - free space, claims within it, and publishing.
 *
 * A write costs at most two atomic operations: the receiver's position is loaded only if the one last
 * seen leaves too little space, and the tail is exchanged, which stores it and tells whether the
 * receiver asks for attention. Writes that are published together cost one exchange together.
 */
import { nextTick } from 'node:process';

import { AnnulusError, checkInteger, invalidArgValue } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { End, SENDER_SIDE } from './end.ts';
import type { EndOptions } from './end.ts';
import { POSITION, STATE, WORD } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';

/** What becomes of a write that finds no room. */
export type WhenFull = 'block' | 'fail' | 'drop';

/** How a sender works in this thread. */
export interface SenderOptions extends EndOptions {
  /**
   * Bytes that may be written before they are published; they are at the end of the turn at the
   * latest, and before the sender waits. 0 publishes at every commit.
   */
  readonly highWaterMark?: number | undefined;
  /**
   * What `write()` does without room: wait (default), throw `ERR_ANNULUS_CHANNEL_FULL`, or drop what
   * was to be written, counted in `dropped`.
   */
  readonly whenFull?: WhenFull | undefined;
}

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const TAIL: number = WORD.TAIL;
const HEAD: number = WORD.HEAD;
const COUNT: number = WORD.COUNT;
const MASK: number = POSITION;

const POLICIES: readonly WhenFull[] = ['block', 'fail', 'drop'];

/** The writing side of a channel. */
export abstract class SendingEnd extends End {
  /** @internal */
  protected readonly ringBytes: number;
  /** @internal */
  protected readonly whenFull: WhenFull;
  /** @internal Bytes handed out to be written into and not committed. */
  protected claimed = 0;
  private readonly dataAt: number;
  /** Where bytes in one piece end at the latest: in mirrored memory a lap further. */
  private readonly reach: number;
  private readonly highWaterMark: number;
  /** Where written bytes end, 0 to twice the capacity. Only this side stores it. */
  private tail: number;
  /** Position at which `turn()` has something to do. */
  private turnAt: number;
  /** Free bytes by the receiver's position as last seen, which never overestimates them. */
  private room = 0;
  /** Bytes written and not published. */
  private unpublished = 0;
  private isFlushDue = false;
  private receiverClosed = false;
  private laps: number;
  private count: number;
  private drops: number;

  /** @internal */
  protected constructor(
    memory: ChannelMemory,
    fds: EndDescriptors,
    options: SenderOptions | undefined,
    highWaterMark: number,
  ) {
    super(memory, fds, SENDER_SIDE, options);
    const { whenFull = 'block', highWaterMark: mark = highWaterMark } = options ?? {};
    if (!POLICIES.includes(whenFull)) {
      throw invalidArgValue('whenFull', `must be one of ${POLICIES.join(', ')}`, whenFull);
    }
    this.ringBytes = memory.capacity;
    checkInteger('highWaterMark', mark, 0, this.ringBytes);
    this.whenFull = whenFull;
    this.highWaterMark = mark;
    this.dataAt = memory.headerBytes;
    this.reach = memory.mirrored ? 2 * this.ringBytes : this.ringBytes;
    this.tail = Atomics.load(this.words, WORD.TAIL) & POSITION;
    if (this.tail >= 2 * this.ringBytes) throw corrupt(`the sender's position is ${this.tail}`);
    this.turnAt = this.nextTurn();
    this.laps = this.words[WORD.LAPS]!;
    this.count = this.words[WORD.COUNT]!;
    this.drops = this.words[WORD.DROPPED]!;
    this.refresh();
    this.attach(this.tail);
  }

  /** Writes that were dropped because there was no room. */
  get dropped(): number {
    return this.drops;
  }

  /** Gives up what is claimed. */
  abort(): void {
    this.claimed = 0;
  }

  /** Publishes what is written: the receiver sees it from now on. */
  flush(): void {
    this.checkOpen();
    if (this.unpublished > 0) this.publish();
  }

  /** Ends the stream: the receiver gets everything written, then the end. */
  end(): void {
    this.finish(STATE.CLOSED);
  }

  /**
   * Gives up: the receiver gets everything written, then `ERR_ANNULUS_PEER_CLOSED`. Use `end()` for a
   * complete stream. Closing twice does nothing.
   */
  close(): void {
    this.finish(STATE.FAILED);
  }

  /** `close()`, not `end()`: a block that is left by an error has not sent everything. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Bytes that can be claimed, by the receiver's position as last seen. */
  protected claimable(): number {
    const free = this.room;
    const toEnd = this.reach - this.offset();
    return free < toEnd ? free : toEnd;
  }

  /** @internal All free bytes, by the receiver's position as it is now. */
  protected freeNow(): number {
    this.refresh();
    return this.room;
  }

  /** @internal The place of `bytes` contiguous free bytes in the memory, or -1. */
  protected reserve(bytes: number): number {
    if (this.room < bytes) {
      this.refresh();
      if (this.room < bytes) return -1;
    }
    const offset = this.offset();
    if (offset + bytes <= this.reach) return this.dataAt + offset;
    return this.reserveInNextLap(bytes);
  }

  /** @internal Makes the next `bytes` bytes of the memory part of what is sent. */
  protected advance(bytes: number): void {
    // What was claimed began here: it is written, or another write has taken its place.
    this.claimed = 0;
    this.move(bytes);
    this.unpublished += bytes;
    if (this.unpublished >= this.highWaterMark) this.publish();
    else if (!this.isFlushDue) this.flushLater();
  }

  /** @internal Counts one message or publication. */
  protected countOne(): void {
    this.count = (this.count + 1) | 0;
  }

  /** @internal Counts what was not written. */
  protected countDropped(): void {
    this.drops = (this.drops + 1) | 0;
    this.words[WORD.DROPPED] = this.drops;
  }

  /** @internal */
  protected override finish(state: number): void {
    if (this.closed) return;
    this.shared.checkReleasable();
    // The exchange takes the receiver's bit, so its wake-up is ours to send.
    if (this.unpublished > 0 && this.store()) this.attend();
    super.finish(state);
  }

  /** @internal There is no room: has the receiver make some. Throws if it never will. */
  protected expectRoom(): void {
    this.beforeWait();
    this.finished();
  }

  /** @internal */
  protected override beforeWait(): void {
    if (this.receiverClosed) throw peerClosed();
    if (this.unpublished > 0) this.publish();
  }

  /** @internal */
  protected override refresh(): void {
    // SYNC POINT: acquire, pairs with the receiver's exchange: it has read the bytes before `head`.
    this.accept(Atomics.load(this.words, HEAD) & MASK);
  }

  /** @internal */
  protected override accept(head: number): void {
    const { ringBytes, tail } = this;
    const ahead = tail - head;
    const used = ahead < 0 ? ahead + 2 * ringBytes : ahead;
    if (head >= 2 * ringBytes || used > ringBytes) throw badPositions(head, tail);
    this.room = ringBytes - used;
  }

  /** @internal */
  protected override enough(minimum: number): boolean {
    if (this.offset() + minimum <= this.reach) return this.room >= minimum;
    // What is claimed must stay where it is.
    if (this.claimed > 0) return false;
    return this.reserveInNextLap(minimum) !== -1;
  }

  /** @internal The receiver is gone: nothing more will become free. */
  protected override finished(): boolean {
    if (this.receiverClosed || this.peer() === STATE.CLOSED) throw peerClosed();
    if (this.peerDied) throw peerDied('receiver');
    return false;
  }

  /** @internal */
  protected override forgetPeer(): void {
    this.receiverClosed = false;
  }

  private offset(): number {
    return this.tail >= this.ringBytes ? this.tail - this.ringBytes : this.tail;
  }

  private move(bytes: number): void {
    this.room -= bytes;
    this.tail += bytes;
    if (this.tail >= this.turnAt) this.turn();
  }

  /** The tail has come to where positions begin again, or in flat memory to the end of that. */
  private turn(): void {
    const { ringBytes } = this;
    if (this.tail >= 2 * ringBytes) {
      this.tail -= 2 * ringBytes;
      this.laps = (this.laps + 1) | 0;
      this.words[WORD.LAPS] = this.laps;
    }
    if (this.reach !== ringBytes) return;
    this.turnAt = this.nextTurn();
    // The receiver has left the lap before, or there would have been no room: it needs that one's
    // end no more. The exchange of the tail comes later and publishes this.
    this.words[WORD.WRAP] = ringBytes;
  }

  private nextTurn(): number {
    return this.tail < this.ringBytes ? this.reach : 2 * this.ringBytes;
  }

  /** Leaves what is left of flat memory unused, if that much is free, and claims from its start. */
  private reserveInNextLap(bytes: number): number {
    const offset = this.offset();
    const toEnd = this.ringBytes - offset;
    if (this.room < toEnd) return -1;
    this.move(toEnd);
    this.words[WORD.WRAP] = offset;
    // Published at once: the receiver must pass the gap before its bytes are free again.
    this.publish();
    return this.room < bytes ? -1 : this.dataAt;
  }

  private flushLater(): void {
    // As the flush of the last turn has found.
    if (this.receiverClosed) throw peerClosed();
    this.isFlushDue = true;
    nextTick(flushDue, this);
  }

  /** @internal At the end of the turn. A receiver that has closed is met at the next write. */
  flushAtEnd(): void {
    this.isFlushDue = false;
    if (this.unpublished > 0 && !this.closed && this.store()) this.attend();
  }

  private publish(): void {
    if (this.store() || this.receiverClosed) {
      this.attend();
      if (this.receiverClosed) throw peerClosed();
    }
  }

  /** Stores the tail; whether the receiver asks for attention. */
  private store(): boolean {
    this.unpublished = 0;
    this.words[COUNT] = this.count;
    // SYNC POINT: release, the bytes were written before the tail that uncovers them. The exchange
    // also fetches and clears the receiver's bit, which tells of a receiver asleep or gone.
    return Atomics.exchange(this.words, TAIL, this.tail) < 0;
  }

  private attend(): void {
    if (this.peer() === STATE.CLOSED) this.receiverClosed = true;
    else this.link.wake();
  }
}

function badPositions(head: number, tail: number): AnnulusError {
  return corrupt(`the receiver's position is ${head} while the sender's is ${tail}`);
}

/** One function for all senders: a turn in which many write allocates nothing for it. */
function flushDue(sender: SendingEnd): void {
  sender.flushAtEnd();
}

export function peerClosed(): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_CLOSED',
    'The receiver has closed its end of the channel; nobody will read what is sent.',
  );
}

/** The other process or thread has ended without a word. */
export function peerDied(who: 'sender' | 'receiver'): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_PEER_DIED',
    `The ${who}'s process or thread has ended without closing the channel.`,
  );
}

/** A commit of what is not claimed, or no more. */
export function notClaimed(count: number, claimed: number, units: string): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CLAIM',
    `commit(${count}): ${claimed === 0 ? 'no' : `only ${claimed}`} ${units} are claimed. Any other write gives ` +
      'up what is claimed.',
  );
}

/** A write that finds no room, where the sender was told not to wait. */
export function channelFull(bytes: number, free: number): AnnulusError {
  return new AnnulusError(
    'ERR_ANNULUS_CHANNEL_FULL',
    `There is no room for ${bytes} bytes: ${free} are free. Wait with whenWritable(), or use ` +
      "whenFull: 'block'.",
  );
}
