/**
 * Memory the kernel, other threads and other processes can share.
 *
 * @packageDocumentation
 */
export type { RingBacking } from './backing.ts';
export { MirroredRing } from './mirrored.ts';
export type { MirroredRingOptions, RingTransferOptions } from './mirrored.ts';
export { alloc, Region } from './region.ts';
