// `npm start [-- SRC DST]`: relays a real file from one process to another; by default Node's own binary.

import { mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tmpdir } from 'node:os';
import { setup } from './setup.js';
import { run } from './tree.js';

/** @returns {string[]} SRC and DST: this Node binary, and a file in a folder that goes away with this process. */
function demonstration() {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-start-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.on('exit', remove);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      // The command has its own way to end on a signal; without one, end as the signal would have.
      if (process.listenerCount(signal) > 0) return;
      remove();
      process.kill(process.pid, signal);
    });
  }
  return [process.execPath, join(folder, basename(process.execPath))];
}

await run(async () => {
  setup();
  /** @type {{ main: (argv: string[]) => Promise<number> }} */
  const { main } = await import(new URL('../dist/cli/main.js', import.meta.url).href);
  const given = process.argv.slice(2);
  return main(['relay', ...(given.length > 0 ? given : demonstration())]);
});
