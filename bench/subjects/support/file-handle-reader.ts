/** Promise reads with `FileHandle.read` of `node:fs/promises`. */

import { open, type FileReadResult } from 'node:fs/promises';
import type { PageReader } from './lanes.ts';
import { PAGE_BYTES } from './pages.ts';

export async function openFileHandleReader(
  file: string,
  depth: number,
): Promise<PageReader<FileReadResult<Uint8Array>>> {
  const handle = await open(file, 'r');
  const memory = new Uint8Array(depth * PAGE_BYTES);
  return {
    pages: new Int32Array(memory.buffer),
    read: (lane, position) => handle.read(memory, lane * PAGE_BYTES, PAGE_BYTES, position),
    count: (result) => result.bytesRead,
    close: () => handle.close(),
  };
}
