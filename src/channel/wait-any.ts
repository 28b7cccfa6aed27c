/**
 * Waiting for several ends of channels at once.
 */
import { AnnulusError } from '../sys/errors.ts';
import { poll } from '../sys/linux.ts';
import type { BlockOptions, End, WaitOptions } from './end.ts';

/**
 * Blocks this thread until one of several ends has something to do: content for a receiver, room for
 * a sender, or the end of its stream. For worker threads: on the main thread it stops the event loop.
 *
 * @returns The first that has; undefined after the time-out.
 * @throws {AnnulusError} What waiting for that end alone throws. `ERR_ANNULUS_UNSUPPORTED` for ends over
 *   a `SharedArrayBuffer`, of which a thread can wait for one only.
 */
export function waitAny<E extends End>(ends: readonly E[], options?: BlockOptions): E | undefined {
  if (ends.some((end) => end.connection.entries.length === 0)) {
    throw new AnnulusError(
      'ERR_ANNULUS_UNSUPPORTED',
      'A thread can block on one word of a SharedArrayBuffer only. Use whenAny(), or channels made ' +
        'by Channel.create().',
    );
  }
  const timeout = options?.timeout;
  const until = timeout === undefined ? Infinity : performance.now() + timeout;
  for (;;) {
    const ready = ends.find((end) => end.waitStatus().ready);
    if (ready === undefined) {
      const left = until === Infinity ? -1 : Math.max(0, until - performance.now());
      const busy = ends.some((end) => !end.connection.wakes);
      poll(
        ends.flatMap((end) => end.connection.entries),
        busy ? 0 : left,
      );
    }
    for (const end of ends) end.waitClear();
    if (ready !== undefined || performance.now() >= until) return ready;
  }
}

/**
 * Resolves with the first of several ends that has something to do: content for a receiver, room for
 * a sender, or the end of its stream. Rejects with what waiting for one of them rejects with.
 */
export async function whenAny<E extends End>(
  ends: readonly E[],
  options?: WaitOptions,
): Promise<E> {
  const others = new AbortController();
  const signal =
    options?.signal === undefined
      ? others.signal
      : AbortSignal.any([options.signal, others.signal]);
  try {
    return await Promise.race(
      ends.map(async (end) => {
        await end.whenReady({ signal });
        return end;
      }),
    );
  } finally {
    others.abort();
  }
}
