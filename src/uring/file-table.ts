/**
 * The generations of a ring's file slots: a handle is good until its slot gets another file.
 */
import { AnnulusError, invalidArgType } from '../sys/errors.ts';
import { FixedFile } from './descriptors.ts';

/** Which handle of each slot is the current one. */
export class FileTable {
  /** One number a slot, never used twice; 0 while no files are registered. */
  #current = new Int32Array(0);
  #length = 0;
  #last = 0;

  /** Slots the kernel was given. */
  get length(): number {
    return this.#length;
  }

  /** Starts a table of so many slots; every earlier handle is out of date. */
  reset(length: number): void {
    if (length > this.#current.length) this.#current = new Int32Array(length);
    this.#length = length;
    this.#current.fill(0);
    for (let index = 0; index < length; index++) this.#current[index] = ++this.#last | 0;
  }

  /** The slot's file changes: every earlier handle of it is out of date. */
  replace(index: number): void {
    if (index < this.#length) this.#current[index] = ++this.#last | 0;
  }

  /** The handle for what is in a slot now, or will be once the requests before have run. */
  handle(index: number): FixedFile {
    return new FixedFile(index, this.#current[index]!, this);
  }

  /** The slot of a handle; throws if it is of another ring, or its slot has another file now. */
  slotOf(file: FixedFile): number {
    if (!(file instanceof FixedFile)) throw invalidArgType('fd', 'a number or a FixedFile', file);
    const { index } = file;
    if (this.#current[index] === file.generation && file.table === this) return index;
    throw this.#stale(file);
  }

  #stale(file: FixedFile): Error {
    const reason =
      file.table === this
        ? 'was closed, replaced or unregistered since this FixedFile was made'
        : 'belongs to another ring';
    return new AnnulusError(
      'ERR_ANNULUS_STALE_FILE',
      `The registered file in slot ${file.index} ${reason}. Use the FixedFile of its replacement.`,
    );
  }
}
