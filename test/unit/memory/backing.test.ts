/**
 * What rings are made of: files without a name, and what a system at its limits answers.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { MirroredRing } from 'annulus/memory';
import type { RingBacking } from 'annulus/memory';
import { pageSize, toPages } from '#src/sys/linux.js';
import { runCommand } from '../../support/program.js';
import { run } from '../support/processes.js';
import { differsAt, shift, writeStream } from './support/rings.js';

const page = pageSize();
const kinds = ['memfd', 'posix'] as const;

/** Files of rings that are mapped. */
function mappedFiles(): string[] {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return maps.flatMap((line) => /(\/\S*annulus-(?:ring|[0-9a-f]+-).*)$/.exec(line)?.[1] ?? []);
}

/** A command line before another one, for which /dev/shm is a megabyte. */
const withSmallFolder = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'].concat(
  'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"',
  'sh',
);
const [command = '', ...rest] = withSmallFolder;
const withoutNamespaces =
  spawnSync(command, [...rest, 'true']).status === 0
    ? false
    : 'this user may not make a /dev/shm of its own (unshare, mount)';

/** Runs a program that puts a limit on itself; it prints what it found as JSON. */
async function underLimits(program: string): Promise<Record<string, unknown>> {
  const { code, signal, stdout, stderr } = await run(`
    import { MirroredRing } from 'annulus/memory';
    import { readFileSync } from 'node:fs';
    import { pageSize, resourceLimit, syscall } from '#src/sys/linux.js';
    const page = pageSize();
    const limit = (resource, soft) => {
      const hard = resourceLimit(resource).hard;
      const limits = [soft, hard].map((value) => (value === Infinity ? -1n : BigInt(value)));
      if (syscall('prlimit64', 0, resource, BigInt64Array.from(limits), null) < 0) throw 'no limit';
    };
    const attempt = (work) => {
      try { return work(); }
      catch ({ code, syscall, message }) { return { code, syscall, message }; }
    };
    const ring = MirroredRing.create(4 * page);
    ring.advance(page + 1); ring.consume(page + 1);
    ring.unused().fill(7); ring.advance(4 * page);
    const intact = () => ring.capacity === 4 * page && ring.content().every((byte) => byte === 7);
    ${program}
  `);
  assert.equal(code, 0, `${signal} ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

interface Failure {
  code: string;
  syscall: string;
  message: string;
}

for (const backing of kinds) {
  describe(`A ring of ${backing}`, () => {
    it('has every capacity of whole pages, powers of two or not', () => {
      for (const pages of [1, 2, 3, 5, 7, 12, 100]) {
        using ring = MirroredRing.create((pages - 1) * page + 1, { backing });
        assert.equal(ring.capacity, pages * page);
        for (const start of [0, ring.capacity - 1, ring.capacity >> 1]) {
          shift(ring, (start - ring.contentOffset + ring.capacity) % ring.capacity);
          assert.equal(ring.contentOffset, start);
          writeStream(ring, start, ring.capacity);
          assert.equal(differsAt(ring.content(), start), -1);
          ring.consume(ring.capacity);
        }
      }
    });

    it('leaves no name and no descriptor', () => {
      const before = readdirSync('/proc/self/fd').length;
      using ring = MirroredRing.create(page, { backing });
      assert.equal(readdirSync('/proc/self/fd').length, before);
      const names = readdirSync('/dev/shm').filter((name) => name.startsWith('annulus-'));
      const ours = mappedFiles();
      assert.equal(ours.length, 2);
      const where =
        backing === 'posix' ? /^\/dev\/shm\/annulus-\S+ \(deleted\)$/ : /^\/memfd:annulus-ring/;
      for (const path of ours) {
        assert.match(path, where);
        assert.ok(!names.some((name) => path.includes(name)), `${path} has a name`);
      }
      assert.equal(ring.closed, false);
    });
  });
}

describe('MirroredRing.create()', () => {
  it('refuses a backing that does not exist', () => {
    for (const backing of ['shm', '', null, 0]) {
      assert.throws(() => MirroredRing.create(page, { backing: backing as RingBacking }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /'memfd' or 'posix'\. Received /,
      });
    }
  });

  it('can be as large as 2^31 - 2^16 bytes, since pages that nobody touches cost nothing', () => {
    using ring = MirroredRing.create(2 ** 31 - 2 ** 16);
    assert.equal(ring.capacity, toPages(2 ** 31 - 2 ** 16));
    shift(ring, ring.capacity - 5);
    writeStream(ring, 0, 10);
    assert.equal(differsAt(ring.content(), 0), -1);
    assert.equal(ring.unusedOffset, 5);
    ring.resize(page);
    assert.equal(differsAt(ring.content(), 0), -1);
    ring.resize(2 ** 31 - 2 ** 16);
    assert.equal(differsAt(ring.content(), 0), -1);
  });

  it('says how much memory it wanted and what the limit is: RLIMIT_AS', async () => {
    const found = await underLimits(`
      const [, kib] = /^VmSize:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
      const most = Number(kib) * 1024 + 64 * 2 ** 20;
      limit(9, most);
      const create = attempt(() => MirroredRing.create(2 ** 30));
      const resize = attempt(() => ring.resize(2 ** 30));
      const kept = intact();
      limit(9, Infinity);
      console.log(JSON.stringify({ most, create, resize, kept, after: ring.resize(8 * page) / page }));
    `);
    for (const name of ['create', 'resize']) {
      const { code, syscall, message } = found[name] as Failure;
      assert.deepEqual([code, syscall], ['ENOMEM', 'mmap']);
      assert.match(
        message,
        new RegExp(`${2 ** 31} bytes were asked for\\); RLIMIT_AS is ${String(found['most'])}`),
      );
    }
    assert.deepEqual([found['kept'], found['after']], [true, 8]);
  });

  it('says which limit of descriptors is reached: RLIMIT_NOFILE', async () => {
    const found = await underLimits(`
      limit(7, 3);
      const memfd = attempt(() => MirroredRing.create(page));
      const posix = attempt(() => MirroredRing.create(page, { backing: 'posix' }));
      const resize = attempt(() => ring.resize(9 * page));
      const kept = intact();
      limit(7, 1000);
      console.log(JSON.stringify({ memfd, posix, resize, kept, after: ring.resize(9 * page) / page }));
    `);
    for (const [name, call] of [
      ['memfd', 'memfd_create'],
      ['posix', 'shm_open'],
      ['resize', 'memfd_create'],
    ] as const) {
      const { code, syscall, message } = found[name] as Failure;
      assert.deepEqual([code, syscall], ['EMFILE', call]);
      assert.match(message, /RLIMIT_NOFILE is 3,/);
    }
    assert.deepEqual([found['kept'], found['after']], [true, 9]);
  });

  it('makes do with the size of files that is allowed, or says so: RLIMIT_FSIZE', async () => {
    const found = await underLimits(`
      limit(1, 64 * page);
      const small = MirroredRing.create(8 * page);
      small.advance(5); small.consume(5);
      small.unused().fill(3); small.advance(8 * page);
      const grown = small.resize(40 * page) / page;
      const content = small.length === 8 * page && small.content().every((byte) => byte === 3);
      const create = attempt(() => MirroredRing.create(65 * page));
      console.log(JSON.stringify({ grown, content, create, kept: intact() }));
    `);
    assert.deepEqual([found['grown'], found['content'], found['kept']], [40, true, true]);
    const { code, syscall, message } = found['create'] as Failure;
    assert.deepEqual([code, syscall], ['EFBIG', 'ftruncate']);
    assert.match(message, new RegExp(`RLIMIT_FSIZE is ${64 * page}, .* ${65 * page} bytes`));
  });

  it('takes memory of POSIX where there is no memfd_create()', async () => {
    const found = await underLimits(`
      const { SYSCALLS } = await import('#src/sys/syscalls.js');
      const { Region } = await import('#src/memory/region.js');
      // A filter of this thread's system calls: memfd_create is ENOSYS, everything else as ever.
      const memory = Region.allocate(page);
      const view = new DataView(memory.buffer);
      const filter = [
        [0x20, 0, 0, 0],
        [0x15, 0, 1, SYSCALLS.memfd_create],
        [6, 0, 0, 0x50026],
        [6, 0, 0, 0x7fff0000],
      ];
      filter.forEach(([code, yes, no, operand], i) => {
        view.setUint16(8 * i, code, true);
        view.setUint8(8 * i + 2, yes);
        view.setUint8(8 * i + 3, no);
        view.setUint32(8 * i + 4, operand, true);
      });
      view.setUint16(64, filter.length, true);
      view.setBigUint64(72, BigInt(memory.address), true);
      const privileges = syscall('prctl', 38, 1, 0, 0, 0);
      const filtered = syscall('prctl', 22, 2, memory.bytes.subarray(64));
      const other = attempt(() => MirroredRing.create(page));
      const maps = readFileSync('/proc/self/maps', 'utf8').match(/shm.annulus-/g)?.length;
      const memfd = attempt(() => MirroredRing.create(page, { backing: 'memfd' }));
      const kept = ring.resize(20 * page) === 20 * page && ring.length === 4 * page &&
        ring.content().every((byte) => byte === 7);
      console.log(JSON.stringify({ privileges, filtered, capacity: other.capacity, maps, memfd, kept }));
    `);
    assert.deepEqual([found['privileges'], found['filtered']], [0, 0]);
    assert.deepEqual([found['capacity'], found['maps'], found['kept']], [page, 2, true]);
    assert.equal((found['memfd'] as Failure).code, 'ENOSYS');
  });

  it(
    'sets memory of POSIX aside, so that what there is no room for is an error',
    {
      skip: withoutNamespaces,
    },
    async () => {
      const program = `
      const { MirroredRing } = await import('annulus/memory');
      const ring = MirroredRing.create(8192, { backing: 'posix' });
      const failures = [];
      const attempts = [
        () => MirroredRing.create(2 ** 20 + 1, { backing: 'posix' }),
        () => ring.resize(2 ** 21),
      ];
      for (const attempt of attempts) {
        try { attempt(); } catch ({ code, syscall, message }) {
          failures.push({ code, syscall, message });
        }
      }
      const left = (await import('node:fs')).readdirSync('/dev/shm');
      console.log(JSON.stringify({ failures, capacity: ring.capacity, left }));
    `;
      const node = [process.execPath, '--no-warnings', '--input-type=module', '--eval', program];
      const found = await runCommand([...withSmallFolder, ...node]);
      assert.equal(found.code, 0, found.stderr);
      const { failures, capacity, left } = JSON.parse(found.stdout) as {
        failures: Failure[];
        capacity: number;
        left: string[];
      };
      assert.deepEqual([capacity, left], [toPages(8192), []]);
      assert.equal(failures.length, 2);
      for (const { code, syscall, message } of failures) {
        assert.deepEqual([code, syscall], ['ENOSPC', 'fallocate']);
        assert.match(message, /no room for \d+ bytes in \/dev\/shm.*--shm-size/);
      }
    },
  );
});
