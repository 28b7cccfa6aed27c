/**
 * Messages as `sendmsg(2)` and `recvmsg(2)` have them: several pieces of memory, an address, control
 * messages; encoded to and decoded from the structs of the kernel.
 */
import { CMSGHDR, MSGHDR, RECVMSG_OUT, SCM, SIZEOF, SOL } from '../sys/abi.ts';
import {
  AnnulusError,
  checkInteger,
  invalidArgType,
  invalidArgValue,
  outOfRange,
} from '../sys/errors.ts';
import { Region, requireRegion } from '../memory/region.ts';
import type { Memory } from './descriptors.ts';
import { decodeSocketAddress, encodeSocketAddress, SOCKADDR_STORAGE } from './sockaddr.ts';
import type { SocketAddress } from './sockaddr.ts';

const IOV_MAX = 1024;
const MAX_CONTROL = 65536;
const MAX_FD = 2 ** 31 - 1;
const TWO_32 = 2 ** 32;

/** One piece of ancillary data. */
export interface ControlMessage {
  /** Where it belongs: `SOL.SOCKET`, `SOL.IP`, ... */
  readonly level: number;
  /** What it is: `SCM.RIGHTS`, ... */
  readonly type: number;
  readonly data: Uint8Array;
}

/** Bytes a control message of so much data takes. */
export function controlBytes(dataLength: number): number {
  return align(CMSGHDR.BYTES + dataLength);
}

/** Encodes control messages one after the other, as `msg_control` has them. */
export function encodeControl(messages: readonly ControlMessage[]): Uint8Array {
  const total = messages.reduce((sum, { data }) => sum + controlBytes(data.byteLength), 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { level, type, data } of messages) {
    view.setBigUint64(at + CMSGHDR.LEN, BigInt(CMSGHDR.BYTES + data.byteLength), true);
    view.setInt32(at + CMSGHDR.LEVEL, level, true);
    view.setInt32(at + CMSGHDR.TYPE, type, true);
    bytes.set(data, at + CMSGHDR.BYTES);
    at += controlBytes(data.byteLength);
  }
  return bytes;
}

/** Decodes control messages, with copies of their data; what is cut off at the end is left out. */
export function decodeControl(bytes: Uint8Array): ControlMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: ControlMessage[] = [];
  let at = 0;
  while (at + CMSGHDR.BYTES <= bytes.byteLength) {
    const length = Number(view.getBigUint64(at + CMSGHDR.LEN, true));
    if (length < CMSGHDR.BYTES || at + length > bytes.byteLength) break;
    messages.push({
      level: view.getInt32(at + CMSGHDR.LEVEL, true),
      type: view.getInt32(at + CMSGHDR.TYPE, true),
      data: bytes.slice(at + CMSGHDR.BYTES, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** A control message that passes descriptors to the peer of a Unix socket, at most 253. */
export function passDescriptors(fds: readonly number[]): ControlMessage {
  for (const fd of fds) checkInteger('fd', fd, 0, MAX_FD);
  const data = new Uint8Array(Int32Array.from(fds).buffer);
  return { level: SOL.SOCKET, type: SCM.RIGHTS, data };
}

/**
 * The descriptors that came with a message. They are open in this process from the completion on,
 * whether or not anybody looks: close each of them.
 */
export function passedDescriptors(messages: readonly ControlMessage[]): number[] {
  const rights = messages.filter(({ level, type }) => level === SOL.SOCKET && type === SCM.RIGHTS);
  return rights.flatMap(({ data }) =>
    Array.from(new Int32Array(data.slice(0, data.byteLength & ~3).buffer)),
  );
}

/** What a {@link SocketMessage} is made of. */
export interface SocketMessageOptions {
  /** Regions, or views into them, that are sent or filled in this order; at most 1024. */
  readonly memories?: readonly Memory[];
  /** Where to send it; none on a connected socket. */
  readonly address?: SocketAddress;
  /** Control messages to send. */
  readonly control?: readonly ControlMessage[];
  /** Room for control messages to receive, in bytes; `controlBytes()` says how much one takes. */
  readonly controlSpace?: number;
}

/** Where the address lies in a message's own memory; the vectors follow it. */
const ADDRESS_AT = 64;
const VECTORS_AT = ADDRESS_AT + SOCKADDR_STORAGE;

/**
 * A message to send or to fill. One object can be used again and again, by one request at a time;
 * it has a page of memory of its own, which `close()` gives back early.
 *
 * @example
 * ```ts
 * import { alloc } from 'annulus';
 * import { Ring, SocketMessage } from 'annulus/uring';
 * using ring = new Ring({ entries: 8 });
 * const message = new SocketMessage({ memories: [alloc(16), alloc(1024)] });
 * ring.recvmsg(1, 3, message);
 * ```
 */
export class SocketMessage {
  readonly memories: readonly Memory[];
  /** @internal The structs the kernel reads and writes. */
  readonly region: Region;
  /** @internal Regions of `memories`. */
  readonly regions: readonly Region[];
  readonly #view: DataView;
  readonly #controlAt: number;
  readonly #controlSpace: number;
  #address: Uint8Array | undefined;
  #control: Uint8Array;

  constructor(options: SocketMessageOptions) {
    const { memories = [], address, control = [], controlSpace = 0 } = options;
    if (memories.length > IOV_MAX) {
      throw invalidArgValue('memories', `must have at most ${IOV_MAX} elements`, memories.length);
    }
    checkInteger('controlSpace', controlSpace, 0, MAX_CONTROL);
    this.memories = [...memories];
    this.regions = this.memories.map((memory) => requireRegion('memories', memory));
    this.#address = address === undefined ? undefined : encodeSocketAddress(address);
    this.#control = encodeControl(control);
    this.#controlAt = VECTORS_AT + memories.length * SIZEOF.IOVEC;
    this.#controlSpace = align(Math.max(controlSpace, this.#control.byteLength));
    this.region = Region.allocate(this.#controlAt + this.#controlSpace);
    this.#view = new DataView(this.region.buffer);
    this.#setAddress(MSGHDR.NAME, this.region, ADDRESS_AT);
    this.#setAddress(MSGHDR.IOV, this.region, VECTORS_AT);
    this.#setAddress(MSGHDR.CONTROL, this.region, this.#controlAt);
    this.#view.setUint32(MSGHDR.IOVLEN, memories.length, true);
    this.memories.forEach((memory, index) => {
      const start = memory instanceof Uint8Array ? memory.byteOffset : 0;
      this.#setAddress(VECTORS_AT + index * SIZEOF.IOVEC, this.regions[index]!, start);
    });
  }

  /** Changes where it is sent. */
  setAddress(address: SocketAddress | undefined): void {
    this.#address = address === undefined ? undefined : encodeSocketAddress(address);
  }

  /** Changes the control messages that are sent; they must fit into the room there is. */
  setControl(control: readonly ControlMessage[]): void {
    const encoded = encodeControl(control);
    if (encoded.byteLength > this.#controlSpace) {
      throw outOfRange('control', `at most ${this.#controlSpace} bytes`, encoded.byteLength);
    }
    this.#control = encoded;
  }

  /** Of a received message: who sent it, where the socket is not connected. */
  get sender(): SocketAddress | undefined {
    const length = this.#view.getUint32(MSGHDR.NAMELEN, true);
    const end = ADDRESS_AT + Math.min(length, SOCKADDR_STORAGE);
    return decodeSocketAddress(this.region.bytes.subarray(ADDRESS_AT, end));
  }

  /** Of a received message: the control messages that came with it. */
  get control(): ControlMessage[] {
    const length = this.#view.getUint32(MSGHDR.CONTROLLEN, true);
    const end = this.#controlAt + Math.min(length, this.#controlSpace);
    return decodeControl(this.region.bytes.subarray(this.#controlAt, end));
  }

  /** Of a received message: `MSG_FLAG` bits, such as `TRUNC` and `CTRUNC` where it did not fit. */
  get flags(): number {
    return this.#view.getUint32(MSGHDR.FLAGS, true);
  }

  /** Unmaps the message's own memory; `ERR_REGION_BUSY` while a request uses it. */
  close(): void {
    this.region.close();
  }

  /** `close()`, at the end of a block that declares it with `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Puts what is to be sent in place. */
  prepareSend(): void {
    this.#prepare();
    const address = this.#address;
    this.#view.setUint32(MSGHDR.NAMELEN, address === undefined ? 0 : address.length, true);
    if (address !== undefined) this.region.bytes.set(address, ADDRESS_AT);
    this.#view.setUint32(MSGHDR.CONTROLLEN, this.#control.length, true);
    if (this.#control.length > 0) this.region.bytes.set(this.#control, this.#controlAt);
  }

  /** @internal Makes room for what will be received. */
  prepareReceive(): void {
    this.#prepare();
    this.#view.setUint32(MSGHDR.NAMELEN, SOCKADDR_STORAGE, true);
    this.#view.setUint32(MSGHDR.CONTROLLEN, this.#controlSpace, true);
  }

  /** The lengths, anew each time: memory that was closed meanwhile has no bytes any more. */
  #prepare(): void {
    if (this.region.closed) throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The message is closed.');
    this.region.checkIdle();
    const { memories } = this;
    for (let i = 0; i < memories.length; i++) {
      const { byteLength } = memories[i]!;
      const at = VECTORS_AT + i * SIZEOF.IOVEC + 8;
      this.#view.setUint32(at, byteLength >>> 0, true);
      this.#view.setUint32(at + 4, byteLength >= TWO_32 ? 1 : 0, true);
    }
    this.#view.setUint32(MSGHDR.FLAGS, 0, true);
  }

  /** Stores the address of a byte of a Region. */
  #setAddress(at: number, region: Region, offset: number): void {
    const address = region.address + offset;
    this.#view.setUint32(at, address >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(address / TWO_32), true);
  }
}

/** How much room `recvmsgMultishot()` leaves in each buffer for what is not payload. */
export interface MessageLayout {
  /** Bytes for the sender's address: 0, or enough for the family; 128 suffices for all. */
  readonly addressSpace?: number;
  /** Bytes for control messages; `controlBytes()` says how much one takes. */
  readonly controlSpace?: number;
}

/** What {@link decodeReceivedMessage} finds in a buffer. */
export interface ReceivedMessage {
  readonly sender: SocketAddress | undefined;
  readonly control: ControlMessage[];
  /** `MSG_FLAG` bits: `TRUNC` and `CTRUNC` where something did not fit. */
  readonly flags: number;
  /** Bytes the message had, also where the buffer had room for fewer. */
  readonly length: number;
  /** A view of the payload in the buffer. */
  readonly payload: Uint8Array;
}

/** Checks a layout; bytes it takes of each buffer, the kernel's header included. */
export function layoutBytes(layout: MessageLayout): number {
  const { addressSpace = 0, controlSpace = 0 } = layout;
  checkInteger('layout.addressSpace', addressSpace, 0, SOCKADDR_STORAGE);
  checkInteger('layout.controlSpace', controlSpace, 0, MAX_CONTROL);
  return RECVMSG_OUT.BYTES + addressSpace + controlSpace;
}

/**
 * Decodes what `recvmsgMultishot()` put into a buffer.
 *
 * @param bytes - As many bytes of the buffer as the completion's result says.
 * @param layout - What the request was prepared with.
 */
export function decodeReceivedMessage(bytes: Uint8Array, layout: MessageLayout): ReceivedMessage {
  if (!(bytes instanceof Uint8Array)) throw invalidArgType('bytes', 'a Uint8Array', bytes);
  const payloadAt = layoutBytes(layout);
  if (bytes.byteLength < payloadAt) {
    throw outOfRange('bytes.byteLength', `>= ${payloadAt}`, bytes.byteLength);
  }
  const { addressSpace = 0, controlSpace = 0 } = layout;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECVMSG_OUT.BYTES);
  const nameLength = Math.min(view.getUint32(RECVMSG_OUT.NAMELEN, true), addressSpace);
  const controlLength = Math.min(view.getUint32(RECVMSG_OUT.CONTROLLEN, true), controlSpace);
  const length = view.getUint32(RECVMSG_OUT.PAYLOADLEN, true);
  const controlAt = RECVMSG_OUT.BYTES + addressSpace;
  return {
    sender: decodeSocketAddress(bytes.subarray(RECVMSG_OUT.BYTES, RECVMSG_OUT.BYTES + nameLength)),
    control: decodeControl(bytes.subarray(controlAt, controlAt + controlLength)),
    flags: view.getUint32(RECVMSG_OUT.FLAGS, true),
    length,
    payload: bytes.subarray(payloadAt, Math.min(payloadAt + length, bytes.byteLength)),
  };
}

/** Control messages begin at multiples of 8. */
function align(bytes: number): number {
  return (bytes + 7) & ~7;
}
