/**
 * The handle by which other threads take part in a pool, and the checks of what makes one.
 */
import { checkInteger, invalidArgType, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { pageSize } from '../sys/linux.ts';
import { BUFFERS_MAX, Geometry, RUN_BYTES_MAX } from './geometry.ts';
import { LEAK_DETECTIONS } from './leaks.ts';
import type { LeakDetection } from './leaks.ts';
import type { HomeDescriptors } from './membership.ts';
import { Tables } from './tables.ts';
import { HEAD, MAGIC } from './words.ts';

/** What makes a {@link BufferPool}. */
export interface BufferPoolOptions {
  /** Bytes of a buffer, 1 to 2^32. Multiples of 4096 make every buffer 4 KiB aligned. */
  readonly bufferSize: number;
  /** The budget in bytes, at least one buffer and at most 4,194,304 of them. */
  readonly maxMemory: number;
  /** Asks the kernel for huge pages; `stats.hugePages` says what came of it. Default false. */
  readonly hugePages?: boolean | undefined;
  /**
   * What to find out about allocations that are collected without a release; their budget is
   * reclaimed in any case. `simple` (the default) warns, `sampled` adds where one in 128 was
   * allocated, `full` where each was, `off` is silent.
   */
  readonly leakDetection?: LeakDetection | undefined;
  /**
   * Milliseconds after which memory that was not in use meanwhile goes back to the system. Default
   * 1000; `Infinity`: only when the pool needs the room, or by `trim()`.
   */
  readonly trimAfter?: number | undefined;
}

/** Options with every default filled in; plain values, so they can be posted. */
export interface PoolSettings {
  readonly bufferSize: number;
  readonly maxMemory: number;
  readonly hugePages: boolean;
  readonly leakDetection: LeakDetection;
  readonly trimAfter: number;
}

/** A pool as a plain value, for `postMessage` or `workerData` within a process. */
export interface BufferPoolHandle extends HomeDescriptors {
  readonly annulusPool: 1;
  readonly pid: number;
  readonly settings: PoolSettings;
  readonly tables: SharedArrayBuffer;
}

/** Checks options and fills in defaults. */
export function settingsOf(options: BufferPoolOptions): PoolSettings {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgType('options', 'an object', options);
  }
  const { bufferSize, maxMemory, hugePages = false, leakDetection = 'simple' } = options;
  const { trimAfter = 1000 } = options;
  checkInteger('options.bufferSize', bufferSize, 1, RUN_BYTES_MAX);
  checkInteger('options.maxMemory', maxMemory, 1, Number.MAX_SAFE_INTEGER);
  if (maxMemory < bufferSize) {
    throw outOfRange('options.maxMemory', `at least one buffer of ${bufferSize} bytes`, maxMemory);
  }
  if (maxMemory / bufferSize >= BUFFERS_MAX + 1) {
    const most = `at most ${BUFFERS_MAX} buffers of ${bufferSize} bytes`;
    throw outOfRange('options.maxMemory', `${most}; make them larger`, maxMemory);
  }
  if (typeof hugePages !== 'boolean') {
    throw invalidArgType('options.hugePages', 'a boolean', hugePages);
  }
  if (!LEAK_DETECTIONS.includes(leakDetection)) {
    const reason = `must be one of ${LEAK_DETECTIONS.join(', ')}`;
    throw invalidArgValue('options.leakDetection', reason, leakDetection);
  }
  if (trimAfter !== Infinity) checkInteger('options.trimAfter', trimAfter, 1, 2 ** 31 - 1);
  return { bufferSize, maxMemory, hugePages, leakDetection, trimAfter };
}

/** How a pool of these settings is arranged. */
export function geometryOf({ bufferSize, maxMemory }: PoolSettings): Geometry {
  return new Geometry(bufferSize, Math.floor(maxMemory / bufferSize), pageSize());
}

/** The tables behind a handle, after checking that it is one. */
export function tablesOf(handle: BufferPoolHandle): Tables {
  if (handle?.annulusPool !== 1 || !(handle.tables instanceof SharedArrayBuffer)) {
    throw invalidArgValue('handle', 'must be the handle of a BufferPool', handle);
  }
  if (handle.pid !== process.pid) {
    throw invalidArgValue('handle', 'must be of this process', `pid ${handle.pid}`);
  }
  const tables = new Tables(geometryOf(settingsOf(handle.settings)), handle.tables);
  if (tables.words[HEAD.MAGIC] !== MAGIC) {
    throw invalidArgValue('handle', 'must be the handle of a BufferPool', handle);
  }
  return tables;
}
