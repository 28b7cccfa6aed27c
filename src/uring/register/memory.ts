/**
 * Registered regions: memory through which the kernel takes the arguments of waits.
 */
import { MEM_REGION, MEM_REGION_REG, REG_WAIT, REG_WAIT_FLAG, REGION_DESC } from '../../sys/abi.ts';
import { AnnulusError, checkInteger, ERRNO, outOfRange } from '../../sys/errors.ts';
import { pin, unpin } from '../../memory/pins.ts';
import { Region } from '../../memory/region.ts';
import { Scratch } from './calls.ts';
import type { Reasons } from './calls.ts';
import { ControlRegistrations } from './control.ts';

const MAX_WAITS = 65536;
const MAX_U32 = 2 ** 32 - 1;

/** How long one kind of wait lasts. */
export interface WaitOptions {
  /** Milliseconds after which it ends in any case. Default: never. */
  readonly timeout?: number;
  /** Microseconds for which it waits for as many completions as asked, then for one. Default 0. */
  readonly minWaitUs?: number;
}

/**
 * A table of waits that the kernel reads where it is, from `ring.register.waits()`: waiting by an
 * index of it copies no arguments.
 */
export class RegisteredWaits {
  /** How many kinds of waits there is room for. */
  readonly length: number;
  /** @internal */
  readonly region: Region;
  readonly #view: DataView;

  /** @internal Made by the registrar. */
  constructor(length: number) {
    this.length = length;
    this.region = Region.allocate(length * REG_WAIT.BYTES);
    this.#view = new DataView(this.region.buffer);
  }

  /** Says what a wait by this index is like, from the next such wait on. */
  set(index: number, { timeout, minWaitUs = 0 }: WaitOptions): void {
    const at = this.offsetOf(index);
    checkInteger('minWaitUs', minWaitUs, 0, MAX_U32);
    if (timeout !== undefined && !(timeout >= 0 && timeout <= Number.MAX_SAFE_INTEGER)) {
      throw outOfRange('timeout', 'a number >= 0', timeout);
    }
    const seconds = Math.floor((timeout ?? 0) / 1000);
    const nanoseconds = Math.floor(((timeout ?? 0) - seconds * 1000) * 1e6);
    const view = this.#view;
    view.setBigInt64(at + REG_WAIT.TS, BigInt(seconds), true);
    view.setBigInt64(at + REG_WAIT.TS + 8, BigInt(nanoseconds), true);
    view.setUint32(at + REG_WAIT.MIN_WAIT, minWaitUs, true);
    view.setUint32(at + REG_WAIT.FLAGS, timeout === undefined ? 0 : REG_WAIT_FLAG.TS, true);
  }

  /** @internal Where an index is in the region, which is what the kernel is told. */
  offsetOf(index: number): number {
    if (this.region.closed) {
      throw new AnnulusError('ERR_ANNULUS_CLOSED', 'The ring of the registered waits is closed.');
    }
    checkInteger('index', index, 0, this.length - 1);
    return index * REG_WAIT.BYTES;
  }
}

/** Registrations of regions. */
export abstract class MemoryRegistrations extends ControlRegistrations {
  #region: Region | undefined;
  #waits: RegisteredWaits | undefined;

  /**
   * Gives the kernel a region for arguments of later calls. It stays pinned until the ring is closed;
   * a ring can have one. Linux 6.13.
   */
  memoryRegion(region: Region): void {
    this.#register(region, 0);
  }

  /**
   * Makes a table of waits, for `submitAndWait(count, { wait: index })`. The ring must have been made
   * with `SETUP.R_DISABLED` and not be enabled yet. Linux 6.13.
   *
   * @param length - Kinds of waits, at most 65536.
   */
  waits(length: number): RegisteredWaits {
    checkInteger('length', length, 1, MAX_WAITS);
    const waits = new RegisteredWaits(length);
    try {
      this.#register(waits.region, MEM_REGION.REG_WAIT_ARG);
    } catch (error) {
      waits.region.close();
      throw error;
    }
    this.#waits = waits;
    return waits;
  }

  /** @internal The table that waits by index refer to. */
  get registeredWaits(): RegisteredWaits | undefined {
    return this.#waits;
  }

  /** @internal */
  override retire(): void {
    super.retire();
    if (this.#region !== undefined) unpin(this.#region.slot);
    this.#region = undefined;
    this.#waits?.region.close();
    this.#waits = undefined;
  }

  #register(region: Region, flags: number): void {
    if (!(region instanceof Region)) throw outOfRange('region', 'a Region', region);
    const at = MEM_REGION_REG.BYTES;
    using scratch = new Scratch(at + REGION_DESC.BYTES);
    const { view } = scratch;
    view.setBigUint64(MEM_REGION_REG.REGION, scratch.addressOf(at), true);
    view.setBigUint64(MEM_REGION_REG.FLAGS, BigInt(flags), true);
    view.setBigUint64(at + REGION_DESC.USER_ADDR, BigInt(region.address), true);
    view.setBigUint64(at + REGION_DESC.SIZE, BigInt(region.byteLength), true);
    view.setUint32(at + REGION_DESC.FLAGS, MEM_REGION.TYPE_USER, true);
    this.call('REGISTER_MEM_REGION', scratch.bytes, 1, reasons(flags));
    pin(region.slot);
    this.#region = region;
  }
}

function reasons(flags: number): Reasons {
  if (flags === 0) return {};
  return {
    [ERRNO.EINVAL]:
      'waits are registered before the ring is enabled: make it with SETUP.R_DISABLED',
  };
}
