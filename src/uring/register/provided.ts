/**
 * Registered rings of provided buffers.
 */
import { BUF_REG, BUF_STATUS } from '../../sys/abi.ts';
import { ERRNO } from '../../sys/errors.ts';
import { BufferGroups } from '../buffers.ts';
import type { BufferRing, BufferRingOptions, GroupOwner } from '../buffers.ts';
import { NetworkRegistrations } from './network.ts';

const REASONS = {
  [ERRNO.EINVAL]: 'this kernel does not have such a ring, or refuses its size or flags',
  [ERRNO.EEXIST]: 'there is a buffer group with this number',
};

/** Registrations of buffers the kernel selects from. */
export abstract class ProvidedRegistrations extends NetworkRegistrations {
  /** @internal */
  readonly groupOwner: GroupOwner = ownerOf(this, (...args) => this.call(...args));
  /** @internal Every group of the ring, registered or given by requests. */
  readonly groups: BufferGroups = new BufferGroups(this.groupOwner);

  /**
   * Gives the kernel a ring of buffers, from which `recvMultishot()`, `readSelect()` and others take
   * one when data arrives. Linux 5.19.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a group number that is in use, or was by requests
   *   that are still in flight.
   * @example
   * ```ts
   * import { Ring } from 'annulus/uring';
   * using ring = new Ring();
   * const buffers = ring.register.bufferRing({ count: 64, size: 4096 });
   * ring.recvMultishot(1, 3, buffers);
   * ```
   */
  bufferRing(options: BufferRingOptions): BufferRing {
    return this.groups.ring(options);
  }

  /** @internal */
  override retire(): void {
    super.retire();
    this.groups.retire();
  }
}

type Call = (...args: Parameters<ProvidedRegistrations['call']>) => number;

/** What the groups of a ring ask of its registrar. */
function ownerOf(registrar: { readonly fd: number }, call: Call): GroupOwner {
  return {
    get fd() {
      return registrar.fd;
    },
    registerRing(address, entries, group, flags, left) {
      const argument = new DataView(new ArrayBuffer(BUF_REG.BYTES));
      argument.setBigUint64(BUF_REG.RING_ADDR, BigInt(address), true);
      argument.setUint32(BUF_REG.RING_ENTRIES, entries, true);
      argument.setUint16(BUF_REG.BGID, group, true);
      argument.setUint16(BUF_REG.FLAGS, flags, true);
      argument.setUint32(BUF_REG.MIN_LEFT, left, true);
      call('REGISTER_PBUF_RING', new Uint8Array(argument.buffer), 1, REASONS);
    },
    unregisterRing(group) {
      const argument = new DataView(new ArrayBuffer(BUF_REG.BYTES));
      argument.setUint16(BUF_REG.BGID, group, true);
      call('UNREGISTER_PBUF_RING', new Uint8Array(argument.buffer), 1);
    },
    headOf(group) {
      const argument = new DataView(new ArrayBuffer(BUF_STATUS.BYTES));
      argument.setUint32(BUF_STATUS.BUF_GROUP, group, true);
      call('REGISTER_PBUF_STATUS', new Uint8Array(argument.buffer), 1);
      return argument.getUint32(BUF_STATUS.HEAD, true);
    },
  };
}
