/**
 * The writing process of a relay: ended by its messages or its signals.
 *
 * Whatever happens - the reader gives up, dies, or a signal comes - it removes what it has written,
 * unless the reader has said that all is well.
 */
import { once } from 'node:events';

import { Channel } from '../../channel/index.ts';
import { codeOf, EXIT, messageOf, CommandError } from '../failure.ts';
import { openFileIo } from './file-io.ts';
import type { FileIo } from './file-io.ts';
import { HashBatch } from './messages.ts';
import type { ReaderMessage, WriterMessage, WriterOrder } from './messages.ts';
import { commitOutput, removeOutput } from './output.ts';
import { readBack } from './read-back.ts';
import { peakRss } from './resident.ts';
import { Writer } from './writer.ts';

/** How often progress is told, in bytes. */
const PROGRESS_BYTES = 16 * 1024 * 1024;

const order = JSON.parse(process.argv[2] ?? '{}') as WriterOrder;
const stop = new AbortController();

/** Tells the reader; when it is gone there is nobody to tell. */
function tell(message: WriterMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Waits for the reader's word. */
async function hear<K extends ReaderMessage['kind']>(
  kind: K,
): Promise<Extract<ReaderMessage, { kind: K }>> {
  for (;;) {
    const [message] = (await once(process, 'message', { signal: stop.signal })) as [ReaderMessage];
    if (message.kind === kind) return message as Extract<ReaderMessage, { kind: K }>;
  }
}

async function receive(io: FileIo): Promise<Writer> {
  const receiver = Channel.inherit({ role: 'receiver' });
  const batch = new HashBatch((hashes) => tell({ kind: 'received', hashes }));
  const writer = new Writer({
    root: order.temporary,
    io,
    receiver,
    signal: stop.signal,
    onHash: (hash) => batch.add(hash),
  });
  tell({ kind: 'ready', mode: writer.mode });
  await writer.run();
  batch.flush();
  tell({ kind: 'written' });
  return writer;
}

async function verify(io: FileIo, writer: Writer): Promise<void> {
  const batch = new HashBatch((hashes) => tell({ kind: 'readBack', hashes }));
  let untold = 0;
  await readBack({
    files: writer.files,
    io,
    signal: stop.signal,
    onHash: (hash) => batch.add(hash),
    onBytes: (bytes) => {
      untold += bytes;
      if (untold < PROGRESS_BYTES) return;
      tell({ kind: 'progress', bytes: untold });
      untold = 0;
    },
  });
  batch.flush();
  writer.seal();
  tell({ kind: 'verified', peakRss: peakRss() });
}

async function work(): Promise<void> {
  const io = openFileIo();
  const verdict = hear('verify');
  verdict.catch(() => undefined);
  const writer = await receive(io);
  await verdict;
  const end = hear('commit');
  await verify(io, writer);
  const { destination, into } = await end;
  commitOutput(order.temporary, destination, into);
}

/** Nobody wants the output any more. */
function readerIsGone(): void {
  stop.abort(new CommandError('the reading process has ended'));
}

/** Runs the process to its end. */
export async function writeAsOrdered(): Promise<never> {
  process.on('disconnect', readerIsGone);
  // It may have been gone before this process was ready to hear of it.
  if (!process.connected) readerIsGone();
  // Ctrl-C reaches both processes; the reader tells what to do about it by closing the channel.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new CommandError(`the writing process got ${signal}`)));
  }
  try {
    await work();
  } catch (thrown) {
    const error: unknown = stop.signal.aborted ? stop.signal.reason : thrown;
    let message = messageOf(error);
    try {
      removeOutput(order.temporary);
    } catch (left) {
      message += `. And: ${messageOf(left)}`;
    }
    await farewell({ kind: 'failed', message, code: codeOf(error) });
    process.exit(EXIT.FAILED);
  }
  await farewell({ kind: 'done' });
  process.exit(EXIT.DONE);
}

/** Tells the last message and waits until it is on its way. */
function farewell(message: WriterMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
