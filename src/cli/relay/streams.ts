/**
 * Streams: the same job as Node does it by itself, for comparison. `createReadStream`, a pipe to a
 * child process, `createWriteStream`, SHA-256 at both ends.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

import { interrupted, CommandError } from '../failure.ts';
import { encodeHeader, headerBytes, KIND } from './frame.ts';
import { removeOutput } from './output.ts';
import type { Plan } from './plan.ts';

/** What the child is started with. */
export interface StreamsOrder {
  readonly temporary: string;
  readonly isTree: boolean;
}

/** Passes on what goes through it, and hashes it. */
export function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

/** Copies as planned to the temporary path, which it removes again; resolves with the seconds. */
export async function relayByStreams(plan: Plan): Promise<number> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void =>
    stop.abort(interrupted(signal, constants.signals[signal]));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  try {
    return await copy(plan, stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    removeOutput(plan.temporary);
  }
}

async function copy(plan: Plan, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  const script = fileURLToPath(new URL('./streams-main.js', import.meta.url));
  const order: StreamsOrder = { temporary: plan.temporary, isTree: plan.isTree };
  const child = spawn(process.execPath, [script, JSON.stringify(order)], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  try {
    const said = firstMessage(child);
    const sent = plan.isTree
      ? await sendTree(plan, child.stdin!, signal)
      : await sendFile(plan, child.stdin!, signal);
    const hashes = await said;
    const seconds = (performance.now() - start) / 1_000;
    if (hashes.join() !== sent.join()) throw new CommandError('the copy by streams differs');
    return seconds;
  } finally {
    if (child.connected) child.disconnect();
    child.stdin?.destroy();
    await ended;
  }
}

function firstMessage(child: ReturnType<typeof spawn>): Promise<string[]> {
  const said = new Promise<string[]>((resolve, reject) => {
    child.once('message', (message) => resolve(message as string[]));
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(
        new CommandError(`the copying process ended early (${signal ?? `exit code ${code}`})`),
      ),
    );
  });
  // Sending fails as well then, and is heard first.
  said.catch(() => undefined);
  return said;
}

async function sendFile(plan: Plan, to: Writable, signal: AbortSignal): Promise<string[]> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(plan.source), hashing(hash), to, { signal });
  return [hash.digest('hex')];
}

async function sendTree(plan: Plan, to: Writable, signal: AbortSignal): Promise<string[]> {
  const hashes: string[] = [];
  for (const entry of plan.entries) {
    const header = Buffer.alloc(headerBytes(entry));
    encodeHeader(entry, header);
    if (!to.write(header)) await once(to, 'drain', { signal });
    if (entry.kind === KIND.LINK) to.write(entry.target ?? '');
    if (entry.kind !== KIND.FILE) continue;
    const hash = createHash('sha256');
    // No pipeline a file: what thousands of them hang on the pipe stays there.
    for await (const chunk of createReadStream(join(plan.source, entry.path), { signal })) {
      hash.update(chunk as Buffer);
      if (!to.write(chunk)) await once(to, 'drain', { signal });
    }
    hashes.push(hash.digest('hex'));
  }
  to.end();
  return hashes;
}
