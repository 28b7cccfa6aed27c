/**
 * Makes sure that `process.exit()` ends the process.
 *
 * It waits for the threads that compile in the background, and of these one may wait for a garbage
 * collection that the thread that exits will never make (nodejs/node#54918). With Node 24, which
 * compiles baseline code in the background, about one of fifty short processes hung for ever.
 */
import { setFlagsFromString } from 'node:v8';

/** Compiles baseline code in the foreground from now on. To be called early. */
export function steadyExit(): void {
  setFlagsFromString('--no-concurrent-sparkplug');
}
