/**
 * The check that src/ keeps its floors finds what it is there to find.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Runs the check on a folder, or on this repository's src/. */
function check(src?: string): { status: number | null; lines: string[] } {
  const script = join(root, 'scripts/check-floors.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...(src ? [src] : [])], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return { status, lines: stdout.split('\n').filter((line) => line !== '') };
}

/** Runs the check on a tree of the given files. */
function checkTree(files: Record<string, string>): { status: number | null; lines: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-floors-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, 'src', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    return check(join(folder, 'src'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the floors check', () => {
  it('accepts imports from floors below and from the same folder', () => {
    const { status, lines } = checkTree({
      'sys/errors.ts': `import { readFileSync } from 'node:fs';\n`,
      'memory/region.ts': `import { fail } from '../sys/errors.ts';\nexport * from './ring.ts';\n`,
      'memory/ring.ts': `import { once } from 'node:events';\nimport { isIP, isIPv6 as is6 } from 'node:net';\n`,
      'uring/index.ts': `import type { Region } from '../memory/region.ts';\n`,
      'cli/main.ts': `import { Command } from 'commander';\nimport '../uring/index.ts';\n`,
      'index.ts': `export * from './memory/region.ts';\nexport * from './uring/index.ts';\n`,
    });
    assert.deepEqual(lines, []);
    assert.equal(status, 0);
  });

  it('refuses every form of import from a floor above, with file, line and both floors', () => {
    const forms = {
      'bare.ts': `import '../uring/index.ts';`,
      'dynamic.ts': `export const ring = () => import('../uring/index.ts');`,
      'import-type.ts': `export type Ring = import('../uring/index.ts').Ring;`,
      'named.ts': `import { Ring } from '../uring/index.ts';`,
      're-export.ts': `export { Ring } from '../uring/index.ts';`,
      'several-lines.ts': `import { Ring }\nfrom '../uring/index.ts';`,
      'type-only.ts': `import type { Ring } from '../uring/index.ts';`,
    };
    const files = Object.entries(forms).map(([name, text]) => [`memory/${name}`, `\n\n${text}\n`]);
    const { status, lines } = checkTree({ ...Object.fromEntries(files), 'uring/index.ts': '' });
    const expected = Object.keys(forms).map((name) => {
      const line = name === 'several-lines.ts' ? 4 : 3;
      return `src/memory/${name}:${line}: 'memory' (floor 1) must not import 'uring' (floor 2) above it`;
    });
    assert.deepEqual(lines, expected);
    assert.equal(status, 1);
  });

  it('refuses imports between folders of one floor', () => {
    const { status, lines } = checkTree({
      'channel/index.ts': `import '../uring/index.ts';\n`,
      'fs/index.ts': `import '../net/index.ts';\n`,
    });
    assert.deepEqual(lines, [
      `src/channel/index.ts:1: 'channel' (floor 2) must not import 'uring' (floor 2) beside it`,
      `src/fs/index.ts:1: 'fs' (floor 4) must not import 'net' (floor 4) beside it`,
    ]);
    assert.equal(status, 1);
  });

  it('refuses every way around the floors', () => {
    const { lines } = checkTree({
      'index.ts': `export * from './cli/main.ts';\n`,
      'helpers/a.ts': '',
      'loose.ts': '',
      'memory/a.ts': [
        `import '#src/uring/index.js';`,
        `import 'annulus/uring';`,
        `import '../index.ts';`,
        `import '../../native/x.ts';`,
        `import '../sys/x.js';`,
        `import '../helpers/a.ts';`,
        `import 'commander';`,
        `import 'node:fs/promises';`,
        `import 'path';`,
        `import { isIP, connect } from 'node:net';`,
        `import * as net from 'node:net';`,
      ].join('\n'),
    });
    const places = lines.map((line) => line.split(':', 2).join(':'));
    assert.deepEqual(places, [
      'src/helpers/a.ts:1',
      'src/index.ts:1',
      'src/loose.ts:1',
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((line) => `src/memory/a.ts:${line}`),
    ]);
  });

  it('does not take comments and strings for imports', () => {
    const { lines } = checkTree({
      'memory/a.ts': `// import '../uring/index.ts';\nexport const text = "import '../uring/index.ts'";\n`,
    });
    assert.deepEqual(lines, []);
  });

  it('finds nothing in this repository', () => {
    assert.deepEqual(check(), { status: 0, lines: [] });
  });
});
