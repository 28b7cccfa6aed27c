/**
 * `struct statx`, decoded.
 */
import { SIZEOF } from '../sys/abi.ts';
import { outOfRange } from '../sys/errors.ts';

/** What a `statx` request reports; times are nanoseconds since 1970, in UTC. */
export interface FileStatus {
  /** File type and permission bits. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  /** Preferred block size for I/O, in bytes. */
  readonly blockSize: number;
  /** Allocated units of 512 bytes. */
  readonly blocks: number;
  readonly accessTime: bigint;
  readonly birthTime: bigint;
  readonly changeTime: bigint;
  readonly modifyTime: bigint;
}

/** File type bits of `mode`. */
export const S_IF = { MT: 0o170000, REG: 0o100000, DIR: 0o040000, LNK: 0o120000 } as const;

/** `AT_*` flags of path requests. */
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  EMPTY_PATH: 0x1000,
} as const;

/** `STATX_BASIC_STATS | STATX_BTIME`. */
export const STATX_MASK = 0xfff;

/** Decodes the 256 bytes a `statx` request filled. */
export function decodeStatx(bytes: Uint8Array): FileStatus {
  if (bytes.byteLength < SIZEOF.STATX) {
    throw outOfRange('bytes.byteLength', `>= ${SIZEOF.STATX}`, bytes.byteLength);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIZEOF.STATX);
  const time = (at: number): bigint =>
    view.getBigInt64(at, true) * 1_000_000_000n + BigInt(view.getUint32(at + 8, true));
  return {
    blockSize: view.getUint32(4, true),
    links: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    mode: view.getUint16(28, true),
    inode: view.getBigUint64(32, true),
    size: Number(view.getBigUint64(40, true)),
    blocks: Number(view.getBigUint64(48, true)),
    accessTime: time(64),
    birthTime: time(80),
    changeTime: time(96),
    modifyTime: time(112),
  };
}
