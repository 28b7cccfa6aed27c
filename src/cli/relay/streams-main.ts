/**
 * Entry of the writing process of the comparison by streams; `streams.ts` starts it.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, symlinkSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { steadyExit } from '../steady-exit.ts';
import { decodeHeader, FIXED_BYTES, KIND, wholeHeaderBytes } from './frame.ts';
import type { Header } from './frame.ts';
import { removeOutput } from './output.ts';
import { hashing } from './streams.ts';
import type { StreamsOrder } from './streams.ts';

steadyExit();

const order = JSON.parse(process.argv[2] ?? '{}') as StreamsOrder;

async function writeFile(): Promise<string[]> {
  const hash = createHash('sha256');
  const to = createWriteStream(order.temporary, { flags: 'wx', mode: 0o600 });
  await pipeline(process.stdin, hashing(hash), to);
  return [hash.digest('hex')];
}

/** Takes a stream of entries apart, whatever its chunks are. */
class Unpacker {
  readonly hashes: string[] = [];
  #head: Buffer = Buffer.alloc(0);
  #entry: Header | undefined;
  #left = 0;
  #target = '';
  #file: WriteStream | undefined;
  #hash: Hash | undefined;

  async take(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#entry === undefined) rest = await this.#takeHead(rest);
      else rest = await this.#takeData(this.#entry, rest);
    }
  }

  async #takeHead(chunk: Buffer): Promise<Buffer> {
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length < FIXED_BYTES) return Buffer.alloc(0);
    const length = wholeHeaderBytes(this.#head);
    if (this.#head.length < length) return Buffer.alloc(0);
    const rest = this.#head.subarray(length);
    const entry = decodeHeader(this.#head.subarray(0, length));
    this.#head = Buffer.alloc(0);
    await this.#begin(entry);
    return rest;
  }

  async #begin(entry: Header): Promise<void> {
    const path = join(order.temporary, entry.path);
    this.#entry = entry;
    this.#left = entry.size;
    this.#target = '';
    if (entry.kind === KIND.DIRECTORY) mkdirSync(path, 0o700);
    if (entry.kind === KIND.FILE) {
      this.#file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
      this.#hash = createHash('sha256');
    }
    if (this.#left === 0) await this.#end(entry);
  }

  async #takeData(entry: Header, chunk: Buffer): Promise<Buffer> {
    const data = chunk.subarray(0, this.#left);
    this.#left -= data.length;
    if (entry.kind === KIND.LINK) this.#target += data.toString('latin1');
    this.#hash?.update(data);
    if (this.#file?.write(data) === false) await once(this.#file, 'drain');
    if (this.#left === 0) await this.#end(entry);
    return chunk.subarray(data.length);
  }

  async #end(entry: Header): Promise<void> {
    this.#entry = undefined;
    if (entry.kind === KIND.LINK) {
      symlinkSync(Buffer.from(this.#target, 'latin1'), join(order.temporary, entry.path));
    }
    if (this.#file === undefined || this.#hash === undefined) return;
    this.hashes.push(this.#hash.digest('hex'));
    const closed = once(this.#file, 'close');
    this.#file.end();
    await closed;
    this.#file = undefined;
    this.#hash = undefined;
  }
}

async function writeTree(): Promise<string[]> {
  const unpacker = new Unpacker();
  for await (const chunk of process.stdin) await unpacker.take(chunk as Buffer);
  return unpacker.hashes;
}

process.on('SIGINT', () => undefined); // the other process hears it too, and tells
process.on('disconnect', () => {
  removeOutput(order.temporary);
  process.exit(0);
});
const hashes = order.isTree ? writeTree() : writeFile();
hashes.then(
  (all) => process.send?.(all),
  (error: unknown) => {
    process.stderr.write(`annulus relay: the copy by streams failed: ${String(error)}\n`);
    process.exit(1);
  },
);
