/**
 * A relay that succeeds: what is at the destination, what was said, what it took.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import type { JsonReport } from '#src/cli/relay/report.js';

import { printedSeed, randomFrom } from '../support/random.ts';
import { leftovers, relay, relayFolder, startRelay } from '../support/relay.ts';
import { without, withoutUring } from '../support/skip.ts';

const MIB = 1024 * 1024;
const RESIDENT_MAX = 120 * MIB;

const seed = printedSeed();

function bytesOf(length: number, start: number): Buffer {
  const next = randomFrom(start);
  const pattern = Buffer.from(Array.from({ length: 4093 }, () => next(256)));
  return Buffer.alloc(length, pattern);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Everything about a tree that a relay keeps. */
function describeTree(root: string, name: string = ''): string[] {
  const path = join(root, name);
  const status = lstatSync(path);
  const mode = status.mode.toString(8);
  if (status.isSymbolicLink()) return [`${name} ${mode} -> ${readlinkSync(path)}`];
  if (status.isFile()) return [`${name} ${mode} ${sha256(readFileSync(path))}`];
  const inside = readdirSync(path).toSorted();
  return [`${name} ${mode}`, ...inside.flatMap((each) => describeTree(root, join(name, each)))];
}

async function succeeds(args: string[]): Promise<JsonReport> {
  const { code, stdout, stderr } = await relay([...args, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as JsonReport;
}

describe('relay', { skip: withoutUring }, () => {
  it('copies files of every size around its pieces, through little memory', async (context) => {
    const folder = relayFolder(context);
    const piece = 4096;
    for (const size of [0, 1, piece - 1, piece, piece + 1, 64 * 1024, MIB + 1]) {
      const [source, destination] = [join(folder, `${size}`), join(folder, `${size}.copy`)];
      const content = bytesOf(size, size + 1);
      writeFileSync(source, content, { mode: 0o640 });
      const report = await succeeds([source, destination, '--memory', '64K']);
      assert.ok(readFileSync(destination).equals(content));
      assert.equal(statSync(destination).mode & 0o7777, 0o640);
      assert.deepEqual(report.sha256, { source: sha256(content), destination: sha256(content) });
      assert.equal(report.bytes, size);
    }
    assert.deepEqual(leftovers(folder), []);
  });

  it('copies a tree of random shape, with modes, links and strange names', async (context) => {
    const next = randomFrom(seed);
    const folder = relayFolder(context);
    const source = join(folder, 'source');
    mkdirSync(source);
    const directories = [source];
    for (let i = 0; i < 300; i++) {
      const inside = directories[next(directories.length)]!;
      const path = join(inside, `${['n', ' ', 'ä€😀', '-', '\n', '\\'][next(6)]}${i}`);
      const kind = next(10);
      if (kind === 0) {
        mkdirSync(path);
        directories.push(path);
      } else if (kind === 1) symlinkSync(['nowhere', '..', 'ä'][next(3)]!, path);
      else writeFileSync(path, bytesOf(next(next(2) === 0 ? 200 : 40_000), i));
      if (kind > 1) chmodSync(path, [0o600, 0o444, 0o755, 0o6711][next(4)]!);
    }
    for (const path of directories) chmodSync(path, [0o700, 0o755, 0o1777][next(3)]!);
    const report = await succeeds([source, join(folder, 'copy'), '--memory', '128K']);
    assert.deepEqual(describeTree(join(folder, 'copy')), describeTree(source));
    assert.equal(report.sha256.source, report.sha256.destination);
    assert.equal(report.directories, directories.length);
    assert.deepEqual(leftovers(folder), []);
  });

  it('keeps directories that nobody may write to', async (context) => {
    const folder = relayFolder(context);
    const inner = join(folder, 'source/inner');
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, 'file'), 'content', { mode: 0o400 });
    chmodSync(inner, 0o555);
    await succeeds([join(folder, 'source'), join(folder, 'copy')]);
    assert.deepEqual(describeTree(join(folder, 'copy')), describeTree(join(folder, 'source')));
  });

  it(
    'prints for a tree the hash that sha256sum makes of it',
    { skip: without('find', 'sort', 'xargs', 'sha256sum', 'cut') },
    async (context) => {
      const folder = relayFolder(context);
      mkdirSync(join(folder, 'source/a'), { recursive: true });
      for (const name of ['a/b', 'a-b', 'a0', 'line\nbreak', 'ä', 'z']) {
        writeFileSync(join(folder, 'source', name), name);
      }
      const { sha256: hashes } = await succeeds([join(folder, 'source'), join(folder, 'copy')]);
      const script =
        'find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum -z | sha256sum | cut -c1-64';
      const { stdout } = spawnSync('sh', ['-c', script], { cwd: join(folder, 'copy') });
      assert.equal(hashes.destination, stdout.toString().trim());
    },
  );

  it('puts a file into a directory, over a file, and a tree into an empty one', async (context) => {
    const folder = relayFolder(context);
    const source = join(folder, 'source');
    writeFileSync(source, 'new');
    mkdirSync(join(folder, 'into'));
    await succeeds([source, join(folder, 'into')]);
    assert.equal(readFileSync(join(folder, 'into/source'), 'utf8'), 'new');
    writeFileSync(join(folder, 'into/source'), 'something older and longer');
    await succeeds([source, join(folder, 'into')]);
    assert.equal(readFileSync(join(folder, 'into/source'), 'utf8'), 'new');
    mkdirSync(join(folder, 'empty'));
    await succeeds([join(folder, 'into'), join(folder, 'empty')]);
    assert.equal(readFileSync(join(folder, 'empty/source'), 'utf8'), 'new');
    assert.deepEqual(leftovers(folder), []);
  });

  it('stays within its memory, whatever the size of a file', async (context) => {
    const folder = relayFolder(context);
    const source = join(folder, 'source');
    writeFileSync(source, bytesOf(160 * MIB, 1));
    const { peakRss, memory } = await succeeds([source, join(folder, 'copy')]);
    assert.equal(memory, 8 * MIB);
    assert.ok(peakRss.reader < RESIDENT_MAX, `reader ${peakRss.reader}`);
    assert.ok(peakRss.writer < RESIDENT_MAX, `writer ${peakRss.writer}`);
  });

  it('says what it has done, and how streams did the same', async (context) => {
    const folder = relayFolder(context);
    mkdirSync(join(folder, 'source/inner'), { recursive: true });
    writeFileSync(join(folder, 'source/inner/file'), bytesOf(MIB, 7));
    writeFileSync(join(folder, 'source/empty'), '');
    symlinkSync('empty', join(folder, 'source/link'));
    for (const [from, to] of [
      ['source', 'tree'],
      ['source/inner/file', 'file'],
    ] as const) {
      const { end } = startRelay([join(folder, from), join(folder, to)]);
      const { code, stdout, stderr } = await end;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^ratio +\d+\.\d\d times as fast as streams$/m);
      assert.match(stdout, /^requests +reader .*, writer /m);
      const [source, destination] = stdout.match(/\b[0-9a-f]{64}\b/g) ?? [];
      assert.ok(source !== undefined);
      assert.equal(source, destination);
      assert.match(stderr, /^relaying 1\.0 MiB$/m);
      assert.deepEqual(leftovers(folder), []);
    }
  });
});
