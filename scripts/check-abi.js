// Checks the numbers in src/ against the C headers of this machine, by its compiler.
// Usage: check-abi.js [DIST].

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ScriptError, root, run } from './tree.js';

/** @typedef {Readonly<Record<string, number>>} Table */
/** @typedef {{ constant: string, value: number, expressions: string[] }} Claim */

/** The C compiler; `CC` may carry arguments. */
const [compiler = 'cc', ...compilerArgs] = (process.env['CC'] || 'cc').split(' ');

const prelude = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <linux/time_types.h>
`;

/** Modules of dist/ with tables of constants: for each table, the prefixes a name may have in C. */
const constants = new Map([
  [
    'sys/abi.js',
    new Map([
      ['SETUP', ['IORING_SETUP_']],
      ['FEATURE', ['IORING_FEAT_']],
      ['ENTER', ['IORING_ENTER_']],
      ['SQE', ['IOSQE_']],
      ['CQE', ['IORING_CQE_']],
      ['SQ', ['IORING_SQ_']],
      ['CQ', ['IORING_CQ_']],
      ['OFF', ['IORING_OFF_']],
      ['TIMEOUT', ['IORING_TIMEOUT_', 'IORING_']],
      ['POLL_FLAG', ['IORING_POLL_']],
      ['CANCEL', ['IORING_ASYNC_CANCEL_']],
      ['RECVSEND', ['IORING_RECVSEND_', 'IORING_RECV_', 'IORING_SEND_']],
      ['ACCEPT', ['IORING_ACCEPT_']],
      ['NOTIF', ['IORING_NOTIF_USAGE_']],
      ['PBUF', ['IOU_PBUF_RING_']],
      ['SOCKET_COMMAND', ['SOCKET_URING_OP_']],
      ['MSG_FLAG', ['MSG_']],
      ['SOL', ['SOL_']],
      ['SO', ['SO_']],
      ['TCP', ['TCP_']],
      ['IPV6', ['IPV6_']],
      ['SCM', ['SCM_']],
      ['FSYNC', ['IORING_FSYNC_']],
      ['FILE_INDEX', ['IORING_FILE_INDEX_']],
      ['FIXED_FD', ['IORING_FIXED_FD_']],
      ['RWF', ['RWF_']],
      ['FALLOC', ['FALLOC_FL_']],
      ['SYNC_RANGE', ['SYNC_FILE_RANGE_']],
      ['FADVISE', ['POSIX_FADV_']],
      ['MADVISE', ['MADV_']],
      ['SPLICE', ['SPLICE_F_']],
      ['RESOLVE', ['RESOLVE_']],
      ['RW_ATTR', ['IORING_RW_ATTR_FLAG_']],
      ['XATTR', ['XATTR_']],
      ['FUTEX2', ['FUTEX2_']],
      ['P', ['P_']],
      ['W', ['W']],
      ['CLD', ['CLD_']],
      ['EPOLL', ['EPOLL']],
      ['EPOLL_CTL', ['EPOLL_CTL_']],
      ['REGISTER', ['IORING_']],
      ['RSRC_FLAG', ['IORING_RSRC_']],
      ['CLONE', ['IORING_REGISTER_']],
      ['RESTRICTION', ['IORING_RESTRICTION_']],
      ['NOP', ['IORING_NOP_']],
      ['MSG', ['IORING_MSG_']],
      ['MSG_RING', ['IORING_MSG_RING_']],
      ['URING_CMD', ['IORING_URING_CMD_']],
      ['MEM_REGION', ['IORING_MEM_REGION_']],
      ['REG_WAIT_FLAG', ['IORING_REG_WAIT_']],
    ]),
  ],
  ['sys/syscalls.js', new Map([[`SYSCALLS_${process.arch.toUpperCase()}`, ['SYS_']]])],
  ['uring/opcodes.js', new Map([['OP', ['IORING_OP_']]])],
  ['uring/sockaddr.js', new Map([['AF', ['AF_']]])],
  ['uring/requests/socket.js', new Map([['SHUT', ['SHUT_']]])],
  ['uring/statx.js', new Map([['AT', ['AT_']]])],
  [
    'sys/linux.js',
    new Map([
      ['POLL', ['POLL']],
      ['SEAL', ['F_SEAL_']],
      ['RLIMIT', ['RLIMIT_']],
    ]),
  ],
]);

/**
 * Tables of dist/sys/abi.js that describe structs: the unit of their numbers in bytes, and what each
 * number is: `struct.member` (several where headers differ), or a struct alone for its size.
 *
 * @type {Map<string, { unit: number, base?: string, names: Record<string, string[]> }>}
 */
const structs = new Map([
  [
    'PARAMS',
    {
      unit: 4,
      names: {
        SQ_ENTRIES: ['io_uring_params.sq_entries'],
        CQ_ENTRIES: ['io_uring_params.cq_entries'],
        FLAGS: ['io_uring_params.flags'],
        SQ_THREAD_CPU: ['io_uring_params.sq_thread_cpu'],
        SQ_THREAD_IDLE: ['io_uring_params.sq_thread_idle'],
        FEATURES: ['io_uring_params.features'],
        WQ_FD: ['io_uring_params.wq_fd'],
        SQ_OFF: ['io_uring_params.sq_off'],
        CQ_OFF: ['io_uring_params.cq_off'],
        BYTES: ['io_uring_params'],
      },
    },
  ],
  [
    'SQ_OFF',
    {
      unit: 4,
      names: membersOf('io_sqring_offsets', { MASK: 'ring_mask', ENTRIES: 'ring_entries' }),
    },
  ],
  [
    'CQ_OFF',
    {
      unit: 4,
      names: membersOf('io_cqring_offsets', { MASK: 'ring_mask', ENTRIES: 'ring_entries' }),
    },
  ],
  [
    'SQE_WORD',
    {
      unit: 4,
      names: {
        HEAD: ['io_uring_sqe.opcode'],
        FD: ['io_uring_sqe.fd'],
        OFF_LOW: ['io_uring_sqe.off'],
        ADDR_LOW: ['io_uring_sqe.addr'],
        LEN: ['io_uring_sqe.len'],
        OP_FLAGS: ['io_uring_sqe.rw_flags'],
        USER_DATA_LOW: ['io_uring_sqe.user_data'],
        BUF_INDEX: ['io_uring_sqe.buf_index'],
        FILE_INDEX: ['io_uring_sqe.file_index'],
        ADDR3_LOW: ['io_uring_sqe.addr3'],
        ATTR_LOW: ['io_uring_sqe.attr_type_mask', 'io_uring_sqe.__pad2'],
      },
    },
  ],
  [
    'SIZEOF',
    {
      unit: 1,
      names: {
        SQE: ['io_uring_sqe'],
        CQE: ['io_uring_cqe'],
        IOVEC: ['iovec'],
        TIMESPEC: ['__kernel_timespec'],
        STATX: ['statx'],
      },
    },
  ],
  [
    'GETEVENTS_ARG',
    {
      unit: 1,
      names: {
        BYTES: ['io_uring_getevents_arg'],
        SIGMASK: ['io_uring_getevents_arg.sigmask'],
        SIGMASK_SIZE: ['io_uring_getevents_arg.sigmask_sz'],
        MIN_WAIT: ['io_uring_getevents_arg.min_wait_usec', 'io_uring_getevents_arg.pad'],
        TS: ['io_uring_getevents_arg.ts'],
      },
    },
  ],
  [
    'BUF',
    {
      unit: 1,
      names: {
        ...bytesOf('io_uring_buf', ['ADDR', 'LEN', 'BID']).names,
        TAIL: ['io_uring_buf_ring.tail'],
      },
    },
  ],
  [
    'BUF_REG',
    {
      unit: 1,
      names: {
        ...bytesOf('io_uring_buf_reg', ['RING_ADDR', 'RING_ENTRIES', 'BGID']).names,
        FLAGS: ['io_uring_buf_reg.flags', 'io_uring_buf_reg.pad'],
        MIN_LEFT: ['io_uring_buf_reg.min_left', 'io_uring_buf_reg.resv'],
      },
    },
  ],
  ['BUF_STATUS', bytesOf('io_uring_buf_status', ['BUF_GROUP', 'HEAD'])],
  [
    'RECVMSG_OUT',
    bytesOf('io_uring_recvmsg_out', ['NAMELEN', 'CONTROLLEN', 'PAYLOADLEN', 'FLAGS']),
  ],
  [
    'MSGHDR',
    bytesOf('msghdr', [], {
      NAME: 'msg_name',
      NAMELEN: 'msg_namelen',
      IOV: 'msg_iov',
      IOVLEN: 'msg_iovlen',
      CONTROL: 'msg_control',
      CONTROLLEN: 'msg_controllen',
      FLAGS: 'msg_flags',
    }),
  ],
  ['CMSGHDR', bytesOf('cmsghdr', [], { LEN: 'cmsg_len', LEVEL: 'cmsg_level', TYPE: 'cmsg_type' })],
  ['OPEN_HOW', bytesOf('open_how', ['FLAGS', 'MODE', 'RESOLVE'])],
  ['ATTR_PI', bytesOf('io_uring_attr_pi', ['FLAGS', 'APP_TAG', 'LEN', 'ADDR', 'SEED'])],
  ['FUTEX_WAITV', bytesOf('futex_waitv', ['VAL', 'UADDR', 'FLAGS'])],
  ['EPOLL_EVENT', bytesOf('epoll_event', ['EVENTS', 'DATA'])],
  ['RSRC_REGISTER', bytesOf('io_uring_rsrc_register', ['NR', 'FLAGS', 'DATA', 'TAGS'])],
  ['RSRC_UPDATE2', bytesOf('io_uring_rsrc_update2', ['OFFSET', 'DATA', 'TAGS', 'NR'])],
  [
    'SYNC_CANCEL',
    bytesOf('io_uring_sync_cancel_reg', ['ADDR', 'FD', 'FLAGS', 'TIMEOUT', 'OPCODE']),
  ],
  ['REGION_DESC', bytesOf('io_uring_region_desc', ['USER_ADDR', 'SIZE', 'FLAGS', 'MMAP_OFFSET'])],
  ['MEM_REGION_REG', bytesOf('io_uring_mem_region_reg', ['FLAGS'], { REGION: 'region_uptr' })],
  [
    'REG_WAIT',
    bytesOf('io_uring_reg_wait', ['TS', 'FLAGS', 'SIGMASK'], {
      MIN_WAIT: 'min_wait_usec',
      SIGMASK_SIZE: 'sigmask_sz',
    }),
  ],
  [
    'ZCRX_IFQ',
    bytesOf('io_uring_zcrx_ifq_reg', ['IF_IDX', 'IF_RXQ', 'RQ_ENTRIES', 'FLAGS', 'OFFSETS'], {
      AREA: 'area_ptr',
      REGION: 'region_ptr',
      ID: 'zcrx_id',
    }),
  ],
  [
    'QUERY_HDR',
    bytesOf('io_uring_query_hdr', ['SIZE', 'RESULT'], {
      NEXT: 'next_entry',
      DATA: 'query_data',
      OP: 'query_op',
    }),
  ],
  [
    'QUERY_OPCODE',
    bytesOf('io_uring_query_opcode', [], {
      REQUESTS: 'nr_request_opcodes',
      REGISTRATIONS: 'nr_register_opcodes',
      FEATURES: 'feature_flags',
      SETUP: 'ring_setup_flags',
      ENTER: 'enter_flags',
      SQE: 'sqe_flags',
      QUERIES: 'nr_query_opcodes',
    }),
  ],
  ['ZCRX_AREA', bytesOf('io_uring_zcrx_area_reg', ['ADDR', 'LEN'], { TOKEN: 'rq_area_token' })],
]);

/**
 * @param {string} struct
 * @param {Record<string, string>} renamed
 * @returns {Record<string, string[]>} The members of a ring's offsets, by the names src/ gives them.
 */
function membersOf(struct, renamed) {
  const common = ['HEAD', 'TAIL', 'MASK', 'ENTRIES', 'FLAGS', 'USER_ADDR'];
  const keys = [...common, 'DROPPED', 'ARRAY', 'OVERFLOW', 'CQES'];
  return Object.fromEntries(
    keys.map((key) => [key, [`${struct}.${renamed[key] ?? key.toLowerCase()}`]]),
  );
}

/**
 * @param {string} struct
 * @param {string[]} keys - Names of src/ that are the members' in capitals.
 * @param {Record<string, string>} [renamed]
 * @returns {{ unit: number, names: Record<string, string[]> }} A struct counted in bytes.
 */
function bytesOf(struct, keys, renamed = {}) {
  const members = [...keys.map((key) => [key, key.toLowerCase()]), ...Object.entries(renamed)];
  const names = Object.fromEntries(members.map(([key, name]) => [key, [`${struct}.${name}`]]));
  return { unit: 1, names: { ...names, BYTES: [struct] } };
}

/**
 * @param {string[]} args
 * @param {string} source - Given on standard input.
 */
function compile(args, source) {
  const { error, status, stdout, stderr } = spawnSync(
    compiler,
    [...compilerArgs, ...args, '-x', 'c', '-'],
    {
      input: source,
      encoding: 'utf8',
      maxBuffer: 64 * 2 ** 20,
    },
  );
  if (error) throw new ScriptError(`cannot run the C compiler '${compiler}': ${error.message}`);
  return { status, stdout, stderr };
}

/** @returns {(expression: string) => boolean} Whether the headers have what an expression names. */
function readHeaders() {
  const plain = compile(['-E', '-P'], prelude);
  if (plain.status !== 0) {
    throw new ScriptError(
      `the C headers cannot be read; install linux-libc-dev (or kernel-headers):\n${plain.stderr}`,
    );
  }
  const macros = compile(['-E', '-dM'], prelude).stdout.matchAll(/^#define (\w+)/gm);
  const names = new Set([...macros].map(([, name = '']) => name));
  for (const [, body = ''] of plain.stdout.matchAll(/\benum\b[^{};]*\{([^}]*)\}/g)) {
    for (const [name] of body.matchAll(/\b[A-Z]\w+/g)) names.add(name);
  }
  return (expression) => {
    const [, struct, member] = /^(\w+)\.(\w+)$/.exec(expression) ?? [];
    if (struct === undefined || member === undefined) {
      return names.has(expression) || structBody(plain.stdout, expression) !== '';
    }
    return new RegExp(`\\b${member}\\b`).test(structBody(plain.stdout, struct));
  };
}

/**
 * @param {string} text - Preprocessed C.
 * @param {string} struct
 * @returns {string} What stands between the braces of a struct; empty if there is none.
 */
function structBody(text, struct) {
  const start = new RegExp(`\\bstruct ${struct}\\s*\\{`).exec(text);
  if (start === null) return '';
  let depth = 1;
  let end = start.index + start[0].length;
  for (; depth > 0 && end < text.length; end++) {
    if (text[end] === '{') depth++;
    else if (text[end] === '}') depth--;
  }
  return text.slice(start.index + start[0].length, end);
}

/**
 * @param {string} dist
 * @returns {Promise<Claim[]>} Every number of the tables, with what it may be called in C.
 */
async function readClaims(dist) {
  /** @type {Claim[]} */
  const claims = [];
  /** @param {string} file */
  const load = async (file) =>
    /** @type {Record<string, Table | undefined>} */ (
      await import(pathToFileURL(join(dist, file)).href)
    );
  for (const [file, tables] of constants) {
    const module = await load(file);
    for (const [name, prefixes] of tables) {
      for (const [key, value] of Object.entries(tableOf(module, file, name))) {
        const expressions = prefixes.map((prefix) => `${prefix}${key}`);
        claims.push({ constant: `${name}.${key}`, value, expressions });
      }
    }
  }
  const { ERRNO } = await load('sys/errors.js');
  for (const [key, value] of Object.entries(ERRNO ?? {})) {
    claims.push({ constant: `ERRNO.${key}`, value: -value, expressions: [key] });
  }
  const abi = await load('sys/abi.js');
  for (const [name, { unit, names }] of structs) {
    for (const [key, value] of Object.entries(tableOf(abi, 'sys/abi.js', name))) {
      // The upper half of a 64-bit member follows from the lower one.
      const low = names[key.replace(/_HIGH$/, '_LOW')];
      if (low === undefined) {
        throw new ScriptError(`${name}.${key}: no struct member is known for it`);
      }
      const bytes = (key.endsWith('_HIGH') ? value - 1 : value) * (key === 'BYTES' ? 1 : unit);
      claims.push({ constant: `${name}.${key}`, value: bytes, expressions: low });
    }
  }
  return claims;
}

/**
 * @param {Record<string, Table | undefined>} module
 * @param {string} file
 * @param {string} name
 * @returns {Table}
 */
function tableOf(module, file, name) {
  const table = module[name];
  if (table === undefined) throw new ScriptError(`dist/${file} exports no ${name}`);
  return table;
}

/**
 * @param {Claim} claim
 * @param {string} expression
 */
function assertion({ constant, value }, expression) {
  const [, struct, member] = /^(\w+)\.(\w+)$/.exec(expression) ?? [];
  let c = expression;
  if (struct !== undefined) c = `offsetof(struct ${struct}, ${member})`;
  else if (/^(?:__kernel_|[a-z])/.test(expression)) c = `sizeof(struct ${expression})`;
  return `_Static_assert(${c} == ${value}, "${constant} is ${value}, which ${expression} is not");`;
}

await run(async () => {
  if (process.platform !== 'linux') {
    process.stdout.write('not checked: this machine has no Linux headers\n');
    return 0;
  }
  const claims = await readClaims(resolve(process.argv[2] ?? join(root, 'dist')));
  const has = readHeaders();
  const lacking = [];
  const lines = [];
  for (const claim of claims) {
    const expression = claim.expressions.find((name) => has(name));
    if (expression === undefined) lacking.push(claim.expressions[0]);
    else lines.push(assertion(claim, expression));
  }
  const { status, stderr } = compile(
    ['-fsyntax-only', '-Werror'],
    `${prelude}${lines.join('\n')}\n`,
  );
  const wrong = [...stderr.matchAll(/static assertion failed[^"]*"([^"]+)"/gi)];
  for (const [, text] of wrong) process.stdout.write(`${text}\n`);
  if (status !== 0 && wrong.length === 0) throw new ScriptError(`the compiler failed:\n${stderr}`);
  process.stdout.write(`${lines.length} numbers checked against the C headers\n`);
  if (lacking.length > 0) {
    process.stdout.write(`${lacking.length} are newer than the headers: ${lacking.join(', ')}\n`);
  }
  return status === 0 ? 0 : 1;
});
