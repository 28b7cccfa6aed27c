/**
 * Setting up a ring: the ladder of flag sets, and mapping what the kernel made.
 */
import { CQ_OFF, FEATURE, OFF, PARAMS, REGISTER, SETUP, SIZEOF, SQ_OFF } from '../sys/abi.ts';
import { AnnulusError, check, describeErrno, ERRNO, SystemError } from '../sys/errors.ts';
import { close, duplicate, F_DUPFD_CLOEXEC, pageSize, syscall } from '../sys/linux.ts';
import { native, RING_KIND, RING_LAYOUT } from '../sys/native.ts';
import { pin } from '../memory/pins.ts';
import { Region } from '../memory/region.ts';
import { explainUnavailable } from '../sys/unavailable.ts';
import { flagNames } from './flags.ts';
import { checkOptions, completionsOf, impliedFlags, queueBytes } from './options.ts';
import type { RingOptions } from './options.ts';
import { unsupported, USE_REGISTERED_RING } from './supported.ts';

/** Where the kernel put the queues, and what it agreed to. */
export interface Queues {
  /** The descriptor; -1 where there is none. */
  readonly fd: number;
  /** What the shim calls the ring: the descriptor, or ~index of one that is only registered. */
  readonly name: number;
  readonly flags: number;
  readonly features: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** SQ ring and CQ ring, in one mapping. */
  readonly rings: Region;
  /** The entries, from a byte of this Region on. */
  readonly sqes: Region;
  readonly sqesAt: number;
  /** Whether the memory of the queues is the caller's. */
  readonly given: boolean;
  /** Byte offsets into `rings`. */
  readonly offsets: RingOffsets;
}

/** The queues of a ring, and the words that tell the shim about it. */
export interface RingMemory extends Queues {
  /** Words shared with the shim. */
  readonly control: Region;
}

/** Byte offsets of the words of both queues. */
export interface RingOffsets {
  readonly sqHead: number;
  readonly sqTail: number;
  readonly sqFlags: number;
  readonly sqDropped: number;
  readonly sqArray: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqOverflow: number;
  readonly cqFlags: number;
  readonly cqes: number;
}

/** Bytes of a line of the processor's cache, on every machine there is a shim for. */
const CACHE_LINE = 64;

const BASE = SETUP.SUBMIT_ALL | SETUP.COOP_TASKRUN | SETUP.TASKRUN_FLAG;

/**
 * Flag sets to try, best first. A kernel answers `EINVAL` to a flag it does not know, so the first
 * set it accepts is the best it has; the comment says what each step gives up.
 */
export const FLAG_LADDER: readonly number[] = [
  BASE | SETUP.SINGLE_ISSUER | SETUP.NO_SQARRAY, // 6.6
  BASE | SETUP.SINGLE_ISSUER, // 6.0: no direct SQ
  BASE, // 5.19: no single issuer
  SETUP.SUBMIT_ALL, // 5.18: completions interrupt
  0, // 5.6: a batch stops at its first bad request
];

/** Sets up a ring and maps it. Throws a named error that explains a refusal. */
export function setUpRing(options: RingOptions): RingMemory {
  return setUp(options, FLAG_LADDER, (queues) => {
    const memory = { ...queues, control: Region.allocate(pageSize()) };
    adopt(memory);
    if (memory.given) pin(memory.rings.slot);
    return memory;
  });
}

/** Sets up a ring and maps it, for who ends it by other means than the shim. */
export function setUpQueues(options: RingOptions, ladder: readonly number[]): Queues {
  return setUp(options, ladder, (queues) => queues);
}

function setUp<T>(
  options: RingOptions,
  ladder: readonly number[],
  finish: (queues: Queues) => T,
): T {
  const params = new Int32Array(PARAMS.BYTES / 4);
  const result = createRing(options, params, ladder);
  const registered = (params[PARAMS.FLAGS]! & SETUP.REGISTERED_FD_ONLY) !== 0;
  try {
    return finish(mapRing(registered ? ~result : result, params, options));
  } catch (error) {
    if (registered) unregister(result);
    else close(result);
    throw error;
  }
}

/** Ends a ring that is only registered with the thread. */
function unregister(index: number): void {
  const code = REGISTER.UNREGISTER_RING_FDS + USE_REGISTERED_RING;
  syscall('io_uring_register', index, code, Int32Array.of(index, 0, 0, 0), 1);
}

function createRing(options: RingOptions, params: Int32Array, best: readonly number[]): number {
  const { entries = 256, flags: exact } = options;
  checkOptions(options);
  const ladder = exact === undefined ? best : [exact];
  let result: number = ERRNO.EINVAL;
  for (const flags of ladder) {
    fillParams(params, flags | impliedFlags(options), options);
    result = syscall('io_uring_setup', entries, params);
    if (result !== ERRNO.EINVAL) break;
  }
  if (result >= 0) return result;
  if (result === ERRNO.EINVAL || (options.attach !== undefined && result === ERRNO.ENXIO)) {
    const sets = ladder.map((flags) => flagNames(flags | impliedFlags(options)));
    throw new SystemError(result, 'io_uring_setup', {
      message: `the kernel refuses these ring flags: ${sets.join(' or ')}`,
    });
  }
  if (result === ERRNO.EBADF) throw new SystemError(result, 'io_uring_setup');
  throw new AnnulusError('ERR_ANNULUS_URING_UNAVAILABLE', explainUnavailable(result).reason, {
    cause: new SystemError(result, 'io_uring_setup', { message: describeErrno(result)[1] }),
  });
}

function fillParams(params: Int32Array, flags: number, options: RingOptions): void {
  const { attach, memory, sqThreadCpu = 0, sqThreadIdle = 0 } = options;
  params.fill(0);
  params[PARAMS.FLAGS] = flags;
  params[PARAMS.CQ_ENTRIES] = completionsOf(options);
  params[PARAMS.SQ_THREAD_CPU] = sqThreadCpu;
  params[PARAMS.SQ_THREAD_IDLE] = sqThreadIdle | 0;
  params[PARAMS.WQ_FD] = attach?.fd ?? 0;
  if (memory === undefined) return;
  setAddress(params, PARAMS.CQ_OFF + CQ_OFF.USER_ADDR, memory.address);
  setAddress(params, PARAMS.SQ_OFF + SQ_OFF.USER_ADDR, memory.address + queueBytes(options).rings);
}

function setAddress(params: Int32Array, at: number, address: number): void {
  params[at] = address | 0;
  params[at + 1] = (address / 2 ** 32) | 0;
}

function mapRing(name: number, params: Int32Array, options: RingOptions): Queues {
  const word = (index: number): number => params[index]!;
  const sqEntries = word(PARAMS.SQ_ENTRIES);
  const cqEntries = word(PARAMS.CQ_ENTRIES);
  const flags = word(PARAMS.FLAGS);
  const features = word(PARAMS.FEATURES);
  if ((features & FEATURE.SINGLE_MMAP) === 0 || (features & FEATURE.NODROP) === 0) {
    throw new AnnulusError(
      'ERR_ANNULUS_URING_UNAVAILABLE',
      'This kernel has io_uring, but without SINGLE_MMAP or NODROP; Linux 5.6 or newer is needed.',
    );
  }
  if ((flags & SETUP.SQPOLL) !== 0 && (features & FEATURE.SQPOLL_NONFIXED) === 0) {
    throw unsupported('A polling thread that reads plain descriptors', '5.11');
  }
  const { memory: given } = options;
  const queues = given ? useMemory(given, params, options) : mapQueues(name, params, flags);
  const fd = name < 0 ? -1 : name;
  return { fd, name, flags, features, sqEntries, cqEntries, ...queues };
}

type Mapped = Pick<RingMemory, 'rings' | 'sqes' | 'sqesAt' | 'offsets' | 'given'>;

/** Both queues in memory of the caller's. */
function useMemory(given: Region, params: Int32Array, options: RingOptions): Mapped {
  const offsets = readOffsets(params);
  const sqesAt = queueBytes(options).rings;
  return { rings: given, sqes: given, sqesAt, offsets, given: true };
}

/** Maps both queues as the kernel has laid them out. */
function mapQueues(fd: number, params: Int32Array, flags: number): Mapped {
  const sqEntries = params[PARAMS.SQ_ENTRIES]!;
  const cqBytes = params[PARAMS.CQ_ENTRIES]! * cqeSizeOf(flags);
  const sqeSize = (flags & SETUP.SQE128) === 0 ? SIZEOF.SQE : 2 * SIZEOF.SQE;
  const offsets = readOffsets(params);
  const arrayEnd = (flags & SETUP.NO_SQARRAY) === 0 ? offsets.sqArray + sqEntries * 4 : 0;
  const ringBytes = Math.max(arrayEnd, offsets.cqes + cqBytes);
  const rings = Region.map(ringBytes, [{ at: 0, length: ringBytes, fd, offset: OFF.SQ_RING }]);
  const sqeBytes = sqEntries * sqeSize;
  const sqes = Region.map(sqeBytes, [{ at: 0, length: sqeBytes, fd, offset: OFF.SQES }]);
  return { rings, sqes, sqesAt: 0, offsets, given: false };
}

/**
 * A kernel that resizes a ring does not say where the index array is: behind the completions, at the
 * next line of the cache, and for wide completions as far again as they are from the start.
 */
function arrayBehind(cqes: number, cqEntries: number, flags: number): number {
  const wide = (flags & SETUP.CQE32) !== 0;
  const end = cqes + cqEntries * cqeSizeOf(flags) + (wide ? cqes : 0);
  return Math.ceil(end / CACHE_LINE) * CACHE_LINE;
}

function cqeSizeOf(flags: number): number {
  return (flags & SETUP.CQE32) === 0 ? SIZEOF.CQE : 2 * SIZEOF.CQE;
}

/** What the shim is told of a ring: the identities of two mappings, and where things are in the first. */
export interface Adoption {
  readonly rings: number;
  readonly control: number;
  readonly queue: Int32Array;
}

/** Has the shim end the ring with the environment. */
export function adopt(memory: RingMemory): void {
  const { rings, control, queue } = adoptionOf(memory);
  check(native().adoptRing(memory.name, rings, control, queue), 'io_uring_setup');
}

/** What {@link adopt} tells the shim. */
export function adoptionOf(memory: RingMemory, kind: number = kindOf(memory)): Adoption {
  const { flags, cqEntries, rings, control, offsets } = memory;
  const layout: Record<(typeof RING_LAYOUT)[number], number> = {
    ...offsets,
    cqEntries,
    cqeSize: cqeSizeOf(flags),
    kind,
  };
  const queue = Int32Array.from(RING_LAYOUT, (word) => layout[word]);
  return { rings: rings.mappingId, control: control.mappingId, queue };
}

function kindOf({ flags }: RingMemory): number {
  return (flags & SETUP.SQPOLL) === 0 ? RING_KIND.RING : RING_KIND.POLLED;
}

/**
 * Gives a ring queues of another size, mapped anew; the caller moves what is in them and closes the
 * memory of the old ones. The descriptor's number may change.
 *
 * @param lost - Called before it throws if the ring has no queues any more, and is closed.
 */
export function resizeQueues(
  old: RingMemory,
  sqEntries: number,
  cqEntries: number,
  lost: () => void,
): RingMemory {
  const { flags, offsets } = old;
  const indexed = (flags & SETUP.NO_SQARRAY) === 0;
  if (indexed && offsets.sqArray !== arrayBehind(offsets.cqes, old.cqEntries, flags)) {
    throw unsupported('Resizing a ring without SETUP.NO_SQARRAY on this machine', '6.13');
  }
  const params = new Int32Array(PARAMS.BYTES / 4);
  params[PARAMS.SQ_ENTRIES] = sqEntries;
  params[PARAMS.CQ_ENTRIES] = cqEntries;
  params[PARAMS.FLAGS] = SETUP.CQSIZE;
  // The shim lets go of the old queues by closing their ring, so another descriptor keeps it open.
  const spare = duplicate(old.fd);
  const code = REGISTER.REGISTER_RESIZE_RINGS;
  const result = syscall('io_uring_register', old.fd, code, params, 1);
  if (result < 0) {
    close(spare);
    throw new SystemError(result, 'io_uring_register', { message: explainResize(result) });
  }
  const arrayAt = PARAMS.SQ_OFF + SQ_OFF.ARRAY;
  if (indexed && params[arrayAt] === 0) {
    const cqes = params[PARAMS.CQ_OFF + CQ_OFF.CQES]!;
    params[arrayAt] = arrayBehind(cqes, params[PARAMS.CQ_ENTRIES]!, flags);
  }
  native().closeRing(old.name);
  let fd = spare;
  try {
    fd = check(syscall('fcntl', spare, F_DUPFD_CLOEXEC, old.fd), 'fcntl');
    close(spare);
    const [sq, cq] = [params[PARAMS.SQ_ENTRIES]!, params[PARAMS.CQ_ENTRIES]!];
    const queues = mapQueues(fd, params, flags);
    const memory = { ...old, fd, name: fd, sqEntries: sq, cqEntries: cq, ...queues };
    adopt(memory);
    return memory;
  } catch (error) {
    close(fd);
    lost();
    throw error;
  }
}

function explainResize(errno: number): string | undefined {
  switch (errno) {
    case ERRNO.EINVAL:
      return 'a ring can be resized if it has SETUP.DEFER_TASKRUN, and from Linux 6.13 on';
    case ERRNO.EOVERFLOW:
      return 'what is in the queues now does not fit into new ones of that size';
    default:
      return undefined;
  }
}

function readOffsets(params: Int32Array): RingOffsets {
  const sq = (index: number): number => params[PARAMS.SQ_OFF + index]!;
  const cq = (index: number): number => params[PARAMS.CQ_OFF + index]!;
  return {
    sqHead: sq(SQ_OFF.HEAD),
    sqTail: sq(SQ_OFF.TAIL),
    sqFlags: sq(SQ_OFF.FLAGS),
    sqDropped: sq(SQ_OFF.DROPPED),
    sqArray: sq(SQ_OFF.ARRAY),
    cqHead: cq(CQ_OFF.HEAD),
    cqTail: cq(CQ_OFF.TAIL),
    cqOverflow: cq(CQ_OFF.OVERFLOW),
    cqFlags: cq(CQ_OFF.FLAGS),
    cqes: cq(CQ_OFF.CQES),
  };
}
