/**
 * What happens to requests when the process exits: `process.exit()` runs no native hook on the main
 * thread, so writes in flight are awaited from the `exit` event.
 */

/** Something that can wait, without the event loop, for its writes. */
export interface Flushable {
  flush(): void;
}

const live = new Set<Flushable>();

function flushAll(): void {
  for (const item of live) item.flush();
}

export function flushAtExit(item: Flushable): void {
  if (live.size === 0) process.on('exit', flushAll);
  live.add(item);
}

export function forgetAtExit(item: Flushable): void {
  live.delete(item);
  if (live.size === 0) process.off('exit', flushAll);
}
