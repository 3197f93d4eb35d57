/** Which slots of the swap file are in use. A slot holds one page; a slot's user is the SWAPPED entry that names it. */
import { atomicAdd, atomicLoad, atomicStore, withLock } from "#sync";
import type { SharedWords } from "#sync";
import { SWAP_SLOTS_MAX } from "../abi/layout.js";
import { assert } from "./errors.js";
import { WORD_SWAP_HINT, WORD_SWAP_LOCK, WORD_SWAP_MAP, WORD_SWAP_SLOTS, WORD_SWAP_USED } from "./layout.js";

/**
 * Where pages go that are swapped out. Each thread has its own over the same file. Both methods are synchronous and throw an
 * Error whose message is one line that names the file and the reason.
 */
export interface SwapStore {
  /** Pages that fit. */
  readonly slotCount: number;
  /** Writes one page of 4096 bytes. */
  write(slot: number, bytes: Uint8Array): void;
  /** Fills `target`, 4096 bytes. */
  read(slot: number, target: Uint8Array): void;
}

/** The map of slots; any thread. */
export class SwapMap {
  readonly #words: SharedWords;

  constructor(words: SharedWords) {
    this.#words = words;
  }

  /** Slots there are; 0 = no swap file. */
  get slotCount(): number {
    return atomicLoad(this.#words, WORD_SWAP_SLOTS);
  }

  /** Slots in use. */
  get usedCount(): number {
    return atomicLoad(this.#words, WORD_SWAP_USED);
  }

  /** Says how many slots there are. Every thread that has the swap file says the same. */
  setSlotCount(slotCount: number): void {
    assert(slotCount >= 0 && slotCount <= SWAP_SLOTS_MAX, "expected a number of swap slots that fits the map, got", slotCount);
    atomicStore(this.#words, WORD_SWAP_SLOTS, slotCount);
  }

  /**
   * Takes the first free slot; undefined = all are in use. The first, so that the file grows no longer than the most pages that were out
   * at a time: a file system is full sooner than the map.
   */
  take(): number | undefined {
    return withLock(this.#words, WORD_SWAP_LOCK, () => {
      if (this.usedCount >= this.slotCount) return undefined;
      const slot = this.#findFreeLocked();
      this.#setBitLocked(slot, true);
      atomicStore(this.#words, WORD_SWAP_HINT, slot + 1);
      return slot;
    });
  }

  /** Gives a slot back. Precondition: nobody needs its contents. */
  release(slot: number): void {
    withLock(this.#words, WORD_SWAP_LOCK, () => {
      assert(this.#isUsed(slot), "expected a swap slot in use, got", slot);
      this.#setBitLocked(slot, false);
      if (slot < atomicLoad(this.#words, WORD_SWAP_HINT)) atomicStore(this.#words, WORD_SWAP_HINT, slot);
    });
  }

  #findFreeLocked(): number {
    const { slotCount } = this;
    for (let slot = atomicLoad(this.#words, WORD_SWAP_HINT); slot < slotCount;) {
      if (!this.#isUsed(slot)) return slot;
      const isWordFull = (slot & 31) === 0 && atomicLoad(this.#words, WORD_SWAP_MAP + (slot >>> 5)) === -1;
      slot += isWordFull ? 32 : 1;
    }
    throw new Error("swap map: expected a free slot, since fewer are counted than there are");
  }

  #isUsed(slot: number): boolean {
    return (atomicLoad(this.#words, WORD_SWAP_MAP + (slot >>> 5)) & (1 << (slot & 31))) !== 0;
  }

  #setBitLocked(slot: number, isUsed: boolean): void {
    const index = WORD_SWAP_MAP + (slot >>> 5);
    const bit = 1 << (slot & 31);
    const word = atomicLoad(this.#words, index);
    atomicStore(this.#words, index, isUsed ? word | bit : word & ~bit);
    atomicAdd(this.#words, WORD_SWAP_USED, isUsed ? 1 : -1);
  }
}
