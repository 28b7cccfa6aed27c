/**
 * Memory the kernel, other threads and other processes can share.
 *
 * @packageDocumentation
 */
export { MirroredRing } from './mirrored.ts';
export { alloc, Region } from './region.ts';
