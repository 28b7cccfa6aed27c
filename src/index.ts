/**
 * Annulus: kernel-speed I/O for Node.js. The parts are separate entry points; here are the ones most
 * programs begin with.
 *
 * @packageDocumentation
 */
export { alloc, MirroredRing, Region } from './memory/index.ts';
export { BufferPool } from './pool/index.ts';
export { Proactor } from './proactor/index.ts';
export { AbortError, AnnulusError, SystemError } from './sys/errors.ts';
export type { AnnulusErrorCode, SystemErrorDetails } from './sys/errors.ts';
export { probe, Ring } from './uring/index.ts';
export type { Probe } from './uring/index.ts';
