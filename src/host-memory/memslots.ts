/**
 * Memslots: which guest frames exist and which host-virtual pages back them.
 *
 * Two sets, current and spare; the low bit of the generation says which is current. A change builds the spare set and
 * publishes it by bumping the generation. Readers take no lock:
 *
 *     reader                                   writer (holds WORD_MUTATION_LOCK)
 *     g = generation                           build set[(g + 1) & 1]
 *     search set[g & 1]                        under WORD_MMU_LOCK: generation = g + 1
 *     generation still g? otherwise again      the next change overwrites set[g & 1]
 *
 * A set is overwritten only after a generation later than the one that published it was seen by all, so an unchanged
 * generation proves that the search saw one whole set.
 */
import { atomicLoad, atomicStore, withLock } from "#sync";
import type { SharedWords } from "#sync";
import { gfnOf, hvaPageOf } from "../abi/address.js";
import type { Gfn, HvaPage } from "../abi/address.js";
import { NPT_LEAF_ENTRIES } from "../abi/layout.js";
import { HostMemoryError } from "./errors.js";
import { ADDRESS_SPACE_PAGES, MEMSLOT_COUNT_MAX, MEMSLOT_ENTRY_WORDS, MEMSLOT_HEADER_WORDS, MEMSLOT_SET_STRIDE_WORDS,
  WORD_MEMSLOT_GENERATION, WORD_MEMSLOT_SETS, WORD_MMU_LOCK } from "./layout.js";

/** A range of guest frames and the host-virtual pages behind it. Immutable. */
export interface Memslot {
  readonly id: number;
  readonly baseGfn: Gfn;
  readonly pageCount: number;
  readonly baseHvaPage: HvaPage;
}

/** What a caller says about a new memslot; the host-virtual pages are chosen by the host. */
export interface MemslotRequest {
  readonly id: number;
  readonly baseGfn: Gfn;
  readonly pageCount: number;
}

/** Result of `findHvaPage` when no memslot holds the frame. */
export const NO_HVA_PAGE = hvaPageOf(-1);

/** Words of an entry. */
const BASE_GFN = 0;
const PAGE_COUNT = 1;
const BASE_HVA = 2;
const ID = 3;

/** The memslot table of one VM. */
export class Memslots {
  readonly #words: SharedWords;

  constructor(words: SharedWords) {
    this.#words = words;
  }

  /** Changes with every published set. */
  get generation(): number {
    return atomicLoad(this.#words, WORD_MEMSLOT_GENERATION);
  }

  /** The host-virtual page behind `gfn`, or NO_HVA_PAGE. Never sleeps. */
  findHvaPage(gfn: Gfn): HvaPage {
    for (;;) {
      const generation = this.generation;
      const entry = this.#search(generation, gfn);
      const page = entry < 0 ? NO_HVA_PAGE : this.#hvaPageAt(entry, gfn);
      if (this.generation === generation) return page;
    }
  }

  /** The memslot that holds `gfn`. Never sleeps. */
  find(gfn: Gfn): Memslot | undefined {
    for (;;) {
      const generation = this.generation;
      const entry = this.#search(generation, gfn);
      const slot = entry < 0 ? undefined : this.#slotAt(entry);
      if (this.generation === generation) return slot;
    }
  }

  /** Every memslot, sorted by base gfn. Never sleeps. */
  list(): Memslot[] {
    for (;;) {
      const generation = this.generation;
      const slots = this.#readSet(generation);
      if (this.generation === generation) return slots;
    }
  }

  /** Adds a memslot and publishes. Precondition: WORD_MUTATION_LOCK held. */
  addLocked(request: MemslotRequest): Memslot {
    const slots = this.list();
    checkRequest(request, slots);
    const slot = { ...request, baseHvaPage: findHvaGap(slots, request.pageCount) };
    this.#publish([...slots, slot].sort((a, b) => a.baseGfn - b.baseGfn));
    return slot;
  }

  /** Publishes a set without `slot`. Preconditions: WORD_MUTATION_LOCK held; an invalidation of its pages is active. */
  removeLocked(slot: Memslot): void {
    this.#publish(this.list().filter((other) => other.id !== slot.id));
  }

  /** Publishes a set in which `slot` begins at `baseGfn`. Preconditions as for removeLocked. Throws HostMemoryError. */
  moveLocked(slot: Memslot, baseGfn: Gfn): Memslot {
    const others = this.list().filter((other) => other.id !== slot.id);
    checkRequest({ id: slot.id, baseGfn, pageCount: slot.pageCount }, others);
    const moved = { ...slot, baseGfn };
    this.#publish([...others, moved].sort((a, b) => a.baseGfn - b.baseGfn));
    return moved;
  }

  /** Throws HostMemoryError unless `slot` can begin at `baseGfn`. */
  checkMove(slot: Memslot, baseGfn: Gfn): void {
    checkRequest({ id: slot.id, baseGfn, pageCount: slot.pageCount }, this.list().filter((other) => other.id !== slot.id));
  }

  /** Word index of the entry that holds `gfn`, or -1. The caller verifies the generation afterwards. */
  #search(generation: number, gfn: number): number {
    const words = this.#words;
    const set = this.#setIndex(generation);
    let low = 0;
    // A torn count cannot lead out of the set: the writer stores none above MEMSLOT_COUNT_MAX.
    let high = atomicLoad(words, set);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = set + MEMSLOT_HEADER_WORDS + middle * MEMSLOT_ENTRY_WORDS;
      const offset = gfn - atomicLoad(words, entry + BASE_GFN);
      if (offset < 0) high = middle;
      else if (offset >= atomicLoad(words, entry + PAGE_COUNT)) low = middle + 1;
      else return entry;
    }
    return -1;
  }

  #hvaPageAt(entry: number, gfn: Gfn): HvaPage {
    return hvaPageOf(atomicLoad(this.#words, entry + BASE_HVA) + gfn - atomicLoad(this.#words, entry + BASE_GFN));
  }

  #readSet(generation: number): Memslot[] {
    const set = this.#setIndex(generation);
    return Array.from({ length: atomicLoad(this.#words, set) }, (_, index) =>
      this.#slotAt(set + MEMSLOT_HEADER_WORDS + index * MEMSLOT_ENTRY_WORDS));
  }

  #slotAt(entry: number): Memslot {
    const words = this.#words;
    return {
      id: atomicLoad(words, entry + ID),
      baseGfn: gfnOf(atomicLoad(words, entry + BASE_GFN)),
      pageCount: atomicLoad(words, entry + PAGE_COUNT),
      baseHvaPage: hvaPageOf(atomicLoad(words, entry + BASE_HVA)),
    };
  }

  #setIndex(generation: number): number {
    return WORD_MEMSLOT_SETS + (generation & 1) * MEMSLOT_SET_STRIDE_WORDS;
  }

  #publish(slots: readonly Memslot[]): void {
    const next = (this.generation + 1) | 0;
    const set = this.#setIndex(next);
    atomicStore(this.#words, set, slots.length);
    slots.forEach((slot, index) => {
      const entry = set + MEMSLOT_HEADER_WORDS + index * MEMSLOT_ENTRY_WORDS;
      atomicStore(this.#words, entry + BASE_GFN, slot.baseGfn);
      atomicStore(this.#words, entry + PAGE_COUNT, slot.pageCount);
      atomicStore(this.#words, entry + BASE_HVA, slot.baseHvaPage);
      atomicStore(this.#words, entry + ID, slot.id);
    });
    // Under the MMU lock, so that a fault sees the set and the page tables of one moment.
    withLock(this.#words, WORD_MMU_LOCK, () => atomicStore(this.#words, WORD_MEMSLOT_GENERATION, next));
  }
}

function checkRequest(request: MemslotRequest, slots: readonly Memslot[]): void {
  const { id, baseGfn, pageCount } = request;
  const end = baseGfn + pageCount;
  if (![id, baseGfn, pageCount].every(Number.isInteger) || baseGfn < 0 || pageCount < 1 || end > ADDRESS_SPACE_PAGES) {
    throw new HostMemoryError("memslot-invalid", `memslot ${id}: expected guest frames within 40 bits, got ${baseGfn} + ${pageCount}`);
  }
  if (slots.some((slot) => slot.id === id)) throw new HostMemoryError("memslot-id-taken", `memslot ${id} exists already`);
  const clash = slots.find((slot) => slot.baseGfn < end && baseGfn < slot.baseGfn + slot.pageCount);
  if (clash !== undefined) throw new HostMemoryError("memslot-overlap", `memslot ${id} overlaps memslot ${clash.id}`);
  if (slots.length === MEMSLOT_COUNT_MAX) throw new HostMemoryError("memslot-table-full", `no more than ${MEMSLOT_COUNT_MAX} memslots`);
}

/** The lowest free run of host-virtual pages, starting at a leaf table of its own; page 0 stays unused. */
function findHvaGap(slots: readonly Memslot[], pageCount: number): HvaPage {
  let candidate = NPT_LEAF_ENTRIES;
  for (const slot of [...slots].sort((a, b) => a.baseHvaPage - b.baseHvaPage)) {
    if (candidate + pageCount <= slot.baseHvaPage) break;
    candidate = Math.ceil((slot.baseHvaPage + slot.pageCount) / NPT_LEAF_ENTRIES) * NPT_LEAF_ENTRIES;
  }
  if (candidate + pageCount > ADDRESS_SPACE_PAGES) {
    throw new HostMemoryError("memslot-invalid", `no room for ${pageCount} pages in the host address space`);
  }
  return hvaPageOf(candidate);
}
