/**
 * Where io_uring is refused or missing, everything says so by name, and what does not need it works.
 */

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { compileLauncher } from '../support/launcher.ts';
import type { Launcher } from '../support/launcher.ts';
import { runCommand, runProgram } from '../support/program.ts';
import type { Outcome } from '../support/program.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const command = join(root, 'bin/annulus.js');
const program = new URL('programs/without-uring.js', import.meta.url);

/** What `doctor --json` prints, as far as these tests look at it. */
interface Findings {
  readonly usable: boolean;
  readonly cause: string | null;
  readonly reason: string | null;
  readonly seccomp: boolean;
  readonly pageSize: number | null;
  readonly opcodes: { readonly supported: string[]; readonly missing: { since: string }[] };
}

describe('where io_uring is refused by a seccomp filter', () => {
  let launcher: Launcher;
  let folder = '';

  before(() => {
    launcher = compileLauncher();
    folder = mkdtempSync(join(tmpdir(), 'annulus-refused-'));
  });
  after(() => {
    launcher.remove();
    rmSync(folder, { recursive: true });
  });

  const annulus = (errno: 'EPERM' | 'ENOSYS', ...args: string[]): Promise<Outcome> =>
    runCommand([...launcher.command(errno), process.execPath, command, ...args]);

  for (const errno of ['EPERM', 'ENOSYS'] as const) {
    it(`doctor explains ${errno} and exits with 1`, async () => {
      const { code, stdout, stderr } = await annulus(errno, 'doctor');
      assert.equal(code, 1, stderr);
      assert.match(stdout, /^io_uring +not usable \(seccomp\)$/m);
      const words = stdout.replaceAll(/\s+/g, ' ');
      assert.match(words, new RegExp(`io_uring_setup failed with ${errno}. A seccomp filter`));
      assert.match(words, /docker run --security-opt seccomp=/);
    });

    it(`doctor --json explains ${errno} to programs`, async () => {
      const { code, stdout, stderr } = await annulus(errno, 'doctor', '--json');
      assert.equal(code, 1, stderr);
      const found = JSON.parse(stdout) as Findings;
      assert.equal(found.usable, false);
      assert.equal(found.cause, 'seccomp');
      assert.equal(found.seccomp, true);
      assert.deepEqual(found.opcodes.supported, []);
      assert.ok(found.pageSize !== null && found.pageSize >= 4096);
    });

    it(`rings fail by name with ${errno}; memory and channels work`, async () => {
      const outcome = await runProgram(program, [errno], { launcher: launcher.command(errno) });
      assert.equal(outcome.stderr, '');
      assert.equal(outcome.code, 0);
      assert.equal(outcome.stdout, 'done\n');
    });
  }

  it('relay says so, exits with 2 and writes nothing', async () => {
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    writeFileSync(source, 'something');
    const { code, stdout, stderr } = await annulus('EPERM', 'relay', source, target);
    assert.equal(code, 2, stdout + stderr);
    assert.match(stderr, /io_uring/);
    assert.match(stderr, /seccomp/);
    assert.equal(existsSync(target), false);
  });
});

describe('where the native part is missing', () => {
  it('doctor says what to do about it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'annulus-incomplete-'));
    try {
      for (const part of ['bin', 'dist', 'package.json']) {
        cpSync(join(root, part), join(folder, part), { recursive: true });
      }
      symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
      const args = [process.execPath, join(folder, 'bin/annulus.js'), 'doctor'];
      const { code, stdout, stderr } = await runCommand(args);
      assert.equal(code, 1, stderr);
      assert.match(stdout, /^io_uring +not usable \(native\)$/m);
      assert.match(stdout, /npm run build/);
      const json = JSON.parse((await runCommand([...args, '--json'])).stdout) as Findings;
      assert.equal(json.pageSize, null);
      assert.equal(json.cause, 'native');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('doctor names a platform that has no io_uring', async () => {
    const pretend = `Object.defineProperty(process, 'platform', { value: 'darwin' });`;
    const flags = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`];
    // The launcher in bin/ builds the clone first, for the platform it believes to be on.
    const main = `import { main } from '${join(root, 'dist/cli/main.js')}';
      process.exitCode = await main(['doctor']);`;
    const args = [process.execPath, ...flags, '--input-type=module', '--eval', main];
    const { code, stdout, stderr } = await runCommand(args);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^io_uring +not usable \(platform\)$/m);
    assert.match(stdout, /darwin/);
  });
});
