/**
 * Frame: how entries follow one another in the channel's bytes.
 *
 * ```text
 *    0   u8   kind: 1 file, 2 directory, 3 link
 *    1   u8   0
 *    2   u16  mode bits
 *    4   u32  bytes of the path
 *    8   u64  size: a file's bytes, or the bytes of a link's target
 *   16        path, UTF-8, relative to what is relayed; empty for that itself
 *             then `size` bytes: a file's data, or a link's target
 * ```
 *
 * Numbers are little-endian. A directory comes before what is in it. The end of the channel's
 * stream is the end of the entries: a sender that dies or gives up has no such end.
 */

/** What an entry is, by the number that stands for it. */
export const KIND = { FILE: 1, DIRECTORY: 2, LINK: 3 } as const;

/** One of {@link KIND}. */
export type Kind = (typeof KIND)[keyof typeof KIND];

/** What comes before an entry's data. */
export interface Header {
  readonly kind: Kind;
  /** Permission, set-id and sticky bits. */
  readonly mode: number;
  readonly path: string;
  /** Bytes of data that follow. */
  readonly size: number;
}

/** Bytes before the path. */
export const FIXED_BYTES = 16;

/** The kernel takes no longer path. */
export const PATH_BYTES_MAX = 4096;

/** Largest header. */
export const HEADER_BYTES_MAX: number = FIXED_BYTES + PATH_BYTES_MAX;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes the header of an entry takes. */
export function headerBytes(header: Header): number {
  return FIXED_BYTES + Buffer.byteLength(header.path);
}

/** Writes a header into `into`, which has `headerBytes()` bytes. */
export function encodeHeader(header: Header, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  view.setUint8(0, header.kind);
  view.setUint8(1, 0);
  view.setUint16(2, header.mode, true);
  view.setUint32(4, into.byteLength - FIXED_BYTES, true);
  view.setBigUint64(8, BigInt(header.size), true);
  new TextEncoder().encodeInto(header.path, into.subarray(FIXED_BYTES));
}

/** Bytes of a whole header, told from its first {@link FIXED_BYTES}. */
export function wholeHeaderBytes(start: Uint8Array): number {
  const pathBytes = new DataView(start.buffer, start.byteOffset, FIXED_BYTES).getUint32(4, true);
  if (pathBytes > PATH_BYTES_MAX) {
    throw malformed(`a path of ${pathBytes} bytes, at most ${PATH_BYTES_MAX}`);
  }
  return FIXED_BYTES + pathBytes;
}

/** Reads a header. Each value is checked: a path never leads out of the destination. */
export function decodeHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = view.getUint8(0);
  if (kind !== KIND.FILE && kind !== KIND.DIRECTORY && kind !== KIND.LINK) {
    throw malformed(`kind ${kind}`);
  }
  const mode = view.getUint16(2, true);
  if (mode > 0o7777) throw malformed(`mode ${mode.toString(8)}`);
  const size = Number(view.getBigUint64(8, true));
  if (!Number.isSafeInteger(size)) throw malformed(`size ${size}`);
  if (kind === KIND.LINK && size > PATH_BYTES_MAX) throw malformed(`a link of ${size} bytes`);
  const path = decoder.decode(bytes.subarray(FIXED_BYTES));
  const parts = path === '' ? [] : path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || path.includes('\0')) {
    throw malformed(`path ${JSON.stringify(path)}`);
  }
  return { kind, mode, path, size };
}

function malformed(what: string): Error {
  return new Error(`the stream of entries is malformed: ${what}`);
}
