/**
 * The VM's host address space: hva page -> where its contents are.
 *
 *     31                        12 11                     3 2     0
 *    +----------------------------+------------------------+-------+
 *    | pfn                        | 0                      | state |   PRESENT, SHARED, BUSY
 *    +----------------------------+------------------------+-------+
 *    | slot of the swap file, 29 bits                      | state |   SWAPPED
 *    +-----------------------------------------------------+-------+
 *    | 0                                                           |   ABSENT: no contents yet, reads as zeroes
 *    +-------------------------------------------------------------+
 *
 *                  first touch            merge                         Who may change an entry:
 *      ABSENT ------------------> PRESENT -----> SHARED                 - a fault: ABSENT to PRESENT, SWAPPED to BUSY to PRESENT,
 *        ^                       ^  |  ^           |                      under WORD_MMU_LOCK alone
 *        | discard      swap in /   |   \ unshare /                     - all else: with WORD_MUTATION_LOCK too, inside an
 *        +---------- SWAPPED <--- BUSY <---------+                        invalidation of the page
 *
 * BUSY: one thread replaces the page's contents or place; whoever else needs it sleeps on WORD_BUSY_DONE. Who reads an entry without
 * the lock must prove by the invalidation sequence that it still holds.
 */
import { atomicLoad, atomicStore } from "#sync";
import type { SharedWords } from "#sync";
import { hvaPageOf, pfnOf } from "../abi/address.js";
import type { HvaPage, Pfn } from "../abi/address.js";
import { PAGE_SHIFT } from "../abi/layout.js";
import { WORD_HVA_ROOT } from "./layout.js";
import { NO_ENTRY, TwoLevelTable } from "./two-level-table.js";

export const HVA_ABSENT = 0;
/** A frame of its own; may be written. */
export const HVA_PRESENT = 1;
/** A frame that other pages may share; writing needs a copy first. */
export const HVA_SHARED = 2;
export const HVA_SWAPPED = 3;
export const HVA_BUSY = 5;

const STATE_BITS = 3;
const STATE_MASK = 7;

/** The state of an entry, HVA_*. */
export function stateOfEntry(entry: number): number {
  return entry & STATE_MASK;
}

/** The frame of a PRESENT or SHARED entry. */
export function pfnOfEntry(entry: number): Pfn {
  return pfnOf(entry >>> PAGE_SHIFT);
}

/** The swap slot of a SWAPPED entry. */
export function slotOfEntry(entry: number): number {
  return entry >>> STATE_BITS;
}

/** Whether an entry has a frame that its page can be read from. */
export function hasFrame(entry: number): boolean {
  const state = stateOfEntry(entry);
  return state === HVA_PRESENT || state === HVA_SHARED;
}

/** The page table of the address space. */
export class AddressSpace {
  readonly #words: SharedWords;
  readonly #table: TwoLevelTable;

  constructor(words: SharedWords) {
    this.#words = words;
    this.#table = new TwoLevelTable(words, WORD_HVA_ROOT);
  }

  /** The entry of a page as it is now. Never sleeps. */
  entry(page: HvaPage): number {
    const index = this.#table.findEntry(page);
    return index === NO_ENTRY ? HVA_ABSENT : atomicLoad(this.#words, index);
  }

  /** Calls `visit` for each page of a range that is not ABSENT. Never sleeps. */
  forEachEntry(firstPage: HvaPage, pageCount: number, visit: (page: HvaPage, entry: number) => void): void {
    this.#table.forEachEntry(firstPage, pageCount, (page, entry) => visit(hvaPageOf(page), entry));
  }

  /** Makes room for an entry; false = no room for the table. Precondition: WORD_MMU_LOCK held. */
  ensureEntryLocked(page: HvaPage): boolean {
    return this.#table.ensureEntryLocked(page) !== NO_ENTRY;
  }

  /** Gives a page a frame. `state` is PRESENT, SHARED or BUSY. Preconditions: WORD_MMU_LOCK held; the entry was ensured once. */
  setFrameLocked(page: HvaPage, state: typeof HVA_PRESENT | typeof HVA_SHARED | typeof HVA_BUSY, pfn: Pfn): void {
    this.setEntryLocked(page, (pfn << PAGE_SHIFT) | state);
  }

  /** Notes that a page's contents are in a slot of the swap file. Preconditions as above. */
  setSwappedLocked(page: HvaPage, slot: number): void {
    this.setEntryLocked(page, (slot << STATE_BITS) | HVA_SWAPPED);
  }

  /** Writes an entry as it stands. Preconditions as above. */
  setEntryLocked(page: HvaPage, entry: number): void {
    atomicStore(this.#words, this.#table.findEntry(page), entry);
  }
}
