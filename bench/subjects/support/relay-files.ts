/** Source and destination of the relay case, beside the data file and removed with it. */

import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { textOption } from './options.ts';

/** How many times the data file is repeated: 256 MiB take much longer than starting a process. */
const REPEATS = 4;

export interface RelayFiles {
  readonly source: string;
  readonly destination: string;
  readonly bytes: number;
}

/** Makes the source in the first run, brings it into the page cache, and removes the destination. */
export function prepareRelayFiles(): RelayFiles {
  const file = textOption('file');
  const source = `${file}.relay`;
  const destination = `${file}.relayed`;
  if (!existsSync(source)) {
    const pages = readFileSync(file);
    for (let repeat = 0; repeat < REPEATS; repeat++) appendFileSync(`${source}.part`, pages);
    renameSync(`${source}.part`, source);
  }
  readFileSync(source);
  rmSync(destination, { force: true });
  return { source, destination, bytes: statSync(source).size };
}
