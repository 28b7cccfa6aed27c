/**
 * What a ring is made with: the options, what they imply, and which of them go together.
 */
import { SETUP } from '../sys/abi.ts';
import { AnnulusError, checkInteger, invalidArgType, invalidArgValue } from '../sys/errors.ts';
import { outOfRange } from '../sys/errors.ts';
import { toPages } from '../sys/linux.ts';
import { Region } from '../memory/region.ts';
import { flagNames, SETUP_FLAGS } from './flags.ts';
import { kernelMasks, unsupported } from './supported.ts';

const MAX_ENTRIES = 32768;
const MAX_COMPLETIONS = 65536;
const MAX_CPU = 4095;
const MAX_U32 = 2 ** 32 - 1;
const KNOWN_FLAGS = SETUP_FLAGS.reduce((bits, { bit }) => bits | bit, 0);

/** What {@link Ring} is made with. */
export interface RingOptions {
  /** Submission queue entries: 1 to 32768, rounded up to a power of two. Default 256. */
  readonly entries?: number;
  /** Completion queue entries: at least `entries`, to 65536. Default four times `entries`. */
  readonly completionEntries?: number;
  /**
   * `SETUP` bits to use exactly, instead of the best set the kernel accepts. Added are those that
   * other options imply, and `TASKRUN_FLAG` where completions wait for the thread.
   */
  readonly flags?: number;
  /** Milliseconds the `SQPOLL` thread stays awake without work. Default: one second. */
  readonly sqThreadIdle?: number;
  /** The processor the `SQPOLL` thread stays on. */
  readonly sqThreadCpu?: number;
  /** Another ring whose worker threads, and with `SQPOLL` whose poller, this one shares. */
  readonly attach?: { readonly fd: number; readonly closed: boolean };
  /**
   * Memory for both queues, of at least `ringMemoryBytes(options)`; it stays pinned until the ring
   * is closed. Linux 6.5.
   */
  readonly memory?: Region;
}

/** Flags that make no sense without, or with, another one. */
const RULES: readonly [flag: number, needs: number, without: number][] = [
  [SETUP.SQ_AFF, SETUP.SQPOLL, 0],
  [SETUP.DEFER_TASKRUN, SETUP.SINGLE_ISSUER, SETUP.SQPOLL],
  [SETUP.COOP_TASKRUN, 0, SETUP.SQPOLL],
  [SETUP.HYBRID_IOPOLL, SETUP.IOPOLL, 0],
  [SETUP.REGISTERED_FD_ONLY, SETUP.NO_MMAP, 0],
  [SETUP.CQE_MIXED, 0, SETUP.CQE32],
  [SETUP.SQE_MIXED, 0, SETUP.SQE128],
];

/** Flags that need a value, by the option that has it. */
const VALUES = {
  sqThreadCpu: SETUP.SQ_AFF,
  attach: SETUP.ATTACH_WQ,
  memory: SETUP.NO_MMAP,
} as const;

/**
 * Checks the options.
 *
 * @throws {RangeError} `ERR_OUT_OF_RANGE`, {@link TypeError} `ERR_INVALID_ARG_VALUE` for flags that do
 *   not go together, {@link AnnulusError} `ERR_ANNULUS_UNSUPPORTED` for those the kernel lacks.
 */
export function checkOptions(options: RingOptions): void {
  const { entries = 256, completionEntries, flags, sqThreadCpu, sqThreadIdle } = options;
  checkInteger('entries', entries, 1, MAX_ENTRIES);
  if (completionEntries !== undefined) {
    checkInteger('completionEntries', completionEntries, entries, MAX_COMPLETIONS);
  }
  if (sqThreadCpu !== undefined) checkInteger('sqThreadCpu', sqThreadCpu, 0, MAX_CPU);
  if (sqThreadIdle !== undefined) checkInteger('sqThreadIdle', sqThreadIdle, 0, MAX_U32);
  if (options.attach?.closed === true) {
    throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring to attach to is closed.');
  }
  if (options.attach !== undefined) checkInteger('attach.fd', options.attach.fd, 0, MAX_U32);
  if (flags !== undefined) checkFlags(flags, options);
  const all = (flags ?? 0) | impliedFlags(options);
  requireFlags(all);
  if (options.memory !== undefined) checkMemory(options.memory, options, all);
}

function checkFlags(flags: number, options: RingOptions): void {
  checkInteger('flags', flags, 0, MAX_U32);
  if ((flags & ~KNOWN_FLAGS) !== 0) {
    throw outOfRange('flags', `made of SETUP bits, at most 0x${KNOWN_FLAGS.toString(16)}`, flags);
  }
  for (const [option, flag] of Object.entries(VALUES)) {
    if ((flags & flag) === 0 || options[option as keyof typeof VALUES] !== undefined) continue;
    throw invalidArgValue('flags', `has ${flagNames(flag)} without the option ${option}`, flags);
  }
}

/** Flags the kernel must have and that must go together. */
function requireFlags(flags: number): void {
  const mask = kernelMasks()?.setup;
  for (const { bit, name, since } of SETUP_FLAGS) {
    const lacks = mask !== undefined && (flags & bit & ~mask) !== 0;
    if (lacks) throw unsupported(`IORING_SETUP_${name}`, since);
  }
  if ((flags & SETUP.SQ_REWIND) !== 0) {
    throw invalidArgValue('flags', 'has SQ_REWIND, but the queue of a Ring goes round', flags);
  }
  for (const [flag, needs, without] of RULES) {
    if ((flags & flag) === 0) continue;
    const names = flagNames(flag);
    if ((flags & needs) !== needs) {
      throw invalidArgValue('flags', `has ${names} without ${flagNames(needs)}`, flags);
    }
    if ((flags & without) !== 0) {
      throw invalidArgValue('flags', `has ${names} together with ${flagNames(without)}`, flags);
    }
  }
}

/** Flags that follow from the other options. */
export function impliedFlags(options: RingOptions): number {
  const { completionEntries, flags } = options;
  let implied = flags === undefined || completionEntries !== undefined ? SETUP.CQSIZE : 0;
  for (const [option, flag] of Object.entries(VALUES)) {
    if (options[option as keyof typeof VALUES] !== undefined) implied |= flag;
  }
  // Without it, nothing in memory says that completions wait for the thread to enter the kernel.
  const waits = SETUP.DEFER_TASKRUN | SETUP.COOP_TASKRUN;
  if (((flags ?? 0) & waits) !== 0) implied |= SETUP.TASKRUN_FLAG;
  return implied;
}

/** Completion queue entries to ask for; 0 leaves it to the kernel, which takes twice `entries`. */
export function completionsOf(options: RingOptions): number {
  const { entries = 256, completionEntries, flags } = options;
  if (completionEntries !== undefined) return completionEntries;
  return flags === undefined ? Math.min(entries * 4, MAX_COMPLETIONS) : 0;
}

function checkMemory(memory: Region, options: RingOptions, flags: number): void {
  if (!(memory instanceof Region)) throw invalidArgType('memory', 'a Region', memory);
  const bytes = ringMemoryBytes(options);
  if (memory.byteLength < bytes) {
    const what = `of at least ${bytes} bytes for a ring with ${flagNames(flags)}`;
    throw outOfRange('memory.byteLength', what, memory.byteLength);
  }
}

/** Bytes of both queues, each in whole pages. */
export interface QueueBytes {
  readonly rings: number;
  readonly entries: number;
}

/** At least what the kernel has before the completions: its words, each on a line of the cache. */
const HEADER_BYTES = 1024;

/** @internal The memory that both queues can need. */
export function queueBytes(options: RingOptions): QueueBytes {
  const { entries = 256, flags = 0 } = options;
  const submissions = powerOfTwo(entries);
  const completions = powerOfTwo(completionsOf(options) || submissions * 2);
  const completionBytes = (flags & SETUP.CQE32) === 0 ? 16 : 32;
  const entryBytes = (flags & SETUP.SQE128) === 0 ? 64 : 128;
  const rings = HEADER_BYTES + completions * completionBytes + submissions * 4;
  return { rings: toPages(rings), entries: toPages(submissions * entryBytes) };
}

/** Bytes of memory that a ring with these options needs where it is given its `memory`. */
export function ringMemoryBytes(options: Omit<RingOptions, 'memory'>): number {
  const { rings, entries } = queueBytes(options);
  return rings + entries;
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
