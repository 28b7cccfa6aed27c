/**
 * Socket addresses as the kernel has them (`struct sockaddr_in`, `_in6`, `_un`) and as Node has them.
 */
import { isIPv4, isIPv6 } from 'node:net';

import { checkInteger, invalidArgValue, outOfRange } from '../sys/errors.ts';
import { unixAddress } from '../sys/sockets.ts';

/** Address families. */
export const AF = { UNIX: 1, INET: 2, INET6: 10 } as const;

/** Socket types; add `NONBLOCK` or `CLOEXEC` as flags. */
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  SEQPACKET: 5,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;

/** An internet address, or the path of a Unix socket (a leading NUL makes it an abstract name). */
export type SocketAddress =
  | { readonly address: string; readonly port: number; readonly scopeId?: number }
  | { readonly path: string };

/** Bytes of the largest address, `struct sockaddr_un`. */
export const SOCKADDR_MAX = 110;

/** Bytes the kernel may write of an address: `struct sockaddr_storage`. */
export const SOCKADDR_STORAGE = 128;

/** Bytes of memory for the peer's address of an accepted connection: the address, then its length. */
export const PEER_BYTES: number = SOCKADDR_STORAGE + 4;

/**
 * Encodes an address.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for what is neither an IP address nor a path that fits.
 */
export function encodeSocketAddress(address: SocketAddress): Uint8Array {
  if ('path' in address) return unixAddress(address.path);
  checkInteger('port', address.port, 0, 65535);
  if (isIPv4(address.address)) {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint16(0, AF.INET, true);
    new DataView(bytes.buffer).setUint16(2, address.port, false);
    bytes.set(address.address.split('.').map(Number), 4);
    return bytes;
  }
  if (isIPv6(address.address)) return encodeInet6(address.address, address.port, address.scopeId);
  throw invalidArgValue('address', 'must be an IPv4 or IPv6 address', address.address);
}

function encodeInet6(address: string, port: number, scopeId: number = 0): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF.INET6, true);
  view.setUint16(2, port, false);
  expandInet6(address).forEach((group, index) => view.setUint16(8 + index * 2, group, false));
  view.setUint32(24, scopeId, true);
  return bytes;
}

/** The eight groups of an IPv6 address that `isIPv6` accepted. */
function expandInet6(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text.replace(/%.*$/, ''));
  const plain =
    dotted === null
      ? text.replace(/%.*$/, '')
      : `${dotted[1]}${hexPair(dotted[2]!, dotted[3]!)}:${hexPair(dotted[4]!, dotted[5]!)}`;
  const [head = '', tail] = plain.split('::');
  const first = groupsOf(head);
  if (tail === undefined) return first;
  const last = groupsOf(tail);
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** The groups between colons of a part of an IPv6 address. */
function groupsOf(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => parseInt(group, 16));
}

function hexPair(high: string, low: string): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}

/** Decodes an address the kernel wrote; undefined for a family that is none of the three. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.byteLength < 2 ? 0 : view.getUint16(0, true);
  if (family === AF.INET && view.byteLength >= 8) {
    return { address: bytes.subarray(4, 8).join('.'), port: view.getUint16(2, false) };
  }
  if (family === AF.INET6 && view.byteLength >= 28) {
    const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + i * 2, false));
    const address = compressInet6(groups);
    return { address, port: view.getUint16(2, false), scopeId: view.getUint32(24, true) };
  }
  if (family === AF.UNIX) {
    if (bytes.byteLength === 2) return undefined; // a socket without a name
    const path = Buffer.from(bytes.subarray(2)).toString('utf8');
    return { path: path.startsWith('\0') ? path : path.replace(/\0.*$/s, '') };
  }
  return undefined;
}

/** Decodes what `accept()` wrote into its `address` memory; undefined for a peer without a name. */
export function decodePeerAddress(bytes: Uint8Array): SocketAddress | undefined {
  if (bytes.byteLength < PEER_BYTES) {
    throw outOfRange('bytes.byteLength', `>= ${PEER_BYTES}`, bytes.byteLength);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Math.min(view.getUint32(SOCKADDR_STORAGE, true), SOCKADDR_STORAGE);
  return decodeSocketAddress(bytes.subarray(0, length));
}

/** RFC 5952: the longest run of at least two zero groups becomes `::`. */
function compressInet6(groups: readonly number[]): string {
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].map((match) => match[1]!);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  const at = text.search(new RegExp(`(?<=^|:)${longest}(?=:|$)`));
  const before = text.slice(0, at).replace(/:$/, '');
  const after = text.slice(at + longest.length).replace(/^:/, '');
  return `${before}::${after}`;
}
