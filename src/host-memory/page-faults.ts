/**
 * Page faults: a page gets the frame that its user needs. A first touch takes a zeroed frame, a swapped page is read back, a page that
 * shares its frame gets a copy of its own when it is to be written.
 */
import { atomicAdd, atomicLoad, waitWhile } from "#sync";
import type { Gfn, Pfn } from "../abi/address.js";
import { ADDRESS_SPACE_PAGES, WORD_BUSY_DONE, WORD_GUEST_PAGES_PRESENT } from "./layout.js";
import { HVA_ABSENT, HVA_BUSY, HVA_PRESENT, HVA_SHARED, HVA_SWAPPED, pfnOfEntry, slotOfEntry, stateOfEntry } from "./address-space.js";
import { assert, failureOf } from "./errors.js";
import { rangeOfPage } from "./page-changes.js";
import type { PageChanges, PageName } from "./page-changes.js";
import type { MemoryStall } from "./stall.js";
import type { Swapping } from "./swapping.js";

/**
 * What became of a page somebody wanted to reach. "stalled": no frame to be had now, this thread has waited for one a while; ask
 * again. "out-of-memory": none will come.
 */
export type FaultResult = "mapped" | "no-slot" | "out-of-memory" | "stalled";

/** Pages that a fault without frame swaps out itself. */
const DIRECT_RECLAIM_PAGES = 32;

/** What a look under the lock found still to be done. */
type Step = "mapped" | "no-slot" | "no-table" | "busy" | "no-frame" | "swapped" | "shared";

/** A swapped page in its fault's hands: its entry is BUSY with a frame of its own, its contents are in a slot of the swap file. */
interface Claim {
  readonly name: PageName;
  readonly pfn: Pfn;
  readonly slot: number;
}

/** One thread's page faults. */
export class PageFaults {
  readonly #changes: PageChanges;
  readonly #swapping: Swapping;
  readonly #stall: MemoryStall;

  constructor(changes: PageChanges, swapping: Swapping, stall: MemoryStall) {
    this.#changes = changes;
    this.#swapping = swapping;
    this.#stall = stall;
  }

  /** As HostMemory.faultIn. */
  faultIn(gfn: Gfn, write: boolean): FaultResult {
    const { words, npt, invalidations, counters } = this.#changes.parts;
    invalidations.assertOutside();
    if (!(gfn >= 0 && gfn < ADDRESS_SPACE_PAGES)) return "no-slot";
    if (npt.allows(gfn, write)) return "mapped";
    counters.add("faults");
    for (;;) {
      const busyDone = atomicLoad(words, WORD_BUSY_DONE);
      const step = this.#changes.withMmuLock(() => this.#stepLocked(gfn, write));
      if (step === "busy") {
        counters.add("busyWaits");
        waitWhile(words, WORD_BUSY_DONE, busyDone);
        continue;
      }
      const result = this.#finish(gfn, step);
      if (result !== "again") return result;
    }
  }

  #finish(gfn: Gfn, step: Exclude<Step, "busy">): FaultResult | "again" {
    switch (step) {
      case "mapped":
        this.#stall.clear();
        return "mapped";
      case "no-slot":
        return "no-slot";
      case "no-table":
        return "out-of-memory";
      case "no-frame":
        return this.#makeRoom();
      case "swapped":
        return this.#swapIn(gfn);
      case "shared":
        return this.#unshare(gfn);
    }
  }

  #stepLocked(gfn: Gfn, write: boolean): Step {
    const { addressSpace, npt } = this.#changes.parts;
    const name = this.#changes.nameOf(gfn);
    if (name === undefined) return "no-slot";
    if (!addressSpace.ensureEntryLocked(name.page) || !npt.ensureEntryLocked(gfn)) return "no-table";
    const entry = addressSpace.entry(name.page);
    switch (stateOfEntry(entry)) {
      case HVA_PRESENT:
        npt.mapLocked(gfn, pfnOfEntry(entry), true);
        return "mapped";
      case HVA_SHARED:
        if (write) return "shared";
        npt.mapLocked(gfn, pfnOfEntry(entry), false);
        return "mapped";
      case HVA_ABSENT:
        return this.#firstTouchLocked(name);
      case HVA_SWAPPED:
        return "swapped";
      default:
        assert(stateOfEntry(entry) === HVA_BUSY, "expected an address-space state of this release, got", entry);
        return "busy";
    }
  }

  #firstTouchLocked({ gfn, page }: PageName): "mapped" | "no-frame" {
    const { words, pool, addressSpace, npt } = this.#changes.parts;
    const pfn = pool.allocateZeroed(page);
    if (pfn === undefined) return "no-frame";
    addressSpace.setFrameLocked(page, HVA_PRESENT, pfn);
    npt.mapLocked(gfn, pfn, true);
    atomicAdd(words, WORD_GUEST_PAGES_PRESENT, 1);
    this.#wakeReclaimerIfLow();
    return "mapped";
  }

  #wakeReclaimerIfLow(): void {
    if (this.#swapping.needsReclaim() > 0) this.#swapping.wakeReclaimer();
  }

  /** Swaps something out, or waits a while for memory. */
  #makeRoom(): FaultResult | "again" {
    if (this.#swapping.store === undefined) return "out-of-memory";
    const { swapped, failure } = this.#swapping.reclaim(DIRECT_RECLAIM_PAGES);
    if (swapped > 0) return "again";
    return this.#waitForMemory(failure ?? "no page of the guest can be swapped out");
  }

  #waitForMemory(why: string): FaultResult {
    this.#changes.parts.counters.add("stalls");
    // It reclaims, too, and tells the operator.
    this.#swapping.wakeReclaimer();
    return this.#stall.wait(why) ? "stalled" : "out-of-memory";
  }

  /** The contents come into a frame of the caller's while the entry is BUSY; whoever else wants the page waits. */
  #swapIn(gfn: Gfn): FaultResult | "again" {
    const changes = this.#changes;
    const { addressSpace, swapMap, words } = changes.parts;
    const claim = changes.withMmuLock(() => this.#claimSwappedLocked(gfn));
    if (claim === "no-frame") return this.#makeRoom();
    if (typeof claim === "string") return claim;
    const { name, pfn, slot } = claim;
    const failure = failureOf(() => this.#swapping.readInto(pfn, slot));
    if (failure !== undefined) {
      changes.withMmuLock(() => {
        addressSpace.setSwappedLocked(name.page, slot);
        changes.releaseFrames([pfn]);
      });
      changes.wakeBusyWaiters();
      return this.#waitForMemory(failure);
    }
    changes.withMmuLock(() => {
      addressSpace.setFrameLocked(name.page, HVA_PRESENT, pfn);
      atomicAdd(words, WORD_GUEST_PAGES_PRESENT, 1);
    });
    swapMap.release(slot);
    changes.wakeBusyWaiters();
    this.#wakeReclaimerIfLow();
    return "again";
  }

  /** Makes a SWAPPED entry BUSY, with a frame for its contents; "again" = somebody was faster. */
  #claimSwappedLocked(gfn: Gfn): Claim | "no-slot" | "no-frame" | "again" {
    const { pool, addressSpace } = this.#changes.parts;
    const name = this.#changes.nameOf(gfn);
    if (name === undefined) return "no-slot";
    const entry = addressSpace.entry(name.page);
    if (stateOfEntry(entry) !== HVA_SWAPPED) return "again";
    const pfn = pool.allocateUncleared(name.page, "within-limit");
    if (pfn === undefined) return "no-frame";
    addressSpace.setFrameLocked(name.page, HVA_BUSY, pfn);
    return { name, pfn, slot: slotOfEntry(entry) };
  }

  /** Gives a page that shares a frame one of its own. */
  #unshare(gfn: Gfn): FaultResult | "again" {
    const outcome = this.#changes.mutate(() => this.#unshareLocked(gfn));
    return outcome === "no-frame" ? this.#makeRoom() : outcome;
  }

  /** Inside mutate to the end: who else looks sees as many references to the shared frame as pages, or it would count as pinned. */
  #unshareLocked(gfn: Gfn): "no-slot" | "no-frame" | "again" {
    const changes = this.#changes;
    const { pool, addressSpace, counters } = changes.parts;
    const name = changes.nameOf(gfn);
    if (name === undefined) return "no-slot";
    const entry = addressSpace.entry(name.page);
    if (stateOfEntry(entry) !== HVA_SHARED) return "again";
    const source = pfnOfEntry(entry);
    if (pool.references(source) === 1) {
      this.#ownLocked(name, source);
    } else {
      const target = pool.allocateUncleared(name.page, "within-limit");
      if (target === undefined) return "no-frame";
      changes.invalidate([rangeOfPage(name)], () => this.#copyLocked(name, source, target));
      changes.releaseFrames([source]);
    }
    counters.add("pagesUnshared");
    return "again";
  }

  /** The last sharer takes the frame as its own; who reads it by an old translation still reads the right bytes. */
  #ownLocked(name: PageName, pfn: Pfn): void {
    this.#changes.withMmuLock(() => {
      this.#changes.parts.addressSpace.setFrameLocked(name.page, HVA_PRESENT, pfn);
      this.#changes.parts.npt.mapLocked(name.gfn, pfn, true);
    });
  }

  #copyLocked(name: PageName, source: Pfn, target: Pfn): void {
    const changes = this.#changes;
    changes.withMmuLock(() => changes.cutLocked(name, source));
    // Other vCPUs may hold the shared frame for reading; they must not read it on after the first write to the copy.
    changes.flushVcpuTlbs();
    changes.parts.views.copyFrame(target, source);
    changes.withMmuLock(() => {
      changes.parts.addressSpace.setFrameLocked(name.page, HVA_PRESENT, target);
      changes.parts.npt.mapLocked(name.gfn, target, true);
    });
    changes.wakeBusyWaiters();
  }
}
