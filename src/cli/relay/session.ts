/**
 * Session: one relay from start to end, and the only place that decides what a failure was.
 */
import { constants } from 'node:os';

import { Channel } from '../../channel/index.ts';
import { codeOf, failed, interrupted, CommandError } from '../failure.ts';
import type { FileIo } from './file-io.ts';
import { KIND } from './frame.ts';
import { removeOutput } from './output.ts';
import type { Plan } from './plan.ts';
import { Reader } from './reader.ts';
import { peakRss } from './resident.ts';
import type { TransferMode } from './transfer.ts';
import { WriterLink } from './writer-link.ts';

/** What a session is doing. */
export type Phase = 'relay' | 'verify' | 'commit';

/** Hears how far a session is. */
export interface Watcher {
  phase(phase: Phase): void;
  /** So many more bytes of this phase are done. */
  bytes(count: number): void;
}

/** A relay that succeeded. */
export interface Outcome {
  /** From starting the writer until everything was written and hashed at both ends. */
  readonly seconds: number;
  /** Reading the destination back. */
  readonly verifySeconds: number;
  readonly modes: { readonly reader: TransferMode; readonly writer: TransferMode };
  readonly peakRss: { readonly reader: number; readonly writer: number };
  /** Per file, in order: SHA-256 of what was read. */
  readonly sourceHashes: readonly string[];
  /** Per file, in order: SHA-256 of what the destination has. */
  readonly destinationHashes: readonly string[];
}

/** What a session needs. */
export interface RelayJob {
  readonly plan: Plan;
  /** Most bytes in flight. */
  readonly memory: number;
  /** Closed at the end. */
  readonly io: FileIo;
  readonly watcher: Watcher;
}

/** Everything one relay holds. */
class Session {
  readonly #plan: Plan;
  readonly #watcher: Watcher;
  readonly #stop = new AbortController();
  readonly #channel: Channel;
  readonly #io: FileIo;
  readonly #writer: WriterLink;
  readonly #sourceHashes: string[] = [];

  constructor({ plan, memory, io, watcher }: RelayJob) {
    this.#plan = plan;
    this.#watcher = watcher;
    this.#io = io;
    this.#channel = Channel.create({ capacity: memory });
    const onFailure = (failure: CommandError): void => this.#stop.abort(failure);
    this.#writer = new WriterLink(this.#channel, plan.temporary, onFailure);
  }

  /** Gives up for a reason. */
  stop(reason: CommandError): void {
    this.#stop.abort(reason);
  }

  async run(): Promise<Outcome> {
    const start = performance.now();
    const received = this.#collect('received');
    const readBack = this.#collect('readBack');
    const written = this.#writer.when('written');
    const ready = this.#writer.when('ready');
    this.#watcher.phase('relay');
    const mode = await this.#read();
    await this.#unlessStopped(written);
    const seconds = secondsSince(start);
    this.#compare('what the writer received', received);

    const verified = this.#writer.when('verified');
    this.#writer.on('progress', ({ bytes }) => this.#watcher.bytes(bytes));
    this.#watcher.phase('verify');
    const verifyStart = performance.now();
    this.#writer.tell({ kind: 'verify' });
    const { peakRss: writerRss } = await this.#unlessStopped(verified);
    const verifySeconds = secondsSince(verifyStart);
    this.#compare('what the destination has', readBack);

    this.#watcher.phase('commit');
    const { destination, into } = this.#plan;
    this.#writer.tell({ kind: 'commit', destination, into });
    await this.#writer.ended();
    // From here on a signal comes too late to change anything; a failure of the writer does not.
    if (this.#writer.failure !== undefined) throw this.#writer.failure;
    return {
      seconds,
      verifySeconds,
      modes: { reader: mode, writer: (await ready).mode },
      peakRss: { reader: peakRss(), writer: writerRss },
      sourceHashes: this.#sourceHashes,
      destinationHashes: readBack,
    };
  }

  /** The reason why a session ended, of all the errors it led to. */
  async failure(error: unknown): Promise<CommandError> {
    const reason: unknown = this.#stop.signal.aborted ? this.#stop.signal.reason : error;
    // A broken channel is only the effect: the writer may have told the cause, or its end will.
    const code = codeOf(reason);
    if (code === 'ERR_ANNULUS_PEER_DIED' || code === 'ERR_ANNULUS_PEER_CLOSED') {
      await Promise.race([this.#writer.ended(), briefly()]);
    }
    return this.#writer.failure === undefined || this.#interruptedBy(reason)
      ? failed('the relay failed', reason)
      : this.#writer.failure;
  }

  /** Ends both processes' work on the channel and removes an incomplete output. */
  async giveUp(): Promise<void> {
    this.#stop.abort();
    this.#channel.sender.close();
    await this.#writer.dismiss();
    removeOutput(this.#plan.temporary);
  }

  async close(): Promise<void> {
    await this.#io.close();
    this.#channel.close();
  }

  async #read(): Promise<TransferMode> {
    const reader = new Reader({
      source: this.#plan.source,
      entries: this.#plan.entries,
      io: this.#io,
      sender: this.#channel.sender,
      signal: this.#stop.signal,
      onBytes: (bytes) => this.#watcher.bytes(bytes),
      onHash: (hash) => this.#sourceHashes.push(hash),
    });
    await reader.run();
    return reader.mode;
  }

  #collect(kind: 'received' | 'readBack'): string[] {
    const all: string[] = [];
    this.#writer.on(kind, ({ hashes }) => all.push(...hashes));
    return all;
  }

  #compare(what: string, hashes: readonly string[]): void {
    const files = this.#plan.entries.filter((entry) => entry.kind === KIND.FILE);
    files.forEach((file, index) => {
      if (hashes[index] === this.#sourceHashes[index]) return;
      throw new CommandError(
        `${what} differs from the source${file.path === '' ? '' : ` in '${file.path}'`}: ` +
          `SHA-256 ${hashes[index]} instead of ${this.#sourceHashes[index]}. ` +
          'Check the disk and the memory of this machine, and try again',
      );
    });
  }

  /** A promise, or the reason to give up. */
  #unlessStopped<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      promise.then(resolve, reject);
    });
  }

  #interruptedBy(reason: unknown): boolean {
    return reason instanceof CommandError && reason.exitCode > 128;
  }
}

/**
 * Relays as planned. While it runs, SIGINT, SIGTERM and SIGHUP make it give up.
 *
 * @throws {CommandError} after everything incomplete was removed.
 */
export async function relay(job: RelayJob): Promise<Outcome> {
  let session: Session | undefined;
  const onSignal = (signal: NodeJS.Signals): void =>
    session?.stop(interrupted(signal, constants.signals[signal]));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  try {
    session = new Session(job);
    try {
      return await session.run();
    } catch (error) {
      const failure = await session.failure(error);
      await session.giveUp();
      throw failure;
    } finally {
      await session.close();
    }
  } catch (error) {
    throw failed('the relay failed', error);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** Long enough for a last message of a process that is ending anyway. */
function briefly(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1_000).unref();
  });
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1_000;
}
