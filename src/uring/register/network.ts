/**
 * Registrations of network hardware queues, and of filters: what few machines have.
 */
import { REGION_DESC, ZCRX_AREA, ZCRX_IFQ } from '../../sys/abi.ts';
import { checkInteger, ERRNO } from '../../sys/errors.ts';
import { pageSize, toPages } from '../../sys/linux.ts';
import { pin, unpin } from '../../memory/pins.ts';
import { MEM_REGION } from '../../sys/abi.ts';
import { Region } from '../../memory/region.ts';
import { CancelRegistrations } from './cancel.ts';
import { requireRegistration, Scratch } from './calls.ts';
import type { Reasons } from './calls.ts';

const MAX_U32 = 2 ** 32 - 1;
const MAX_REFILL = 32768;
const REFILL_ENTRY_BYTES = 16;

/** A receive queue of a network device. */
export interface ZeroCopyQueue {
  /** Number of the device, as in `if_nametoindex(3)`. */
  readonly interfaceIndex: number;
  /** Which of its receive queues. */
  readonly queue: number;
  /** Entries of the queue that gives memory back: 1 to 32768. */
  readonly refillEntries: number;
  /** Memory the device writes to; pinned until the ring is closed. */
  readonly area: Region;
}

/** A registered receive queue: where its refill queue is, and what its completions refer to. */
export interface ZeroCopyReceiver {
  /** Number of the receiver, for requests. */
  readonly id: number;
  /** The refill queue's memory. */
  readonly refill: Region;
  /** Byte offsets in it. */
  readonly head: number;
  readonly tail: number;
  readonly entries: number;
  /** The upper bits of the offsets in refill entries. */
  readonly areaToken: bigint;
}

/** Network hardware. */
export abstract class NetworkRegistrations extends CancelRegistrations {
  readonly #regions: Region[] = [];

  /**
   * Lets a network device write what it receives straight into memory of the program. It needs a
   * device that can, `CAP_NET_ADMIN`, and a ring with `DEFER_TASKRUN` and wide completions.
   * Linux 6.15.
   *
   * @throws {SystemError} With the likely reason where the device or the kernel cannot.
   */
  zeroCopyReceive(queue: ZeroCopyQueue): ZeroCopyReceiver {
    const { interfaceIndex, queue: number, refillEntries, area } = queue;
    checkInteger('interfaceIndex', interfaceIndex, 1, MAX_U32);
    checkInteger('queue', number, 0, MAX_U32);
    checkInteger('refillEntries', refillEntries, 1, MAX_REFILL);
    const [areaAt, regionAt] = [ZCRX_IFQ.BYTES, ZCRX_IFQ.BYTES + ZCRX_AREA.BYTES];
    using scratch = new Scratch(regionAt + REGION_DESC.BYTES);
    const { view } = scratch;
    const refill = Region.allocate(toPages(refillEntries * REFILL_ENTRY_BYTES) + pageSize());
    view.setUint32(ZCRX_IFQ.IF_IDX, interfaceIndex, true);
    view.setUint32(ZCRX_IFQ.IF_RXQ, number, true);
    view.setUint32(ZCRX_IFQ.RQ_ENTRIES, refillEntries, true);
    view.setBigUint64(ZCRX_IFQ.AREA, scratch.addressOf(areaAt), true);
    view.setBigUint64(ZCRX_IFQ.REGION, scratch.addressOf(regionAt), true);
    view.setBigUint64(areaAt + ZCRX_AREA.ADDR, BigInt(area.address), true);
    view.setBigUint64(areaAt + ZCRX_AREA.LEN, BigInt(area.byteLength), true);
    view.setBigUint64(regionAt + REGION_DESC.USER_ADDR, BigInt(refill.address), true);
    view.setBigUint64(regionAt + REGION_DESC.SIZE, BigInt(refill.byteLength), true);
    view.setUint32(regionAt + REGION_DESC.FLAGS, MEM_REGION.TYPE_USER, true);
    try {
      this.call('REGISTER_ZCRX_IFQ', scratch.bytes, 1, reasons(queue));
    } catch (error) {
      refill.close();
      throw error;
    }
    for (const region of [refill, area]) {
      pin(region.slot);
      this.#regions.push(region);
    }
    return {
      id: view.getUint32(ZCRX_IFQ.ID, true),
      refill,
      head: view.getUint32(ZCRX_IFQ.OFFSETS, true),
      tail: view.getUint32(ZCRX_IFQ.OFFSETS + 4, true),
      entries: view.getUint32(ZCRX_IFQ.OFFSETS + 8, true),
      areaToken: view.getBigUint64(areaAt + ZCRX_AREA.TOKEN, true),
    };
  }

  /**
   * Makes the kernel look at a receiver's refill queue at once. Linux 6.19.
   *
   * @throws {AnnulusError} `ERR_ANNULUS_UNSUPPORTED` before.
   */
  zeroCopyFlush(receiver: ZeroCopyReceiver): void {
    requireRegistration('REGISTER_ZCRX_CTRL');
    const argument = new Uint8Array(ZCRX_CTRL_BYTES);
    new DataView(argument.buffer).setUint32(0, receiver.id, true);
    this.call('REGISTER_ZCRX_CTRL', argument, 0);
  }

  /**
   * Attaches a BPF program that decides about requests. Linux 7.0.
   *
   * @param program - `struct io_uring_bpf`, as linux/io_uring/bpf_filter.h has it.
   * @throws {AnnulusError} `ERR_ANNULUS_UNSUPPORTED` before.
   */
  bpfFilter(program: Uint8Array): void {
    requireRegistration('REGISTER_BPF_FILTER');
    this.call('REGISTER_BPF_FILTER', program, 1);
  }

  /** @internal */
  override retire(): void {
    super.retire();
    for (const region of this.#regions.splice(0)) unpin(region.slot);
  }
}

/** `struct zcrx_ctrl`. */
const ZCRX_CTRL_BYTES = 72;

function reasons({ interfaceIndex, queue }: ZeroCopyQueue): Reasons {
  return {
    [ERRNO.EPERM]: 'zero-copy receive needs CAP_NET_ADMIN',
    [ERRNO.ENODEV]: `there is no network device ${interfaceIndex}`,
    [ERRNO.ENOTSUP]: `the device ${interfaceIndex} cannot receive without a copy`,
    [ERRNO.EINVAL]:
      'zero-copy receive needs SETUP.DEFER_TASKRUN with CQE32 or CQE_MIXED, and a receive queue ' +
      `of the device, which queue ${queue} of device ${interfaceIndex} may not be`,
  };
}
