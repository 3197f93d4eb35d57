/**
 * The nested page table: gfn -> frame, for the processor only. Entry format: abi/layout.ts.
 *
 * It is a cache of memslots and address space and may lack any entry. Only this room makes and removes entries, under
 * WORD_MMU_LOCK; the processor and guest-page set ACCESSED, DIRTY and CODE at any time by atomic or, so every change
 * here keeps those bits: a removed entry still remembers that a processor may hold decoded code of the guest page.
 */
import { atomicAnd, atomicCompareExchange, atomicLoad, atomicOr } from "#sync";
import type { SharedWords } from "#sync";
import { frameAddress } from "../abi/address.js";
import type { Gfn, Pfn } from "../abi/address.js";
import { NPT_ACCESSED, NPT_CODE, NPT_CODE_SETTLED, NPT_DIRTY, NPT_PRESENT, NPT_WRITABLE } from "../abi/layout.js";
import { WORD_NPT_ROOT } from "./layout.js";
import { NO_ENTRY, TwoLevelTable } from "./two-level-table.js";

/** Result of `entryIndex` for a page without entry. */
export const NO_NPT_ENTRY = NO_ENTRY;
const WRITTEN = NPT_ACCESSED | NPT_DIRTY;
const KEPT_BITS = NPT_ACCESSED | NPT_DIRTY | NPT_CODE | NPT_CODE_SETTLED;

/** The nested page table of one VM. */
export class NestedPageTable {
  readonly #words: SharedWords;
  readonly #table: TwoLevelTable;

  constructor(words: SharedWords) {
    this.#words = words;
    this.#table = new TwoLevelTable(words, WORD_NPT_ROOT);
  }

  /** The entry of `gfn` as it is now, 0 if it has none. Never sleeps. */
  entry(gfn: Gfn): number {
    const index = this.#table.findEntry(gfn);
    return index === NO_ENTRY ? 0 : atomicLoad(this.#words, index);
  }

  /** Whether the processor can reach `gfn` without our help. Never sleeps. */
  allows(gfn: Gfn, write: boolean): boolean {
    const needed = write ? NPT_PRESENT | NPT_WRITABLE : NPT_PRESENT;
    return (this.entry(gfn) & needed) === needed;
  }

  /** Where the entry of `gfn` is, for `markWritten`; it stays there for the life of the VM. NO_NPT_ENTRY = it has none yet. Never sleeps. */
  entryIndex(gfn: Gfn): number {
    return this.#table.findEntry(gfn);
  }

  /**
   * Records that somebody other than a processor wrote the page, and returns the entry's flags. Precondition: an atomic store of this
   * thread stands between the written bytes and this call, as the end of a read section is. It pairs with the processor, which sets CODE
   * before it reads the bytes it decodes: one of the two sees the other.
   */
  markWritten(index: number): number {
    return index === NO_NPT_ENTRY ? 0 : this.noteWritten(index, atomicLoad(this.#words, index));
  }

  /** As `markWritten`, where that store was followed by a look at the entry, which has found `entry`. */
  noteWritten(index: number, entry: number): number {
    // Almost always set already, and a load is cheaper than a locked or.
    return (entry & WRITTEN) === WRITTEN ? entry : atomicOr(this.#words, index, WRITTEN);
  }

  /** Makes room for an entry; false = no room for the table. Precondition: WORD_MMU_LOCK held. */
  ensureEntryLocked(gfn: Gfn): boolean {
    return this.#table.ensureEntryLocked(gfn) !== NO_ENTRY;
  }

  /** Maps `gfn` to a frame. Preconditions: WORD_MMU_LOCK held; `ensureEntryLocked` was true for the page once. */
  mapLocked(gfn: Gfn, pfn: Pfn, isWritable: boolean): void {
    const index = this.#table.findEntry(gfn);
    const mapping = (frameAddress(pfn) | NPT_PRESENT | (isWritable ? NPT_WRITABLE : 0)) | 0;
    for (;;) {
      const old = atomicLoad(this.#words, index);
      if (atomicCompareExchange(this.#words, index, old, mapping | (old & KEPT_BITS)) === old) return;
    }
  }

  /**
   * Takes the mapping of `gfn` away and returns the entry from before. Precondition: WORD_MMU_LOCK held.
   * Owes: the frame may still be reached through TLBs until all vCPUs have flushed theirs.
   */
  unmapLocked(gfn: Gfn): number {
    const index = this.#table.findEntry(gfn);
    return index === NO_ENTRY ? 0 : atomicAnd(this.#words, index, KEPT_BITS);
  }

  /** Whether `gfn` was accessed since the last call. A processor notes an access only when its TLB misses. Never sleeps. */
  takeAccessed(gfn: Gfn): boolean {
    const index = this.#table.findEntry(gfn);
    return index !== NO_ENTRY && (atomicAnd(this.#words, index, ~NPT_ACCESSED) & NPT_ACCESSED) !== 0;
  }
}
