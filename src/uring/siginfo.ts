/**
 * What a `waitid` request reports, decoded.
 */
import { SIGINFO } from '../sys/abi.ts';
import { outOfRange } from '../sys/errors.ts';

/** How a child process has changed. */
export interface ChildStatus {
  /** The child; 0 if there was no change and `W.NOHANG` was given. */
  readonly pid: number;
  readonly uid: number;
  /** One of `CLD`. */
  readonly code: number;
  /** The exit code with `CLD.EXITED`, else the signal. */
  readonly status: number;
}

/** Decodes the 128 bytes a `waitid` request filled. */
export function decodeChildStatus(bytes: Uint8Array): ChildStatus {
  if (bytes.byteLength < SIGINFO.BYTES) {
    throw outOfRange('bytes.byteLength', `>= ${SIGINFO.BYTES}`, bytes.byteLength);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIGINFO.BYTES);
  return {
    pid: view.getInt32(SIGINFO.PID, true),
    uid: view.getUint32(SIGINFO.UID, true),
    code: view.getInt32(SIGINFO.CODE, true),
    status: view.getInt32(SIGINFO.STATUS, true),
  };
}
