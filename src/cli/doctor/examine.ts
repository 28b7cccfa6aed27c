/**
 * What `annulus doctor` finds out about the machine it runs on.
 */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';

import { SETUP } from '../../sys/abi.ts';
import { AnnulusError } from '../../sys/errors.ts';
import { pageSize, resourceLimit, RLIMIT } from '../../sys/linux.ts';
import { nativeFile } from '../../sys/native.ts';
import { underSeccomp, uringDisabledSysctl } from '../../sys/unavailable.ts';
import type { UnavailableCause } from '../../sys/unavailable.ts';
import { OPCODES } from '../../uring/opcodes.ts';
import type { Opcode } from '../../uring/opcodes.ts';
import { namesOf, probe } from '../../uring/probe.ts';
import type { ProbedKernel } from '../../uring/probe.ts';

/** A resource limit; null where there is none. */
export interface Limit {
  readonly soft: number | null;
  readonly hard: number | null;
}

/** What was found; `annulus doctor --json` prints it. What cannot be known here is null. */
export interface Examination {
  /** Whether io_uring works here. */
  readonly usable: boolean;
  readonly cause: UnavailableCause | null;
  /** Why it does not, and what to do about it. */
  readonly reason: string | null;
  readonly annulus: string;
  readonly node: string;
  readonly platform: string;
  readonly arch: string;
  readonly kernel: string;
  /** Bytes. */
  readonly pageSize: number | null;
  readonly native: { readonly file: string; readonly exists: boolean };
  /** `kernel.io_uring_disabled`; null where there is no such sysctl. */
  readonly sysctl: number | null;
  readonly seccomp: boolean;
  /** Bytes of memory that may be locked for registered buffers. */
  readonly memlock: Limit | null;
  /** Open files. */
  readonly nofile: Limit | null;
  /** Names of the set-up flags a ring uses here. */
  readonly ringFlags: readonly string[];
  /** What else the kernel says it has; null before Linux 6.18, which cannot. */
  readonly has: ProbedKernel | null;
  /** Names of the kernel's feature bits. */
  readonly features: readonly string[];
  readonly opcodes: {
    readonly known: number;
    readonly supported: readonly string[];
    readonly missing: readonly { readonly name: string; readonly since: string }[];
  };
}

/** Never throws because something is missing: that is what it reports. */
export function examine(): Examination {
  const found = probe();
  const file = nativeFile();
  const has = (opcode: Opcode): boolean => found.opcodes.has(opcode.name);
  return {
    usable: found.available,
    cause: found.cause ?? null,
    reason: found.reason ?? null,
    annulus: packageVersion(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    kernel: release(),
    pageSize: unlessMissing(pageSize),
    native: { file, exists: existsSync(file) },
    sysctl: uringDisabledSysctl() ?? null,
    seccomp: underSeccomp(),
    memlock: limit(RLIMIT.MEMLOCK),
    nofile: limit(RLIMIT.NOFILE),
    ringFlags: namesOf(SETUP, found.setupFlags),
    has: found.kernel ?? null,
    features: found.features,
    opcodes: {
      known: OPCODES.length,
      supported: OPCODES.filter(has).map(({ name }) => name),
      missing: OPCODES.filter((row) => !has(row)).map(({ name, since }) => ({ name, since })),
    },
  };
}

function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function limit(resource: number): Limit | null {
  const value = unlessMissing(() => resourceLimit(resource));
  return value === null ? null : { soft: finite(value.soft), hard: finite(value.hard) };
}

/** JSON has no infinity. */
function finite(bound: number): number | null {
  return bound === Infinity ? null : bound;
}

/** What only the native part can tell, or null where there is none. */
function unlessMissing<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch (error) {
    if (error instanceof AnnulusError) return null;
    throw error;
  }
}
