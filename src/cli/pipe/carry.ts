/**
 * Carrying bytes: standard input into a channel, a channel to standard output; by io_uring straight
 * into and out of the shared memory, by Node's streams where there is no io_uring.
 *
 * The sender has done its work when the receiver has written everything: it waits for that, so that an
 * exit code of 0 on either side says that all arrived.
 */
import { addAbortSignal } from 'node:stream';

import type { Receiver, Sender } from '../../channel/index.ts';
import { Proactor } from '../../proactor/index.ts';
import { POLL } from '../../sys/linux.ts';
import { codeOf } from '../failure.ts';

const STDIN = 0;
const STDOUT = 1;

/** Two processes of one user must fit into small limits of locked memory. */
const RING = { entries: 8, completionEntries: 16 } as const;

/** Longest piece given to a stream. */
const PIECE_BYTES_MAX = 256 * 1024;

/** How one side carries. */
export interface Carrying {
  /** Missing where there is no io_uring. */
  readonly io: Proactor | undefined;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/** io_uring, if this process may have it. */
export function openIo(): Proactor | undefined {
  try {
    return new Proactor(RING);
  } catch (error) {
    if (codeOf(error) === 'ERR_ANNULUS_URING_UNAVAILABLE') return undefined;
    throw error;
  }
}

/** Sends standard input to its end, and ends the stream once the receiver has done with it. */
export async function sendInput(sender: Sender, carrying: Carrying): Promise<void> {
  const { io, signal, onBytes } = carrying;
  if (io === undefined) await sendStream(sender, carrying);
  else await io.fillChannel(STDIN, sender, { signal, onBytes });
  await sender.whenWritable(sender.capacity, { signal });
  sender.end();
}

/** Writes what comes to standard output, until the sender ends the stream. */
export async function receiveOutput(receiver: Receiver, carrying: Carrying): Promise<void> {
  const { io, signal, onBytes } = carrying;
  if (io === undefined) await receiveStream(receiver, carrying);
  else await io.drainChannel(receiver, STDOUT, { signal, onBytes });
  receiver.close();
}

/** Resolves when nobody reads standard output any more; never where that cannot be told. */
export async function outputGone(io: Proactor | undefined, signal: AbortSignal): Promise<void> {
  if (io !== undefined) await io.poll(STDOUT, POLL.ERR, { signal });
  else await new Promise((resolve) => process.stdout.once('error', resolve));
}

async function sendStream(sender: Sender, { signal, onBytes }: Carrying): Promise<void> {
  for await (const chunk of addAbortSignal(signal, process.stdin)) {
    await sender.write(chunk as Buffer);
    onBytes((chunk as Buffer).length);
  }
}

async function receiveStream(receiver: Receiver, { signal, onBytes }: Carrying): Promise<void> {
  while (await receiver.whenReadable(1, { signal })) {
    // A copy: the stream may keep it until later.
    const bytes = Uint8Array.from(receiver.content().subarray(0, PIECE_BYTES_MAX));
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    // Only now: what is consumed is what the consumer has.
    receiver.consume(bytes.length);
    onBytes(bytes.length);
  }
}
