/** Builds the subjects in Rust and in Go on demand, each language's in one program. */

import { spawnSync } from 'node:child_process';
import { PEER_BINARIES, PEER_SOURCES } from './paths.ts';
import type { Compiled } from './native.ts';
import type { ForeignSubject } from './types.ts';

/** Long enough to download and build the dependencies of a fresh checkout. */
const BUILD_TIMEOUT_MS = 300_000;

/** As much of what a build says as helps. */
const ERROR_CHARACTERS = 300;

interface Toolchain {
  /** Folder below `bench/peers`. */
  readonly folder: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly program: string;
  /** What brings the command, for the message that explains a skip. */
  readonly remedy: string;
}

const RUST_OUTPUT = `${PEER_BINARIES}rust`;
const GO_PROGRAM = `${PEER_BINARIES}go/peers`;

const TOOLCHAINS: Readonly<Record<ForeignSubject['kind'], Toolchain>> = {
  rust: {
    folder: 'rust',
    command: 'cargo',
    arguments: ['build', '--quiet', '--release', '--locked', '--target-dir', RUST_OUTPUT],
    program: `${RUST_OUTPUT}/release/peers`,
    remedy: 'Debian: cargo',
  },
  go: {
    folder: 'go',
    command: 'go',
    arguments: ['build', '-buildvcs=false', '-mod=readonly', '-o', GO_PROGRAM, '.'],
    program: GO_PROGRAM,
    remedy: 'Debian: golang-go',
  },
};

const finished = new Map<string, Compiled>();

/**
 * The program of `subject`, built once per harness run; the toolchain knows what is up to date.
 *
 * A build that fails is skipped with the reason rather than failed: dependencies come from a
 * registry that this machine may not reach.
 */
export function buildForeign(subject: ForeignSubject): Compiled {
  const toolchain = toolchainOf(subject);
  let built = finished.get(toolchain.program);
  if (built === undefined) {
    built = buildNow(toolchain);
    finished.set(toolchain.program, built);
  }
  return built;
}

/** The program with tags or features is another one: both are kept. */
function toolchainOf({ kind, tags, features }: ForeignSubject): Toolchain {
  const toolchain = TOOLCHAINS[kind];
  if (features !== undefined) {
    const output = `${RUST_OUTPUT}-${features}`;
    const words = toolchain.arguments.map((word) => (word === RUST_OUTPUT ? output : word));
    return {
      ...toolchain,
      program: `${output}/release/peers`,
      arguments: [...words, '--features', features],
    };
  }
  if (tags === undefined) return toolchain;
  const program = `${toolchain.program}-${tags}`;
  const words = toolchain.arguments.map((word) => (word === toolchain.program ? program : word));
  // After "build", before the package.
  return { ...toolchain, program, arguments: words.toSpliced(1, 0, '-tags', tags) };
}

function buildNow({ folder, command, program, remedy, ...toolchain }: Toolchain): Compiled {
  const result = spawnSync(command, toolchain.arguments, {
    cwd: `${PEER_SOURCES}${folder}`,
    encoding: 'utf8',
    timeout: BUILD_TIMEOUT_MS,
  });
  if (result.status === 0) return { kind: 'ready', path: program };
  if (result.error !== undefined && 'code' in result.error && result.error.code === 'ENOENT') {
    return { kind: 'skipped', reason: `${command} not found (${remedy})` };
  }
  const said = result.stderr.trim().replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARACTERS);
  const why = result.error?.message ?? said;
  return { kind: 'skipped', reason: `${command} build failed: ${why}` };
}
