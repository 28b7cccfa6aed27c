/**
 * Slots: giving runs a place, charging them to the budget, and keeping what is in memory within it.
 * Everything here is called under the lock.
 *
 * A free slot is on one of two lists of its class: HOT, its pages may be in memory, or COLD, they are
 * not. Hot ones are taken first. Before a run brings in pages that would exceed the budget together
 * with what is in memory already, as many others are given back to the system.
 */
import { slabOf } from './geometry.ts';
import type { SizeClass } from './geometry.ts';
import type { Tables } from './tables.ts';
import { CLASS, HEAD, NOBODY, PARCEL, PASSED, SLAB_WORDS, SLOT } from './words.ts';

/** Gives a range of the pool's file back to the system; false if the system refuses. */
export type Discard = (offset: number, bytes: number) => boolean;

/** The part of the tables that says what lies where. */
export class Slots {
  readonly #tables: Tables;
  readonly #words: Int32Array;
  readonly #limitPages: number;
  readonly #discard: Discard;

  constructor(tables: Tables, discard: Discard) {
    this.#tables = tables;
    this.#words = tables.words;
    this.#limitPages = tables.geometry.pages(tables.geometry.buffers);
    this.#discard = discard;
  }

  /**
   * Takes a free slot off its list and charges it to the budget. It has no owner yet. There is one
   * whenever the budget allows the run: see geometry.ts.
   */
  pick(length: number): number {
    const words = this.#words;
    const size = this.#tables.classFor(length);
    const at = this.#tables.classAt(size.index);
    this.#charge(at, length); // first: its zone must not look idle to what makes room
    let slot = words[at + CLASS.HOT]!;
    if (slot !== 0) {
      words[at + CLASS.HOT] = words[this.#tables.slotAt(slot) + SLOT.NEXT]!;
    } else {
      slot = words[at + CLASS.COLD]!;
      if (slot !== 0) words[at + CLASS.COLD] = words[this.#tables.slotAt(slot) + SLOT.NEXT]!;
      else slot = this.#first(size, at);
    }
    const entry = this.#tables.slotAt(slot);
    words[entry + SLOT.LENGTH] = length;
    if (!size.packed) this.#touch(entry, this.#tables.geometry.pages(length));
    return slot;
  }

  /** Makes a member the holder of a picked slot. */
  own(slot: number, member: number): void {
    const entry = this.#tables.slotAt(slot);
    this.#words[entry + SLOT.OWNER] = member + 1;
    this.#words[entry + SLOT.HOLDS] = 1; // from here on it is held
  }

  /** Ends one hold on a slot: a parcel's, or its owner's (`parcel` 0). The last one frees it. */
  drop(slot: number, parcel: number): void {
    const words = this.#words;
    const entry = this.#tables.slotAt(slot);
    if (parcel === 0) words[entry + SLOT.OWNER] = NOBODY;
    else this.#freeParcel(parcel);
    const holds = words[entry + SLOT.HOLDS]! - 1;
    words[entry + SLOT.HOLDS] = holds;
    if (holds > 0) return;
    const length = words[entry + SLOT.LENGTH]!;
    const size = this.#tables.classFor(length);
    const at = this.#tables.classAt(size.index);
    words[HEAD.USED]! -= length;
    words[HEAD.ALLOCATIONS]!--;
    words[at + CLASS.LIVE]!--;
    words[entry + SLOT.NEXT] = words[at + CLASS.HOT]!;
    words[at + CLASS.HOT] = slot;
    if (!size.packed) {
      const tail = words[entry + SLOT.RESIDENT]! - this.#tables.geometry.pages(length);
      if (tail > 0) words[HEAD.TAIL_PAGES]! -= tail;
    }
  }

  /** Gives back free memory until at most `pages` are in memory, if that can be reached. */
  shrinkTo(pages: number): void {
    const words = this.#words;
    for (let index = this.#tables.geometry.classes.length - 1; index >= 0; index--) {
      if (words[HEAD.RESIDENT_PAGES]! <= pages) return;
      const size = this.#tables.geometry.classes[index]!;
      const idle = words[this.#tables.classAt(index) + CLASS.LIVE] === 0;
      // A zone nobody uses goes as a whole where all is to go, or where slots share pages.
      if (idle && (pages === 0 || size.packed)) this.#discardZone(size);
      else if (!size.packed && !this.#discardHot(size, pages)) return;
    }
    if (words[HEAD.RESIDENT_PAGES]! > pages && words[HEAD.TAIL_PAGES]! > 0) this.#discardTails();
  }

  /**
   * Notes that a member registers a slab, all of which is in memory from then on. False if the budget
   * has no room for that, or slots of the slab share pages.
   */
  pin(slab: number, member: number): boolean {
    const words = this.#words;
    const size = this.#classOfSlab(slab);
    if (size.packed) return false;
    const pinned = this.#isPinned(slab);
    const word = this.#tables.slabAt(slab) + (member >> 5);
    words[word]! |= 1 << (member & 31); // first: what makes room must leave the slab alone
    if (pinned) return true;
    const room = this.#limitPages - this.#missingPages(size, slab);
    if (words[HEAD.RESIDENT_PAGES]! > room) this.shrinkTo(room);
    if (words[HEAD.RESIDENT_PAGES]! <= room) {
      this.#fill(size, slab);
      return true;
    }
    words[word]! &= ~(1 << (member & 31));
    return false;
  }

  /** A member has a slab registered no more. */
  unpin(slab: number, member: number): void {
    this.#words[this.#tables.slabAt(slab) + (member >> 5)]! &= ~(1 << (member & 31));
  }

  /** A member has ended, and with it its registrations. */
  unpinAll(member: number): void {
    for (let slab = 0; slab < this.#tables.geometry.slabs; slab++) this.unpin(slab, member);
  }

  /** Pages of a slab that may not be in memory. */
  #missingPages(size: SizeClass, slab: number): number {
    let pages = 0;
    this.#eachSlotOf(size, slab, (entry) => {
      pages += this.#slotPages(size) - this.#words[entry + SLOT.RESIDENT]!;
    });
    return pages;
  }

  /**
   * Counts every page of a slab as in memory, and its free slots as hot.
   *
   * Slots are numbered up to HIGH without a gap, so those of slabs before this one that were not used
   * yet (or not since their zone was discarded) come into use with it. They have nothing in memory and
   * must be cold: a hot one would have `#discardHot()` give back a range of no bytes, which the system
   * refuses, and the pool would stop making room there, and exceed its budget.
   */
  #fill(size: SizeClass, slab: number): void {
    const words = this.#words;
    const at = this.#tables.classAt(size.index);
    const end = this.#endOf(size, slab) - size.firstSlot;
    for (let high = words[at + CLASS.HIGH]!; high < end; high++) {
      words[at + CLASS.HIGH] = high + 1;
      this.#push(at + CLASS.COLD, size.firstSlot + high);
    }
    let link = at + CLASS.COLD;
    while (words[link] !== 0) {
      const slot = words[link]!;
      const next = this.#tables.slotAt(slot) + SLOT.NEXT;
      if (slabOf(size, slot) === slab) {
        words[link] = words[next]!;
        this.#push(at + CLASS.HOT, slot);
      } else link = next;
    }
    const full = this.#slotPages(size);
    this.#eachSlotOf(size, slab, (entry) => {
      const before = words[entry + SLOT.RESIDENT]!;
      words[entry + SLOT.RESIDENT] = full;
      words[HEAD.RESIDENT_PAGES]! += full - before;
      if (words[entry + SLOT.HOLDS] === 0) return;
      const used = this.#tables.geometry.pages(words[entry + SLOT.LENGTH]!);
      words[HEAD.TAIL_PAGES]! += full - Math.max(before, used);
    });
  }

  #push(list: number, slot: number): void {
    this.#words[this.#tables.slotAt(slot) + SLOT.NEXT] = this.#words[list]!;
    this.#words[list] = slot;
  }

  /** Pages from one slot to the next, where slots do not share any. */
  #slotPages(size: SizeClass): number {
    return size.stride / this.#tables.geometry.pageSize;
  }

  #classOfSlab(slab: number): SizeClass {
    return this.#tables.geometry.classes.findLast((size) => size.firstSlab <= slab)!;
  }

  /** The slot after the last one of a slab. */
  #endOf(size: SizeClass, slab: number): number {
    const slots = Math.min(size.slots, (slab - size.firstSlab + 1) * 2 ** size.slabShift);
    return size.firstSlot + slots;
  }

  #eachSlotOf(size: SizeClass, slab: number, visit: (entry: number) => void): void {
    const end = this.#endOf(size, slab);
    let slot = size.firstSlot + (slab - size.firstSlab) * 2 ** size.slabShift;
    for (; slot < end; slot++) visit(this.#tables.slotAt(slot));
  }

  /** The next slot of a class that was never used, with the pages that sharing slots bring in. */
  #first(size: SizeClass, at: number): number {
    const words = this.#words;
    const high = words[at + CLASS.HIGH]!;
    words[at + CLASS.HIGH] = high + 1;
    if (size.packed) {
      const more = this.#zonePages(size, high + 1) - this.#zonePages(size, high);
      const room = this.#limitPages - more;
      if (more > 0 && words[HEAD.RESIDENT_PAGES]! > room) this.shrinkTo(room);
      words[HEAD.RESIDENT_PAGES]! += more;
    }
    return size.firstSlot + high;
  }

  #charge(at: number, length: number): void {
    const words = this.#words;
    const used = words[HEAD.USED]! + length;
    words[HEAD.USED] = used;
    if (used > words[HEAD.PEAK]!) words[HEAD.PEAK] = used;
    if (used > words[HEAD.RECENT_PEAK]!) words[HEAD.RECENT_PEAK] = used;
    words[HEAD.ALLOCATIONS]!++;
    words[at + CLASS.LIVE]!++;
  }

  /** Counts the pages a run may touch, after making room for those that are not in memory. */
  #touch(entry: number, pages: number): void {
    const words = this.#words;
    const more = pages - words[entry + SLOT.RESIDENT]!;
    if (more < 0) words[HEAD.TAIL_PAGES]! -= more;
    if (more <= 0) return;
    const room = this.#limitPages - more;
    if (words[HEAD.RESIDENT_PAGES]! > room) this.shrinkTo(room);
    words[HEAD.RESIDENT_PAGES]! += more;
    words[entry + SLOT.RESIDENT] = pages;
  }

  /** Pages that the first `high` slots of a zone of sharing slots take. */
  #zonePages(size: SizeClass, high: number): number {
    return Math.ceil((high * size.stride) / this.#tables.geometry.pageSize);
  }

  /** Whether any member has a slab registered. */
  #isPinned(slab: number): boolean {
    const at = this.#tables.slabAt(slab);
    for (let word = at; word < at + SLAB_WORDS; word++) {
      if (this.#words[word] !== 0) return true;
    }
    return false;
  }

  #discardZone(size: SizeClass): void {
    const words = this.#words;
    const at = this.#tables.classAt(size.index);
    const high = words[at + CLASS.HIGH]!;
    if (high === 0) return;
    for (let slab = 0; slab < size.slabs; slab++) {
      if (this.#isPinned(size.firstSlab + slab)) return;
    }
    const bytes = this.#zonePages(size, high) * this.#tables.geometry.pageSize;
    if (!this.#discard(size.offset, bytes)) return;
    let pages = size.packed ? this.#zonePages(size, high) : 0;
    for (let slot = size.firstSlot; slot < size.firstSlot + high; slot++) {
      const entry = this.#tables.slotAt(slot);
      pages += words[entry + SLOT.RESIDENT]!;
      words[entry + SLOT.RESIDENT] = 0;
    }
    words[at + CLASS.HIGH] = 0;
    words[at + CLASS.HOT] = 0;
    words[at + CLASS.COLD] = 0;
    words[HEAD.RESIDENT_PAGES]! -= pages;
  }

  /** Discards free slots of a class; false if the system refuses. */
  #discardHot(size: SizeClass, pages: number): boolean {
    const words = this.#words;
    const at = this.#tables.classAt(size.index);
    let link = at + CLASS.HOT;
    while (words[link] !== 0 && words[HEAD.RESIDENT_PAGES]! > pages) {
      const slot = words[link]!;
      const entry = this.#tables.slotAt(slot);
      if (this.#isPinned(slabOf(size, slot))) {
        link = entry + SLOT.NEXT;
        continue;
      }
      if (!this.#discardPages(size, slot, 0)) return false;
      words[link] = words[entry + SLOT.NEXT]!;
      words[entry + SLOT.NEXT] = words[at + CLASS.COLD]!;
      words[at + CLASS.COLD] = slot;
    }
    return true;
  }

  /** Discards what longer runs have left behind the ends of live ones. */
  #discardTails(): void {
    const words = this.#words;
    for (const size of this.#tables.geometry.classes) {
      if (size.packed) continue;
      const end = size.firstSlot + words[this.#tables.classAt(size.index) + CLASS.HIGH]!;
      for (let slot = size.firstSlot; slot < end; slot++) {
        const entry = this.#tables.slotAt(slot);
        if (words[entry + SLOT.HOLDS] === 0 || this.#isPinned(slabOf(size, slot))) continue;
        const keep = this.#tables.geometry.pages(words[entry + SLOT.LENGTH]!);
        const tail = words[entry + SLOT.RESIDENT]! - keep;
        if (tail <= 0) continue;
        if (!this.#discardPages(size, slot, keep)) return;
        words[HEAD.TAIL_PAGES]! -= tail;
      }
    }
  }

  #discardPages(size: SizeClass, slot: number, keep: number): boolean {
    const words = this.#words;
    const { pageSize } = this.#tables.geometry;
    const entry = this.#tables.slotAt(slot);
    const pages = words[entry + SLOT.RESIDENT]! - keep;
    const offset = size.offset + (slot - size.firstSlot) * size.stride + keep * pageSize;
    if (!this.#discard(offset, pages * pageSize)) return false;
    words[entry + SLOT.RESIDENT] = keep;
    words[HEAD.RESIDENT_PAGES]! -= pages;
    return true;
  }

  #freeParcel(parcel: number): void {
    const words = this.#words;
    const entry = this.#tables.parcelAt(parcel);
    words[entry + PARCEL.STATE] = PASSED.FREE;
    words[entry + PARCEL.NEXT] = words[HEAD.PARCEL_FREE]!;
    words[HEAD.PARCEL_FREE] = parcel;
  }
}
