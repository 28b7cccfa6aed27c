/**
 * The tables of flags: what sets a ring up, what its kernel can do, how it is entered; each with the
 * first kernel that has it and with what uses it. The probe and the documentation follow from them.
 *
 * A row's index is its bit. The names of abi.ts are checked against the C header.
 */
import { ENTER, FEATURE, SETUP, SQE } from '../sys/abi.ts';

/** One flag. */
export interface Flag<Name extends string = string> {
  readonly name: Name;
  readonly bit: number;
  /** First Linux release with the flag, such as `5.6`. */
  readonly since: string;
  /** What sets or heeds it, as a program writes it. */
  readonly use: string;
}

type Row = readonly [since: string, use: string];

function flagsOf<Name extends string>(
  bits: Readonly<Record<Name, number>>,
  rows: Readonly<Record<Name, Row>>,
): readonly Flag<Name>[] {
  return Object.entries<number>(bits).map(([key, bit]) => {
    const name = key as Name;
    const [since, use] = rows[name];
    return { name, bit, since, use };
  });
}

/** Set-up flags, by their bit. */
export const SETUP_FLAGS: readonly Flag<keyof typeof SETUP>[] = flagsOf(SETUP, {
  IOPOLL: ['5.1', '`flags`: submitAndWait() and drain() look for completions'],
  SQPOLL: ['5.1', '`flags`: submit() makes no system call while the poller is awake'],
  SQ_AFF: ['5.1', '`sqThreadCpu`'],
  CQSIZE: ['5.5', '`completionEntries`'],
  CLAMP: ['5.6', '`flags`'],
  ATTACH_WQ: ['5.6', '`attach`'],
  R_DISABLED: ['5.10', '`flags`, then ring.register.enable()'],
  SUBMIT_ALL: ['5.18', 'the default'],
  COOP_TASKRUN: ['5.19', 'the default'],
  TASKRUN_FLAG: ['5.19', 'the default'],
  SQE128: ['5.19', '`flags`: uringCommand() with 80 bytes'],
  CQE32: ['5.19', '`flags`: ring.extraWord()'],
  SINGLE_ISSUER: ['6.0', 'the default'],
  DEFER_TASKRUN: ['6.1', '`flags`: completions wait for submitAndWait() or drain()'],
  NO_MMAP: ['6.5', '`memory`'],
  REGISTERED_FD_ONLY: ['6.5', '`flags` with `memory`: a ring without a descriptor'],
  NO_SQARRAY: ['6.6', 'the default'],
  HYBRID_IOPOLL: ['6.13', '`flags` with IOPOLL'],
  CQE_MIXED: ['6.18', '`flags`: ring.extraWord()'],
  SQE_MIXED: ['6.19', '`flags`: accepted where the kernel has it'],
  SQ_REWIND: ['7.0', 'refused: the queue of a Ring goes round'],
});

/** Features, by their bit. */
export const FEATURES: readonly Flag<keyof typeof FEATURE>[] = flagsOf(FEATURE, {
  SINGLE_MMAP: ['5.4', 'required: both queues are one mapping'],
  NODROP: ['5.5', 'required: drain() fetches what overflowed'],
  SUBMIT_STABLE: ['5.5', 'not relied on: structures live until completion'],
  RW_CUR_POS: ['5.6', 'read() and write() without a position'],
  CUR_PERSONALITY: ['5.6', 'requests run with the credentials of the thread'],
  FAST_POLL: ['5.7', 'the kernel waits without a thread'],
  POLL_32BITS: ['5.9', 'pollAdd() with events above 16 bits'],
  SQPOLL_NONFIXED: ['5.11', 'required by SQPOLL: plain descriptors'],
  EXT_ARG: ['5.11', 'submitAndWait() with a time limit or blocked signals'],
  NATIVE_WORKERS: ['5.12', 'the kernel runs requests in threads of the process'],
  RSRC_TAGS: ['5.13', 'registrations with tags'],
  CQE_SKIP: ['5.17', 'flagLast(SQE.CQE_SKIP_SUCCESS)'],
  LINKED_FILE: ['5.17', 'a chain can use the descriptor it opens'],
  REG_REG_RING: ['6.3', 'registrations by the registered index'],
  RECVSEND_BUNDLE: ['6.10', 'bundles of provided buffers'],
  MIN_TIMEOUT: ['6.12', 'submitAndWait() with `minWaitUs`'],
  RW_ATTR: ['6.14', 'reads and writes with attributes'],
  NO_IOWAIT: ['6.15', 'submitAndWait() with `noIoWait`'],
});

/** Flags of `io_uring_enter`, by their bit. */
export const ENTER_FLAGS: readonly Flag<keyof typeof ENTER>[] = flagsOf(ENTER, {
  GETEVENTS: ['5.1', 'submitAndWait(), drain()'],
  SQ_WAKEUP: ['5.1', 'submit() when the poller sleeps'],
  SQ_WAIT: ['5.10', 'waitForSpace()'],
  EXT_ARG: ['5.11', 'submitAndWait() with `timeout`, `blockedSignals` or `minWaitUs`'],
  REGISTERED_RING: ['5.18', 'ring.register.ringFd()'],
  ABS_TIMER: ['6.12', 'submitAndWait() with `deadline`'],
  EXT_ARG_REG: ['6.13', 'submitAndWait() with `wait`'],
  NO_IOWAIT: ['6.15', 'submitAndWait() with `noIoWait`'],
});

/** Flags of one request, by their bit. */
export const SQE_FLAGS: readonly Flag<keyof typeof SQE>[] = flagsOf(SQE, {
  FIXED_FILE: ['5.1', 'a FixedFile in place of a descriptor'],
  IO_DRAIN: ['5.2', 'flagLast()'],
  IO_LINK: ['5.3', 'flagLast(), linkTimeout()'],
  IO_HARDLINK: ['5.5', 'flagLast()'],
  ASYNC: ['5.6', 'flagLast()'],
  BUFFER_SELECT: ['5.7', 'a BufferRing in place of memory'],
  CQE_SKIP_SUCCESS: ['5.17', 'flagLast()'],
});

/** Names of the set-up flags in `bits`. */
export function flagNames(bits: number): string {
  const names = SETUP_FLAGS.filter(({ bit }) => (bits & bit) !== 0).map(({ name }) => name);
  return names.length === 0 ? 'none' : names.join('|');
}
