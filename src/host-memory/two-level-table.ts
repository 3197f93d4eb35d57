/**
 * The shape that the address space and the nested page table share: a root of 2^18 words, each 0 or the byte address of a
 * leaf table of 1024 words, so 2^28 pages.
 *
 *     page number   27        10 9      0
 *                  +------------+--------+
 *                  | root index | leaf   |
 *                  +------------+--------+
 *
 * A leaf is added under WORD_MMU_LOCK and stays for the life of the VM, so walking needs no lock.
 */
import { atomicLoad, atomicStore } from "#sync";
import type { SharedWords } from "#sync";
import { takeTableLocked } from "./table-area.js";

/** Result of a walk that found no leaf. */
export const NO_ENTRY = -1;
const LEAF_PAGES = 1024;

/** One such table; entries are shared words, addressed by index. */
export class TwoLevelTable {
  readonly #words: SharedWords;
  readonly #rootIndex: number;

  constructor(words: SharedWords, rootIndex: number) {
    this.#words = words;
    this.#rootIndex = rootIndex;
  }

  /** Word index of the entry of `page`, or NO_ENTRY. Precondition: 0 <= page < 2^28. */
  findEntry(page: number): number {
    const leafAddress = atomicLoad(this.#words, this.#rootIndex + (page >>> 10));
    return leafAddress === 0 ? NO_ENTRY : (leafAddress >>> 2) + (page & (LEAF_PAGES - 1));
  }

  /** Word index of the entry of `page`, made if need be; NO_ENTRY = no room for a leaf. Precondition: WORD_MMU_LOCK held. */
  ensureEntryLocked(page: number): number {
    const found = this.findEntry(page);
    if (found !== NO_ENTRY) return found;
    const leaf = takeTableLocked(this.#words);
    if (leaf === undefined) return NO_ENTRY;
    atomicStore(this.#words, this.#rootIndex + (page >>> 10), leaf);
    return this.findEntry(page);
  }

  /** Calls `visit` for each page of a range whose entry is not 0. Pages without a leaf are passed over at once. */
  forEachEntry(firstPage: number, pageCount: number, visit: (page: number, entry: number) => void): void {
    const end = firstPage + pageCount;
    for (let page = firstPage; page < end;) {
      const leafEnd = Math.min(end, (Math.floor(page / LEAF_PAGES) + 1) * LEAF_PAGES);
      const index = this.findEntry(page);
      for (let step = 0; index !== NO_ENTRY && page + step < leafEnd; step++) {
        const entry = atomicLoad(this.#words, index + step);
        if (entry !== 0) visit(page + step, entry);
      }
      page = leafEnd;
    }
  }
}
