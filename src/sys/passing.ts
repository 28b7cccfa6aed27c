/**
 * Messages of a Unix socket that carry descriptors: `sendmsg` and `recvmsg` with `SCM_RIGHTS`.
 *
 * The structs of these calls hold addresses, so they are built in a page of mapped memory, whose
 * address is known; a thread maps it once and keeps it.
 */
import { close as closeLater, readlinkSync } from 'node:fs';

import { CMSGHDR, MSG_FLAG, MSGHDR, SCM, SO, SOL } from './abi.ts';
import { outOfRange } from './errors.ts';
import { close, pageSize, refuseDescriptors, syscall } from './linux.ts';
import { map } from './mapping.ts';
import { socketOption } from './sockets.ts';

/**
 * Most descriptors that travel with one message (`SCM_MAX_FD`). There is always room for as many: those
 * without room are closed by the kernel, and closing may wait.
 */
const PASSED_MAX = 253;

/** Most bytes of such a message. */
export const PASSED_BYTES_MAX = 1024;

/** Where the structs lie in the page. */
const VECTOR_AT = 64;
const CONTROL_AT = 128;
const CONTROL_BYTES = CMSGHDR.BYTES + 4 * PASSED_MAX;
const DATA_AT = 2048;

/** A message with the descriptors that came with it; they are open from then on. */
export interface PassedMessage {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
  /** Whether the message or its descriptors did not fit; what did not fit is gone. */
  readonly isCut: boolean;
}

interface Page {
  readonly address: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

let mapped: Page | undefined;

function page(): Page {
  if (mapped !== undefined) return mapped;
  const length = pageSize();
  const { address, buffer } = map(length, [{ at: 0, length, fd: -1, offset: 0 }]);
  mapped = { address, view: new DataView(buffer), bytes: new Uint8Array(buffer) };
  return mapped;
}

/** Builds a `struct msghdr` with one vector, and room for or the length of control messages. */
function header(dataBytes: number, controlBytes: number): Page {
  const it = page();
  const { address, view, bytes } = it;
  bytes.fill(0, 0, DATA_AT);
  const pointer = (at: number, to: number): void =>
    view.setBigUint64(at, BigInt(address) + BigInt(to), true);
  pointer(MSGHDR.IOV, VECTOR_AT);
  view.setBigUint64(MSGHDR.IOVLEN, 1n, true);
  if (controlBytes > 0) pointer(MSGHDR.CONTROL, CONTROL_AT);
  view.setBigUint64(MSGHDR.CONTROLLEN, BigInt(controlBytes), true);
  pointer(VECTOR_AT, DATA_AT);
  view.setBigUint64(VECTOR_AT + 8, BigInt(dataBytes), true);
  return it;
}

/**
 * Sends a message with descriptors, which stay open here. Never waits.
 *
 * @returns Bytes sent, or a negative errno: `EAGAIN` where the peer takes nothing, `EPIPE` where it is
 *   gone.
 */
export function sendPassing(fd: number, message: Uint8Array, fds: readonly number[]): number {
  if (message.byteLength > PASSED_BYTES_MAX || fds.length > PASSED_MAX) {
    throw outOfRange(
      'message',
      `at most ${PASSED_BYTES_MAX} bytes and ${PASSED_MAX} descriptors`,
      `${message.byteLength} and ${fds.length}`,
    );
  }
  const length = fds.length === 0 ? 0 : CMSGHDR.BYTES + 4 * fds.length;
  const { view, bytes } = header(message.byteLength, length);
  bytes.set(message, DATA_AT);
  if (length > 0) {
    view.setBigUint64(CONTROL_AT + CMSGHDR.LEN, BigInt(length), true);
    view.setInt32(CONTROL_AT + CMSGHDR.LEVEL, SOL.SOCKET, true);
    view.setInt32(CONTROL_AT + CMSGHDR.TYPE, SCM.RIGHTS, true);
    fds.forEach((it, index) => view.setInt32(CONTROL_AT + CMSGHDR.BYTES + 4 * index, it, true));
  }
  return syscall('sendmsg', fd, bytes, MSG_FLAG.DONTWAIT | MSG_FLAG.NOSIGNAL);
}

/**
 * Receives a message with its descriptors, which do not survive `exec`. Never waits. A message of 0
 * bytes is the end: the peer is gone.
 *
 * @returns The message, or a negative errno: `EAGAIN` where there is none.
 */
export function receivePassing(fd: number): PassedMessage | number {
  const { view, bytes } = header(PASSED_BYTES_MAX, CONTROL_BYTES);
  const count = syscall('recvmsg', fd, bytes, MSG_FLAG.DONTWAIT | MSG_FLAG.CMSG_CLOEXEC);
  if (count < 0) return count;
  const flags = view.getInt32(MSGHDR.FLAGS, true);
  return {
    bytes: bytes.slice(DATA_AT, DATA_AT + count),
    fds: receivedDescriptors(view),
    isCut: (flags & (MSG_FLAG.TRUNC | MSG_FLAG.CTRUNC)) !== 0,
  };
}

/** What the kernel wrote: at most one control message of descriptors fits. */
function receivedDescriptors(view: DataView): number[] {
  if (view.getBigUint64(MSGHDR.CONTROLLEN, true) < BigInt(CMSGHDR.BYTES)) return [];
  const length = Number(view.getBigUint64(CONTROL_AT + CMSGHDR.LEN, true));
  const isRights =
    view.getInt32(CONTROL_AT + CMSGHDR.LEVEL, true) === SOL.SOCKET &&
    view.getInt32(CONTROL_AT + CMSGHDR.TYPE, true) === SCM.RIGHTS;
  if (!isRights) return [];
  const count = (Math.min(length, CONTROL_BYTES) - CMSGHDR.BYTES) >> 2;
  return Array.from({ length: count }, (_, index) =>
    view.getInt32(CONTROL_AT + CMSGHDR.BYTES + 4 * index, true),
  );
}

/**
 * Receives bytes without waiting, where somebody may send descriptors along: these are closed.
 *
 * @returns How many bytes, 0 at the end, or a negative errno.
 */
export function receiveBytesOnly(fd: number): number {
  const message = receivePassing(fd);
  if (typeof message === 'number') return message;
  closePassed(message.fds);
  return message.bytes.length;
}

/** Most messages that are looked through before a socket is closed. */
const DRAIN_MAX = 256;

/** Takes what was sent to a Unix socket and closes descriptors among it; no more can come. */
export function drainSocket(fd: number): void {
  refuseDescriptors(fd);
  for (let count = 0; count < DRAIN_MAX; count++) {
    const message = receivePassing(fd);
    if (typeof message === 'number') return;
    closePassed(message.fds);
    if (message.bytes.length === 0 && message.fds.length === 0) return;
  }
}

/**
 * Closes descriptors that came with a message. Closing can wait for whoever sent it: for a socket that
 * lingers, for a file system that is a program. So lingering is ended, and what is not known to close
 * at once is closed by Node's thread pool, one after another: they take up one thread at most.
 */
export function closePassed(fds: readonly number[]): void {
  for (const fd of fds) {
    if (closesAtOnce(fd)) close(fd);
    else doubtful = doubtful.then(() => new Promise((resolve) => closeLater(fd, () => resolve())));
  }
}

let doubtful: Promise<void> = Promise.resolve();

function closesAtOnce(fd: number): boolean {
  const AF_UNIX = 1;
  const path = openOn(fd);
  if (/^(?:\/memfd:|anon_inode:\[eventfd\])/.test(path)) return true;
  if (!path.startsWith('socket:')) return false;
  syscall('setsockopt', fd, SOL.SOCKET, SO.LINGER, Int32Array.of(0, 0), 8);
  return socketOption(fd, SO.DOMAIN, 1)[0] === AF_UNIX;
}

/** What a descriptor is open on: `anon_inode:[eventfd]`, `socket:[1234]`, `/memfd:name (deleted)`. */
export function openOn(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
