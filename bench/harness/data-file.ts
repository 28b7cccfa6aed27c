/** The file of the hot-cache read cases. */

import { closeSync, mkdtempSync, openSync, readSync, rmSync, statfsSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DATA_FILE_BYTES, fillPage, PAGE_BYTES } from '../subjects/support/pages.ts';

/** Both are memory with a file's face; reads there take another path through the kernel. */
const MEMORY_FILE_SYSTEMS = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
]);

const CHUNK_BYTES = 1 << 20;

export class DataFile {
  readonly path: string;
  readonly #directory: string;
  readonly #chunk: Uint8Array = new Uint8Array(CHUNK_BYTES);

  constructor() {
    this.#directory = mkdtempSync(path.join(dataDirectory(), 'annulus-bench-'));
    this.path = path.join(this.#directory, 'pages');
    const words = new Int32Array(this.#chunk.buffer);
    const fd = openSync(this.path, 'wx');
    try {
      for (let start = 0; start < DATA_FILE_BYTES; start += CHUNK_BYTES) {
        for (let offset = 0; offset < CHUNK_BYTES; offset += PAGE_BYTES) {
          fillPage(words, offset >> 2, (start + offset) / PAGE_BYTES);
        }
        writeSync(fd, this.#chunk);
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Reads the whole file: idle page cache is evicted, and a cold page is another benchmark. */
  warm(): void {
    const fd = openSync(this.path, 'r');
    try {
      while (readSync(fd, this.#chunk) > 0);
    } finally {
      closeSync(fd);
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Where the data file goes: `ANNULUS_BENCH_DIR`, else the directory for temporary files. */
export function dataDirectory(): string {
  return process.env['ANNULUS_BENCH_DIR'] ?? os.tmpdir();
}

/** A warning when the data file would not be on a real file system, else `undefined`. */
export function dataDirectoryWarning(): string | undefined {
  const directory = dataDirectory();
  const name = MEMORY_FILE_SYSTEMS.get(statfsSync(directory).type);
  if (name === undefined) return undefined;
  return `${directory} is ${name}, not a disk's page cache; set ANNULUS_BENCH_DIR`;
}
