/**
 * WriterLink: the writing process as the reading process sees it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Channel } from '../../channel/index.ts';
import { failed, CommandError } from '../failure.ts';
import type { ReaderMessage, WriterMessage, WriterOrder } from './messages.ts';

/** Standard input, output and error, then messages; the channel comes behind them. */
const STDIO = ['ignore', 'ignore', 'inherit', 'ipc'] as const;

/** How long a writer that was told to give up may take to remove what it has written. */
const PATIENCE_MS = 10_000;

type Kind = WriterMessage['kind'];
type Message<K extends Kind> = Extract<WriterMessage, { kind: K }>;

/** Starts the writing process, hears its messages and sees it end. */
export class WriterLink {
  readonly pid: number | undefined;
  /** Why the writer failed, or that it died. */
  failure: CommandError | undefined;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #listeners: ((message: WriterMessage) => void)[] = [];
  readonly #onFailure: (failure: CommandError) => void;
  #isDone = false;

  /** @param onFailure - Called once if the writer fails or dies. */
  constructor(channel: Channel, temporary: string, onFailure: (failure: CommandError) => void) {
    this.#onFailure = onFailure;
    const order: WriterOrder = { temporary };
    const script = fileURLToPath(new URL('./writer-main.js', import.meta.url));
    try {
      const options = channel.childOptions('receiver', { stdio: STDIO });
      this.#child = spawn(process.execPath, [script, JSON.stringify(order)], options);
    } catch (error) {
      throw failed('cannot start the writing process', error);
    } finally {
      channel.release('receiver');
    }
    this.pid = this.#child.pid;
    this.#child.on('message', (message) => this.#hear(message as WriterMessage));
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#fail(failed('cannot start the writing process', error));
        if (this.#child.pid === undefined) resolve();
      });
      this.#child.once('exit', (code, signal) => {
        if (!this.#isDone) this.#fail(died(code, signal));
        resolve();
      });
    });
  }

  /** Resolves with the next message of a kind. Never settles after a failure: see `onFailure`. */
  when<K extends Kind>(kind: K): Promise<Message<K>> {
    return new Promise((resolve) => {
      this.on(kind, resolve);
    });
  }

  /** Hears every message of a kind. */
  on<K extends Kind>(kind: K, listener: (message: Message<K>) => void): void {
    this.#listeners.push((message) => {
      if (message.kind === kind) listener(message as Message<K>);
    });
  }

  /** Tells the writer; one that has died is heard of by its end. */
  tell(message: ReaderMessage): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Resolves once the process has ended by itself. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /** Ends the process: it gives up when nobody is connected, and is killed if that takes long. */
  async dismiss(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #hear(message: WriterMessage): void {
    if (message.kind === 'failed') {
      this.#fail(new CommandError(message.message, { code: message.code }));
    }
    if (message.kind === 'done') this.#isDone = true;
    for (const listener of this.#listeners) listener(message);
  }

  #fail(failure: CommandError): void {
    if (this.failure !== undefined) return;
    this.failure = failure;
    this.#onFailure(failure);
  }
}

function died(code: number | null, signal: NodeJS.Signals | null): CommandError {
  const how = signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`;
  return new CommandError(
    `the writing process ${how} half-way (ERR_ANNULUS_PEER_DIED). ` +
      'If the system ran out of memory, the kernel log says so; otherwise try again',
    { code: 'ERR_ANNULUS_PEER_DIED' },
  );
}
