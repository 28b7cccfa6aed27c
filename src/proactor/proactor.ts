/**
 * Proactor: io_uring requests as promises. Requests made in one turn of the event loop reach the
 * kernel in one call.
 */
import type { Receiver, Sender, Waiter } from '../channel/index.ts';
import { regionOf, Region } from '../memory/region.ts';
import { Allocation } from '../pool/allocation.ts';
import { BufferPool } from '../pool/pool.ts';
import { check, checkInteger, ERRNO, invalidArgType } from '../sys/errors.ts';
import type { Fd, FixedBuffer, MemoryRange } from '../uring/descriptors.ts';
import { OP } from '../uring/opcodes.ts';
import type { PathOptions } from '../uring/requests/path.ts';
import { SharedRing } from '../uring/shared/ring.ts';
import type { SocketAddress } from '../uring/sockaddr.ts';
import { decodeStatx } from '../uring/statx.ts';
import type { FileStatus } from '../uring/statx.ts';
import type { RequestOptions } from './attachment.ts';
import { Acceptor } from './acceptor.ts';
import { plainBytes } from './bounce.ts';
import { pollWaiter } from './channel-waiter.ts';
import { drainChannel, fillChannel } from './channels.ts';
import type { ChannelTransferOptions } from './channels.ts';
import { Engine } from './engine.ts';
import type { EngineOptions, ProactorOptions } from './engine.ts';
import { FixedTable } from './fixed-table.ts';
import { Listener } from './listener.ts';
import type { ListenerOptions } from './listener.ts';
import { giveBack, PoolReads } from './pool-reads.ts';
import type { PoolFileReadOptions, PoolReadOptions } from './pool-reads.ts';
import { PooledMemory } from './pooled-memory.ts';
import type { PooledBytes } from './pooled-bytes.ts';
import { PositionedFile } from './positioned-file.ts';

/** What part of memory and file a transfer is about, and how it can be ended early. */
export interface TransferOptions extends MemoryRange, RequestOptions {}

/**
 * Memory of a transfer. A Region or a view into one is used in place, and so is an allocation of a
 * pool, which is kept until the transfer has ended; any other memory is copied.
 */
export type Buffer = Region | NodeJS.ArrayBufferView | Allocation;

/** How long a kernel timer of `sleep()` can be, in milliseconds. */
const MAX_SLEEP = Number.MAX_SAFE_INTEGER;

/** Whether a transfer needs nothing but a slot: no bounce, no signal, no time limit. */
function isDirect(
  buffer: Buffer | BufferPool,
  options: TransferOptions | undefined,
): buffer is Region | Uint8Array {
  if (options !== undefined && (options.signal !== undefined || options.timeout !== undefined)) {
    return false;
  }
  return (
    buffer instanceof Region || (buffer instanceof Uint8Array && regionOf(buffer) !== undefined)
  );
}

/**
 * Promises over an io_uring on Node's event loop. It belongs to the thread that made it.
 *
 * Memory from `alloc()` or a `Region` is read and written by the kernel in place. Any other buffer
 * works too, through a copy. A request keeps its memory mapped until the kernel has let go of it.
 *
 * @example
 * ```ts
 * import { alloc } from 'annulus';
 * import { Proactor } from 'annulus/proactor';
 * const io = Proactor.default();
 * const fd = await io.open('/etc/hostname', 0);
 * const memory = alloc(4096);
 * const length = await io.read(fd, memory, { position: 0 });
 * await io.closeFd(fd);
 * ```
 */
export class Proactor extends Engine {
  static #default: Proactor | undefined;
  readonly #shared: SharedRing | undefined;
  #channelWaiter: Waiter | undefined;
  #table: FixedTable | undefined;
  #pooled: PooledMemory | undefined;
  #poolReads: PoolReads | undefined;

  /**
   * @throws {AnnulusError} `ERR_ANNULUS_URING_UNAVAILABLE` with the likely cause and the remedy.
   */
  constructor(options?: ProactorOptions);
  /** @internal */
  constructor(options: ProactorOptions, shared: SharedRing);
  constructor(options: ProactorOptions = {}, shared?: SharedRing) {
    super(options, shared);
    this.#shared = shared;
  }

  /** The proactor of this thread, made on first use. */
  static default(): Proactor {
    if (Proactor.#default === undefined || Proactor.#default.closed) {
      Proactor.#default = new Proactor();
    }
    return Proactor.#default;
  }

  /**
   * Promises over this thread's part in a shared ring. Whichever thread reaps a completion, the promise
   * of the thread that asked is settled. Closing the proactor ends this thread's part.
   *
   * For the kernel a request is of the thread whose turn submitted it, which may be another than
   * asked: if that ends first, the request may fail with `ECANCELED`.
   *
   * @param ring - Default: a new one, whose {@link Proactor.sharedRing} has the handle for others.
   * @example
   * ```ts
   * import { Proactor } from 'annulus/proactor';
   * import { SharedRing } from 'annulus/uring';
   * const ring = new SharedRing({ threads: 4 }); // in a worker: SharedRing.attach(workerData)
   * await using io = Proactor.shared(ring);
   * await io.sleep(10);
   * ```
   */
  static shared(ring: SharedRing = new SharedRing(), options: EngineOptions = {}): Proactor {
    if (!(ring instanceof SharedRing)) throw invalidArgType('ring', 'a SharedRing', ring);
    return new Proactor(options, ring);
  }

  /** The ring this proactor shares with other threads; undefined for one of its own. */
  get sharedRing(): SharedRing | undefined {
    return this.#shared;
  }

  /**
   * Reads into memory of a pool, allocated when there is something to read: a read that waits for
   * data holds none. Resolves with the bytes and their allocation. Linux 5.6.
   *
   * Rejects as {@link BufferPool.allocate} does, too, and nothing is lost then: data that found no
   * room is still there to be read. Reads that want the same data get it in no particular order.
   *
   * @example
   * ```ts
   * using received = await io.read(fd, pool, { buffers: 4 });
   * received.bytes; // of four buffers at most
   * ```
   */
  read(fd: Fd, pool: BufferPool, options?: PoolFileReadOptions): Promise<PooledBytes>;
  /**
   * Reads into `buffer`; resolves with the bytes read, 0 at the end of the file. Linux 5.6.
   *
   * Without `position` it reads at the file's current position; concurrent such reads are served in
   * no particular order.
   */
  read(fd: Fd, buffer: Buffer, options?: TransferOptions): Promise<number>;
  read(
    fd: Fd,
    buffer: Buffer | BufferPool,
    options?: TransferOptions & PoolFileReadOptions,
  ): Promise<number | PooledBytes> {
    if (!isDirect(buffer, options) || !this.canPrepare()) {
      if (buffer instanceof BufferPool) return this.reads.read(OP.READ, fd, buffer, options);
      return this.transfer(OP.READ, fd, buffer, options);
    }
    const token = this.slots.take(OP.READ);
    try {
      return this.promiseOf(token, this.ring.read(token, fd, buffer, options));
    } catch (error) {
      return this.refused(token, error);
    }
  }

  /** Writes from `buffer`; resolves with the bytes written, which may be fewer. Linux 5.6. */
  write(fd: Fd, buffer: Buffer, options?: TransferOptions): Promise<number> {
    if (!isDirect(buffer, options) || !this.canPrepare()) {
      return this.transfer(OP.WRITE, fd, buffer, options);
    }
    const token = this.slots.take(OP.WRITE);
    try {
      return this.promiseOf(token, this.ring.write(token, fd, buffer, options));
    } catch (error) {
      return this.refused(token, error);
    }
  }

  /** Receives into memory of a pool, allocated when something has arrived: see `read()`. */
  recv(fd: Fd, pool: BufferPool, options?: PoolReadOptions): Promise<PooledBytes>;
  /** Receives from a socket; resolves with the bytes received, 0 at its end. Linux 5.6. */
  recv(fd: Fd, buffer: Buffer, options?: TransferOptions): Promise<number>;
  recv(
    fd: Fd,
    buffer: Buffer | BufferPool,
    options?: TransferOptions & PoolReadOptions,
  ): Promise<number | PooledBytes> {
    if (!isDirect(buffer, options) || !this.canPrepare()) {
      if (buffer instanceof BufferPool) return this.reads.read(OP.RECV, fd, buffer, options);
      return this.transfer(OP.RECV, fd, buffer, options);
    }
    const token = this.slots.take(OP.RECV);
    try {
      return this.promiseOf(token, this.ring.recv(token, fd, buffer, options));
    } catch (error) {
      return this.refused(token, error);
    }
  }

  /** Sends on a socket; resolves with the bytes sent, which may be fewer. Linux 5.6. */
  send(fd: Fd, buffer: Buffer, options?: TransferOptions): Promise<number> {
    if (!isDirect(buffer, options) || !this.canPrepare()) {
      return this.transfer(OP.SEND, fd, buffer, options);
    }
    const token = this.slots.take(OP.SEND);
    try {
      return this.promiseOf(token, this.ring.send(token, fd, buffer, options));
    } catch (error) {
      return this.refused(token, error);
    }
  }

  /**
   * Reads into memory of a pool until the end, one allocation after another. The next read begins
   * when the next bytes are asked for; whoever iterates releases what he got.
   *
   * @example
   * ```ts
   * for await (using part of io.readMany(fd, pool, { position: 0 })) hash.update(part.bytes);
   * ```
   */
  readMany(
    fd: Fd,
    pool: BufferPool,
    options?: PoolFileReadOptions,
  ): AsyncIterableIterator<PooledBytes> {
    return this.reads.readMany(OP.READ, fd, pool, options);
  }

  /** Receives into memory of a pool until the peer has ended the connection: see `readMany()`. */
  recvMany(
    fd: Fd,
    pool: BufferPool,
    options?: PoolReadOptions,
  ): AsyncIterableIterator<PooledBytes> {
    return this.reads.readMany(OP.RECV, fd, pool, options);
  }

  /**
   * Reads from a file, pipe or socket straight into a channel, until the end of what is read. It does
   * not end the channel: more may follow. Linux 5.6.
   *
   * What was read before an error is committed. An end of the stream is `length` or no more data.
   *
   * @returns The bytes moved.
   * @throws {SystemError} What reading failed with.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if nobody receives.
   *
   * @example
   * ```ts
   * await io.fillChannel(fd, channel.sender, { position: 0 });
   * channel.sender.end();
   * ```
   */
  fillChannel(fd: Fd, sender: Sender, options?: ChannelTransferOptions): Promise<number> {
    return fillChannel(this, fd, sender, options);
  }

  /**
   * Writes what comes out of a channel straight to a file, pipe or socket, until the channel ends.
   * Linux 5.6.
   *
   * What was not written stays in the channel, after an error too.
   *
   * @returns The bytes moved.
   * @throws {SystemError} What writing failed with.
   * @throws {AnnulusError} `ERR_ANNULUS_PEER_CLOSED` or `ERR_ANNULUS_PEER_DIED` if the sender did not
   *   end its stream.
   *
   * @example
   * ```ts
   * const bytes = await io.drainChannel(channel.receiver, fd, { position: 0 });
   * ```
   */
  drainChannel(receiver: Receiver, fd: Fd, options?: ChannelTransferOptions): Promise<number> {
    return drainChannel(this, fd, receiver, options);
  }

  /**
   * How ends of channels wait by requests of this proactor, instead of a descriptor watched on the event
   * loop: what `waiter` among their options can be.
   *
   * @example
   * ```ts
   * const channel = Channel.create({ capacity: 65536, waiter: io.channelWaiter });
   * ```
   */
  get channelWaiter(): Waiter {
    this.#channelWaiter ??= pollWaiter(this);
    return this.#channelWaiter;
  }

  /** `read()` into registered memory. Linux 5.1. */
  readFixed(fd: Fd, buffer: FixedBuffer, options?: TransferOptions): Promise<number> {
    return this.request(OP.READ_FIXED, { options }, (token) =>
      this.ring.readFixed(token, fd, buffer, options),
    );
  }

  /** `write()` from registered memory. Linux 5.1. */
  writeFixed(fd: Fd, buffer: FixedBuffer, options?: TransferOptions): Promise<number> {
    return this.request(OP.WRITE_FIXED, { options }, (token) =>
      this.ring.writeFixed(token, fd, buffer, options),
    );
  }

  /** Fills several Regions (or views into them) in order. Linux 5.1. */
  readv(
    fd: Fd,
    buffers: readonly (Region | Uint8Array)[],
    options?: RequestOptions & { readonly position?: number },
  ): Promise<number> {
    return this.request(OP.READV, { options }, (token) =>
      this.ring.readv(token, fd, buffers, options?.position),
    );
  }

  /** Writes several Regions (or views into them) in order. Linux 5.1. */
  writev(
    fd: Fd,
    buffers: readonly (Region | Uint8Array)[],
    options?: RequestOptions & { readonly position?: number },
  ): Promise<number> {
    return this.request(OP.WRITEV, { options }, (token) =>
      this.ring.writev(token, fd, buffers, options?.position),
    );
  }

  /**
   * Registers memory for `readFixed()` and `writeFixed()`; see `Registrar.buffers()`. At most 1,024
   * pieces once a read or write has used a pool, whose memory is registered in the same table.
   */
  registerBuffers(memories: readonly (Region | Uint8Array)[]): FixedBuffer[] {
    return this.table.register(memories);
  }

  /** Takes registered memory back. */
  unregisterBuffers(): void {
    this.table.unregister();
  }

  /** `fsync(2)`, or `fdatasync(2)` with `datasync`. Linux 5.1. */
  async fsync(fd: Fd, options?: RequestOptions & { readonly datasync?: boolean }): Promise<void> {
    await this.request(OP.FSYNC, { options }, (token) => this.ring.fsync(token, fd, options));
  }

  /**
   * Opens a file with `O_CLOEXEC`; resolves with its descriptor. Linux 5.6.
   *
   * @param flags - `O_*` of `node:fs` constants.
   */
  open(
    path: string,
    flags: number,
    mode?: number,
    options?: RequestOptions & PathOptions,
  ): Promise<number> {
    return this.request(OP.OPENAT, { options, path, yieldsFd: true }, (token) =>
      this.ring.openat(token, path, flags, mode, options),
    );
  }

  /** Opens a file, as `open()` does, with a position of its own and reads and writes at any place. */
  async openFile(
    path: string,
    flags: number,
    mode?: number,
    options?: RequestOptions & PathOptions,
  ): Promise<PositionedFile> {
    return new PositionedFile(this, await this.open(path, flags, mode, options));
  }

  /**
   * Writes one buffer to many descriptors, by as few system calls as its requests need. Ordinary
   * memory is copied once for all.
   *
   * @returns What became of each write, in the order of `fds`: the bytes written, which may be
   *   fewer, or the reason it failed.
   */
  async writeMany(
    fds: readonly Fd[],
    buffer: Buffer,
    options?: TransferOptions,
  ): Promise<PromiseSettledResult<number>[]> {
    if (buffer instanceof Region || buffer instanceof Allocation || regionOf(buffer)) {
      return Promise.allSettled(fds.map((fd) => this.write(fd, buffer, options)));
    }
    const bytes = plainBytes(buffer, options?.offset, options?.length);
    const bounced = this.bounces.forWrite(bytes);
    this.bounced += fds.length;
    const range = { ...options, offset: 0, length: bounced.length };
    try {
      return await Promise.allSettled(fds.map((fd) => this.write(fd, bounced.region, range)));
    } finally {
      this.bounces.release(bounced);
    }
  }

  /** Closes a descriptor. Linux 5.6. */
  async closeFd(fd: Fd): Promise<void> {
    await this.request(OP.CLOSE, { options: undefined }, (token) => this.ring.closeFd(token, fd));
  }

  /** Reports about a file, by path. Linux 5.6. */
  statx(
    path: string,
    options?: RequestOptions & PathOptions & { readonly flags?: number },
  ): Promise<FileStatus> {
    const bounced = this.bounces.forRead(new Uint8Array(256));
    const decode = (): FileStatus => decodeStatx(bounced.region.bytes);
    return this.request(OP.STATX, { options, path, bounced, decode }, (token) =>
      this.ring.statx(token, path, bounced.region, options),
    );
  }

  /** Reserves or frees space: `length` bytes from `offset`; `mode` as in linux/falloc.h. Linux 5.6. */
  async fallocate(
    fd: Fd,
    offset: number,
    length: number,
    options?: RequestOptions & { readonly mode?: number },
  ): Promise<void> {
    await this.request(OP.FALLOCATE, { options }, (token) =>
      this.ring.fallocate(token, fd, offset, length, options?.mode),
    );
  }

  /** Sets a file's length in bytes. Linux 6.9. */
  async ftruncate(fd: Fd, length: number, options?: RequestOptions): Promise<void> {
    await this.request(OP.FTRUNCATE, { options }, (token) =>
      this.ring.ftruncate(token, fd, length),
    );
  }

  /** Makes a directory. Linux 5.15. */
  async mkdir(path: string, mode?: number, options?: RequestOptions & PathOptions): Promise<void> {
    await this.request(OP.MKDIRAT, { options, path }, (token) =>
      this.ring.mkdirat(token, path, mode, options),
    );
  }

  /** Removes a file, or with `removeDirectory` an empty directory. Linux 5.11. */
  async unlink(
    path: string,
    options?: RequestOptions & PathOptions & { readonly removeDirectory?: boolean },
  ): Promise<void> {
    await this.request(OP.UNLINKAT, { options, path }, (token) =>
      this.ring.unlinkat(token, path, options),
    );
  }

  /** Renames a file or directory. Linux 5.11. */
  async rename(from: string, to: string, options?: RequestOptions & PathOptions): Promise<void> {
    await this.request(OP.RENAMEAT, { options, path: from, dest: to }, (token) =>
      this.ring.renameat(token, from, to, options),
    );
  }

  /** Makes a socket; resolves with its descriptor. Linux 5.19. */
  socket(
    family: number,
    type: number,
    protocol?: number,
    options?: RequestOptions,
  ): Promise<number> {
    return this.request(OP.SOCKET, { options, yieldsFd: true }, (token) =>
      this.ring.socket(token, family, type, protocol),
    );
  }

  /** Gives a socket its address. Linux 6.11. */
  async bind(fd: Fd, address: SocketAddress, options?: RequestOptions): Promise<void> {
    await this.request(OP.BIND, { options }, (token) => this.ring.bind(token, fd, address));
  }

  /** Makes a socket accept connections. Linux 6.11. */
  async listen(fd: Fd, backlog: number = 511, options?: RequestOptions): Promise<void> {
    await this.request(OP.LISTEN, { options }, (token) => this.ring.listen(token, fd, backlog));
  }

  /**
   * Makes a stream socket that listens at an address, with its options; iterating it accepts, by
   * `acceptMany()`.
   *
   * @throws {SystemError} What `socket`, `setsockopt`, `bind` or `listen` failed with.
   */
  openListener(options: SocketAddress & ListenerOptions): Listener {
    return new Listener(this, options);
  }

  /** Accepts one connection; resolves with its descriptor. Linux 5.5. */
  accept(fd: Fd, options?: RequestOptions): Promise<number> {
    return this.request(OP.ACCEPT, { options, yieldsFd: true }, (token) =>
      this.ring.accept(token, fd),
    );
  }

  /**
   * Accepts connections for as long as it is iterated, by one multishot request that is armed again
   * whenever the kernel ends it. Connections nobody took are closed when the iteration ends.
   * Linux 5.19.
   */
  acceptMany(fd: Fd, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<number> {
    return new Acceptor(
      (multishot, signal) =>
        this.request(OP.ACCEPT, { options: { signal }, multishot, convert: Number }, (token) =>
          this.ring.acceptMultishot(token, fd),
        ),
      options?.signal,
    );
  }

  /** Connects a socket. Linux 5.5. */
  async connect(fd: Fd, address: SocketAddress, options?: RequestOptions): Promise<void> {
    await this.request(OP.CONNECT, { options }, (token) => this.ring.connect(token, fd, address));
  }

  /** Ends one or both directions of a connection: `SHUT.RD`, `SHUT.WR`, `SHUT.RDWR`. Linux 5.11. */
  async shutdown(fd: Fd, how: number, options?: RequestOptions): Promise<void> {
    await this.request(OP.SHUTDOWN, { options }, (token) => this.ring.shutdown(token, fd, how));
  }

  /** Waits until a descriptor is ready; resolves with the `poll(2)` events. Linux 5.1. */
  poll(fd: Fd, events: number, options?: RequestOptions): Promise<number> {
    return this.request(OP.POLL_ADD, { options }, (token) => this.ring.pollAdd(token, fd, events));
  }

  /** Resolves after so many milliseconds, by the kernel's timer. Linux 5.4. */
  sleep(milliseconds: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
    const attachment = { options, convert: timerOutcome };
    return this.request(OP.TIMEOUT, attachment, (token) => {
      checkInteger('milliseconds', milliseconds, 0, MAX_SLEEP);
      return this.ring.timeout(token, milliseconds);
    });
  }

  /** @internal */
  protected override onClosing(): void {
    this.#poolReads?.close();
  }

  /** Reads into pools, made when the first one is asked for. */
  private get reads(): PoolReads {
    this.#poolReads ??= new PoolReads({
      ring: this.ring,
      ask: (...what) => this.ask(...what),
      followUp: (...what) => this.followUp(...what),
      isAbandoning: () => this.abandoning,
      prepare: (...what) => this.pooled.prepare(...what),
    });
    return this.#poolReads;
  }

  /** @internal */
  protected override onClosed(): void {
    this.#pooled?.close();
  }

  private get table(): FixedTable {
    this.#table ??= new FixedTable(this.ring.register);
    return this.#table;
  }

  private get pooled(): PooledMemory {
    this.#pooled ??= new PooledMemory({
      ring: this.ring,
      // A shared ring's one table belongs to whichever thread registers memory first.
      table: this.ring instanceof SharedRing ? undefined : this.table,
      flush: () => {
        if (this.ring.unsubmitted > 0) this.submit();
        return this.ring.unsubmitted === 0;
      },
    });
    return this.#pooled;
  }

  /** A transfer on an allocation, which is kept until it has ended. */
  private transferPooled(
    op: number,
    fd: Fd,
    allocation: Allocation,
    options: TransferOptions | undefined,
  ): Promise<number> {
    let run: Allocation;
    try {
      run = allocation.retain();
    } catch (error) {
      const reason = error as Error;
      return Promise.reject(reason);
    }
    const ended = (): void => giveBack(run, this.abandoning);
    return new Promise<unknown>((resolve, reject) => {
      this.ask(
        op,
        { options },
        (token) => this.pooled.prepare(op, token, fd, run, options),
        (count) => {
          ended();
          resolve(count);
        },
        (reason) => {
          const error = reason as Error;
          ended();
          reject(error);
        },
      );
    }) as Promise<number>;
  }

  /** A transfer that is bounced, can be ended early, or has to wait. */
  private transfer(
    op: number,
    fd: Fd,
    buffer: Buffer,
    options: TransferOptions | undefined,
  ): Promise<number> {
    if (
      buffer instanceof Region ||
      (buffer instanceof Uint8Array && regionOf(buffer) !== undefined)
    ) {
      return this.request(op, { options }, (token) =>
        this.prepareTransfer(op, token, fd, buffer, options),
      );
    }
    if (buffer instanceof Allocation) return this.transferPooled(op, fd, buffer, options);
    let bytes: Uint8Array;
    try {
      bytes = plainBytes(buffer, options?.offset, options?.length);
    } catch (error) {
      const reason = error as Error;
      return Promise.reject(reason);
    }
    const reads = op === OP.READ || op === OP.RECV;
    const bounced = reads ? this.bounces.forRead(bytes) : this.bounces.forWrite(bytes);
    this.bounced++;
    const range = { length: bounced.length, position: options?.position };
    return this.request(op, { options, bounced }, (token) =>
      this.prepareTransfer(op, token, fd, bounced.region, range),
    );
  }

  private prepareTransfer(
    op: number,
    token: number,
    fd: Fd,
    memory: Region | Uint8Array,
    range: MemoryRange | undefined,
  ): number {
    switch (op) {
      case OP.READ:
        return this.ring.read(token, fd, memory, range);
      case OP.WRITE:
        return this.ring.write(token, fd, memory, range);
      case OP.RECV:
        return this.ring.recv(token, fd, memory, range);
      default:
        return this.ring.send(token, fd, memory, range);
    }
  }

  /** The arguments were bad: nothing was prepared. */
  private refused(token: number, error: unknown): Promise<never> {
    this.slots.release(this.slots.slotOf(token));
    const reason = error as Error;
    return Promise.reject(reason);
  }
}

/** A timer completes with `ETIME` when it fires; anything else is a failure. */
function timerOutcome(result: number): void {
  if (result !== ERRNO.ETIME) check(result, 'timeout');
}
