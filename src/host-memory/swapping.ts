/**
 * Pages to the swap file and the choice of which: a clock over all memslots. A page whose ACCESSED bit is set loses the bit and is passed
 * over once (the bit is set again when a TLB misses; each swap-out flushes them all, so hot pages get it back).
 */
import { atomicAdd, atomicLoad, atomicStore, notifyWaiters } from "#sync";
import { frameAddress, gfnOf, hvaPageOf } from "../abi/address.js";
import type { HvaPage, Pfn } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { HVA_PRESENT, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { failureOf } from "./errors.js";
import { WORD_CLOCK_HAND, WORD_FRAME_LIMIT, WORD_GUEST_PAGES_PRESENT, WORD_MEMORY_WORK } from "./layout.js";
import type { Memslot } from "./memslots.js";
import type { SwapOutcome } from "./operations.js";
import { rangeOfPage } from "./page-changes.js";
import type { PageChanges, PageName } from "./page-changes.js";
import type { SwapStore } from "./swap-map.js";

/** Pages of one invalidation. */
const BATCH_PAGES = 64;
/** The background reclaimer begins when fewer frames than the 64th part of the limit are free, within these bounds, and ends at twice that. */
const LOW_MARK_SHARE = 64;
const LOW_MARK_MIN = 32;
const LOW_MARK_MAX = 2048;

interface Victim extends PageName {
  readonly pfn: Pfn;
  readonly slot: number;
  nptBefore: number;
  isWritten: boolean;
}

/** One thread's way to the swap file. */
export class Swapping {
  /** This thread's handle on the swap file; undefined = there is none. */
  store: SwapStore | undefined;
  readonly #changes: PageChanges;
  readonly #page = new Uint8Array(PAGE_SIZE);

  constructor(changes: PageChanges) {
    this.#changes = changes;
  }

  /** Writes pages out and frees their frames. May sleep. */
  swapOut(names: readonly PageName[]): SwapOutcome {
    return this.#inBatches(names.length, (from, to) => this.#changes.mutate(() => this.#swapOutLocked(names.slice(from, to))));
  }

  /** Chooses about `pageCount` pages that were not used lately and swaps them out. May sleep. */
  reclaim(pageCount: number): SwapOutcome {
    this.#changes.parts.counters.add("reclaims");
    return this.#inBatches(pageCount, (from, to) => this.#changes.mutate(() => this.#swapOutLocked(this.#chooseLocked(to - from))));
  }

  /** How many frames a background reclaimer should free now. Never sleeps. */
  needsReclaim(): number {
    if (this.#changes.parts.swapMap.slotCount === 0) return 0;
    const limit = this.frameLimit;
    const free = limit - this.#changes.parts.pool.framesInUse;
    const lowMark = Math.min(Math.max(Math.ceil(limit / LOW_MARK_SHARE), LOW_MARK_MIN), LOW_MARK_MAX);
    return free >= lowMark ? 0 : 2 * lowMark - free;
  }

  /** Wakes the background reclaimer. */
  wakeReclaimer(): void {
    const { words } = this.#changes.parts;
    atomicAdd(words, WORD_MEMORY_WORK, 1);
    notifyWaiters(words, WORD_MEMORY_WORK);
  }

  /** Most frames that may be in use: the limit that was set, or all of the online blocks. */
  get frameLimit(): number {
    const { words, pool } = this.#changes.parts;
    const limit = atomicLoad(words, WORD_FRAME_LIMIT);
    return limit !== 0 ? Math.min(limit, pool.framesOnline) : pool.framesOnline;
  }

  /** Reads a slot into a frame. Throws the store's error. Precondition: the frame is the caller's alone. */
  readInto(pfn: Pfn, slot: number): void {
    if (this.store === undefined) throw new Error("this thread has no swap file");
    const { counters, views } = this.#changes.parts;
    const begunNs = this.#changes.nowNs();
    this.store.read(slot, this.#page);
    views.bytes.set(this.#page, frameAddress(pfn));
    counters.add("pagesSwappedIn");
    counters.add("swapInNs", this.#changes.nowNs() - begunNs);
  }

  #inBatches(count: number, swapBatch: (from: number, to: number) => SwapOutcome): SwapOutcome {
    let swapped = 0;
    let skipped = 0;
    for (let from = 0; from < count; from += BATCH_PAGES) {
      const outcome = swapBatch(from, Math.min(from + BATCH_PAGES, count));
      swapped += outcome.swapped;
      skipped += outcome.skipped;
      if (outcome.failure !== undefined) return { swapped, skipped, failure: outcome.failure };
    }
    return { swapped, skipped };
  }

  /** Victims for one batch; fewer if two rounds of the clock find no more. */
  #chooseLocked(count: number): PageName[] {
    const { words, memslots } = this.#changes.parts;
    const slots = memslots.list();
    const total = slots.reduce((sum, slot) => sum + slot.pageCount, 0);
    const chosen = new Map<HvaPage, PageName>();
    let hand = atomicLoad(words, WORD_CLOCK_HAND) % Math.max(total, 1);
    for (let step = 0; step < 2 * total && chosen.size < count; step++) {
      const name = nameAt(slots, hand);
      if (this.#isVictimLocked(name)) chosen.set(name.page, name);
      hand = (hand + 1) % total;
    }
    atomicStore(words, WORD_CLOCK_HAND, hand);
    return [...chosen.values()];
  }

  #isVictimLocked({ gfn, page }: PageName): boolean {
    const { addressSpace, npt } = this.#changes.parts;
    return stateOfEntry(addressSpace.entry(page)) === HVA_PRESENT && !npt.takeAccessed(gfn);
  }

  #swapOutLocked(names: readonly PageName[]): SwapOutcome {
    const { store } = this;
    if (store === undefined) return { swapped: 0, skipped: names.length, failure: "there is no swap file" };
    const { victims, failure } = this.#takeSlotsLocked(names);
    if (victims.length === 0) return outcomeOf(0, names.length, failure);
    const writeFailure = this.#changes.invalidate(victims.map(rangeOfPage), () => this.#writeOutLocked(store, victims));
    const swapped = victims.filter((victim) => victim.isWritten);
    this.#changes.parts.counters.add("pagesSwappedOut", swapped.length);
    this.#changes.releaseFrames(swapped.map((victim) => victim.pfn));
    return outcomeOf(swapped.length, names.length - swapped.length, writeFailure ?? failure);
  }

  #takeSlotsLocked(names: readonly PageName[]): { victims: Victim[]; failure: string | undefined } {
    const { addressSpace, pool, swapMap } = this.#changes.parts;
    const victims: Victim[] = [];
    for (const name of new Map(names.map((named) => [named.page, named])).values()) {
      const entry = addressSpace.entry(name.page);
      if (!this.#changes.isCurrent(name) || stateOfEntry(entry) !== HVA_PRESENT || pool.references(pfnOfEntry(entry)) !== 1) continue;
      const slot = swapMap.take();
      if (slot === undefined) return { victims, failure: `the swap file is full: all its ${swapMap.slotCount} pages are in use` };
      victims.push({ ...name, pfn: pfnOfEntry(entry), slot, nptBefore: 0, isWritten: false });
    }
    return { victims, failure: undefined };
  }

  /** The middle of a swap-out. What cannot be written stays where it was. */
  #writeOutLocked(store: SwapStore, victims: readonly Victim[]): string | undefined {
    const changes = this.#changes;
    const { pool, views, counters } = changes.parts;
    changes.withMmuLock(() => victims.forEach((victim) => (victim.nptBefore = changes.cutLocked(victim, victim.pfn))));
    changes.flushVcpuTlbs();
    const begunNs = changes.nowNs();
    let failure: string | undefined;
    for (const victim of victims) {
      // A pin that came before the entry was BUSY: its holder may write at any time.
      if (failure !== undefined || pool.references(victim.pfn) !== 1) continue;
      const address = frameAddress(victim.pfn);
      this.#page.set(views.bytes.subarray(address, address + PAGE_SIZE));
      failure = failureOf(() => store.write(victim.slot, this.#page));
      victim.isWritten = failure === undefined;
    }
    changes.withMmuLock(() => victims.forEach((victim) => this.#settleLocked(victim)));
    changes.wakeBusyWaiters();
    counters.add("swapOutNs", changes.nowNs() - begunNs);
    return failure;
  }

  #settleLocked(victim: Victim): void {
    const { addressSpace, swapMap, words } = this.#changes.parts;
    if (victim.isWritten) {
      addressSpace.setSwappedLocked(victim.page, victim.slot);
      atomicAdd(words, WORD_GUEST_PAGES_PRESENT, -1);
    } else {
      this.#changes.settleLocked(victim, HVA_PRESENT, victim.pfn, victim.nptBefore);
      swapMap.release(victim.slot);
    }
  }
}

function outcomeOf(swapped: number, skipped: number, failure: string | undefined): SwapOutcome {
  return failure === undefined ? { swapped, skipped } : { swapped, skipped, failure };
}

/** The page at place `place` of all memslots in a row. */
function nameAt(slots: readonly Memslot[], place: number): PageName {
  let rest = place;
  for (const slot of slots) {
    if (rest < slot.pageCount) return { gfn: gfnOf(slot.baseGfn + rest), page: hvaPageOf(slot.baseHvaPage + rest) };
    rest -= slot.pageCount;
  }
  throw new Error(`expected a place within all memslots, got ${place}`);
}
