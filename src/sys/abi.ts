/**
 * The io_uring ABI: numbers and struct offsets, in this one place.
 *
 * `npm run lint` compiles them against the C header of the machine wherever that header has them;
 * the names are the header's, without their prefix.
 */
import { arch } from 'node:process';

/** `IORING_SETUP_*`. */
export const SETUP = {
  IOPOLL: 0x1,
  SQPOLL: 0x2,
  SQ_AFF: 0x4,
  CQSIZE: 0x8,
  CLAMP: 0x10,
  ATTACH_WQ: 0x20,
  R_DISABLED: 0x40,
  SUBMIT_ALL: 0x80,
  COOP_TASKRUN: 0x100,
  TASKRUN_FLAG: 0x200,
  SQE128: 0x400,
  CQE32: 0x800,
  SINGLE_ISSUER: 0x1000,
  DEFER_TASKRUN: 0x2000,
  NO_MMAP: 0x4000,
  REGISTERED_FD_ONLY: 0x8000,
  NO_SQARRAY: 0x10000,
  HYBRID_IOPOLL: 0x20000,
  CQE_MIXED: 0x40000,
  SQE_MIXED: 0x80000,
  SQ_REWIND: 0x100000,
} as const;

/** `IORING_FEAT_*`. */
export const FEATURE = {
  SINGLE_MMAP: 0x1,
  NODROP: 0x2,
  SUBMIT_STABLE: 0x4,
  RW_CUR_POS: 0x8,
  CUR_PERSONALITY: 0x10,
  FAST_POLL: 0x20,
  POLL_32BITS: 0x40,
  SQPOLL_NONFIXED: 0x80,
  EXT_ARG: 0x100,
  NATIVE_WORKERS: 0x200,
  RSRC_TAGS: 0x400,
  CQE_SKIP: 0x800,
  LINKED_FILE: 0x1000,
  REG_REG_RING: 0x2000,
  RECVSEND_BUNDLE: 0x4000,
  MIN_TIMEOUT: 0x8000,
  RW_ATTR: 0x10000,
  NO_IOWAIT: 0x20000,
} as const;

/** `IORING_ENTER_*`. */
export const ENTER = {
  GETEVENTS: 0x1,
  SQ_WAKEUP: 0x2,
  SQ_WAIT: 0x4,
  EXT_ARG: 0x8,
  REGISTERED_RING: 0x10,
  ABS_TIMER: 0x20,
  EXT_ARG_REG: 0x40,
  NO_IOWAIT: 0x80,
} as const;

/** `IOSQE_*`: flags of one request. */
export const SQE = {
  FIXED_FILE: 0x1,
  IO_DRAIN: 0x2,
  IO_LINK: 0x4,
  IO_HARDLINK: 0x8,
  ASYNC: 0x10,
  BUFFER_SELECT: 0x20,
  CQE_SKIP_SUCCESS: 0x40,
} as const;

/** `IORING_CQE_F_*`: flags of one completion. */
export const CQE = {
  F_BUFFER: 0x1,
  F_MORE: 0x2,
  F_SOCK_NONEMPTY: 0x4,
  F_NOTIF: 0x8,
  F_BUF_MORE: 0x10,
  F_SKIP: 0x20,
  F_32: 0x8000,
  F_TSTAMP_HW: 0x10000,
} as const;

/** `IORING_SQ_*`: what the kernel says in the submission queue's flags word. */
export const SQ = { NEED_WAKEUP: 0x1, CQ_OVERFLOW: 0x2, TASKRUN: 0x4 } as const;

/** `IORING_CQ_*`: what the program says in the completion queue's flags word. */
export const CQ = { EVENTFD_DISABLED: 0x1 } as const;

/** `IORING_OFF_*`: what to map of a ring's descriptor. */
export const OFF = {
  SQ_RING: 0,
  SQES: 0x10000000,
  PBUF_RING: 0x80000000,
  PBUF_SHIFT: 16,
} as const;

/** `IORING_TIMEOUT_*` and `IORING_LINK_TIMEOUT_*`. */
export const TIMEOUT = {
  ABS: 0x1,
  UPDATE: 0x2,
  BOOTTIME: 0x4,
  REALTIME: 0x8,
  LINK_TIMEOUT_UPDATE: 0x10,
  ETIME_SUCCESS: 0x20,
  MULTISHOT: 0x40,
  IMMEDIATE_ARG: 0x80,
} as const;

/** `IORING_POLL_*`. */
export const POLL_FLAG = {
  ADD_MULTI: 0x1,
  UPDATE_EVENTS: 0x2,
  UPDATE_USER_DATA: 0x4,
  ADD_LEVEL: 0x8,
} as const;

/** `IORING_ASYNC_CANCEL_*`. */
export const CANCEL = {
  ALL: 0x1,
  FD: 0x2,
  ANY: 0x4,
  FD_FIXED: 0x8,
  USERDATA: 0x10,
  OP: 0x20,
} as const;

/** `IORING_RECVSEND_*` and `IORING_RECV_*`. */
export const RECVSEND = {
  POLL_FIRST: 0x1,
  MULTISHOT: 0x2,
  FIXED_BUF: 0x4,
  ZC_REPORT_USAGE: 0x8,
  BUNDLE: 0x10,
  VECTORIZED: 0x20,
} as const;

/** `IORING_ACCEPT_*`. */
export const ACCEPT = { MULTISHOT: 0x1, DONTWAIT: 0x2, POLL_FIRST: 0x4 } as const;

/** `IORING_NOTIF_USAGE_*`: what the notification of a zero-copy send reports. */
export const NOTIF = { ZC_COPIED: 0x80000000 } as const;

/** `IOU_PBUF_RING_*`: how a ring of provided buffers is made. */
export const PBUF = { MMAP: 0x1, INC: 0x2 } as const;

/** `SOCKET_URING_OP_*`: commands on a socket. */
export const SOCKET_COMMAND = {
  SIOCINQ: 0,
  SIOCOUTQ: 1,
  GETSOCKOPT: 2,
  SETSOCKOPT: 3,
  TX_TIMESTAMP: 4,
  GETSOCKNAME: 5,
} as const;

/** `MSG_*`: flags of one send or receive, and what a received message reports. */
export const MSG_FLAG = {
  OOB: 0x1,
  PEEK: 0x2,
  DONTROUTE: 0x4,
  CTRUNC: 0x8,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  CONFIRM: 0x800,
  ERRQUEUE: 0x2000,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  FASTOPEN: 0x20000000,
  CMSG_CLOEXEC: 0x40000000,
} as const;

/** `SOL_*`: levels of socket options and control messages. */
export const SOL = { IP: 0, SOCKET: 1, TCP: 6, UDP: 17, IPV6: 41 } as const;

/** `SO_*`: options at the level `SOL.SOCKET`. */
export const SO = {
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  LINGER: 13,
  REUSEPORT: 15,
  PASSCRED: 16,
  PEERCRED: 17,
  ACCEPTCONN: 30,
  PROTOCOL: 38,
  DOMAIN: 39,
  PASSRIGHTS: 83,
} as const;

/** `TCP_*`: options at the level `SOL.TCP`. */
export const TCP = { NODELAY: 1, DEFER_ACCEPT: 9, FASTOPEN: 23 } as const;

/** `IPV6_*`: options at the level `SOL.IPV6`. */
export const IPV6 = { V6ONLY: 26 } as const;

/** `SCM_*`: control messages at the level `SOL.SOCKET`. */
export const SCM = { RIGHTS: 1, CREDENTIALS: 2 } as const;

/** `IORING_FSYNC_*`. */
export const FSYNC = { DATASYNC: 0x1 } as const;

/** `IORING_FILE_INDEX_*`: stands for the number of a slot. */
export const FILE_INDEX = { ALLOC: 0xffffffff } as const;

/** `IORING_FIXED_FD_*`. */
export const FIXED_FD = { NO_CLOEXEC: 0x1 } as const;

/** `RWF_*`: flags of one read or write. */
export const RWF = {
  HIPRI: 0x1,
  DSYNC: 0x2,
  SYNC: 0x4,
  NOWAIT: 0x8,
  APPEND: 0x10,
  NOAPPEND: 0x20,
  ATOMIC: 0x40,
  DONTCACHE: 0x80,
  NOSIGNAL: 0x100,
} as const;

/** `FALLOC_FL_*`. */
export const FALLOC = {
  KEEP_SIZE: 0x1,
  PUNCH_HOLE: 0x2,
  COLLAPSE_RANGE: 0x8,
  ZERO_RANGE: 0x10,
  INSERT_RANGE: 0x20,
  UNSHARE_RANGE: 0x40,
  WRITE_ZEROES: 0x80,
} as const;

/** `SYNC_FILE_RANGE_*`. */
export const SYNC_RANGE = { WAIT_BEFORE: 0x1, WRITE: 0x2, WAIT_AFTER: 0x4 } as const;

/** `POSIX_FADV_*`. */
export const FADVISE = {
  NORMAL: 0,
  RANDOM: 1,
  SEQUENTIAL: 2,
  WILLNEED: 3,
  DONTNEED: 4,
  NOREUSE: 5,
} as const;

/** `MADV_*`: those after which a program can still use its memory. */
export const MADVISE = {
  NORMAL: 0,
  RANDOM: 1,
  SEQUENTIAL: 2,
  WILLNEED: 3,
  DONTNEED: 4,
  FREE: 8,
  REMOVE: 9,
  MERGEABLE: 12,
  UNMERGEABLE: 13,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  DODUMP: 17,
  COLD: 20,
  PAGEOUT: 21,
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
  COLLAPSE: 25,
} as const;

/** `SPLICE_F_*`. */
export const SPLICE = { MOVE: 0x1, NONBLOCK: 0x2, MORE: 0x4, FD_IN_FIXED: 0x80000000 } as const;

/** `RESOLVE_*`: what looking a path up may not do. */
export const RESOLVE = {
  NO_XDEV: 0x1,
  NO_MAGICLINKS: 0x2,
  NO_SYMLINKS: 0x4,
  BENEATH: 0x8,
  IN_ROOT: 0x10,
  CACHED: 0x20,
} as const;

/** `XATTR_*`. */
export const XATTR = { CREATE: 0x1, REPLACE: 0x2 } as const;

/** `FUTEX2_*`. */
export const FUTEX2 = { SIZE_U32: 0x2, NUMA: 0x4, MPOL: 0x8, PRIVATE: 0x80 } as const;

/** `P_*`: what the number given to `waitid` is. */
export const P = { ALL: 0, PID: 1, PGID: 2, PIDFD: 3 } as const;

/** `W*`: the changes of a child that `waitid` waits for, and how. */
export const W = {
  NOHANG: 0x1,
  STOPPED: 0x2,
  EXITED: 0x4,
  CONTINUED: 0x8,
  NOWAIT: 0x1000000,
} as const;

/** `CLD_*`: how a child has changed. */
export const CLD = {
  EXITED: 1,
  KILLED: 2,
  DUMPED: 3,
  TRAPPED: 4,
  STOPPED: 5,
  CONTINUED: 6,
} as const;

/** `EPOLL*`: events; the low ones are those of `poll(2)`. */
export const EPOLL = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  RDHUP: 0x2000,
  EXCLUSIVE: 0x10000000,
  WAKEUP: 0x20000000,
  ONESHOT: 0x40000000,
  ET: 0x80000000,
} as const;

/** `EPOLL_CTL_*`. */
export const EPOLL_CTL = { ADD: 1, DEL: 2, MOD: 3 } as const;

/** `IORING_REGISTER_*`: operations of `io_uring_register`, in the order of their numbers. */
export const REGISTER_NAMES = [
  'REGISTER_BUFFERS',
  'UNREGISTER_BUFFERS',
  'REGISTER_FILES',
  'UNREGISTER_FILES',
  'REGISTER_EVENTFD',
  'UNREGISTER_EVENTFD',
  'REGISTER_FILES_UPDATE',
  'REGISTER_EVENTFD_ASYNC',
  'REGISTER_PROBE',
  'REGISTER_PERSONALITY',
  'UNREGISTER_PERSONALITY',
  'REGISTER_RESTRICTIONS',
  'REGISTER_ENABLE_RINGS',
  'REGISTER_FILES2',
  'REGISTER_FILES_UPDATE2',
  'REGISTER_BUFFERS2',
  'REGISTER_BUFFERS_UPDATE',
  'REGISTER_IOWQ_AFF',
  'UNREGISTER_IOWQ_AFF',
  'REGISTER_IOWQ_MAX_WORKERS',
  'REGISTER_RING_FDS',
  'UNREGISTER_RING_FDS',
  'REGISTER_PBUF_RING',
  'UNREGISTER_PBUF_RING',
  'REGISTER_SYNC_CANCEL',
  'REGISTER_FILE_ALLOC_RANGE',
  'REGISTER_PBUF_STATUS',
  'REGISTER_NAPI',
  'UNREGISTER_NAPI',
  'REGISTER_CLOCK',
  'REGISTER_CLONE_BUFFERS',
  'REGISTER_SEND_MSG_RING',
  'REGISTER_ZCRX_IFQ',
  'REGISTER_RESIZE_RINGS',
  'REGISTER_MEM_REGION',
  'REGISTER_QUERY',
  'REGISTER_ZCRX_CTRL',
  'REGISTER_BPF_FILTER',
] as const;

/** Name of a registration operation. */
export type RegisterName = (typeof REGISTER_NAMES)[number];

/** Numbers of the registration operations. */
export const REGISTER: Readonly<Record<RegisterName, number>> = Object.fromEntries(
  REGISTER_NAMES.map((name, code) => [name, code]),
) as Record<RegisterName, number>;

/** `struct io_uring_params`, in 32-bit words. */
export const PARAMS = {
  BYTES: 120,
  SQ_ENTRIES: 0,
  CQ_ENTRIES: 1,
  FLAGS: 2,
  SQ_THREAD_CPU: 3,
  SQ_THREAD_IDLE: 4,
  FEATURES: 5,
  WQ_FD: 6,
  SQ_OFF: 10,
  CQ_OFF: 20,
} as const;

/** `struct io_sqring_offsets`, in words from `PARAMS.SQ_OFF`. */
export const SQ_OFF = {
  HEAD: 0,
  TAIL: 1,
  MASK: 2,
  ENTRIES: 3,
  FLAGS: 4,
  DROPPED: 5,
  ARRAY: 6,
  USER_ADDR: 8,
} as const;

/** `struct io_cqring_offsets`, in words from `PARAMS.CQ_OFF`. */
export const CQ_OFF = {
  HEAD: 0,
  TAIL: 1,
  MASK: 2,
  ENTRIES: 3,
  OVERFLOW: 4,
  CQES: 5,
  FLAGS: 6,
  USER_ADDR: 8,
} as const;

/** `struct io_uring_sqe`, in 32-bit words; several names share a word as the C unions do. */
export const SQE_WORD = {
  /** opcode u8, flags u8, ioprio u16 */
  HEAD: 0,
  FD: 1,
  OFF_LOW: 2,
  OFF_HIGH: 3,
  ADDR_LOW: 4,
  ADDR_HIGH: 5,
  LEN: 6,
  /** rw_flags, fsync_flags, poll32_events, msg_flags, timeout_flags, accept_flags, ... */
  OP_FLAGS: 7,
  USER_DATA_LOW: 8,
  USER_DATA_HIGH: 9,
  /** buf_index or buf_group u16, personality u16 */
  BUF_INDEX: 10,
  /** splice_fd_in, file_index, optlen, addr_len */
  FILE_INDEX: 11,
  ADDR3_LOW: 12,
  ADDR3_HIGH: 13,
  ATTR_LOW: 14,
  ATTR_HIGH: 15,
} as const;

/** Bytes of one submission queue entry, one completion, one `struct iovec`. */
export const SIZEOF = { SQE: 64, CQE: 16, IOVEC: 16, TIMESPEC: 16, STATX: 256 } as const;

/** `struct io_uring_getevents_arg`, in bytes. */
export const GETEVENTS_ARG = {
  BYTES: 24,
  SIGMASK: 0,
  SIGMASK_SIZE: 8,
  MIN_WAIT: 12,
  TS: 16,
} as const;

/** `struct open_how`, in bytes. */
export const OPEN_HOW = { BYTES: 24, FLAGS: 0, MODE: 8, RESOLVE: 16 } as const;

/** `IORING_RW_ATTR_FLAG_*`: what comes with a read or write besides its data. */
export const RW_ATTR = { PI: 0x1 } as const;

/** `struct io_uring_attr_pi`, in bytes. */
export const ATTR_PI = { BYTES: 32, FLAGS: 0, APP_TAG: 2, LEN: 4, ADDR: 8, SEED: 16 } as const;

/** `struct futex_waitv`, in bytes. */
export const FUTEX_WAITV = { BYTES: 24, VAL: 0, UADDR: 8, FLAGS: 16 } as const;

/** `struct epoll_event`, in bytes: packed on x86-64, aligned elsewhere. */
export const EPOLL_EVENT: Readonly<Record<'BYTES' | 'EVENTS' | 'DATA', number>> =
  arch === 'x64' ? { BYTES: 12, EVENTS: 0, DATA: 4 } : { BYTES: 16, EVENTS: 0, DATA: 8 };

/** `siginfo_t` of a child's change, in bytes. */
export const SIGINFO = {
  BYTES: 128,
  SIGNO: 0,
  ERRNO: 4,
  CODE: 8,
  PID: 16,
  UID: 20,
  STATUS: 24,
} as const;

/** `IORING_RSRC_*`: flags of `struct io_uring_rsrc_register`. */
export const RSRC_FLAG = { REGISTER_SPARSE: 0x1 } as const;

/** `IORING_REGISTER_*`: flags of `struct io_uring_clone_buffers`. */
export const CLONE = { SRC_REGISTERED: 0x1, DST_REPLACE: 0x2 } as const;

/** `IORING_RESTRICTION_*`. */
export const RESTRICTION = {
  REGISTER_OP: 0,
  SQE_OP: 1,
  SQE_FLAGS_ALLOWED: 2,
  SQE_FLAGS_REQUIRED: 3,
} as const;

/** `IORING_NOP_*`. */
export const NOP = {
  INJECT_RESULT: 0x1,
  FILE: 0x2,
  FIXED_FILE: 0x4,
  FIXED_BUFFER: 0x8,
  TW: 0x10,
  CQE32: 0x20,
} as const;

/** `IORING_MSG_*`: what a message between rings carries. */
export const MSG = { DATA: 0, SEND_FD: 1 } as const;

/** `IORING_MSG_RING_*`: flags of a message. */
export const MSG_RING = { CQE_SKIP: 0x1, FLAGS_PASS: 0x2 } as const;

/** `IORING_URING_CMD_*`. */
export const URING_CMD = { FIXED: 0x1 } as const;

/** `IORING_MEM_REGION_*`: the first of a `io_uring_region_desc`, the second of its registration. */
export const MEM_REGION = { TYPE_USER: 0x1, REG_WAIT_ARG: 0x1 } as const;

/** `IORING_REG_WAIT_*`: flags of `struct io_uring_reg_wait`. */
export const REG_WAIT_FLAG = { TS: 0x1 } as const;

/** `struct io_uring_rsrc_register`, in bytes. */
export const RSRC_REGISTER = { BYTES: 32, NR: 0, FLAGS: 4, DATA: 16, TAGS: 24 } as const;

/** `struct io_uring_rsrc_update2`, in bytes. The shorter `io_uring_rsrc_update` begins alike. */
export const RSRC_UPDATE2 = { BYTES: 32, OFFSET: 0, DATA: 8, TAGS: 16, NR: 24 } as const;

/** `struct io_uring_sync_cancel_reg`, in bytes. */
export const SYNC_CANCEL = {
  BYTES: 64,
  ADDR: 0,
  FD: 8,
  FLAGS: 12,
  TIMEOUT: 16,
  OPCODE: 32,
} as const;

/** `struct io_uring_region_desc`, in bytes. */
export const REGION_DESC = {
  BYTES: 64,
  USER_ADDR: 0,
  SIZE: 8,
  FLAGS: 16,
  MMAP_OFFSET: 24,
} as const;

/** `struct io_uring_mem_region_reg`, in bytes. */
export const MEM_REGION_REG = { BYTES: 32, REGION: 0, FLAGS: 8 } as const;

/** `struct io_uring_reg_wait`, in bytes. */
export const REG_WAIT = {
  BYTES: 64,
  TS: 0,
  MIN_WAIT: 16,
  FLAGS: 20,
  SIGMASK: 24,
  SIGMASK_SIZE: 32,
} as const;

/** `struct io_uring_zcrx_ifq_reg`, in bytes. */
export const ZCRX_IFQ = {
  BYTES: 96,
  IF_IDX: 0,
  IF_RXQ: 4,
  RQ_ENTRIES: 8,
  FLAGS: 12,
  AREA: 16,
  REGION: 24,
  OFFSETS: 32,
  ID: 64,
} as const;

/** `struct io_uring_zcrx_area_reg`, in bytes. */
export const ZCRX_AREA = { BYTES: 48, ADDR: 0, LEN: 8, TOKEN: 16 } as const;

/** `struct io_uring_query_hdr`, in bytes. */
export const QUERY_HDR = { BYTES: 40, NEXT: 0, DATA: 8, OP: 16, SIZE: 20, RESULT: 24 } as const;

/** `struct io_uring_query_opcode`, in bytes. */
export const QUERY_OPCODE = {
  BYTES: 48,
  REQUESTS: 0,
  REGISTRATIONS: 4,
  FEATURES: 8,
  SETUP: 16,
  ENTER: 24,
  SQE: 32,
  QUERIES: 40,
} as const;

/** `struct io_uring_buf`, in bytes; the tail of the ring lies in the first entry's padding. */
export const BUF = { BYTES: 16, ADDR: 0, LEN: 8, BID: 12, TAIL: 14 } as const;

/** `struct io_uring_buf_reg`, in bytes. */
export const BUF_REG = {
  BYTES: 40,
  RING_ADDR: 0,
  RING_ENTRIES: 8,
  BGID: 12,
  FLAGS: 14,
  MIN_LEFT: 16,
} as const;

/** `struct io_uring_buf_status`, in bytes. */
export const BUF_STATUS = { BYTES: 40, BUF_GROUP: 0, HEAD: 4 } as const;

/** `struct io_uring_recvmsg_out`, in bytes. */
export const RECVMSG_OUT = {
  BYTES: 16,
  NAMELEN: 0,
  CONTROLLEN: 4,
  PAYLOADLEN: 8,
  FLAGS: 12,
} as const;

/** `struct msghdr`, in bytes. */
export const MSGHDR = {
  BYTES: 56,
  NAME: 0,
  NAMELEN: 8,
  IOV: 16,
  IOVLEN: 24,
  CONTROL: 32,
  CONTROLLEN: 40,
  FLAGS: 48,
} as const;

/** `struct cmsghdr`, in bytes. */
export const CMSGHDR = { BYTES: 16, LEN: 0, LEVEL: 8, TYPE: 12 } as const;
