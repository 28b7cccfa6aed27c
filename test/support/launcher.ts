/**
 * The launcher that refuses io_uring to what it executes, compiled when a test first asks for it.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../../test/native/seccomp.c', import.meta.url));

/** A compiled launcher; `remove()` when done. */
export interface Launcher {
  /** The command line to put before another one. */
  command(errno?: 'EPERM' | 'ENOSYS'): string[];
  remove(): void;
}

/** Compiles the launcher into a temporary folder, as strictly as the native part. */
export function compileLauncher(): Launcher {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-seccomp-'));
  const program = join(folder, 'seccomp');
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-O1'];
  const compiler = process.env['CC'] ?? 'cc';
  const { status, stderr, error } = spawnSync(compiler, [...flags, '-o', program, source], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    rmSync(folder, { recursive: true });
    throw new Error(`${compiler} cannot compile ${source}: ${error?.message ?? stderr}`);
  }
  return {
    command: (errno = 'EPERM') => [program, '--errno', errno],
    remove: () => rmSync(folder, { recursive: true }),
  };
}
