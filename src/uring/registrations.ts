/**
 * The table of registrations: code, name, the first kernel that has it, and the method that makes it.
 *
 * A row's index is the operation's number. The names of abi.ts are checked against the C header.
 */
import { REGISTER_NAMES } from '../sys/abi.ts';
import type { RegisterName } from '../sys/abi.ts';

/** One operation of `io_uring_register`. */
export interface Registration {
  readonly code: number;
  readonly name: RegisterName;
  /** First Linux release with the operation, such as `5.6`. */
  readonly since: string;
  /** What calls it, as a program writes it. */
  readonly method: string;
}

const ROWS: readonly (readonly [since: string, method: string])[] = [
  ['5.1', 'ring.register.buffers()'],
  ['5.1', 'ring.register.unregisterBuffers()'],
  ['5.1', 'ring.register.files()'],
  ['5.1', 'ring.register.unregisterFiles()'],
  ['5.2', 'ring.register.eventfd()'],
  ['5.2', 'ring.register.unregisterEventfd()'],
  ['5.5', 'ring.register.updateFiles()'],
  ['5.6', 'ring.register.eventfd(fd, { async: true })'],
  ['5.6', 'ring.probe()'],
  ['5.6', 'ring.register.personality()'],
  ['5.6', 'ring.register.unregisterPersonality()'],
  ['5.10', 'ring.register.restrict()'],
  ['5.10', 'ring.register.enable()'],
  ['5.13', 'ring.register.sparseFiles(), files() with tags'],
  ['5.13', 'ring.register.updateFiles() with tags'],
  ['5.13', 'ring.register.sparseBuffers(), buffers() with tags'],
  ['5.13', 'ring.register.updateBuffers()'],
  ['5.14', 'ring.register.workerAffinity()'],
  ['5.14', 'ring.register.unregisterWorkerAffinity()'],
  ['5.15', 'ring.register.maxWorkers()'],
  ['5.18', 'ring.register.ringFd()'],
  ['5.18', 'ring.register.unregisterRingFd()'],
  ['5.19', 'ring.register.bufferRing()'],
  ['5.19', 'BufferRing.close()'],
  ['6.0', 'ring.register.cancel()'],
  ['6.0', 'ring.register.fileAllocRange()'],
  ['6.8', 'BufferRing.status()'],
  ['6.9', 'ring.register.napi()'],
  ['6.9', 'ring.register.unregisterNapi()'],
  ['6.12', 'ring.register.clock()'],
  ['6.12', 'ring.register.cloneBuffers()'],
  ['6.13', 'sendMessage()'],
  ['6.15', 'ring.register.zeroCopyReceive()'],
  ['6.13', 'ring.resize()'],
  ['6.13', 'ring.register.memoryRegion(), waits()'],
  ['6.18', 'probe()'],
  ['6.19', 'ring.register.zeroCopyFlush()'],
  ['7.0', 'ring.register.bpfFilter()'],
];

/** Every registration operation, by its number. */
export const REGISTRATIONS: readonly Registration[] = REGISTER_NAMES.map((name, code) => {
  const [since, method] = ROWS[code]!;
  return { code, name, since, method };
});
