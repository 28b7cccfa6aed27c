/**
 * Tags: completions that end no request of the ring. The kernel posts one when it has let go of a
 * tagged registration, and another ring posts one with a message.
 *
 * The sign bit of user_data's high word marks them, so that they are not counted as ends of
 * requests. The other bits are the number of a tag, or 0 for a message; in a shared ring with those of
 * the member, and some of its serial, for a tag may outlive the member, and its index be another's.
 */
import { pin, unpin } from '../memory/pins.ts';

/** High word of the user_data of a completion that holds nothing and ends no request. */
export const FOREIGN: number = 1 << 31;

/** The tags of one ring. */
export class Tags {
  /** The region slot each tag keeps pinned, -1 for a tag that is free; tag 0 is not used. */
  readonly #pinned: number[] = [-1];
  readonly #free: number[] = [];
  #bits = FOREIGN;
  /** Those bits that are not of a tag's number. */
  #mask = FOREIGN;

  /** Has every tag from now on say whose it is, by these of some bits: shared/layout.ts. */
  mark(bits: number, mask: number): void {
    this.#bits = FOREIGN | bits;
    this.#mask = FOREIGN | mask;
  }

  /** A new tag, as the high word of its user_data; pins the region until the kernel lets go. */
  take(regionSlot: number): number {
    const tag = this.#free.pop() ?? this.#pinned.length;
    this.#pinned[tag] = regionSlot;
    pin(regionSlot);
    return this.#bits | tag;
  }

  /** Whether a completion is a message, or of a tag that is not that of an earlier member. */
  isOurs(hold: number): boolean {
    return (hold & ~this.#mask) === 0 || (hold & this.#mask) === this.#bits;
  }

  /** The kernel has let go of what is tagged. */
  release(hold: number): void {
    const tag = hold & ~this.#mask;
    const slot = this.#pinned[tag];
    if (slot === undefined || slot < 0) return; // a message, or a tag of somebody else's
    this.#pinned[tag] = -1;
    this.#free.push(tag);
    unpin(slot);
  }

  /** The ring has ended, and with it every registration. */
  close(): void {
    for (let tag = 1; tag < this.#pinned.length; tag++) this.release(this.#bits | tag);
  }
}
