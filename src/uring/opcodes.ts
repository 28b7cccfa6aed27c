/**
 * The table of request opcodes: code, name, the first kernel that has it, the methods that prepare it, and
 * what the fields of its entry mean.
 *
 * A row's index is its opcode. Methods, the probe and the documentation follow from this table.
 */

/** One request opcode. */
export interface Opcode {
  readonly code: number;
  readonly name: OpcodeName;
  /** First Linux release with the opcode, such as `5.6`. */
  readonly since: string;
  /** Methods of {@link Ring} that prepare it. */
  readonly methods: readonly string[];
  /** What the fields of its entry mean; those not named are 0. */
  readonly fields: string;
}

const ROWS = [
  [
    'NOP',
    '5.1',
    'nop nopWith',
    'off,addr: the extra words of a wide completion; len: result; flags: NOP',
  ],
  ['READV', '5.1', 'readv', 'fd; off: position; addr: iovecs; len: how many; flags: RWF'],
  ['WRITEV', '5.1', 'writev', 'fd; off: position; addr: iovecs; len: how many; flags: RWF'],
  ['FSYNC', '5.1', 'fsync', 'fd; off, len: range; flags: FSYNC'],
  ['READ_FIXED', '5.1', 'readFixed', 'fd; off: position; addr, len: memory; flags: RWF; buf_index'],
  [
    'WRITE_FIXED',
    '5.1',
    'writeFixed',
    'fd; off: position; addr, len: memory; flags: RWF; buf_index',
  ],
  ['POLL_ADD', '5.1', 'pollAdd', 'fd; len: POLL_FLAG; flags: events'],
  [
    'POLL_REMOVE',
    '5.1',
    'pollRemove pollUpdate',
    'addr: target; off: its new user_data; len: POLL_FLAG; flags: events',
  ],
  ['SYNC_FILE_RANGE', '5.2', 'syncFileRange', 'fd; off, len: range; flags: SYNC_RANGE'],
  ['SENDMSG', '5.3', 'sendmsg', 'fd; addr: msghdr; flags: MSG_FLAG; ioprio: RECVSEND'],
  [
    'RECVMSG',
    '5.3',
    'recvmsg recvmsgSelect recvmsgMultishot',
    'fd; addr: msghdr; flags: MSG_FLAG; ioprio: RECVSEND; buf_group',
  ],
  ['TIMEOUT', '5.4', 'timeout', 'addr: timespec; len: 1; off: count; flags: TIMEOUT'],
  [
    'TIMEOUT_REMOVE',
    '5.5',
    'timeoutRemove timeoutUpdate',
    'addr: target; off: timespec; flags: TIMEOUT',
  ],
  [
    'ACCEPT',
    '5.5',
    'accept acceptMultishot acceptDirect acceptMultishotDirect',
    'fd; addr: sockaddr; off: its length; flags: SOCK; ioprio: ACCEPT; file_index',
  ],
  [
    'ASYNC_CANCEL',
    '5.5',
    'cancel cancelFd cancelAll cancelMatching',
    'addr: target; fd; len: opcode; flags: CANCEL',
  ],
  ['LINK_TIMEOUT', '5.5', 'linkTimeout', 'addr: timespec; len: 1; flags: TIMEOUT'],
  ['CONNECT', '5.5', 'connect', 'fd; addr: sockaddr; off: its length'],
  ['FALLOCATE', '5.6', 'fallocate', 'fd; off: start; addr: length; len: FALLOC'],
  [
    'OPENAT',
    '5.6',
    'openat openatDirect',
    'fd: directory; addr: path; len: mode; flags: O; file_index',
  ],
  ['CLOSE', '5.6', 'closeFd', 'fd; file_index'],
  ['FILES_UPDATE', '5.6', 'filesUpdate', 'addr: descriptors; len: how many; off: first slot'],
  ['STATX', '5.6', 'statx', 'fd: directory; addr: path; len: mask; off: answer; flags: AT'],
  [
    'READ',
    '5.6',
    'read readSelect readIntegrity',
    'fd; off: position; addr, len: memory; flags: RWF; buf_group; attr',
  ],
  [
    'WRITE',
    '5.6',
    'write writeIntegrity',
    'fd; off: position; addr, len: memory; flags: RWF; attr',
  ],
  ['FADVISE', '5.6', 'fadvise', 'fd; off: start; addr or len: length; flags: FADVISE'],
  ['MADVISE', '5.6', 'madvise', 'addr: memory; len or off: length; flags: MADVISE'],
  [
    'SEND',
    '5.6',
    'send sendSelect sendTo sendv',
    'fd; addr, len: memory; addr2: sockaddr; flags: MSG_FLAG; ioprio: RECVSEND',
  ],
  [
    'RECV',
    '5.6',
    'recv recvSelect recvMultishot',
    'fd; addr, len: memory; flags: MSG_FLAG; ioprio: RECVSEND; buf_group',
  ],
  [
    'OPENAT2',
    '5.6',
    'openat2 openat2Direct',
    'fd: directory; addr: path; off: open_how; len: its size; file_index',
  ],
  ['EPOLL_CTL', '5.6', 'epollCtl', 'fd: set; off: descriptor; len: EPOLL_CTL; addr: epoll_event'],
  [
    'SPLICE',
    '5.7',
    'splice',
    'fd: target; off: its position; splice_fd_in; addr: its position; len; flags: SPLICE',
  ],
  [
    'PROVIDE_BUFFERS',
    '5.7',
    'provideBuffers',
    'fd: how many; addr, len: memory; off: first; buf_group',
  ],
  ['REMOVE_BUFFERS', '5.7', 'removeBuffers', 'fd: how many; buf_group'],
  ['TEE', '5.8', 'tee', 'fd: target; splice_fd_in; len; flags: SPLICE'],
  ['SHUTDOWN', '5.11', 'shutdown', 'fd; len: direction'],
  ['RENAMEAT', '5.11', 'renameat', 'fd, addr: path; len: directory; off: new path; flags: RENAME'],
  ['UNLINKAT', '5.11', 'unlinkat', 'fd, addr: path; flags: AT'],
  ['MKDIRAT', '5.15', 'mkdirat', 'fd, addr: path; len: mode'],
  ['SYMLINKAT', '5.15', 'symlinkat', 'addr: target; fd, off: path'],
  ['LINKAT', '5.15', 'linkat', 'fd, addr: path; len: directory; off: new path; flags: AT'],
  [
    'MSG_RING',
    '5.18',
    'messageRing messageFile',
    'fd: ring; off: user_data; len: result; addr: MSG; addr3: slot; flags: MSG_RING; file_index',
  ],
  ['FSETXATTR', '5.19', 'fsetxattr', 'fd; addr: name; off: value; len; flags: XATTR'],
  ['SETXATTR', '5.19', 'setxattr', 'addr: name; addr3: path; off: value; len; flags: XATTR'],
  ['FGETXATTR', '5.19', 'fgetxattr', 'fd; addr: name; off: value; len'],
  ['GETXATTR', '5.19', 'getxattr', 'addr: name; addr3: path; off: value; len'],
  ['SOCKET', '5.19', 'socket socketDirect', 'fd: domain; off: type; len: protocol; file_index'],
  [
    'URING_CMD',
    '5.19',
    'uringCommand unreadBytes unsentBytes getSocketOption setSocketOption sendTimestamps socketName',
    'fd; off: command; addr, len: memory; cmd: 16 or 80 bytes; flags: URING_CMD',
  ],
  [
    'SEND_ZC',
    '6.0',
    'sendZc sendvZc',
    'fd; addr, len: memory; addr2: sockaddr; flags: MSG_FLAG; ioprio: RECVSEND; buf_index',
  ],
  [
    'SENDMSG_ZC',
    '6.1',
    'sendmsgZc',
    'fd; addr: msghdr; flags: MSG_FLAG; ioprio: RECVSEND; buf_index',
  ],
  ['READ_MULTISHOT', '6.7', 'readMultishot', 'fd; off: position; len; buf_group'],
  ['WAITID', '6.7', 'waitid', 'fd: id; len: P; addr2: siginfo; file_index: W'],
  ['FUTEX_WAIT', '6.7', 'futexWait', 'fd: FUTEX2; addr: word; off: value; addr3: mask'],
  ['FUTEX_WAKE', '6.7', 'futexWake', 'fd: FUTEX2; addr: word; off: how many; addr3: mask'],
  ['FUTEX_WAITV', '6.7', 'futexWaitv', 'addr: words; len: how many'],
  ['FIXED_FD_INSTALL', '6.8', 'installFd', 'fd: slot; flags: FIXED_FD'],
  ['FTRUNCATE', '6.9', 'ftruncate', 'fd; off: size'],
  ['BIND', '6.11', 'bind', 'fd; addr: sockaddr; off: its length'],
  ['LISTEN', '6.11', 'listen', 'fd; len: backlog'],
  ['RECV_ZC', '6.15', 'recvZc', 'fd; len; file_index: receiver; ioprio: RECVSEND'],
  ['EPOLL_WAIT', '6.15', 'epollWait', 'fd: set; addr: events; len: how many'],
  [
    'READV_FIXED',
    '6.15',
    'readvFixed',
    'fd; off: position; addr: iovecs; len: how many; flags: RWF; buf_index',
  ],
  [
    'WRITEV_FIXED',
    '6.15',
    'writevFixed',
    'fd; off: position; addr: iovecs; len: how many; flags: RWF; buf_index',
  ],
  ['PIPE', '6.16', 'pipe pipeDirect', 'addr: answer; flags: O; file_index'],
  ['NOP128', '6.19', 'nop128', 'as NOP, in an entry of 128 bytes'],
  ['URING_CMD128', '6.19', 'uringCommand128', 'as URING_CMD, with 80 bytes'],
] as const;

/** Name of a request opcode, as in `IORING_OP_READ` without the prefix. */
export type OpcodeName = (typeof ROWS)[number][0];

/** Every opcode, by its number. */
export const OPCODES: readonly Opcode[] = ROWS.map(([name, since, methods, fields], code) => ({
  code,
  name,
  since,
  methods: methods.split(' '),
  fields,
}));

/** Numbers of the opcodes, by name. */
export const OP: Readonly<Record<OpcodeName, number>> = Object.fromEntries(
  ROWS.map(([name], code) => [name, code]),
) as Record<OpcodeName, number>;

/** The name of a request as errors have it: `read`, `openat`. */
export function opcodeLabel(code: number): string {
  return OPCODES[code]?.name.toLowerCase() ?? `opcode ${code}`;
}
