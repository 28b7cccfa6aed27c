/**
 * How each request is made from random arguments, most of them valid. The test sees that no method is
 * missing.
 */

import { AF, EPOLL_CTL, FADVISE, FALLOC, MADVISE, MSG_FLAG, RWF, SHUT, SOCK } from 'annulus/uring';
import { XATTR } from 'annulus/uring';

import type { Fuzz } from './fuzz.ts';

/** Prepares one request; returns its key. */
type Prepare = (f: Fuzz, token: number) => number;

const RWFS = [0, 0, 0, ...Object.values(RWF)];
const MSGS = [0, 0, MSG_FLAG.DONTWAIT, MSG_FLAG.PEEK, MSG_FLAG.TRUNC];
const OPENS = [0, 1, 2, 0o102, 0o1002, 0o2102, 0o200000, 0o20200002];
const NAMES = ['user.a', 'user.b', 'none', '', 'user.\0', 'user.'.padEnd(300, 'x')];

/**
 * Options of sockets that change nothing for the test itself, as SO_LINGER would, and SO_RCVBUF: for a
 * peer that is closed with a receive window of nothing a send without a copy waits a minute.
 */
const SOCKET_OPTIONS = [1, 2, 3, 4, 7, 9, 15, 16, 17, 18, 20, 30, 38, 99];

/** Not 0: a multishot timeout of no time is always just completing, so that no cancel finds it. */
const TIMES = [1, 2, 0.5, 60_000, -1, NaN];

function socketKind(f: Fuzz): [family: number, type: number] {
  return [f.of([AF.UNIX, AF.INET, AF.INET6, 77]), f.of([SOCK.STREAM, SOCK.DGRAM, 5, f.number(99)])];
}

function accepting(f: Fuzz): { nonBlocking: boolean; dontWait: boolean; pollFirst: boolean } {
  return { nonBlocking: f.maybe(), dontWait: f.maybe(), pollFirst: f.maybe() };
}

/** Where a path starts: mostly nowhere, for it is absolute. */
function from(f: Fuzz): { directory: number } | undefined {
  return f.maybe() ? { directory: f.maybe() ? f.plainFd() : f.directory } : undefined;
}

function parts(f: Fuzz): { offset: number; length: number }[] {
  return Array.from({ length: f.random(4) }, () => ({
    offset: f.number(50),
    length: f.number(80),
  }));
}

function integrity(f: Fuzz): { memory: Uint8Array; flags: number; seed: number } {
  return { memory: f.memory(8), flags: f.number(8), seed: f.number(999) };
}

/** Descriptors to register, as a request reads them. */
function descriptorList(f: Fuzz): Uint8Array {
  const memory = f.memory(4 * f.random(4) + (f.random(9) === 0 ? 1 : 0), 4);
  if (memory instanceof Uint8Array && memory.byteLength % 4 === 0) {
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    for (let at = 0; at < memory.byteLength; at += 4) {
      view.setInt32(at, f.of([-1, -2, f.fds.any(), f.fds.any()]), true);
    }
  }
  return memory;
}

const FILES: Readonly<Record<string, Prepare>> = {
  nop: (f, t) => f.ring.nop(t),
  nopWith: (f, t) =>
    f.ring.nopWith(t, {
      result: f.number(9) - 4,
      taskWork: f.maybe(),
      ...(f.maybe() && { file: f.fd() }),
      ...(f.maybe() && { buffer: f.fixedBuffer() }),
      ...(f.random(9) === 0 && { extra: [1, f.number(9)] as const }),
    }),
  nop128: (f, t) => f.ring.nop128(t),
  read: (f, t) => f.ring.read(t, f.fd('file'), f.memory(), f.range(RWFS)),
  write: (f, t) => f.ring.write(t, f.fd('file'), f.memory(), f.range(RWFS)),
  readFixed: (f, t) => f.ring.readFixed(t, f.fd('file'), f.fixedBuffer(), f.range(RWFS)),
  writeFixed: (f, t) => f.ring.writeFixed(t, f.fd('file'), f.fixedBuffer(), f.range(RWFS)),
  readv: (f, t) => f.ring.readv(t, f.fd('file'), f.memories(), f.number(999) - 1, f.of(RWFS)),
  writev: (f, t) => f.ring.writev(t, f.fd('file'), f.memories(), f.number(999) - 1, f.of(RWFS)),
  readvFixed: (f, t) => f.ring.readvFixed(t, f.fd('file'), f.fixedBuffer(), parts(f), f.number(99)),
  writevFixed: (f, t) =>
    f.ring.writevFixed(t, f.fd('file'), f.fixedBuffer(), parts(f), f.number(99)),
  readIntegrity: (f, t) =>
    f.ring.readIntegrity(t, f.fd('file'), f.memory(), integrity(f), f.number(9999)),
  writeIntegrity: (f, t) =>
    f.ring.writeIntegrity(t, f.fd('file'), f.memory(), integrity(f), f.number(9999)),
  fsync: (f, t) =>
    f.ring.fsync(t, f.fd('file'), {
      datasync: f.maybe(),
      offset: f.number(99),
      length: f.number(99),
    }),
  syncFileRange: (f, t) =>
    f.ring.syncFileRange(t, f.fd('file'), f.number(99), f.number(9999), f.number(8)),
  fadvise: (f, t) =>
    f.ring.fadvise(t, f.fd('file'), f.number(99), f.number(9999), f.of(Object.values(FADVISE))),
  madvise: (f, t) => {
    const memory = f.maybe() ? f.memory(4096, 4096) : f.memory(f.random(9000), 4096);
    return f.ring.madvise(t, memory, f.of([...Object.values(MADVISE), f.number(99)]));
  },
  fallocate: (f, t) => {
    const mode = f.of([0, 0, ...Object.values(FALLOC), 99]);
    return f.ring.fallocate(t, f.fd('file'), f.random(9999), f.random(9999), mode);
  },
  ftruncate: (f, t) => f.ring.ftruncate(t, f.fd('file'), f.number(99_999)),
  closeFd: (f, t) => f.ring.closeFd(t, f.random(5) === 0 ? f.fixedFile() : f.fds.toClose()),
  openat: (f, t) => {
    f.fds.makes('file');
    return f.ring.openat(t, f.path(), f.of(OPENS), f.number(0o777), from(f));
  },
  openatDirect: (f, t) => f.ring.openatDirect(t, f.slot(), f.path(), f.of(OPENS), f.number(0o777)),
  openat2: (f, t) => {
    f.fds.makes('file');
    const flags = f.maybe() ? f.number(2 ** 24) : f.of(OPENS);
    return f.ring.openat2(t, f.path(), { flags, resolve: f.number(64), ...from(f) });
  },
  openat2Direct: (f, t) =>
    f.ring.openat2Direct(t, f.slot(), f.path(), { flags: f.of(OPENS), resolve: f.number(64) }),
  statx: (f, t) => f.ring.statx(t, f.path(), f.memory(250 + f.random(20)), { flags: f.number(9) }),
  mkdirat: (f, t) => f.ring.mkdirat(t, f.path(), f.number(0o777), from(f)),
  unlinkat: (f, t) => f.ring.unlinkat(t, f.path(), { removeDirectory: f.maybe(), ...from(f) }),
  renameat: (f, t) => f.ring.renameat(t, f.path(), f.path(), { flags: f.random(4), ...from(f) }),
  linkat: (f, t) => f.ring.linkat(t, f.path(), f.path(), from(f)),
  symlinkat: (f, t) => f.ring.symlinkat(t, f.path(), f.path(), from(f)),
  setxattr: (f, t) => f.ring.setxattr(t, f.path(), f.of(NAMES), f.memory(40), f.number(3)),
  getxattr: (f, t) => f.ring.getxattr(t, f.path(), f.of(NAMES), f.maybe() ? undefined : f.memory()),
  fsetxattr: (f, t) => {
    const flags = f.of([0, ...Object.values(XATTR)]);
    return f.ring.fsetxattr(t, f.plainFd(), f.of(NAMES), f.memory(40), flags);
  },
  fgetxattr: (f, t) => f.ring.fgetxattr(t, f.plainFd(), f.of(NAMES), f.memory()),
};

const DESCRIPTORS: Readonly<Record<string, Prepare>> = {
  installFd: (f, t) => {
    f.fds.makes('file');
    return f.ring.installFd(t, f.fixedFile());
  },
  filesUpdate: (f, t) => f.ring.filesUpdate(t, f.slot(), descriptorList(f)),
  pipe: (f, t) => {
    const memory = f.memory(f.random(9) === 0 ? 7 : 8);
    f.fds.makesPipe(memory);
    return f.ring.pipe(t, memory, f.of([0, 0o4000, 0o40000, f.number(99)]));
  },
  pipeDirect: (f, t) => f.ring.pipeDirect(t, f.slot(), f.memory(8)),
  splice: (f, t) =>
    f.ring.splice(
      t,
      f.fd('pipe'),
      f.number(9) - 1,
      f.fd('pipe'),
      f.number(9) - 1,
      f.number(5000),
      f.number(8),
    ),
  tee: (f, t) => f.ring.tee(t, f.fd('pipe'), f.fd('pipe'), f.number(5000), f.number(16)),
  epollCtl: (f, t) => {
    const operation = f.of([...Object.values(EPOLL_CTL), 9]);
    const event = { events: f.number(64), data: f.number(99) };
    return f.ring.epollCtl(t, f.epoll, operation, f.plainFd(), f.maybe() ? undefined : event);
  },
  epollWait: (f, t) => f.ring.epollWait(t, f.maybe() ? f.plainFd() : f.epoll, f.memory()),
  uringCommand: (f, t) =>
    f.ring.uringCommand(t, f.fd(), f.number(9), {
      ...(f.maybe() && { memory: f.maybe() ? f.fixedBuffer() : f.memory() }),
      ...(f.random(9) === 0 && { payload: new Uint8Array(8) }),
    }),
  uringCommand128: (f, t) => f.ring.uringCommand128(t, f.fd(), f.number(9)),
  messageRing: (f, t) => {
    const target = f.of([f.other, f.other.fd, f.plainFd()]);
    const options = f.maybe() ? { flags: f.number(99) } : undefined;
    return f.ring.messageRing(t, target, f.number(99), f.number(99), options);
  },
  messageFile: (f, t) => {
    const options = { targetToken: f.number(9), silent: f.maybe(), ...(f.maybe() && { slot: 1 }) };
    return f.ring.messageFile(t, f.maybe() ? f.plainFd() : f.other, f.fixedFile(), options);
  },
};

const SOCKETS: Readonly<Record<string, Prepare>> = {
  socket: (f, t) => {
    f.fds.makes('socket');
    return f.ring.socket(t, ...socketKind(f), f.number(3));
  },
  socketDirect: (f, t) => f.ring.socketDirect(t, f.slot(), ...socketKind(f)),
  bind: (f, t) =>
    f.ring.bind(t, f.fd('socket'), { address: f.of(['127.0.0.1', '::1', 'x']), port: 0 }),
  listen: (f, t) => f.ring.listen(t, f.fd('socket'), f.number(9)),
  accept: (f, t) => {
    f.fds.makes('socket');
    const address = f.maybe() ? { address: f.memory(132) } : {};
    return f.ring.accept(t, f.listener(), { ...accepting(f), ...address });
  },
  acceptMultishot: (f, t) => {
    f.fds.makes('socket');
    return f.ring.acceptMultishot(t, f.listener(), accepting(f));
  },
  acceptDirect: (f, t) => f.ring.acceptDirect(t, f.slot(), f.listener(), accepting(f)),
  acceptMultishotDirect: (f, t) => f.ring.acceptMultishotDirect(t, f.listener(), accepting(f)),
  connect: (f, t) => f.ring.connect(t, f.fd('socket'), f.address),
  shutdown: (f, t) => f.ring.shutdown(t, f.fds.any('socket'), f.of([...Object.values(SHUT), 3])),
  send: (f, t) => f.ring.send(t, f.fd('socket'), f.memory(), f.range(MSGS)),
  sendTo: (f, t) => f.ring.sendTo(t, f.fd('socket'), f.memory(), f.address, f.range(MSGS)),
  sendv: (f, t) => f.ring.sendv(t, f.fd('socket'), f.memories(), f.range(MSGS)),
  sendZc: (f, t) => {
    const memory = f.maybe() ? f.fixedBuffer() : f.memory();
    const options = { reportUsage: f.maybe(), ...(f.maybe() && { address: f.address }) };
    return f.ring.sendZc(t, f.fd('socket'), memory, { ...f.range(MSGS), ...options });
  },
  sendvZc: (f, t) =>
    f.ring.sendvZc(t, f.fd('socket'), f.memories(), { ...f.range(MSGS), reportUsage: f.maybe() }),
  sendmsg: (f, t) =>
    f.ring.sendmsg(
      t,
      f.fd('socket'),
      f.message(0, f.maybe() ? f.address : undefined),
      f.range(MSGS),
    ),
  sendmsgZc: (f, t) => {
    const fixed = f.random(9) === 0 ? { fixed: f.fixedBuffer() } : {};
    return f.ring.sendmsgZc(t, f.fd('socket'), f.message(), { ...f.range(MSGS), ...fixed });
  },
  sendSelect: (f, t) =>
    f.ring.sendSelect(t, f.fd('socket'), f.buffers, { length: f.number(99), bundle: f.maybe() }),
  recv: (f, t) => f.ring.recv(t, f.fd('socket'), f.memory(), f.range(MSGS)),
  recvmsg: (f, t) => f.ring.recvmsg(t, f.fd('socket'), f.message(f.number(99)), f.range(MSGS)),
  recvZc: (f, t) => f.ring.recvZc(t, f.fd('socket'), f.number(9), f.number(99)),
  getSocketOption: (f, t) =>
    f.ring.getSocketOption(t, f.fd('socket'), 1, f.number(70), f.memory(f.random(40))),
  setSocketOption: (f, t) =>
    f.ring.setSocketOption(t, f.fd('socket'), 1, f.of(SOCKET_OPTIONS), f.memory(f.random(40))),
  socketName: (f, t) =>
    f.ring.socketName(t, f.fd('socket'), f.memory(130 + f.random(4)), { peer: f.maybe() }),
  unreadBytes: (f, t) => f.ring.unreadBytes(t, f.fd('socket')),
  unsentBytes: (f, t) => f.ring.unsentBytes(t, f.fd('socket')),
  sendTimestamps: (f, t) => f.ring.sendTimestamps(t, f.fd('socket')),
};

const SELECTING: Readonly<Record<string, Prepare>> = {
  readSelect: (f, t) =>
    f.ring.readSelect(t, f.fd(), f.maybe() ? f.group : f.buffers, {
      length: f.number(50),
      position: f.number(99) - 1,
    }),
  readMultishot: (f, t) => f.ring.readMultishot(t, f.fd(), f.buffers),
  recvSelect: (f, t) =>
    f.ring.recvSelect(t, f.fd('socket'), f.maybe() ? f.group : f.buffers, f.range(MSGS)),
  recvMultishot: (f, t) =>
    f.ring.recvMultishot(t, f.fd('socket'), f.buffers, { bundle: f.maybe() }),
  recvmsgSelect: (f, t) =>
    f.ring.recvmsgSelect(t, f.fd('socket'), f.buffers, f.message(f.number(99))),
  recvmsgMultishot: (f, t) =>
    f.ring.recvmsgMultishot(t, f.fd('socket'), f.buffers, { controlSpace: f.of([0, 16, 99]) }),
  provideBuffers: (f, t) => f.ring.provideBuffers(t, f.group, f.number(7), 1 + f.number(6)),
  removeBuffers: (f, t) => f.ring.removeBuffers(t, f.group, f.number(8)),
};

const WAITING: Readonly<Record<string, Prepare>> = {
  pollAdd: (f, t) =>
    f.ring.pollAdd(t, f.fd(), f.number(64), { multishot: f.maybe(), level: f.maybe() }),
  pollRemove: (f, t) => f.ring.pollRemove(t, ...f.target()),
  pollUpdate: (f, t) =>
    f.ring.pollUpdate(t, ...f.target(), { events: f.number(64), multishot: f.maybe() }),
  timeout: (f, t) =>
    f.ring.timeout(t, f.of(TIMES), {
      count: f.number(3),
      flags: f.maybe() ? f.number(512) : 0,
    }),
  timeoutRemove: (f, t) => f.ring.timeoutRemove(t, ...f.target()),
  timeoutUpdate: (f, t) =>
    f.ring.timeoutUpdate(t, ...f.target(), f.of(TIMES), { link: f.maybe(), flags: f.random(512) }),
  linkTimeout: (f, t) =>
    f.ring.linkTimeout(t, f.number(3), { flags: f.maybe() ? f.number(64) : 0 }),
  cancel: (f, t) => f.ring.cancel(t, ...f.target()),
  cancelFd: (f, t) => f.ring.cancelFd(t, f.fd()),
  cancelAll: (f, t) => f.ring.cancelAll(t),
  cancelMatching: (f, t) => {
    const [token, key] = f.target();
    return f.ring.cancelMatching(t, {
      all: f.maybe(),
      ...(f.maybe() && { token, key }),
      ...(f.maybe() && { fd: f.fd() }),
      ...(f.maybe() && { request: 'READ' }),
    });
  },
  futexWait: (f, t) => {
    const options = { private: f.maybe(), ...(f.maybe() && { mask: f.number(9) }) };
    return f.ring.futexWait(t, f.memory(f.random(9), f.of([1, 4])), f.number(2), options);
  },
  futexWake: (f, t) => f.ring.futexWake(t, f.memory(4, 4), f.number(3), { private: f.maybe() }),
  futexWaitv: (f, t) => {
    const waiters = Array.from({ length: f.random(4) }, () => ({
      memory: f.memory(4, 4),
      expected: f.number(9),
    }));
    return f.ring.futexWaitv(t, waiters);
  },
  waitid: (f, t) =>
    f.ring.waitid(t, f.number(4), f.of([0, 2 ** 30, f.number(9)]), f.number(16), f.memory(130)),
};

/** One entry a method. */
export const REQUESTS: Readonly<Record<string, Prepare>> = {
  ...FILES,
  ...DESCRIPTORS,
  ...SOCKETS,
  ...SELECTING,
  ...WAITING,
};

/**
 * What must be kept away from `IO_DRAIN`: the kernel never runs a send without a copy that waits for a
 * drained request, and nothing but the end of the ring ends it (docs/uring.md).
 */
export const UNDRAINED: ReadonlySet<string> = new Set(['sendZc', 'sendvZc', 'sendmsgZc']);
