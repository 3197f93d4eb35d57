/**
 * Where leaf tables of the address space and the nested page table are. A table cannot be moved while a processor walks it without
 * a lock, so tables stand outside the memory blocks, which must be able to become empty.
 */
import { atomicAdd, atomicLoad } from "#sync";
import type { SharedWords } from "#sync";
import { PAGE_SIZE, TABLE_AREA_BASE } from "../abi/layout.js";
import { TABLE_COUNT_MAX, WORD_TABLE_FRAMES } from "./layout.js";

/** Byte address of a fresh table of zeroes, which stays for the life of the VM; undefined = no room. Precondition: WORD_MMU_LOCK held. */
export function takeTableLocked(words: SharedWords): number | undefined {
  const taken = atomicLoad(words, WORD_TABLE_FRAMES);
  if (taken === TABLE_COUNT_MAX) return undefined;
  atomicAdd(words, WORD_TABLE_FRAMES, 1);
  return TABLE_AREA_BASE + taken * PAGE_SIZE;
}
