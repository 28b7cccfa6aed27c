/**
 * Buffers within a budget of memory, for one thread or several.
 *
 * @packageDocumentation
 */
export { Allocation } from './allocation.ts';
export type { AllocationHandle } from './allocation.ts';
export type { HugePages } from './arena.ts';
export type { BufferPoolHandle, BufferPoolOptions, PoolSettings } from './handle.ts';
export type { LeakDetection } from './leaks.ts';
export { BufferPool } from './pool.ts';
export type { AllocateSyncOptions, BufferPoolEvent, BufferPoolStats } from './pool.ts';
export type { AllocateOptions, WaitTime } from './waits.ts';
