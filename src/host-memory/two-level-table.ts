/**
 * The shape that the address space and the nested page table share: a root of 2^18 words, each 0 or the byte address of a
 * leaf frame of 1024 words, so 2^28 pages.
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
import { frameAddress } from "../abi/address.js";
import { FRAME_TABLE } from "./frame-pool.js";
import type { FramePool } from "./frame-pool.js";

/** Result of a walk that found no leaf. */
export const NO_ENTRY = -1;

/** One such table; entries are shared words, addressed by index. */
export class TwoLevelTable {
  readonly #words: SharedWords;
  readonly #pool: FramePool;
  readonly #rootIndex: number;

  constructor(words: SharedWords, pool: FramePool, rootIndex: number) {
    this.#words = words;
    this.#pool = pool;
    this.#rootIndex = rootIndex;
  }

  /** Word index of the entry of `page`, or NO_ENTRY. Precondition: 0 <= page < 2^28. */
  findEntry(page: number): number {
    const leafAddress = atomicLoad(this.#words, this.#rootIndex + (page >>> 10));
    return leafAddress === 0 ? NO_ENTRY : (leafAddress >>> 2) + (page & 1023);
  }

  /** Word index of the entry of `page`, made if need be; NO_ENTRY = no frame for a leaf. Precondition: WORD_MMU_LOCK held. */
  ensureEntryLocked(page: number): number {
    const found = this.findEntry(page);
    if (found !== NO_ENTRY) return found;
    const leaf = this.#pool.allocateZeroed(FRAME_TABLE, page >>> 10);
    if (leaf === undefined) return NO_ENTRY;
    atomicStore(this.#words, this.#rootIndex + (page >>> 10), frameAddress(leaf));
    return this.findEntry(page);
  }
}
