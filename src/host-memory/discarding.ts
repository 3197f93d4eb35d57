/**
 * Pages lose their contents or their place: discard (as madvise(MADV_DONTNEED)), a new mapping over old pages (as mmap with MAP_FIXED),
 * removal and move of a memslot.
 */
import { atomicAdd, atomicLoad, waitWhile } from "#sync";
import { frameAddress, gfnOf, hvaPageOf } from "../abi/address.js";
import type { Gfn, HvaPage, Pfn } from "../abi/address.js";
import { NPT_LEAF_ENTRIES, PAGE_SIZE } from "../abi/layout.js";
import { HVA_ABSENT, HVA_BUSY, HVA_PRESENT, hasFrame, pfnOfEntry, slotOfEntry, stateOfEntry, HVA_SWAPPED } from "./address-space.js";
import { assert } from "./errors.js";
import { WORD_BUSY_DONE, WORD_GUEST_PAGES_PRESENT } from "./layout.js";
import type { Memslot } from "./memslots.js";
import type { InvalidationRange } from "./mmu-notifier.js";
import { rangeInSlot } from "./page-changes.js";
import type { ChangeForm, PageChanges } from "./page-changes.js";

/** What a run of pages had that is nobody's any more. */
interface Leavings {
  readonly frames: Pfn[];
  readonly slots: number[];
  /** All NPT entries from before, or'ed. */
  nptBefore: number;
}

interface DropParts {
  /** Takes the range's memslot off the table, once nobody uses its pages. */
  readonly publish?: () => void;
  /** Puts something else there, under the MMU lock; until then the pages are BUSY. Absent: the pages become ABSENT. */
  readonly refillLocked?: () => void;
  readonly form?: ChangeForm;
}

/** A run of pages that is being cut off. */
interface Cut {
  readonly range: InvalidationRange;
  readonly left: Leavings;
  readonly leavesBusy: boolean;
  readonly skipsBusy: boolean;
}

/** One thread's discards. */
export class Discarding {
  readonly #changes: PageChanges;

  constructor(changes: PageChanges) {
    this.#changes = changes;
  }

  /** As HostMemory.discardPages. */
  discard(baseGfn: Gfn, pageCount: number, form: ChangeForm): number | "would-block" {
    const change = (): number => {
      const slot = this.#slotOf(baseGfn, pageCount);
      return this.#dropLocked(rangeInSlot(slot, baseGfn, pageCount), { form });
    };
    return form.mustNotSleep === true ? this.#changes.mutateIfFree(change) : this.#changes.mutate(change);
  }

  /** As HostMemory.remapPages. */
  remap(baseGfn: Gfn, contents: readonly Uint8Array[]): boolean {
    const { pool, views, addressSpace, words } = this.#changes.parts;
    assert(contents.every(({ length }) => length === PAGE_SIZE), "expected contents in whole pages");
    return this.#changes.mutate(() => {
      const range = rangeInSlot(this.#slotOf(baseGfn, contents.length), baseGfn, contents.length);
      const frames: Pfn[] = [];
      for (const [index, bytes] of contents.entries()) {
        const pfn = pool.allocateUncleared(hvaPageOf(range.firstHvaPage + index), "within-limit");
        if (pfn === undefined) {
          this.#changes.releaseFrames(frames);
          return false;
        }
        views.bytes.set(bytes, frameAddress(pfn));
        frames.push(pfn);
      }
      this.#dropLocked(range, {
        refillLocked: () => {
          frames.forEach((pfn, index) => addressSpace.setFrameLocked(hvaPageOf(range.firstHvaPage + index), HVA_PRESENT, pfn));
          atomicAdd(words, WORD_GUEST_PAGES_PRESENT, frames.length);
        },
      });
      return true;
    });
  }

  /** Frees all of a memslot's pages; `publish` takes the slot off the table. Inside mutate. */
  removeLocked(slot: Memslot, publish: () => void): void {
    // Two halves, as in KVM: the slot is off the table before its frames go, so no new user can come by it.
    this.#dropLocked(rangeInSlot(slot, slot.baseGfn, slot.pageCount), { publish });
  }

  /** Lets a memslot's pages appear elsewhere; `publish` changes the table. Inside mutate. */
  moveLocked(slot: Memslot, publish: () => void): void {
    const changes = this.#changes;
    const range = rangeInSlot(slot, slot.baseGfn, slot.pageCount);
    changes.invalidate([range], () => {
      publish();
      let nptBefore = 0;
      forEachChunk(slot.pageCount, (from, to) => changes.withMmuLock(() => {
        for (let page = from; page < to; page++) nptBefore |= changes.parts.npt.unmapLocked(gfnOf(slot.baseGfn + page));
      }));
      changes.forgetCodeOf(nptBefore);
      changes.flushVcpuTlbs();
    });
  }

  #slotOf(baseGfn: Gfn, pageCount: number): Memslot {
    const slot = this.#changes.parts.memslots.find(baseGfn);
    assert(slot !== undefined && pageCount > 0 && baseGfn + pageCount <= slot.baseGfn + slot.pageCount,
      "expected a range within one memslot, got", baseGfn, pageCount);
    return slot;
  }

  /** Takes what a run of pages has. Returns the number of frames taken. */
  #dropLocked(range: InvalidationRange, { publish, refillLocked, form = {} }: DropParts): number {
    const changes = this.#changes;
    const left: Leavings = { frames: [], slots: [], nptBefore: 0 };
    const cut: Cut = { range, left, leavesBusy: refillLocked !== undefined, skipsBusy: form.mustNotSleep === true };
    changes.invalidate([range], () => {
      publish?.();
      forEachChunk(range.pageCount, (from, to) => this.#cutChunk(cut, from, to));
      changes.forgetCodeOf(left.nptBefore);
      changes.flushVcpuTlbs(form);
      if (refillLocked !== undefined) {
        changes.withMmuLock(refillLocked);
        changes.wakeBusyWaiters();
      }
    }, form);
    for (const slot of left.slots) changes.parts.swapMap.release(slot);
    changes.parts.counters.add("pagesDiscarded", left.frames.length + left.slots.length);
    changes.releaseFrames(left.frames);
    if (left.slots.length > 0) changes.wakeMemoryWaiters();
    return left.frames.length;
  }

  /** A page that is BUSY (being swapped in by somebody) is waited for, or left alone by who must not sleep. */
  #cutChunk(cut: Cut, from: number, to: number): void {
    const { words } = this.#changes.parts;
    for (let next = from; next < to;) {
      const busyDone = atomicLoad(words, WORD_BUSY_DONE);
      next = this.#changes.withMmuLock(() => this.#cutRunLocked(cut, next, to));
      if (next < to) waitWhile(words, WORD_BUSY_DONE, busyDone);
    }
  }

  /** Returns the place of the first page that has to be waited for, `to` if there is none. */
  #cutRunLocked(cut: Cut, from: number, to: number): number {
    const { addressSpace } = this.#changes.parts;
    for (let at = from; at < to; at++) {
      const page = hvaPageOf(cut.range.firstHvaPage + at);
      const entry = addressSpace.entry(page);
      const state = stateOfEntry(entry);
      if (state === HVA_BUSY && cut.skipsBusy) continue;
      if (state === HVA_BUSY) return at;
      // The NPT entry goes first: see PageChanges.cutLocked.
      if (state !== HVA_ABSENT) this.#takeLocked(gfnOf(cut.range.firstGfn + at), entry, cut.left);
      if (cut.leavesBusy) this.#leaveBusyLocked(page);
      else if (state !== HVA_ABSENT) addressSpace.setEntryLocked(page, HVA_ABSENT);
    }
    return to;
  }

  /** Nobody gives the page a frame until it is settled. */
  #leaveBusyLocked(page: HvaPage): void {
    const hasRoom = this.#changes.parts.addressSpace.ensureEntryLocked(page);
    assert(hasRoom, "expected room for the tables of pages that have a memslot, got none at", page);
    this.#changes.parts.addressSpace.setEntryLocked(page, HVA_BUSY);
  }

  #takeLocked(gfn: Gfn, entry: number, left: Leavings): void {
    const { npt, words } = this.#changes.parts;
    left.nptBefore |= npt.unmapLocked(gfn);
    if (stateOfEntry(entry) === HVA_SWAPPED) {
      left.slots.push(slotOfEntry(entry));
      return;
    }
    assert(hasFrame(entry), "expected an address-space entry with a frame, got", entry);
    left.frames.push(pfnOfEntry(entry));
    atomicAdd(words, WORD_GUEST_PAGES_PRESENT, -1);
  }
}

/** Calls `visit` for runs of at most a leaf table's pages, so that the MMU lock is never held for long. */
function forEachChunk(pageCount: number, visit: (from: number, to: number) => void): void {
  for (let from = 0; from < pageCount; from += NPT_LEAF_ENTRIES) visit(from, Math.min(from + NPT_LEAF_ENTRIES, pageCount));
}
