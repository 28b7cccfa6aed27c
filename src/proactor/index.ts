/**
 * io_uring as promises on Node's event loop.
 *
 * @packageDocumentation
 */
export type { RequestOptions } from './attachment.ts';
export type { Batching, BatchLimits } from './batching.ts';
export type { ProactorOptions, ProactorStats } from './engine.ts';
export { Proactor } from './proactor.ts';
export type { Buffer, TransferOptions } from './proactor.ts';
