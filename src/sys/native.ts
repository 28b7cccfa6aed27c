/**
 * The shim as JavaScript sees it: its functions, the words both sides share, and how it is loaded.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:process';
import { fileURLToPath } from 'node:url';

import { AnnulusError } from './errors.ts';

/** An argument of a system call: a number, or an array whose address is passed. */
export type SyscallArgument =
  number | Uint8Array | Int32Array | Float64Array | BigInt64Array | null;

/** Functions exported by native/binding.c. Results below zero are errno values. */
export interface Native {
  map(length: number, pieces: Float64Array): number;
  wrap(id: number, acquire: 0 | 1, out: Float64Array): ArrayBuffer | number;
  unmap(slot: number, buffer?: ArrayBuffer, keep?: 0 | 1): number;
  enter(fd: number, toSubmit: number, minComplete: number, flags: number): number;
  syscall(number: number, ...args: SyscallArgument[]): number;
  ownFd(fd: number): number;
  disownFd(fd: number, close: 0 | 1): number;
  adoptRing(fd: number, ringsId: number, controlId: number, layout: Int32Array): number;
  closeRing(fd: number): number;
  watch(fd: number, events: number, callback: (events: number) => void, eventFd?: number): number;
  source(id: number, action: 0 | 1 | 2): number;
  /** Bytes of a memory page. */
  readonly pageSize: number;
  /** One pin word a region slot; native/environment.h says how it is used. */
  readonly pins: ArrayBuffer;
}

/** Words of a ring's control block, as native/ring.h numbers them. */
export const CONTROL = {
  PREPARED: 0,
  ENDED: 1,
  REFERENCED: 2,
  ENTERS: 3,
  SUBMITTED: 4,
  ERROR: 5,
  PIPES_LOW: 6,
  PIPES_HIGH: 7,
  SKIPPED: 8,
  SKIPPED_END: 9,
  LATE: 10,
} as const;

/** Order of the ring layout handed to `adoptRing`, as native/ring.h has it. */
export const RING_LAYOUT = [
  'sqHead',
  'sqTail',
  'sqFlags',
  'cqHead',
  'cqTail',
  'cqFlags',
  'cqes',
  'cqEntries',
  'cqeSize',
  'kind',
] as const;

/** What the shim is to do with a ring at the end of its thread. */
export const RING_KIND = {
  /** Cancel and wait. */
  RING: 0,
  /** The same, also for what a thread of the kernel was shown and has not taken. */
  POLLED: 1,
  /** Say that its thread has ended, once: src/uring/shared/seats.ts. */
  MEMBER: 2,
} as const;

/** Events a watcher can wait for, and reports. */
export const WATCH = { READABLE: 1, DISCONNECT: 4 } as const;

/** What `source()` can do to an event source. */
export const SOURCE = { UNREF: 0, REF: 1, CLOSE: 2 } as const;

/** Pin word bit: the ArrayBuffer is gone, the mapping goes with the last pin. */
export const DOOMED = 0x40000000;

let loaded: Native | undefined;

/** Whether this platform can have the shim at all. */
export function isSupportedPlatform(): boolean {
  return platform === 'linux' && (arch === 'x64' || arch === 'arm64');
}

/**
 * Loads the shim on first use, so that importing Annulus works on every platform.
 *
 * @throws {AnnulusError} `ERR_ANNULUS_UNSUPPORTED_PLATFORM` or `ERR_ANNULUS_NATIVE_MISSING`.
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

/** Where the shim for this platform is, or would be. */
export function nativeFile(): string {
  const url = new URL(`../../prebuilds/${platform}-${arch}/annulus.node`, import.meta.url);
  return fileURLToPath(url);
}

function load(): Native {
  if (!isSupportedPlatform()) {
    throw new AnnulusError(
      'ERR_ANNULUS_UNSUPPORTED_PLATFORM',
      `Annulus needs Linux on x64 or arm64; this is ${platform} on ${arch}. ` +
        'The package can be imported here, but nothing that touches the kernel works.',
    );
  }
  const file = nativeFile();
  if (!existsSync(file)) {
    throw new AnnulusError(
      'ERR_ANNULUS_NATIVE_MISSING',
      `The native part of Annulus is not at ${file}. In a clone, run "npm run build" (it needs a ` +
        'C compiler); for an installed package, install it again: its files are incomplete.',
    );
  }
  try {
    return createRequire(import.meta.url)(file) as Native;
  } catch (cause) {
    throw new AnnulusError(
      'ERR_ANNULUS_NATIVE_MISSING',
      `The native part of Annulus at ${file} could not be loaded: ${String(cause)}. It is built ` +
        'for the C library of the machine that built it; rebuild it in a clone with "npm run build".',
      { cause },
    );
  }
}
