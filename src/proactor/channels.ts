/**
 * Channels: bytes between a descriptor and a channel. The kernel reads into the channel's memory and
 * writes out of it, so nothing is copied in between.
 *
 * Where a position is given, several pieces are under way at once and land in order; streams (sockets,
 * pipes, terminals) have an order of their own, so there it is one request after another.
 */
import type { Receiver, Sender } from '../channel/index.ts';
import { checkInteger, checkSignal, invalidArgValue } from '../sys/errors.ts';
import type { FixedBuffer, MemoryRange } from '../uring/index.ts';
import type { Fd } from '../uring/descriptors.ts';
import type { RequestOptions } from './attachment.ts';
import { Flight } from './flight.ts';
import { pieceLimits, rangeInMemory } from './pieces.ts';

const POLLIN = 1;
const POLLOUT = 4;

/** What goes between a descriptor and a channel, and how it can be ended early. */
export interface ChannelTransferOptions {
  /** Ends the transfer; it rejects once the kernel has let go of the channel's memory. */
  readonly signal?: AbortSignal | undefined;
  /** Byte position in the file. Default: its current position, or whatever a stream brings. */
  readonly position?: number | undefined;
  /** Most bytes to move. Default: all until the end. */
  readonly length?: number | undefined;
  /** The end's `memory`, registered with this proactor: the requests are fixed ones then. */
  readonly buffer?: FixedBuffer | undefined;
  /** Told of every piece that has moved, in bytes. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** What a transfer needs of its proactor. */
export interface ChannelIo {
  read(fd: Fd, view: Uint8Array, range: MemoryRange & RequestOptions): Promise<number>;
  write(fd: Fd, view: Uint8Array, range: MemoryRange & RequestOptions): Promise<number>;
  readFixed(fd: Fd, buffer: FixedBuffer, range: MemoryRange & RequestOptions): Promise<number>;
  writeFixed(fd: Fd, buffer: FixedBuffer, range: MemoryRange & RequestOptions): Promise<number>;
  poll(fd: Fd, events: number, options?: RequestOptions): Promise<number>;
}

type Direction = 'read' | 'write';

/** One transfer in either direction. */
abstract class ChannelTransfer {
  protected readonly flight: Flight;
  protected readonly pieceBytes: number;
  protected readonly signal: AbortSignal | undefined;
  /** Whether one request has to follow another. */
  protected readonly isStream: boolean;
  private moved = 0;
  private readonly io: ChannelIo;
  private readonly fd: Fd;
  private readonly direction: Direction;
  private readonly options: ChannelTransferOptions;
  private readonly memory: Uint8Array;
  private readonly length: number;
  /** Bytes that requests were made for. */
  private asked = 0;

  protected constructor(
    io: ChannelIo,
    fd: Fd,
    end: Sender | Receiver,
    direction: Direction,
    options: ChannelTransferOptions = {},
  ) {
    const { position, length, buffer } = options;
    if (position !== undefined) {
      checkInteger('position', position, 0, Number.MAX_SAFE_INTEGER);
    }
    if (length !== undefined) checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER);
    if (buffer !== undefined && buffer.byteLength < end.capacity) {
      const wanted = `must be the end's memory of ${end.capacity} bytes, registered`;
      throw invalidArgValue('buffer', wanted, buffer.byteLength);
    }
    this.io = io;
    this.fd = fd;
    this.direction = direction;
    this.options = options;
    this.memory = end.memory;
    this.length = length ?? Infinity;
    this.signal = options.signal;
    this.isStream = position === undefined;
    const limits = pieceLimits(end.capacity);
    this.pieceBytes = limits.pieceBytes;
    // What follows a piece of memory without a mirror may have to lie elsewhere, which shows once that
    // has landed.
    this.flight = new Flight(end.isMirrored ? limits.flightBytes : 0);
  }

  /** Moves everything; resolves with the bytes moved. No request is under way any more after it. */
  async run(): Promise<number> {
    try {
      await this.moveAll();
      await this.flight.landed();
    } finally {
      await this.flight.settled();
      this.finish();
    }
    return this.moved;
  }

  protected abstract moveAll(): Promise<void>;
  protected abstract finish(): void;

  /** Counts bytes that have moved. */
  protected count(bytes: number): void {
    this.moved += bytes;
    this.options.onBytes?.(bytes);
  }

  /** Bytes that may still be asked for, at most a piece. */
  protected nextPiece(): number {
    return Math.min(this.pieceBytes, this.length - this.asked);
  }

  /** One request, repeated until the descriptor is ready for it. */
  protected async once(view: Uint8Array, offset: number, position: number): Promise<number> {
    for (;;) {
      try {
        return await this.request(view, offset, position);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EINTR') continue;
        if (code !== 'EAGAIN') throw error;
        // A descriptor that does not block, as Node's own are: the kernel does not wait for it.
        const events = this.direction === 'read' ? POLLIN : POLLOUT;
        await this.io.poll(this.fd, events, { signal: this.signal });
      }
    }
  }

  /** Requests until all of `view` is moved or nothing more is; the bytes moved. */
  protected async whole(view: Uint8Array): Promise<number> {
    const start = (this.options.position ?? 0) + this.asked;
    this.asked += view.length;
    let done = 0;
    while (done < view.length) {
      const count = await this.once(view, done, this.isStream ? -1 : start + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /** Says that a request on a stream has moved `count` bytes. */
  protected passed(count: number): void {
    this.asked += count;
  }

  private request(view: Uint8Array, offset: number, position: number): Promise<number> {
    const { io, fd, direction, signal } = this;
    const { buffer } = this.options;
    const place = position < 0 ? {} : { position };
    if (buffer === undefined) {
      return io[direction](fd, view, { ...place, offset, signal });
    }
    // Only one half of the mirror is registered.
    const part = rangeInMemory(this.memory, view, offset, view.length - offset);
    const range = { ...place, ...part, signal };
    return direction === 'read'
      ? io.readFixed(fd, buffer, range)
      : io.writeFixed(fd, buffer, range);
  }
}

/** From a descriptor into a channel. */
class Filling extends ChannelTransfer {
  private readonly sender: Sender;
  private isOver = false;

  constructor(io: ChannelIo, fd: Fd, sender: Sender, options?: ChannelTransferOptions) {
    super(io, fd, sender, 'read', options);
    this.sender = sender;
  }

  protected async moveAll(): Promise<void> {
    while (!this.isOver && this.nextPiece() > 0) {
      const view = await this.reserve();
      if (this.isStream) await this.pass(view);
      else this.fly(view);
    }
  }

  /** What is claimed and was not filled stays free. */
  protected finish(): void {
    if (!this.sender.closed) this.sender.abort();
  }

  private async pass(view: Uint8Array): Promise<void> {
    const count = await this.once(view, 0, -1);
    this.isOver = count === 0;
    this.passed(count);
    this.land(count);
  }

  private fly(view: Uint8Array): void {
    let count = 0;
    const work = this.whole(view).then((done) => {
      count = done;
    });
    this.flight.add(view.length, work, () => {
      // Behind the end of the file nothing counts, even if it has grown meanwhile.
      if (!this.isOver) this.land(count);
      if (count < view.length) this.isOver = true;
    });
  }

  private land(count: number): void {
    if (count === 0) return;
    this.sender.commit(count);
    this.count(count);
  }

  /** Free memory of the channel behind everything that is under way. */
  private async reserve(): Promise<Uint8Array> {
    const { sender, signal } = this;
    const wanted = this.nextPiece();
    await this.flight.room(wanted);
    for (;;) {
      checkSignal(signal);
      const before = this.flight.bytes;
      const least = this.isStream ? 1 : before + wanted;
      const length = Math.min(sender.free, before + wanted);
      const view = length >= least ? sender.claim(length) : null;
      if (view !== null) return view.subarray(before);
      await sender.whenWritable(least, { signal });
    }
  }
}

/** From a channel into a descriptor. */
class Draining extends ChannelTransfer {
  private readonly receiver: Receiver;

  constructor(io: ChannelIo, fd: Fd, receiver: Receiver, options?: ChannelTransferOptions) {
    super(io, fd, receiver, 'write', options);
    this.receiver = receiver;
  }

  protected async moveAll(): Promise<void> {
    for (let wanted = this.nextPiece(); wanted > 0; wanted = this.nextPiece()) {
      await this.flight.room(wanted);
      const before = this.flight.bytes;
      if (!(await this.receiver.whenReadable(before + 1, { signal: this.signal }))) return;
      const view = this.receiver.content().subarray(this.flight.bytes).subarray(0, wanted);
      if (this.isStream) await this.pass(view);
      else this.flight.add(view.length, this.put(view), () => this.land(view.length));
    }
  }

  /** What was not written stays in the channel. */
  protected finish(): void {
    // Nothing is claimed on this side.
  }

  private async pass(view: Uint8Array): Promise<void> {
    const count = await this.once(view, 0, -1);
    this.passed(count);
    this.land(count);
  }

  private async put(view: Uint8Array): Promise<void> {
    const count = await this.whole(view);
    if (count < view.length) throw new Error(`only ${count} of ${view.length} bytes were written`);
  }

  private land(count: number): void {
    this.receiver.consume(count);
    this.count(count);
  }
}

/** Moves bytes from a descriptor into a channel. */
export function fillChannel(
  io: ChannelIo,
  fd: Fd,
  sender: Sender,
  options?: ChannelTransferOptions,
): Promise<number> {
  return new Filling(io, fd, sender, options).run();
}

/** Moves bytes out of a channel into a descriptor. */
export function drainChannel(
  io: ChannelIo,
  fd: Fd,
  receiver: Receiver,
  options?: ChannelTransferOptions,
): Promise<number> {
  return new Draining(io, fd, receiver, options).run();
}
