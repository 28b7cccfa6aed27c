/**
 * Where Annulus cannot run it can still be imported, and says in one message why and what to do.
 */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import { explainUnavailable } from '#src/sys/unavailable.js';
import { root, run } from '../support/processes.js';

/** Everything is imported; what each way of using it throws is printed as JSON. */
const use = (base: string): string => `
  const at = (path) => import(new URL(path, ${JSON.stringify(base)}).href);
  const annulus = await at('index.js');
  const { Channel } = await at('channel/index.js');
  const codes = {};
  const attempts = {
    alloc: () => annulus.alloc(1),
    mirrored: () => annulus.MirroredRing.create(1),
    ring: () => new annulus.Ring(),
    proactor: () => annulus.Proactor.default(),
    channel: () => Channel.create({ capacity: 1 }),
  };
  for (const [name, attempt] of Object.entries(attempts)) {
    try { attempt(); codes[name] = 'works'; }
    catch (error) { codes[name] = error.code; codes.message = error.message; }
  }
  const { available, reason } = annulus.probe();
  console.log(JSON.stringify({ codes, available, reason }));
`;

interface Report {
  codes: Record<string, string>;
  available: boolean;
  reason: string;
}

async function report(program: string): Promise<Report> {
  const { code, stdout, stderr } = await run(program);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Report;
}

/** Runs the program on a copy of dist/ whose native part `prepare` provides, or not. */
async function reportOfCopy(prepare: (prebuilds: string) => void): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-copy-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
    prepare(join(folder, `prebuilds/linux-${process.arch}`));
    return await report(use(pathToFileURL(`${folder}/dist/`).href));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const everything = ['alloc', 'channel', 'mirrored', 'proactor', 'ring'];

/** Asserts that every attempt threw `code`. */
function assertAll({ codes, available }: Report, code: string): void {
  for (const name of everything) assert.equal(codes[name], code, name);
  assert.equal(available, false);
}

describe('loading', () => {
  it('works from another place', async () => {
    const { codes } = await reportOfCopy((prebuilds) => {
      mkdirSync(join(prebuilds, '..'));
      symlinkSync(join(root, `prebuilds/linux-${process.arch}`), prebuilds);
    });
    assert.equal(codes['alloc'], 'works');
  });

  it('says which file is missing, and how to get it', async () => {
    const found = await reportOfCopy(() => {});
    assertAll(found, 'ERR_ANNULUS_NATIVE_MISSING');
    assert.match(found.codes['message']!, /annulus\.node.*npm run build.*install it again/s);
    assert.equal(found.reason, found.codes['message']);
  });

  it('says why a file cannot be loaded', async () => {
    const found = await reportOfCopy((prebuilds) => {
      mkdirSync(prebuilds, { recursive: true });
      writeFileSync(join(prebuilds, 'annulus.node'), 'not a library');
    });
    assertAll(found, 'ERR_ANNULUS_NATIVE_MISSING');
    assert.match(found.codes['message']!, /could not be loaded: .*rebuild it/s);
  });

  for (const [platform, arch] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 'riscv64'],
  ] as const) {
    it(`names the platform: ${platform} on ${arch}`, async () => {
      const base = pathToFileURL(join(root, 'dist/')).href;
      const found = await report(`
        import { syncBuiltinESMExports } from 'node:module';
        Object.defineProperty(process, 'platform', { value: '${platform}' });
        Object.defineProperty(process, 'arch', { value: '${arch}' });
        syncBuiltinESMExports();
        ${use(base)}
      `);
      assertAll(found, 'ERR_ANNULUS_UNSUPPORTED_PLATFORM');
      assert.ok(found.codes['message']?.includes(`this is ${platform} on ${arch}`));
      assert.ok(found.reason.includes(platform));
    });
  }
});

describe('the explanation of a refused ring', () => {
  it('has cause and remedy for every errno the kernel gives', () => {
    const expected = new Map<number, RegExp>([
      [-24, /EMFILE.*too many open files.*ulimit -n/],
      [-12, /ENOMEM.*memory cgroup/],
      [-38, /ENOSYS.*/],
      [-1, /EPERM.*(io_uring_disabled|seccomp|security module)/],
      [-5, /EIO.*no further reason/],
    ]);
    for (const [errno, pattern] of expected) {
      const { cause, reason } = explainUnavailable(errno);
      assert.match(reason, pattern);
      assert.ok(cause.length > 0);
    }
    assert.match(explainUnavailable(-1, 'io_uring_enter').reason, /io_uring_enter failed with/);
  });
});
