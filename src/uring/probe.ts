/**
 * What the running kernel can do.
 */
import { ENTER, FEATURE, REGISTER_NAMES, SETUP, SQE } from '../sys/abi.ts';
import type { RegisterName } from '../sys/abi.ts';
import { AnnulusError, SystemError } from '../sys/errors.ts';
import { isSupportedPlatform, native } from '../sys/native.ts';
import { explainUnavailable } from '../sys/unavailable.ts';
import type { Unavailable, UnavailableCause } from '../sys/unavailable.ts';
import type { OpcodeName } from './opcodes.ts';
import { Ring } from './ring.ts';
import { kernelMasks } from './supported.ts';

/** How long the trial request may take where it does not complete at once, in milliseconds. */
const TRIAL_TIMEOUT_MS = 1000;
const TRIAL_TOKEN = 0x5eed;

/** What {@link probe} found. */
export interface Probe {
  /** Whether a ring can be set up here, and runs a request. */
  readonly available: boolean;
  /** What kind of thing stands in the way. */
  readonly cause?: UnavailableCause;
  /** Why not, and what to do about it. */
  readonly reason?: string;
  /** Names of the feature bits. */
  readonly features: readonly string[];
  /** Names of the opcodes the kernel has. */
  readonly opcodes: ReadonlySet<OpcodeName>;
  /** Set-up flags {@link Ring} uses by default here. */
  readonly setupFlags: number;
  /**
   * What else the kernel has, as it says itself by `REGISTER_QUERY` (6.18): registrations, every
   * set-up flag it accepts, flags of entering and of a request. Undefined where it cannot.
   */
  readonly kernel?: ProbedKernel;
}

/** What a kernel says of itself. */
export interface ProbedKernel {
  readonly registrations: readonly RegisterName[];
  readonly setupFlags: readonly string[];
  readonly enterFlags: readonly string[];
  readonly requestFlags: readonly string[];
}

const NOTHING = { available: false, features: [], opcodes: new Set<OpcodeName>(), setupFlags: 0 };

/**
 * Asks the kernel, with a ring of its own that runs one request and is closed again. Never throws
 * for a machine without io_uring: `reason` says what is missing.
 */
export function probe(): Probe {
  try {
    native();
  } catch (error) {
    if (!(error instanceof AnnulusError)) throw error;
    const cause = isSupportedPlatform() ? 'native' : 'platform';
    return { ...NOTHING, cause, reason: error.message };
  }
  try {
    using ring = new Ring({ entries: 4 });
    tryOut(ring);
    return {
      available: true,
      features: namesOf(FEATURE, ring.features),
      opcodes: ring.probe(),
      setupFlags: ring.flags,
      ...askKernel(),
    };
  } catch (error) {
    return { ...NOTHING, ...explain(error) };
  }
}

function askKernel(): { readonly kernel?: ProbedKernel } {
  const masks = kernelMasks();
  if (masks === undefined) return {};
  return {
    kernel: {
      registrations: REGISTER_NAMES.slice(0, masks.registrations),
      setupFlags: namesOf(SETUP, masks.setup),
      enterFlags: namesOf(ENTER, masks.enter),
      requestFlags: namesOf(SQE, masks.request),
    },
  };
}

/** One request from end to end: a sandbox may accept the set-up and then not run it. */
function tryOut(ring: Ring): void {
  let outcome: number | undefined;
  ring.nop(TRIAL_TOKEN);
  ring.submit();
  // A NOP completes while it is submitted; only a kernel that does not would be waited for.
  if (ring.ready === 0) ring.submitAndWait(1, { timeout: TRIAL_TIMEOUT_MS });
  ring.drain((token, result) => {
    if (token === TRIAL_TOKEN) outcome = result;
  });
  if (outcome === 0) return;
  throw new AnnulusError(
    'ERR_ANNULUS_URING_UNAVAILABLE',
    'io_uring can be set up here, but a request that does nothing ' +
      (outcome === undefined ? 'was never completed. ' : `completed with ${outcome}. `) +
      'Some sandboxes (gVisor) have such an incomplete io_uring: run outside of it.',
  );
}

function explain(error: unknown): Unavailable {
  if (error instanceof SystemError) return explainUnavailable(error.errno, error.syscall);
  if (!(error instanceof AnnulusError)) throw error;
  const { cause, message } = error;
  // A refused set-up carries the kernel's answer.
  if (cause instanceof SystemError) return explainUnavailable(cause.errno, cause.syscall);
  return { cause: 'kernel', reason: message };
}

/** Names of the bits that are set. */
export function namesOf(table: Readonly<Record<string, number>>, bits: number): string[] {
  return Object.entries(table)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([name]) => name);
}
