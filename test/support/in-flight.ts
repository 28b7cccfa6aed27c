/**
 * Requests of many kinds that are in flight, in a worker or a process about to end.
 */

import { Region } from 'annulus/memory';
import { Proactor } from 'annulus/proactor';
import { probe, Ring, ringMemoryBytes, SETUP, SQE } from 'annulus/uring';

/**
 * Descriptors of the requests, made by the main thread: what a worker opens with `node:fs`, Node
 * closes by its number when the worker ends. Nothing ever comes out of those that are waited on.
 */
export interface Quiet {
  readonly file: number;
  readonly socket: number;
  readonly pipe: number;
  /** A listening socket nobody connects to, or -1. */
  readonly listener: number;
}

/** Address space of the memory a set of requests is on: large, so that a leak of it shows. */
export const IN_FLIGHT_BYTES: number = 64 * 2 ** 20;

const kernel = probe();
const zeroCopy = kernel.opcodes.has('SEND_ZC');
const SKIPPING = 8;

const FILE_READS = 8;
const READ_BYTES = 256 * 1024;

/** Leaves requests in flight on a ring that has no descriptor, where the kernel has such rings. */
export function leaveOnRegistered(quiet: Quiet): Ring {
  if (kernel.kernel?.setupFlags.includes('REGISTERED_FD_ONLY') !== true) return leaveOnRing(quiet);
  const flags = SETUP.NO_SQARRAY | SETUP.NO_MMAP | SETUP.REGISTERED_FD_ONLY;
  const options = { entries: 64, flags };
  const memory = Region.allocate(ringMemoryBytes(options));
  return leaveOnRing(quiet, new Ring({ ...options, memory }));
}

/** Leaves requests in flight of which some complete only if they fail, and do not count. */
export function leaveSkipping(quiet: Quiet): Ring {
  const ring = leaveOnRing(quiet);
  for (let i = 0; i < SKIPPING; i++) {
    ring.pollAdd(i, quiet.socket, 1);
    ring.flagLast(SQE.CQE_SKIP_SUCCESS);
    // The kernel has some of them, and others are prepared only.
    if (i === SKIPPING / 2) ring.submit();
  }
  return ring;
}

/** Leaves requests in flight on a raw ring. */
export function leaveOnRing(quiet: Quiet, ring: Ring = new Ring({ entries: 64 })): Ring {
  const region = Region.allocate(IN_FLIGHT_BYTES);
  let token = 0;
  const place = (): { offset: number; length: number; position: number } => ({
    offset: token * READ_BYTES,
    length: READ_BYTES,
    position: -1,
  });
  for (let i = 0; i < FILE_READS; i++) {
    ring.read(token, quiet.file, region, { ...place(), position: i * READ_BYTES });
    token++;
  }
  for (const fd of [quiet.socket, quiet.pipe]) ring.read(token++, fd, region, place());
  ring.timeout(token++, 3_600_000);
  ring.pollAdd(token++, quiet.socket, 1);
  if (quiet.listener >= 0) ring.accept(token++, quiet.listener);
  if (zeroCopy) {
    // One of these has two completions, and does not say so: notices.ts.
    ring.nopWith(token++, { result: -5 });
    ring.flagLast(SQE.IO_LINK);
    ring.sendZc(token++, quiet.socket, region, place());
  }
  ring.submit();
  return ring;
}

/** Leaves requests in flight on a proactor; what they reject with is of no interest. */
export function leaveOnProactor(quiet: Quiet): Proactor {
  const io = new Proactor({ entries: 64 });
  const region = Region.allocate(IN_FLIGHT_BYTES);
  const ignore = (promise: Promise<unknown>): void => void promise.catch(() => {});
  const reads = Array.from({ length: FILE_READS }, (_, i) =>
    io.read(quiet.file, region, { offset: i * READ_BYTES, length: READ_BYTES, position: 0 }),
  );
  ignore(Promise.allSettled(reads));
  ignore(io.read(quiet.socket, region, { offset: 16 * READ_BYTES }));
  ignore(io.read(quiet.pipe, new Uint8Array(4096)));
  ignore(io.recv(quiet.socket, new Uint8Array(4096), { timeout: 3_600_000 }));
  ignore(io.sleep(3_600_000));
  ignore(io.poll(quiet.socket, 1, { signal: new AbortController().signal }));
  if (quiet.listener >= 0) ignore(io.accept(quiet.listener));
  return io;
}
