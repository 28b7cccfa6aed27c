/**
 * A file to another process and to disk by streams: `createReadStream`, a pipe, `createWriteStream`,
 * SHA-256 at both ends and compared.
 */

import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exitWithParent, role, startChild } from '../support/child.ts';
import { textOption } from '../support/options.ts';
import { prepareRelayFiles } from '../support/relay-files.ts';
import { report } from '../support/report.ts';

/** Passes on what goes through it, and hashes it. */
function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

async function read(): Promise<void> {
  const { source, destination, bytes } = prepareRelayFiles();
  const start = performance.now();
  const child = startChild('writer', ['pipe', 'inherit', 'inherit', 'ipc'], [`to=${destination}`]);
  if (child.stdin === null) throw new Error('the child has no standard input');
  const written = once(child, 'message') as Promise<[string]>;
  const hash = createHash('sha256');
  await pipeline(createReadStream(source), hashing(hash), child.stdin);
  const [digest] = await written;
  const seconds = (performance.now() - start) / 1_000;
  if (digest !== hash.digest('hex')) throw new Error('what was written is not what was read');
  report(bytes / seconds, 'B/s');
  child.disconnect();
}

async function write(): Promise<void> {
  exitWithParent();
  const hash = createHash('sha256');
  await pipeline(process.stdin, hashing(hash), createWriteStream(textOption('to')));
  process.send?.(hash.digest('hex'));
}

if (role === 'parent') await read();
else await write();
