/**
 * The VM's host address space: hva page -> where its contents are.
 *
 *     31                        12 11                     3 2     0
 *    +----------------------------+------------------------+-------+
 *    | pfn                        | 0                      | state |   PRESENT, READ_ONLY_SHARED, MIGRATING
 *    +----------------------------+------------------------+-------+
 *    | place: swap slot or file page, 29 bits              | state |   SWAPPED, FILE_BACKED
 *    +-----------------------------------------------------+-------+
 *    | 0                                                           |   ABSENT: no contents yet, reads as zeroes
 *    +-------------------------------------------------------------+
 *
 * Entries change under WORD_MMU_LOCK only; a change that takes a frame away stands inside an invalidation. Who reads one
 * without the lock must prove by the invalidation sequence that it still holds.
 * Not here: nothing makes READ_ONLY_SHARED, SWAPPED or FILE_BACKED entries in this release.
 */
import { atomicLoad, atomicStore } from "#sync";
import type { SharedWords } from "#sync";
import { pfnOf } from "../abi/address.js";
import type { HvaPage, Pfn } from "../abi/address.js";
import { PAGE_SHIFT } from "../abi/layout.js";
import type { FramePool } from "./frame-pool.js";
import { WORD_HVA_ROOT } from "./layout.js";
import { NO_ENTRY, TwoLevelTable } from "./two-level-table.js";

export const HVA_ABSENT = 0;
/** A frame of its own; may be written. */
export const HVA_PRESENT = 1;
/** A frame that other pages share (merged, or after a fork); writing needs a copy first. */
export const HVA_READ_ONLY_SHARED = 2;
export const HVA_SWAPPED = 3;
export const HVA_FILE_BACKED = 4;
/** The frame is being replaced: whoever needs the page waits. */
export const HVA_MIGRATING = 5;

const STATE_MASK = 7;

/** The state of an entry, HVA_*. */
export function stateOfEntry(entry: number): number {
  return entry & STATE_MASK;
}

/** The frame of a PRESENT, READ_ONLY_SHARED or MIGRATING entry. */
export function pfnOfEntry(entry: number): Pfn {
  return pfnOf(entry >>> PAGE_SHIFT);
}

/** The page table of the address space. */
export class AddressSpace {
  readonly #words: SharedWords;
  readonly #table: TwoLevelTable;

  constructor(words: SharedWords, pool: FramePool) {
    this.#words = words;
    this.#table = new TwoLevelTable(words, pool, WORD_HVA_ROOT);
  }

  /** The entry of a page as it is now. Never sleeps. */
  entry(page: HvaPage): number {
    const index = this.#table.findEntry(page);
    return index === NO_ENTRY ? HVA_ABSENT : atomicLoad(this.#words, index);
  }

  /** Makes room for an entry; false = no frame for the table. Precondition: WORD_MMU_LOCK held. */
  ensureEntryLocked(page: HvaPage): boolean {
    return this.#table.ensureEntryLocked(page) !== NO_ENTRY;
  }

  /** Writes an entry. Preconditions: WORD_MMU_LOCK held; `ensureEntryLocked` was true for the page once. */
  setEntryLocked(page: HvaPage, state: number, pfn: Pfn | 0): void {
    atomicStore(this.#words, this.#table.findEntry(page), (pfn << PAGE_SHIFT) | state);
  }
}
