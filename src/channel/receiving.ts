/**
 * ReceivingEnd: what all receivers have in common - content, and giving it back.
 *
 * A read costs at most two atomic operations: the sender's position is loaded if what was last seen
 * of it is used up, and the head is exchanged, which stores it and tells whether the sender waits.
 */
import { AnnulusError } from '../sys/errors.ts';
import type { EndDescriptors } from './descriptors.ts';
import { End, RECEIVER_SIDE } from './end.ts';
import type { EndOptions } from './end.ts';
import { POSITION, STATE, WORD } from './layout.ts';
import { corrupt } from './memory.ts';
import type { ChannelMemory } from './memory.ts';
import { peerDied } from './sending.ts';

// V8 compiles constants of the module itself into the code, but looks up what is imported at every use.
const TAIL: number = WORD.TAIL;
const HEAD: number = WORD.HEAD;
const MASK: number = POSITION;

/** The reading side of a channel. */
export abstract class ReceivingEnd extends End {
  private readonly ringBytes: number;
  private readonly dataAt: number;
  /** Before where bytes in one piece end: in mirrored memory a lap further. */
  private readonly reach: number;
  /** The least that there can be of content, in bytes. */
  private readonly unit: number;
  /** Where consumed bytes end, 0 to twice the capacity. Only this side stores it. */
  private head: number;
  /** Bytes up to the sender's position as last seen, which never overestimates them. */
  private used = 0;
  /** Flat memory: where the content of the lap that `head` is in ends, as an offset. */
  private lapEnd: number;

  /** @internal */
  protected constructor(
    memory: ChannelMemory,
    fds: EndDescriptors,
    options: EndOptions | undefined,
  ) {
    super(memory, fds, RECEIVER_SIDE, options);
    this.ringBytes = memory.capacity;
    this.dataAt = memory.headerBytes;
    this.reach = memory.mirrored ? 2 * this.ringBytes : this.ringBytes;
    this.unit = memory.format.unit;
    // SYNC POINT: where an earlier receiver has stopped; it is gone and stores no more.
    this.head = Atomics.load(this.words, WORD.HEAD) & POSITION;
    if (this.head >= 2 * this.ringBytes) throw corrupt(`the receiver's position is ${this.head}`);
    this.lapEnd = this.ringBytes;
    // Flat memory is looked at with the first read: passing a gap stores the position, which is not
    // ours before the end is.
    if (memory.mirrored) this.refresh();
    this.attach(this.head);
  }

  /** Whether the sender has ended and everything it sent is consumed. */
  get ended(): boolean {
    this.checkOpen();
    if (!this.finished()) return false;
    this.refresh();
    return this.seen() < this.unit;
  }

  /** Closes this end; the sender's next commit throws. Closing twice does nothing. */
  close(): void {
    this.finish(STATE.CLOSED);
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Bytes of content in one piece, by the sender's position as last seen. */
  protected seen(): number {
    const { used } = this;
    const offset = this.offset();
    // Not over the end of the memory: the sender is in the same lap, or at its end.
    if (offset + used < this.reach || used === 0) return used;
    return this.lapEnd - offset;
  }

  /** @internal The place of the content in the memory. */
  protected place(): number {
    return this.dataAt + this.offset();
  }

  /** @internal Gives bytes back to the sender. */
  protected release(bytes: number): void {
    this.move(bytes);
    this.publish();
  }

  /** @internal */
  protected override refresh(): void {
    // SYNC POINT: acquire, pairs with the sender's exchange: the bytes before `tail` are written.
    this.accept(Atomics.load(this.words, TAIL) & MASK);
  }

  /** @internal */
  protected override accept(tail: number): void {
    const { head, ringBytes } = this;
    const ahead = tail - head;
    const used = ahead < 0 ? ahead + 2 * ringBytes : ahead;
    if (tail >= 2 * ringBytes || used > ringBytes) throw badPositions(tail, head);
    this.used = used;
    if (this.isFlat) this.acceptWrap();
  }

  /** @internal */
  protected override enough(minimum: number): boolean {
    const seen = this.seen();
    // What ends with the memory cannot grow.
    return (
      seen >= minimum || (this.isFlat && seen >= this.unit && this.offset() + seen === this.lapEnd)
    );
  }

  /** @internal What was committed before a failure is delivered first. */
  protected override finished(): boolean {
    // The state is loaded before the tail: a sender that has ended has stored its last tail before.
    const sender = this.peer();
    if (sender === STATE.CLOSED) return this.refreshed(true);
    if (sender !== STATE.FAILED && !this.peerDied) return false;
    this.refresh();
    if (this.seen() >= this.unit) return true;
    if (sender !== STATE.FAILED) throw peerDied('sender');
    throw new AnnulusError(
      'ERR_ANNULUS_PEER_CLOSED',
      'The sender has closed the channel before the end of its stream.',
    );
  }

  /** @internal */
  protected override beforeWait(): void {
    // Everything consumed is published.
  }

  /** @internal */
  protected override forgetPeer(): void {
    // Its position is where a new sender goes on.
  }

  private refreshed<T>(result: T): T {
    this.refresh();
    return result;
  }

  private get isFlat(): boolean {
    return this.reach === this.ringBytes;
  }

  private offset(): number {
    return this.head >= this.ringBytes ? this.head - this.ringBytes : this.head;
  }

  private move(bytes: number): void {
    this.used -= bytes;
    const next = this.head + bytes;
    this.head = next >= 2 * this.ringBytes ? next - 2 * this.ringBytes : next;
    if (!this.isFlat) return;
    if (this.offset() === 0) this.lapEnd = this.ringBytes;
    else this.passGap();
  }

  private publish(): void {
    // SYNC POINT: release, the bytes were read before the head that frees them. The exchange also
    // fetches and clears the sender's bit.
    if (Atomics.exchange(this.words, HEAD, this.head) < 0) this.link.wake();
  }

  /** In flat memory, the sender may have left the end of a lap unused. */
  private acceptWrap(): void {
    const offset = this.offset();
    if (offset + this.used < this.ringBytes) return;
    // Stored before the tail that entered the next lap. Fetched once: the copy is checked and used.
    const end = this.words[WORD.WRAP]!;
    if (end < offset || end > this.ringBytes) {
      throw corrupt(`the sender left its lap at ${end} while the receiver is at ${offset}`);
    }
    this.lapEnd = end;
    if (this.passGap()) this.publish();
  }

  /** Steps over the unused end of a lap, if that is what comes next. */
  private passGap(): boolean {
    const offset = this.offset();
    if (offset !== this.lapEnd || this.lapEnd === this.ringBytes) return false;
    const gap = this.ringBytes - offset;
    this.used -= gap;
    const next = this.head + gap;
    this.head = next >= 2 * this.ringBytes ? next - 2 * this.ringBytes : next;
    this.lapEnd = this.ringBytes;
    return true;
  }
}

function badPositions(tail: number, head: number): AnnulusError {
  return corrupt(`the sender's position is ${tail} while the receiver's is ${head}`);
}
