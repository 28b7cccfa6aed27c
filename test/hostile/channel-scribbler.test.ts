/**
 * A hostile process rewrites a channel's memory at random while honest ends use it: they get errors
 * that have names, or wrong data, and nothing else. No crash, no access elsewhere, no endless wait.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Channel } from 'annulus/channel';
import { Region } from 'annulus/memory';
import { ftruncate, memfdCreate } from '#src/sys/linux.js';
import { printedSeed, randomFrom } from '../support/random.js';
import type { RandomInteger } from '../support/random.js';
import { CONTROL, mapShared } from './support/scribbled.js';

const program = fileURLToPath(new URL('programs/scribbler.js', import.meta.url));
const HEADER_BYTES = 4096;
const CAPACITY = 8192;
const CORRUPTIONS = Number(process.env['ANNULUS_CORRUPTIONS'] ?? 5_000_000);
/** The longest any wait may take; what is asked for is a small part of it. */
const WAIT_MS_MAX = 1000;
const CANARIES = 64;
const CANARY = 0xa5;

interface End {
  close(): void;
}

interface Pair<S extends End, R extends End> extends End {
  readonly sender: S;
  readonly receiver: R;
}

/** Both ends of a channel in use. */
interface Flow {
  readonly step: () => Promise<void>;
  readonly closes: readonly (() => void)[];
}

/** What the honest side went through. */
class Honest {
  delivered = 0;
  rounds = 0;
  longestWait = 0;
  readonly errors = new Map<string, number>();
  readonly #random: RandomInteger;
  readonly #memfd: number;
  readonly #canaries: Region[] = [];

  constructor(random: RandomInteger, memfd: number) {
    this.#random = random;
    this.#memfd = memfd;
  }

  /** Uses a new channel in the memory until something goes wrong, or for a while. */
  async round(): Promise<void> {
    this.rounds++;
    const open = this.#open();
    if (open === undefined) return;
    if (this.#canaries.length < CANARIES) this.#plantCanary();
    try {
      for (let step = 0; step < 300; step++) await open.step();
    } catch (error) {
      this.#note(error);
    }
    for (const close of open.closes) {
      try {
        close();
      } catch (error) {
        this.#note(error);
      }
    }
  }

  /** Memory next to which the kernel puts mappings is as it was. */
  checkCanaries(): void {
    for (const { bytes } of this.#canaries) {
      assert.ok(bytes.every((byte) => byte === CANARY));
    }
  }

  #plantCanary(): void {
    const region = Region.allocate(HEADER_BYTES);
    region.bytes.fill(CANARY);
    this.#canaries.push(region);
  }

  #open(): Flow | undefined {
    try {
      return this.rounds % 2 === 0 ? this.#messages() : this.#bytes();
    } catch (error) {
      this.#note(error);
      return undefined;
    }
  }

  #messages(): Flow {
    const channel = Channel.over(this.#memfd, { messages: true });
    return this.#flow(channel, ({ sender, receiver }) => async () => {
      const message = new Uint8Array(this.#random((CAPACITY - 8) >> this.#random(10)));
      if (sender.tryWrite(message)) sender.flush();
      else if (this.#random(4) === 0) {
        await this.#wait(() => sender.waitWritable(message.length, { timeout: 1 }));
      }
      for (let left = this.#random(4); left > 0; left--) this.#take(receiver.read());
      if (this.#random(8) === 0) receiver.receive((got) => this.#take(got), 3);
      if (this.#random(32) === 0) {
        await this.#wait(() => receiver.whenReadable({ signal: AbortSignal.timeout(1) }));
      }
    });
  }

  #bytes(): Flow {
    const channel = Channel.over(this.#memfd);
    return this.#flow(channel, ({ sender, receiver }) => async () => {
      const free = sender.claim();
      this.#take(free ?? undefined);
      if (free !== null) sender.commit(1 + this.#random(free.fill(this.#random(256)).length));
      const content = receiver.content();
      this.#take(content);
      if (content.length > 0) receiver.consume(1 + this.#random(content.length));
      if (this.#random(32) === 0) {
        await this.#wait(() => sender.waitWritable(CAPACITY, { timeout: 1 }));
      }
      if (this.#random(32) === 0) {
        await this.#wait(() => receiver.whenReadable(CAPACITY, { signal: AbortSignal.timeout(1) }));
      }
    });
  }

  /** Opens both ends; if one cannot be, because of what is in the memory, the rest is closed. */
  #flow<S extends End, R extends End>(
    channel: Pair<S, R>,
    steps: (ends: { sender: S; receiver: R }) => () => Promise<void>,
  ): Flow {
    const closes = [(): void => channel.close()];
    try {
      const { sender } = channel;
      closes.unshift(() => sender.close());
      const { receiver } = channel;
      closes.unshift(() => receiver.close());
      return { step: steps({ sender, receiver }), closes };
    } catch (error) {
      for (const close of closes) close();
      throw error;
    }
  }

  /** Looks at all of a view, which lies in the memory. */
  #take(view: Uint8Array | undefined): void {
    if (view === undefined) return;
    assert.ok(view.length <= CAPACITY && view.byteOffset >= HEADER_BYTES);
    view.at(-1);
    this.delivered++;
  }

  async #wait(wait: () => unknown): Promise<void> {
    const start = performance.now();
    try {
      await wait();
    } catch (error) {
      if ((error as { name: string }).name !== 'AbortError') throw error;
    } finally {
      this.longestWait = Math.max(this.longestWait, performance.now() - start);
    }
  }

  /** Errors have names of ours. */
  #note(error: unknown): void {
    const { code = '' } = error as { code?: string };
    if (!code.startsWith('ERR_ANNULUS_')) throw error;
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}

function startScribbler(seed: number, memfd: number, control: number): ChildProcess {
  const args = [program, String(seed), String(HEADER_BYTES + CAPACITY)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', memfd, control] });
}

describe('a process that writes nonsense into the memory of a channel', () => {
  it('causes errors that have names, and no other harm', async (t) => {
    const seed = printedSeed();
    const [memfd, controlFd] = [memfdCreate('victim'), memfdCreate('control')];
    ftruncate(memfd, HEADER_BYTES + CAPACITY);
    ftruncate(controlFd, 4096);
    const control = new Int32Array(mapShared(controlFd, 4096).bytes.buffer);
    const honest = new Honest(randomFrom(seed), memfd);
    const scribbler = startScribbler(seed, memfd, controlFd);
    const ended = once(scribbler, 'exit');
    try {
      while (Atomics.load(control, CONTROL.CORRUPTIONS) < CORRUPTIONS) {
        await honest.round();
        if (honest.rounds % 64 === 0) honest.checkCanaries();
        assert.equal(scribbler.exitCode, null);
      }
    } finally {
      Atomics.store(control, CONTROL.STOP, 1);
      await ended;
      closeSync(memfd);
      closeSync(controlFd);
    }
    honest.checkCanaries();
    const errors = [...honest.errors].map(([code, count]) => `${count} ${code}`).join(', ');
    t.diagnostic(`${honest.rounds} channels, ${honest.delivered} reads; ${errors}`);
    t.diagnostic(`longest wait ${honest.longestWait.toFixed(1)} ms`);
    assert.ok(honest.delivered > 1000 && honest.errors.size > 0);
    assert.ok(honest.longestWait < WAIT_MS_MAX, `a wait took ${honest.longestWait} ms`);
  });
});
