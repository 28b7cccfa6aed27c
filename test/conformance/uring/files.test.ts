/**
 * One suite of file operations, two subjects: Node's `fs` and io_uring requests give the same results,
 * the same errors and leave the same files.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { probe, Proactor } from 'annulus';

/** The operations, as both subjects have them. */
interface Subject {
  open(path: string, flags: number, mode?: number): Promise<number>;
  close(fd: number): Promise<void>;
  read(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  fsync(fd: number): Promise<void>;
  truncate(fd: number, length: number): Promise<void>;
  mkdir(path: string, mode?: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  stat(path: string): Promise<{ size: number; mode: number; mtimeNs: bigint }>;
}

const node: Subject = {
  open: async (path, flags, mode) => fs.openSync(path, flags, mode),
  close: async (fd) => fs.closeSync(fd),
  read: async (fd, bytes, position) => fs.readSync(fd, bytes, 0, bytes.length, position),
  write: async (fd, bytes, position) => fs.writeSync(fd, bytes, 0, bytes.length, position),
  fsync: async (fd) => fs.fsyncSync(fd),
  truncate: async (fd, length) => fs.ftruncateSync(fd, length),
  mkdir: async (path, mode) => fs.mkdirSync(path, mode),
  rmdir: async (path) => fs.rmdirSync(path),
  unlink: async (path) => fs.unlinkSync(path),
  rename: async (from, to) => fs.renameSync(from, to),
  stat: async (path) => {
    const { size, mode, mtimeNs } = fs.statSync(path, { bigint: true });
    return { size: Number(size), mode: Number(mode), mtimeNs };
  },
};

const kernel = probe();
const io = kernel.available ? new Proactor({ entries: 16 }) : undefined!;
after(() => io?.close());

const ours: Subject = {
  open: (path, flags, mode) => io.open(path, flags, mode),
  close: (fd) => io.closeFd(fd),
  read: (fd, bytes, position) => io.read(fd, bytes, { position }),
  write: (fd, bytes, position) => io.write(fd, bytes, { position }),
  fsync: (fd) => io.fsync(fd),
  truncate: (fd, length) => io.ftruncate(fd, length),
  mkdir: (path, mode) => io.mkdir(path, mode),
  rmdir: (path) => io.unlink(path, { removeDirectory: true }),
  unlink: (path) => io.unlink(path),
  rename: (from, to) => io.rename(from, to),
  stat: async (path) => {
    const { size, mode, modifyTime } = await io.statx(path);
    return { size, mode, mtimeNs: modifyTime };
  },
};

/** What a scenario saw, step by step: results, or the errors' codes and paths. */
type Log = unknown[];

/** A scenario works in a folder and logs what it sees. */
type Scenario = (subject: Subject, at: (name: string) => string, log: Log) => Promise<void>;

const { O_CREAT, O_EXCL, O_RDWR, O_RDONLY, O_WRONLY, O_TRUNC, O_APPEND, O_DIRECTORY } =
  fs.constants;

/** The result of a step, or what Node's users look at in its error. */
async function outcome(step: Promise<unknown>, folder: string): Promise<unknown> {
  try {
    return await step;
  } catch (error) {
    const { code, errno, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
    return { code, errno, path: path?.replace(folder, ''), dest: dest?.replace(folder, '') };
  }
}

const scenarios: Record<string, Scenario> = {
  'opening files': async (subject, at, log) => {
    const folder = at('');
    for (const [name, flags] of [
      ['a', O_RDONLY],
      ['a', O_CREAT | O_RDWR],
      ['a', O_CREAT | O_EXCL | O_RDWR],
      ['a/b', O_RDONLY],
      ['a', O_DIRECTORY],
      ['', O_WRONLY],
      ['', O_RDONLY],
      ['x'.repeat(300), O_RDONLY],
    ] as const) {
      const fd = await outcome(subject.open(at(name), flags, 0o640), folder);
      log.push([name, typeof fd === 'number' ? 'opened' : fd]);
      if (typeof fd === 'number') log.push(await outcome(subject.close(fd), folder));
    }
    log.push((await subject.stat(at('a'))).mode);
    log.push(await outcome(subject.close(1_000_000), folder));
  },

  'reading and writing': async (subject, at, log) => {
    const folder = at('');
    const fd = await subject.open(at('f'), O_CREAT | O_RDWR, 0o600);
    const bytes = Buffer.from('0123456789');
    log.push(await subject.write(fd, bytes, 0), await subject.write(fd, bytes.subarray(3), 20));
    const target = Buffer.alloc(64);
    for (const position of [0, 5, 25, 27, 1000]) {
      target.fill('-');
      const count = await subject.read(fd, target, position);
      log.push([position, count, target.toString('latin1')]);
    }
    log.push(await outcome(subject.fsync(fd), folder));
    for (const length of [3, 100, 0]) {
      await subject.truncate(fd, length);
      log.push((await subject.stat(at('f'))).size);
    }
    await subject.close(fd);
    for (const flags of [O_RDONLY, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND]) {
      const other = await subject.open(at('f'), flags);
      log.push(await outcome(subject.write(other, bytes, 0), folder));
      log.push(await outcome(subject.read(other, target, 0), folder));
      log.push(fs.readFileSync(at('f'), 'latin1'));
      await subject.close(other);
    }
    const directory = await subject.open(folder, O_RDONLY);
    log.push(await outcome(subject.read(directory, target, 0), folder));
    log.push(await outcome(subject.truncate(directory, 0), folder));
    await subject.close(directory);
  },

  'folders, names and removal': async (subject, at, log) => {
    const folder = at('');
    const steps: (() => Promise<unknown>)[] = [
      () => subject.mkdir(at('d'), 0o750),
      () => subject.mkdir(at('d')),
      () => subject.mkdir(at('none/d')),
      () => subject.rmdir(at('none')),
      () => subject.unlink(at('d')),
      () => subject.mkdir(at('d/e')),
      () => subject.rmdir(at('d')),
      () => subject.rename(at('d/e'), at('g')),
      () => subject.rename(at('none'), at('h')),
      () => subject.rename(at('d'), at('d/inside')),
      () => subject.rmdir(at('d')),
      () => subject.unlink(at('none')),
      () => subject.stat(at('d')),
      async () => (await subject.stat(at('g'))).mode,
    ];
    for (const step of steps) log.push(await outcome(step(), folder));
    log.push(fs.readdirSync(folder).toSorted((a, b) => a.localeCompare(b)));
  },

  'what stat says': async (subject, at, log) => {
    fs.writeFileSync(at('f'), 'content', { mode: 0o604 });
    fs.utimesSync(at('f'), 1, 2.5);
    fs.symlinkSync('f', at('link'));
    fs.symlinkSync('loop', at('loop'));
    const folder = at('');
    for (const name of ['f', 'link', 'loop', 'f/x', 'none']) {
      log.push(await outcome(subject.stat(at(name)), folder));
    }
  },
};

/** Runs a scenario in a folder of its own; what it logged, and what it left. */
async function play(scenario: Scenario, subject: Subject): Promise<Log> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'annulus-conformance-'));
  try {
    const log: Log = [];
    await scenario(subject, (name) => `${folder}/${name}`, log);
    return log;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const missing = ['FTRUNCATE', 'MKDIRAT', 'UNLINKAT', 'RENAMEAT', 'STATX'] as const;
const lacking = missing.filter((name) => !kernel.opcodes.has(name));
const skip = kernel.available
  ? lacking.length > 0 && `this kernel has no ${lacking.join(', ')}`
  : (kernel.reason ?? true);

describe('file requests behave as fs does', { skip }, () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(name, async () => {
      const expected = await play(scenario, node);
      assert.ok(expected.length >= 5);
      assert.deepEqual(await play(scenario, ours), expected);
    });
  }
});
