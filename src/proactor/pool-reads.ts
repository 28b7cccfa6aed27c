/**
 * Reads that name a pool instead of memory: they allocate late, when there is something to read.
 *
 * A read goes through three steps. It asks the kernel to say when the descriptor is readable, and
 * holds no memory meanwhile; then it allocates, in line with everybody else the pool keeps waiting;
 * then it reads without waiting, so that memory never waits for data. If somebody else has taken the
 * data in between, it gives the memory back and begins anew.
 *
 * Why not a ring of provided buffers, from which the kernel picks one when data arrives? What the
 * ring has, the budget has lost while nothing arrives; what it has not makes the request fail, and
 * these same steps follow. And it is no faster: `npm run bench -- pool.receive` compares them.
 */
import { AnnulusError, checkInteger, ERRNO, SystemError } from '../sys/errors.ts';
import { isSeekable } from '../sys/linux.ts';
import { MSG_FLAG, RWF } from '../sys/abi.ts';
import type { Allocation } from '../pool/allocation.ts';
import type { BufferPool } from '../pool/pool.ts';
import type { Fd } from '../uring/descriptors.ts';
import { OP, opcodeLabel } from '../uring/opcodes.ts';
import type { Ring } from '../uring/ring.ts';
import type { SharedRing } from '../uring/shared/ring.ts';
import type { Attachment, RequestOptions } from './attachment.ts';
import type { Prepare } from './engine.ts';
import { closedError } from './engine.ts';
import { PoolParts } from './pool-parts.ts';
import { PooledBytes } from './pooled-bytes.ts';
import type { PooledMemory, PooledRange } from './pooled-memory.ts';
import type { Reject, Resolve } from './slots.ts';

/** `POLLIN` of poll(2). */
const READABLE = 1;

/** The pool's longest time limit in milliseconds; a longer one is none. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** How much to read into a pool's memory, from where, and how it can be ended early. */
export interface PoolReadOptions extends RequestOptions {
  /** Buffers of the run to read into, and with it the most bytes of one read. Default 1. */
  readonly buffers?: number | undefined;
  /** Among those that wait for the pool, higher ones are served first. Default 0. */
  readonly priority?: number | undefined;
}

/** The same for a file. */
export interface PoolFileReadOptions extends PoolReadOptions {
  /** Byte position in the file. Default: the file's current position. */
  readonly position?: number | undefined;
}

/** Makes a request; its result, errors included, goes to `resolve`. */
type Ask = (
  op: number,
  attachment: Attachment,
  prepare: Prepare,
  resolve: Resolve,
  reject: Reject,
) => void;

/** What reads into pools need of their proactor. */
export interface PoolRequester {
  readonly ring: Ring | SharedRing;
  /** A request that may have to wait in line. */
  readonly ask: Ask;
  /** One that ends by itself, and never waits behind one that does not. */
  readonly followUp: Ask;
  /** Whether requests are rejected that the kernel has, and whose memory it may write yet. */
  readonly isAbandoning: () => boolean;
  /** Prepares a request on a run. */
  readonly prepare: PooledMemory['prepare'];
}

/** Memory that requests of a lost ring may use yet: never given back. */
const abandoned = new Set<Allocation>();

/** Releases what a request had, or keeps it for good if the kernel may use it yet. */
export function giveBack(run: Allocation, isAbandoned: boolean): void {
  if (isAbandoned) abandoned.add(run);
  else run.release();
}

/** Results are judged by the reads themselves. */
function asIs(result: number): number {
  return result;
}

const JUDGED: Attachment = { options: undefined, convert: asIs };
const DONT_WAIT: PooledRange = { flags: MSG_FLAG.DONTWAIT };
const NO_WAIT: PooledRange = { flags: RWF.NOWAIT };

/** One read into a pool, through its three steps. */
class PoolRead {
  readonly #op: number;
  readonly #fd: Fd;
  readonly pool: BufferPool;
  readonly #position: number;
  readonly #io: PoolRequester;
  readonly #options: PoolFileReadOptions | undefined;
  readonly #waiting: Set<PoolRead>;
  readonly #resolve: (bytes: PooledBytes) => void;
  readonly #reject: Reject;
  /** When the time is over, by `performance.now()`. */
  readonly #until: number;
  /** Whether it may not wait while it holds memory. */
  #waitless: boolean;

  constructor(
    io: PoolRequester,
    waiting: Set<PoolRead>,
    [op, fd, pool, options]: PoolReadArguments,
    resolve: (bytes: PooledBytes) => void,
    reject: Reject,
  ) {
    this.#io = io;
    this.#waiting = waiting;
    this.#op = op;
    this.#fd = fd;
    this.pool = pool;
    this.#position = options?.position ?? -1;
    this.#options = options;
    this.#waitless = this.#position < 0;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#until = performance.now() + (options?.timeout ?? Infinity);
  }

  /** Begins: at a position there is always something to read, and elsewhere that is to be seen. */
  start(): void {
    if (this.#waitless) this.#await(this.#options);
    else this.#allocate();
  }

  /** Waits until there is something to read. */
  #await(options: RequestOptions | undefined): void {
    this.#io.ask(
      OP.POLL_ADD,
      { options, convert: asIs },
      (token) => this.#io.ring.pollAdd(token, this.#fd, READABLE),
      (events) => {
        if ((events as number) >= 0) this.#allocate();
        else this.#reject(this.#failure(events as number));
      },
      (error) => this.#reject(this.#isTimeout(error) ? this.#timedOut() : error),
    );
  }

  #allocate(): void {
    try {
      const run = this.pool.tryAllocate(this.#length);
      if (run === undefined) this.#waitForRoom();
      else this.#fill(run);
    } catch (error) {
      this.#reject(error);
    }
  }

  #waitForRoom(): void {
    const left = Math.ceil(this.#until - performance.now());
    if (left <= 0) {
      this.#reject(this.#timedOut());
      return;
    }
    const { signal, priority } = this.#options ?? {};
    const timeout = left > LONGEST_WAIT ? undefined : left;
    const owner = this.#waiting;
    const wait = this.pool.waitFor(this.#length, { signal, timeout, priority }, owner);
    owner.add(this);
    wait.then(
      (run) => {
        owner.delete(this);
        this.#fill(run);
      },
      (error: unknown) => {
        owner.delete(this);
        this.#reject(error);
      },
    );
  }

  /** Reads into the run. */
  #fill(run: Allocation): void {
    const attachment = this.#waitless ? JUDGED : { options: this.#rest(), convert: asIs };
    this.#io.followUp(
      this.#op,
      attachment,
      (token) => this.#io.prepare(this.#op, token, this.#fd, run, this.#range),
      (result) => this.#filled(run, result as number),
      (error) => {
        this.#giveBack(run);
        this.#reject(this.#isTimeout(error) ? this.#timedOut() : error);
      },
    );
  }

  #filled(run: Allocation, result: number): void {
    if (result > 0) {
      this.#resolve(new PooledBytes(run, result));
      return;
    }
    if (result === ERRNO.ENOTSUP && this.#waitless && this.#op === OP.READ) {
      // The file cannot say that it would wait; and it was said to be readable.
      this.#waitless = false;
      this.#fill(run);
      return;
    }
    this.#giveBack(run);
    if (result === 0) this.#resolve(new PooledBytes(undefined, 0));
    else if (result === ERRNO.EAGAIN && this.#waitless) this.#again();
    else this.#reject(this.#failure(result));
  }

  /** There was nothing to read after all: somebody else took it, or it has to come from a disk. */
  #again(): void {
    const onDisk = this.#op === OP.READ && (typeof this.#fd !== 'number' || isSeekable(this.#fd));
    if (onDisk) {
      this.#waitless = false;
      this.#allocate();
      return;
    }
    const rest = this.#rest();
    if (rest?.timeout === 0) this.#reject(this.#timedOut());
    else this.#await(rest);
  }

  #giveBack(run: Allocation): void {
    giveBack(run, this.#io.isAbandoning());
  }

  /** The options with what is left of the time. */
  #rest(): RequestOptions | undefined {
    const { signal, timeout } = this.#options ?? {};
    if (timeout === undefined) return signal && { signal };
    return { signal, timeout: Math.max(0, Math.ceil(this.#until - performance.now())) };
  }

  get #length(): number {
    return this.#options?.buffers ?? 1;
  }

  get #range(): PooledRange | undefined {
    if (this.#waitless) return this.#op === OP.RECV ? DONT_WAIT : NO_WAIT;
    return this.#position < 0 ? undefined : { position: this.#position };
  }

  #failure(result: number): SystemError {
    return new SystemError(result, opcodeLabel(this.#op));
  }

  #isTimeout(error: unknown): boolean {
    return (error as { code?: string } | undefined)?.code === 'ERR_ANNULUS_TIMEOUT';
  }

  #timedOut(): AnnulusError {
    return new AnnulusError(
      'ERR_ANNULUS_TIMEOUT',
      `The ${opcodeLabel(this.#op)} request into a pool did not complete within ${this.#options?.timeout} ms.`,
    );
  }
}

/** What is read, and where to. */
export type PoolReadArguments = readonly [
  op: number,
  fd: Fd,
  pool: BufferPool,
  options: PoolFileReadOptions | undefined,
];

/** All reads into pools of one proactor. */
export class PoolReads {
  readonly #io: PoolRequester;
  /** Reads that have something to read and no memory. */
  readonly #waiting = new Set<PoolRead>();

  constructor(io: PoolRequester) {
    this.#io = io;
  }

  /** A read; it rejects at once if it could never be served. */
  read(...what: PoolReadArguments): Promise<PooledBytes> {
    return new Promise((resolve, reject) => {
      const [, , pool, options] = what;
      const { buffers = 1, priority, position = 0, timeout, signal } = options ?? {};
      pool.checkRequest(buffers, { priority, signal });
      checkInteger('position', position, -1, Number.MAX_SAFE_INTEGER);
      if (timeout !== undefined) checkInteger('timeout', timeout, 0, Number.MAX_SAFE_INTEGER);
      new PoolRead(this.#io, this.#waiting, what, resolve, reject).start();
    });
  }

  /** Reads again and again, until the end. Between two reads it holds nothing. */
  readMany(...[op, fd, pool, options]: PoolReadArguments): PoolParts {
    if (options?.position === undefined) {
      return new PoolParts(() => this.read(op, fd, pool, options), -1);
    }
    const read = (position: number): Promise<PooledBytes> =>
      this.read(op, fd, pool, { ...options, position });
    return new PoolParts(read, options.position);
  }

  /** The proactor closes: nobody waits for a pool any more. */
  close(): void {
    for (const pool of new Set([...this.#waiting].map((read) => read.pool))) {
      pool.refuseWaits(this.#waiting, closedError);
    }
  }
}
