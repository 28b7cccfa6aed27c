/**
 * Pipes whose request has not been reaped. The kernel writes the two descriptors of a pipe to memory
 * instead of giving them as the result, so that of a ring nobody reaps any more they must be found
 * and closed: here, and in native/ring.c when the thread has ended.
 *
 * The kernel writes to a table; reaping the completion copies an entry to the caller's memory.
 */
import { CONTROL } from '../sys/native.ts';
import { ERRNO, outOfRange, SystemError } from '../sys/errors.ts';
import { syscall } from '../sys/linux.ts';
import { pin, unpin } from '../memory/pins.ts';
import { Region } from '../memory/region.ts';

/** Marks a hold as the index of an entry of the table; native/ring.c knows it too. */
export const PIPE: number = 1 << 28;

/** Bytes of a pipe's two descriptors. */
export const PIPE_BYTES = 8;

/** Pipes that can be in flight; one page of descriptors. */
const MAX_PIPES = 512;

/** The pipes a ring is about to get. */
export class Pipes {
  #table: Region | undefined;
  #words: Int32Array = new Int32Array(0);
  readonly #free: number[] = [];
  readonly #targets: { region: Region; start: number }[] = [];

  /**
   * Takes an entry; returns its hold. Both the table and the target stay pinned until `release()`.
   *
   * @param control - The ring's control block, which tells the shim where the table is.
   */
  take(control: Int32Array, region: Region, start: number): number {
    this.#table ??= this.#make(control);
    const index = this.#free.pop();
    if (index === undefined) {
      throw new SystemError(ERRNO.ENOMEM, 'io_uring_enter', {
        message: `${MAX_PIPES} pipes are in flight; wait for some to complete`,
      });
    }
    this.#words.fill(-1, index * 2, index * 2 + 2);
    this.#targets[index] = { region, start };
    pin(this.#table.slot);
    pin(region.slot);
    return PIPE | index;
  }

  /** Where the kernel is to write the descriptors of a hold. */
  addressOf(hold: number): number {
    return this.#table!.address + (hold & ~PIPE) * PIPE_BYTES;
  }

  /** Hands the descriptors over, -1 and -1 if the request failed. */
  release(hold: number): void {
    const index = hold & ~PIPE;
    const target = this.#targets[index];
    if (target === undefined) return; // not a hold of this ring: completions of foreign user_data
    const { region, start } = target;
    if (region.byteLength === 0) {
      this.discard(hold); // the program has moved the buffer away: nobody is told
    } else {
      const view = new DataView(region.buffer, start, PIPE_BYTES);
      view.setInt32(0, this.#words[index * 2]!, true);
      view.setInt32(4, this.#words[index * 2 + 1]!, true);
    }
    this.#free.push(index);
    unpin(region.slot);
    unpin(this.#table!.slot);
  }

  /** Closes the descriptors of a pipe that nobody is told of. */
  discard(hold: number): void {
    const index = hold & ~PIPE;
    syscall('close', this.#words[index * 2]!);
    syscall('close', this.#words[index * 2 + 1]!);
    this.#words.fill(-1, index * 2, index * 2 + 2);
  }

  /** Unmaps the table unless the kernel may still write to it. */
  close(): void {
    if (this.#table?.busy === false) this.#table.close();
  }

  #make(control: Int32Array): Region {
    const table = Region.allocate(MAX_PIPES * PIPE_BYTES);
    this.#words = new Int32Array(table.buffer);
    for (let index = MAX_PIPES - 1; index >= 0; index--) this.#free.push(index);
    control[CONTROL.PIPES_LOW] = table.address | 0;
    control[CONTROL.PIPES_HIGH] = (table.address / 2 ** 32) | 0;
    return table;
  }
}

/**
 * The two ends that a `pipe` request wrote into its 8 bytes of memory: descriptors, or with
 * `pipeDirect` slots. Both are -1 if the request failed.
 */
export function decodePipe(bytes: Uint8Array): { reader: number; writer: number } {
  if (bytes.byteLength < PIPE_BYTES) {
    throw outOfRange('bytes.byteLength', `>= ${PIPE_BYTES}`, bytes.byteLength);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, PIPE_BYTES);
  return { reader: view.getInt32(0, true), writer: view.getInt32(4, true) };
}
