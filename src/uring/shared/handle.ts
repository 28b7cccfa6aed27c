/**
 * The handle by which other threads take part in a shared ring, and the checks of what makes one.
 */
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../../sys/errors.ts';
import type { RingOffsets } from '../setup.ts';
import { Layout, powerOfTwo, THREADS_MAX } from './layout.ts';
import type { SharedSizes } from './layout.ts';

const MAX_ENTRIES = 32768;
const MAX_COMPLETIONS = 65536;

/** What makes a {@link SharedRing}. */
export interface SharedRingOptions {
  /** Threads that can take part at one time: 1 to 64. Default 8. */
  readonly threads?: number;
  /**
   * Submission queue entries of each thread, rounded up to a power of two; of all threads together at
   * most 32768. Default 256, or fewer if there are many threads.
   */
  readonly entries?: number;
  /**
   * Completion queue entries of the ring: at least one for each submission queue entry, to 65536.
   * Default four times as many.
   */
  readonly completionEntries?: number;
}

/** What the kernel and the first thread have set up, as plain values. */
export interface SharedRingQueues {
  readonly fd: number;
  readonly name: number;
  readonly flags: number;
  readonly features: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly offsets: RingOffsets;
  /** Mappings, by their identity in the process. */
  readonly rings: number;
  readonly sqes: number;
  readonly tables: number;
}

/** A shared ring as a plain value, for `postMessage` or `workerData` within a process. */
export interface SharedRingHandle {
  readonly annulusSharedRing: 1;
  readonly pid: number;
  readonly sizes: SharedSizes;
  readonly queues: SharedRingQueues;
  /** The socket that ends with the thread that made the ring. */
  readonly socket: number;
}

/** Checks options and fills in defaults. */
export function layoutOf(options: SharedRingOptions): Layout {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgType('options', 'an object', options);
  }
  const { threads = 8 } = options;
  checkInteger('options.threads', threads, 1, THREADS_MAX);
  const share = MAX_ENTRIES / powerOfTwo(threads);
  const entries = options.entries ?? Math.min(256, share);
  checkInteger('options.entries', entries, 1, MAX_ENTRIES);
  if (entries > share) {
    throw outOfRange('options.entries', `<= ${share} with ${threads} threads`, entries);
  }
  const rounded = powerOfTwo(entries);
  const all = rounded * powerOfTwo(threads);
  const completionEntries = options.completionEntries ?? Math.min(all * 4, MAX_COMPLETIONS);
  checkInteger('options.completionEntries', completionEntries, all, MAX_COMPLETIONS);
  return new Layout({
    threads,
    entries: rounded,
    completionEntries: powerOfTwo(completionEntries),
  });
}

/** Checks that a value is the handle of a shared ring of this process. */
export function checkHandle(handle: SharedRingHandle): void {
  if (handle?.annulusSharedRing !== 1) {
    throw invalidArgValue('handle', 'must be the handle of a SharedRing', handle);
  }
  if (handle.pid !== process.pid) {
    throw invalidArgValue('handle', 'must be of this process', `pid ${handle.pid}`);
  }
}
