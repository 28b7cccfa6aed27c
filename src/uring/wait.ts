/**
 * What a wait for completions is told: time limits, how eager it is, signals.
 */
import { ENTER, FEATURE, GETEVENTS_ARG } from '../sys/abi.ts';
import { checkInteger, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { signalSet } from '../sys/signals.ts';
import type { Cell } from './holds.ts';
import { ENTER_FLAGS, FEATURES } from './flags.ts';
import { kernelMasks, unsupported } from './supported.ts';

const MAX_U32 = 2 ** 32 - 1;
const SIGSET_BYTES = 8;

/** How `submitAndWait()` waits. */
export interface SubmitWaitOptions {
  /** Milliseconds after which it returns all the same. Linux 5.11. */
  readonly timeout?: number;
  /** A time of the ring's clock, in milliseconds, at which it returns all the same. Linux 6.12. */
  readonly deadline?: number;
  /**
   * Microseconds for which it waits for as many completions as asked; then one is enough. Saves
   * waking up for each where they come in bursts. Linux 6.12.
   */
  readonly minWaitUs?: number;
  /** The signals, and no others, that are held back until it returns. Linux 5.11. */
  readonly blockedSignals?: readonly NodeJS.Signals[];
  /** Index of a wait among those of `register.waits()`, instead of the above. Linux 6.13. */
  readonly wait?: number;
  /** Does not count the time as waiting for a disk, which would raise the clock rate. Linux 6.15. */
  readonly noIoWait?: boolean;
}

/** Bytes of a cell for the arguments of a wait. */
export const WAIT_BYTES: number = GETEVENTS_ARG.BYTES + 16 + SIGSET_BYTES;

/** `ENTER` bits of the options; throws for those that are wrong or that the kernel lacks. */
export function waitFlags(options: SubmitWaitOptions, features: number): number {
  const { timeout, deadline, minWaitUs, blockedSignals, wait, noIoWait = false } = options;
  for (const [name, time] of Object.entries({ timeout, deadline })) {
    if (time === undefined || (time >= 0 && time <= Number.MAX_SAFE_INTEGER)) continue;
    throw outOfRange(name, 'a number >= 0', time);
  }
  if (minWaitUs !== undefined) checkInteger('minWaitUs', minWaitUs, 0, MAX_U32);
  if (blockedSignals !== undefined) signalSet(blockedSignals);
  const told = [timeout, deadline, minWaitUs, blockedSignals];
  const argument = told.some((one) => one !== undefined);
  if (timeout !== undefined && deadline !== undefined) {
    throw invalidArgValue('options', 'has a timeout and a deadline', `${timeout}, ${deadline}`);
  }
  if (argument && wait !== undefined) {
    throw invalidArgValue('wait', 'replaces the other options of a wait', wait);
  }
  if (argument) requireFeature('EXT_ARG', features);
  if (minWaitUs !== undefined) requireFeature('MIN_TIMEOUT', features);
  if (deadline !== undefined) requireEnterFlag('ABS_TIMER');
  if (noIoWait) requireFeature('NO_IOWAIT', features);
  return (
    (argument ? ENTER.EXT_ARG : 0) |
    (deadline === undefined ? 0 : ENTER.ABS_TIMER) |
    (noIoWait ? ENTER.NO_IOWAIT : 0)
  );
}

/** Fills a cell with `struct io_uring_getevents_arg` and what it points to. */
export function encodeWait(cell: Cell, options: SubmitWaitOptions): void {
  const { minWaitUs = 0, blockedSignals } = options;
  const time = options.timeout ?? options.deadline;
  const timeAt = GETEVENTS_ARG.BYTES;
  const signalsAt = timeAt + 16;
  cell.bytes.fill(0, 0, WAIT_BYTES);
  cell.view.setUint32(GETEVENTS_ARG.MIN_WAIT, minWaitUs, true);
  if (time !== undefined) {
    cell.setU64(GETEVENTS_ARG.TS, cell.address + timeAt);
    cell.setTimespec(timeAt, time);
  }
  if (blockedSignals === undefined) return;
  cell.setU64(GETEVENTS_ARG.SIGMASK, cell.address + signalsAt);
  cell.view.setUint32(GETEVENTS_ARG.SIGMASK_SIZE, SIGSET_BYTES, true);
  cell.view.setBigUint64(signalsAt, signalSet(blockedSignals), true);
}

function requireFeature(name: keyof typeof FEATURE, features: number): void {
  if ((features & FEATURE[name]) !== 0) return;
  throw unsupported(`IORING_FEAT_${name}`, FEATURES.find((row) => row.name === name)!.since);
}

/** Where the kernel does not tell, it answers -EINVAL itself. */
function requireEnterFlag(name: keyof typeof ENTER): void {
  const mask = kernelMasks()?.enter ?? -1;
  if ((mask & ENTER[name]) !== 0) return;
  throw unsupported(`IORING_ENTER_${name}`, ENTER_FLAGS.find((row) => row.name === name)!.since);
}
