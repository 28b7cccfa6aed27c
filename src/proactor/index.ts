/**
 * io_uring as promises on Node's event loop.
 *
 * @packageDocumentation
 */
export type { RequestOptions } from './attachment.ts';
export type { Batching, BatchLimits } from './batching.ts';
export type { ChannelTransferOptions } from './channels.ts';
export type { EngineOptions, ProactorOptions, ProactorStats } from './engine.ts';
export { fastOpenAllowed, Listener } from './listener.ts';
export type { ListenerOptions, ListenerSocketOptions } from './listener.ts';
export type { PoolFileReadOptions, PoolReadOptions } from './pool-reads.ts';
export { PooledBytes } from './pooled-bytes.ts';
export { PositionedFile } from './positioned-file.ts';
export type { FileTransferOptions, SeekOrigin } from './positioned-file.ts';
export { Proactor } from './proactor.ts';
export type { Buffer, TransferOptions } from './proactor.ts';
