/**
 * examples/channel-peer.c, compiled when a test first asks for it.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Its source. */
export const PEER_SOURCE: string = fileURLToPath(
  new URL('../../../examples/channel-peer.c', import.meta.url),
);

/** The compiled peer, in a folder of its own. */
export interface CompiledPeer {
  readonly program: string;
  /** Where sockets may be made. */
  readonly folder: string;
  remove(): void;
}

/** Compiles it as strictly as the native part. */
export function compilePeer(): CompiledPeer {
  const folder = mkdtempSync(join(tmpdir(), 'annulus-peer-'));
  const program = join(folder, 'channel-peer');
  const compiler = process.env['CC'] ?? 'cc';
  const flags = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-O2'];
  const { status, stderr, error } = spawnSync(compiler, [...flags, '-o', program, PEER_SOURCE], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${compiler} cannot compile ${PEER_SOURCE}: ${error?.message ?? stderr}`);
  return { program, folder, remove: () => rmSync(folder, { recursive: true }) };
}
