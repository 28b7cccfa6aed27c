/**
 * Repair: what is left of a thread that ended. Everything here is called under the lock.
 */
import type { SizeClass } from './geometry.ts';
import type { Queue } from './queue.ts';
import type { Slots } from './slots.ts';
import type { Tables } from './tables.ts';
import { CLASS, HEAD, MEMBER, MEMBERS, PARCEL, PASSED, SLOT, WAIT, WAITER } from './words.ts';

/** Takes back all that a member holds and waits for. */
export function takeBack(tables: Tables, slots: Slots, queue: Queue, member: number): void {
  const { words } = tables;
  for (let waiter = 1; waiter <= words[HEAD.WAITER_HIGH]!; waiter++) {
    const entry = tables.waiterAt(waiter);
    const state = words[entry + WAITER.STATE]!;
    if (state === WAIT.FREE || (words[entry + WAITER.MEMBER]! & 0xff) !== member) continue;
    if (state === WAIT.WAITING) queue.unlink(waiter);
    queue.free(waiter);
  }
  words[tables.memberAt(member) + MEMBER.TOLD] = 0;
  for (let parcel = 1; parcel <= words[HEAD.PARCEL_HIGH]!; parcel++) {
    const entry = tables.parcelAt(parcel);
    if (words[entry + PARCEL.STATE] === PASSED.FREE) continue;
    if (words[entry + PARCEL.OWNER] === member) slots.drop(words[entry + PARCEL.SLOT]!, parcel);
  }
  eachSlot(tables, (slot, entry) => {
    const held = words[entry + SLOT.HOLDS] !== 0 && words[entry + SLOT.OWNER] === member + 1;
    if (held) slots.drop(slot, 0);
  });
}

/**
 * Computes lists and sums again from what slots, waiters and parcels say of themselves: a thread was
 * terminated while it held the lock.
 */
export function repair(tables: Tables, queue: Queue): void {
  repairHolds(tables);
  repairSlots(tables);
  repairParcels(tables);
  repairQueue(tables, queue);
}

/** Holds are the parcels of a slot and its owner: the thread died between two stores of a change. */
function repairHolds(tables: Tables): void {
  const { words } = tables;
  const parcels = new Map<number, number>();
  for (let parcel = 1; parcel <= words[HEAD.PARCEL_HIGH]!; parcel++) {
    const entry = tables.parcelAt(parcel);
    if (words[entry + PARCEL.STATE] === PASSED.FREE) continue;
    const slot = words[entry + PARCEL.SLOT]!;
    parcels.set(slot, (parcels.get(slot) ?? 0) + 1);
  }
  eachSlot(tables, (slot, entry) => {
    if (words[entry + SLOT.HOLDS] === 0) return;
    const owned = words[entry + SLOT.OWNER]! > 0 ? 1 : 0;
    words[entry + SLOT.HOLDS] = owned + (parcels.get(slot) ?? 0);
  });
}

function repairSlots(tables: Tables): void {
  const { words, geometry } = tables;
  words[HEAD.USED] = 0;
  words[HEAD.ALLOCATIONS] = 0;
  words[HEAD.RESIDENT_PAGES] = 0;
  words[HEAD.TAIL_PAGES] = 0;
  for (const size of geometry.classes) {
    const at = tables.classAt(size.index);
    words[at + CLASS.HOT] = 0;
    words[at + CLASS.COLD] = 0;
    words[at + CLASS.LIVE] = 0;
    if (!size.packed) continue;
    const bytes = words[at + CLASS.HIGH]! * size.stride;
    words[HEAD.RESIDENT_PAGES]! += Math.ceil(bytes / geometry.pageSize);
  }
  eachSlot(tables, (slot, entry, size) => {
    const at = tables.classAt(size.index);
    const resident = words[entry + SLOT.RESIDENT]!;
    words[HEAD.RESIDENT_PAGES]! += resident;
    if (words[entry + SLOT.HOLDS] === 0) {
      const list = at + (size.packed || resident > 0 ? CLASS.HOT : CLASS.COLD);
      words[entry + SLOT.NEXT] = words[list]!;
      words[list] = slot;
      return;
    }
    const length = words[entry + SLOT.LENGTH]!;
    words[HEAD.USED]! += length;
    words[HEAD.ALLOCATIONS]!++;
    words[at + CLASS.LIVE]!++;
    if (!size.packed) words[HEAD.TAIL_PAGES]! += Math.max(0, resident - geometry.pages(length));
  });
}

function repairParcels(tables: Tables): void {
  const { words } = tables;
  words[HEAD.PARCEL_FREE] = 0;
  for (let parcel = 1; parcel <= words[HEAD.PARCEL_HIGH]!; parcel++) {
    const entry = tables.parcelAt(parcel);
    if (words[entry + PARCEL.STATE] !== PASSED.FREE) continue;
    words[entry + PARCEL.NEXT] = words[HEAD.PARCEL_FREE]!;
    words[HEAD.PARCEL_FREE] = parcel;
  }
}

function repairQueue(tables: Tables, queue: Queue): void {
  const { words } = tables;
  const waiting: number[] = [];
  words[HEAD.WAITER_FREE] = 0;
  words[HEAD.QUEUE_HEAD] = 0;
  words[HEAD.QUEUE_TAIL] = 0;
  words[HEAD.WAITERS] = 0;
  for (let member = 0; member < MEMBERS; member++) {
    words[tables.memberAt(member) + MEMBER.TOLD] = 0;
  }
  for (let waiter = 1; waiter <= words[HEAD.WAITER_HIGH]!; waiter++) {
    const state = words[tables.waiterAt(waiter) + WAITER.STATE]!;
    if (state === WAIT.FREE) queue.free(waiter);
    else if (state !== WAIT.WAITING) queue.tell(waiter, state);
    else if (wasServed(tables, waiter)) queue.tell(waiter, WAIT.GRANTED);
    else waiting.push(waiter);
  }
  const ticket = (waiter: number): number => words[tables.waiterAt(waiter) + WAITER.TICKET]!;
  // Tickets are taken one after another, and may have passed from 2^31 - 1 to -2^31.
  waiting.sort((a, b) => (ticket(a) - ticket(b)) | 0);
  for (const waiter of waiting) queue.link(waiter);
}

/** Whether a waiter that was never told has its slot already. */
function wasServed(tables: Tables, waiter: number): boolean {
  const { words } = tables;
  const entry = tables.waiterAt(waiter);
  const slot = words[entry + WAITER.SLOT]!;
  words[entry + WAITER.SLOT] = 0;
  if (slot === 0 || words[tables.slotAt(slot) + SLOT.HOLDS] === 0) return false;
  words[entry + WAITER.SLOT] = slot;
  return true;
}

type Visit = (slot: number, entry: number, size: SizeClass) => void;

/** Visits every slot that was ever used. */
function eachSlot(tables: Tables, visit: Visit): void {
  for (const size of tables.geometry.classes) {
    const end = size.firstSlot + tables.words[tables.classAt(size.index) + CLASS.HIGH]!;
    for (let slot = size.firstSlot; slot < end; slot++) visit(slot, tables.slotAt(slot), size);
  }
}
