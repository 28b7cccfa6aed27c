/**
 * What cannot be relayed is refused with its name and the reason, and nothing is written.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';

import { openFileIo } from '#src/cli/relay/file-io.js';
import { makePlan } from '#src/cli/relay/plan.js';
import { relay as runSession } from '#src/cli/relay/session.js';

import { compileLauncher } from '../support/launcher.ts';
import { runProgram } from '../support/program.ts';
import { leftovers, relay, relayCommand, relayFolder } from '../support/relay.ts';
import { without, withoutUring } from '../support/skip.ts';

const MEMORY = 1024 * 1024;
const fewDescriptors = new URL('programs/few-descriptors.js', import.meta.url);

/** A folder with a file `a` and a directory `tree`. */
function sources(context: TestContext): string {
  const folder = relayFolder(context);
  writeFileSync(join(folder, 'a'), 'content');
  mkdirSync(join(folder, 'tree/inner'), { recursive: true });
  writeFileSync(join(folder, 'tree/b'), 'more content');
  return folder;
}

/** Checks that a relay is refused with this message, and that the folder is as it was. */
async function refuses(folder: string, args: string[], message: RegExp): Promise<void> {
  const list = (): string[] => readdirSync(folder, { recursive: true }).map(String).toSorted();
  const before = list();
  const { code, stdout, stderr } = await relay(args.map((name) => join(folder, name)));
  assert.match(stderr, message);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.deepEqual(list(), before);
}

describe('relay refuses', { skip: withoutUring }, () => {
  it('a source that is missing', async (context) => {
    await refuses(sources(context), ['nothing', 'c'], /cannot read '.*nothing': there is no such/);
  });

  it('a destination in a folder that is missing', async (context) => {
    await refuses(sources(context), ['a', 'no/c'], /cannot write '.*no\/c'.*no such file or direc/);
    await refuses(sources(context), ['a', 'no/'], /the directory '.*no\/?' does not exist/);
  });

  it(
    'a named pipe, by its name, also inside a tree',
    { skip: without('mkfifo') },
    async (context) => {
      const folder = sources(context);
      spawnSync('mkfifo', [join(folder, 'tree/inner/pipe')]);
      await refuses(folder, ['tree', 'c'], /tree\/inner\/pipe' is a named pipe/);
      await refuses(folder, ['tree/inner/pipe', 'c'], /tree\/inner\/pipe' is a named pipe/);
      await refuses(folder, ['a', 'tree/inner/pipe'], /exists and is not a regular file/);
    },
  );

  it('a destination that is the source, or inside it', async (context) => {
    const folder = sources(context);
    linkSync(join(folder, 'a'), join(folder, 'hard'));
    symlinkSync('a', join(folder, 'soft'));
    await refuses(folder, ['a', 'a'], /are the same file/);
    await refuses(folder, ['a', 'hard'], /are the same file/);
    await refuses(folder, ['soft', 'a'], /are the same file/);
    await refuses(folder, ['a', '.'], /are the same file/);
    await refuses(folder, ['tree', 'tree'], /are the same directory/);
    await refuses(folder, ['tree', 'tree/inner'], /is inside/);
    await refuses(folder, ['tree', 'tree/new'], /is inside/);
  });

  it('a tree into a directory that has something in it, or over a file', async (context) => {
    const folder = sources(context);
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full/d'), '');
    await refuses(folder, ['tree', 'full'], /full' is not empty/);
    await refuses(folder, ['tree', 'a'], /exists and is not a directory/);
  });

  it('a link to nothing as destination', async (context) => {
    const folder = sources(context);
    symlinkSync('nothing', join(folder, 'dangling'));
    await refuses(folder, ['a', 'dangling'], /is a link to nothing/);
  });

  it('a file whose size is not what it has', async (context) => {
    const folder = sources(context);
    const { code, stderr } = await relay(['/proc/version', join(folder, 'c')]);
    assert.match(stderr, /'\/proc\/version' changed .* it had 0 bytes, and there is more now/);
    assert.equal(code, 1);
    assert.deepEqual(leftovers(folder), []);
    assert.equal(existsSync(join(folder, 'c')), false);
  });

  it('a target nobody can write to', async (context) => {
    const folder = sources(context);
    const { code, stderr } = await relay([join(folder, 'a'), '/proc/annulus']);
    assert.match(stderr, /annulus relay: cannot write .*\/proc/);
    assert.equal(code, 1);
  });

  it('amounts of memory that make no sense', async (context) => {
    const folder = sources(context);
    for (const memory of ['0', '-1', '1K', '4G', 'much', '8.5M', '']) {
      const args = [join(folder, 'a'), join(folder, 'c'), `--memory=${memory}`];
      const { code, stderr } = await relay(args);
      assert.match(stderr, /--memory.*64\.0 KiB to 1\.0 GiB/, memory);
      assert.equal(code, 2);
      assert.equal(existsSync(join(folder, 'c')), false);
    }
  });

  it('an empty name', async () => {
    for (const args of [
      ['', 'x'],
      ['x', ''],
    ]) {
      const { code, stderr } = await relay(args);
      assert.match(stderr, /It is empty/);
      assert.equal(code, 2);
    }
  });
});

describe('a relay that goes wrong', { skip: withoutUring }, () => {
  it('is refused with exit code 2 where io_uring is', async (context) => {
    const folder = sources(context);
    const launcher = compileLauncher();
    context.after(() => launcher.remove());
    for (const errno of ['EPERM', 'ENOSYS'] as const) {
      const args = [join(folder, 'a'), join(folder, 'c')];
      const { code, stdout, stderr } = await relay(args, launcher.command(errno));
      assert.match(stderr, /annulus relay: io_uring is not available.*seccomp.*Nothing was writ/);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.deepEqual(readdirSync(folder).toSorted(), ['a', 'tree']);
    }
  });

  it('finds a byte that changed on the disk', async (context) => {
    const folder = sources(context);
    const plan = makePlan(join(folder, 'a'), join(folder, 'c'));
    const corrupt = (phase: string): void => {
      if (phase !== 'verify') return;
      const fd = openSync(plan.temporary, 'r+');
      writeSync(fd, 'C', 0);
      closeSync(fd);
    };
    const watcher = { phase: corrupt, bytes: () => undefined };
    await assert.rejects(runSession({ plan, memory: MEMORY, io: openFileIo(), watcher }), {
      message: /what the destination has differs from the source: SHA-256 [0-9a-f]{64} instead of/,
    });
    assert.deepEqual(readdirSync(folder).toSorted(), ['a', 'tree']);
  });

  it('keeps the old destination when the new one is wrong', async (context) => {
    const folder = sources(context);
    writeFileSync(join(folder, 'c'), 'old');
    const { code } = await relay(['/proc/version', join(folder, 'c')]);
    assert.equal(code, 1);
    assert.equal(readFileSync(join(folder, 'c'), 'utf8'), 'old');
  });

  it('says that there are too many open files', async (context) => {
    const folder = sources(context);
    for (let i = 0; i < 200; i++) writeFileSync(join(folder, `tree/${i}`), `file ${i}`);
    const seen: string[] = [];
    // How many files a relay needs at least differs between Node's versions.
    for (let left = 4; left <= 64; left += 4) {
      const args = [String(left), 'relay', join(folder, 'tree'), join(folder, 'c')];
      const launcher = ['sh', '-c', 'ulimit -n 200 && exec "$0" "$@"'];
      const { code, stderr } = await runProgram(fewDescriptors, args, { launcher });
      assert.deepEqual(leftovers(folder), [], `${left} descriptors left`);
      if (code === 0) break;
      assert.equal(existsSync(join(folder, 'c')), false);
      if (code === 1) seen.push(stderr);
    }
    assert.match(seen.join(''), /annulus relay: .*too many open files.*ulimit -n/);
  });

  it('says that the disk is full', async (context) => {
    const folder = sources(context);
    const mount = `mount -t tmpfs -o size=4m annulus-test '${join(folder, 'tree/inner')}'`;
    const namespace = ['unshare', '--mount', '--map-root-user', 'sh', '-c'];
    const [file, ...flags] = namespace;
    const { error, status, stderr } = spawnSync(file!, [...flags, mount], { encoding: 'utf8' });
    if (status !== 0) {
      context.skip(`a small tmpfs cannot be mounted here: ${error?.message ?? stderr.trim()}`);
      return;
    }
    writeFileSync(join(folder, 'large'), Buffer.alloc(8 * MEMORY, 1));
    const list = `ls -A '${join(folder, 'tree/inner')}'`;
    const script = `${mount} && "$@"; code=$?; ${list}; exit $code`;
    const args = [join(folder, 'large'), join(folder, 'tree/inner/c'), '--no-compare'];
    const command = [...flags, script, 'sh', ...relayCommand(args)];
    const end = spawnSync(file!, command, { encoding: 'utf8' });
    assert.match(end.stderr, /cannot write .*the disk is full\. Free some space.*ENOSPC/);
    assert.equal(end.status, 1);
    assert.equal(end.stdout, '', 'nothing is left on the full disk');
  });
});
