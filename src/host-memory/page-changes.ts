/**
 * The frame in which every change of a page that somebody may be using takes place:
 *
 *     mutation lock                                        one change at a time
 *       begin: sequence++, wait for open sections          no user of a guest page is left          (invalidate_range_start)
 *       notifiers' start                                   nor anybody else who asked to be told
 *       under the MMU lock: entries BUSY, NPT emptied      no new way to the frames
 *       flush vCPU TLBs and wait                           no old way: from here on the frames are the changer's alone
 *       copy, write out, compare, free                     the change itself
 *       under the MMU lock: new entries                    wakes who met a BUSY one
 *       notifiers' end; sequence++                         users may look the pages up again        (invalidate_range_end)
 *
 * A non-blockable change never sleeps: it gives up before it began when the mutation lock is taken, and spins for sections and vCPUs,
 * both of which end by themselves shortly. Once begun it cannot fail. It may wait for the MMU, pool and swap locks, which are held shortly and
 * by nobody who waits for anything else.
 */
import { atomicAdd, notifyWaiters, withLock, withLockIfFree, withLockInTurn } from "#sync";
import type { SharedWords } from "#sync";
import { gfnOf, hvaPageOf } from "../abi/address.js";
import type { Gfn, HvaPage, Pfn } from "../abi/address.js";
import { NPT_CODE, NPT_PRESENT, NPT_WRITABLE } from "../abi/layout.js";
import type { AddressSpace } from "./address-space.js";
import { HVA_BUSY, HVA_PRESENT, HVA_SHARED } from "./address-space.js";
import type { PageCounters } from "./counters.js";
import type { FramePool } from "./frame-pool.js";
import type { HostViews } from "./host-views.raw.js";
import type { Invalidations } from "./invalidation.js";
import { WORD_BUSY_DONE, WORD_MEMORY_FREED, WORD_MMU_LOCK, WORD_MUTATION_LOCK } from "./layout.js";
import type { Memslot, Memslots } from "./memslots.js";
import { MmuNotifierList } from "./mmu-notifier.js";
import type { InvalidationRange } from "./mmu-notifier.js";
import type { NestedPageTable } from "./nested-page-table.js";
import type { PinTable } from "./pin-table.js";
import type { SwapMap } from "./swap-map.js";

/** One thread's handles on the parts of the host memory. */
export interface HostParts {
  readonly views: HostViews;
  readonly words: SharedWords;
  readonly pool: FramePool;
  readonly memslots: Memslots;
  readonly addressSpace: AddressSpace;
  readonly npt: NestedPageTable;
  readonly invalidations: Invalidations;
  readonly counters: PageCounters;
  readonly swapMap: SwapMap;
  readonly pins: PinTable;
}

/** A page of guest memory by both its names. */
export interface PageName {
  readonly gfn: Gfn;
  readonly page: HvaPage;
}

/** How a thread reaches the vCPUs; wired by whoever knows them. */
export interface VcpuFlush {
  /**
   * Has every vCPU drop its TLB; returns when none can reach a guest page through a translation from before the call. May sleep unless
   * `mustNotSleep`. A vCPU outside guest mode must not be waited for.
   */
  tlbs(mustNotSleep: boolean): void;
  /** Has every vCPU forget its decoded code before it enters guest mode again; waits for nobody. */
  code(): void;
}

/** Whether a change may sleep. */
export interface ChangeForm {
  readonly mustNotSleep?: boolean;
}

const every = (): boolean => true;

/** Who needs frames while a page is BUSY or changes: the thread's way to begin, carry out and end changes. */
export class PageChanges {
  readonly notifiers = new MmuNotifierList();
  readonly parts: HostParts;
  vcpuFlush: VcpuFlush = { tlbs: () => undefined, code: () => undefined };
  /** Nanoseconds of any monotonic clock, for counters. */
  nowNs: () => number = () => 0;

  constructor(parts: HostParts) {
    this.parts = parts;
  }

  /** Runs `change` as the only one. May sleep. Precondition: outside guest page accesses. */
  mutate<T>(change: () => T): T {
    this.parts.invalidations.assertOutside();
    return withLockInTurn(this.parts.words, WORD_MUTATION_LOCK, change);
  }

  /** As `mutate`, but gives up at once when another change is going on. */
  mutateIfFree<T>(change: () => T): T | "would-block" {
    this.parts.invalidations.assertOutside();
    return withLockIfFree(this.parts.words, WORD_MUTATION_LOCK, change);
  }

  /** Runs a change of page tables between the start and the end of its invalidation. Precondition: inside mutate. */
  invalidate<T>(ranges: readonly InvalidationRange[], change: () => T, { mustNotSleep = false }: ChangeForm = {}): T {
    const { invalidations, counters } = this.parts;
    const begunNs = this.nowNs();
    counters.add("invalidations");
    if (mustNotSleep) counters.add("nonBlockableInvalidations");
    if (invalidations.begin(ranges, mustNotSleep)) {
      counters.add("readerWaits");
      counters.add("readerWaitNs", this.nowNs() - begunNs);
    }
    this.notifiers.start(ranges, mustNotSleep);
    const result = change();
    this.notifiers.end(ranges);
    invalidations.end(ranges);
    counters.add("invalidationNs", this.nowNs() - begunNs);
    return result;
  }

  /** Waits until no vCPU can use what the NPT no longer has. */
  flushVcpuTlbs({ mustNotSleep = false }: ChangeForm = {}): void {
    const begunNs = this.nowNs();
    this.vcpuFlush.tlbs(mustNotSleep);
    this.parts.counters.add("tlbFlushes");
    this.parts.counters.add("flushWaitNs", this.nowNs() - begunNs);
  }

  /** Runs `body` under the MMU lock, which is held shortly by everybody. */
  withMmuLock<T>(body: () => T): T {
    return withLock(this.parts.words, WORD_MMU_LOCK, body);
  }

  /** Cuts every way to a page's frame but the TLBs. Returns the NPT entry from before. Precondition: MMU lock held. */
  cutLocked({ gfn, page }: PageName, pfn: Pfn): number {
    // The NPT entry first: a fault that finds it gone waits for this lock, one that found it there and the page BUSY would look in circles.
    const nptBefore = this.parts.npt.unmapLocked(gfn);
    this.parts.addressSpace.setFrameLocked(page, HVA_BUSY, pfn);
    return nptBefore;
  }

  /** Gives a page a frame; where the processor had a way to the page (`nptBefore`) it has one again. Precondition: MMU lock held. */
  settleLocked({ gfn, page }: PageName, state: typeof HVA_PRESENT | typeof HVA_SHARED, pfn: Pfn, nptBefore: number): void {
    this.parts.addressSpace.setFrameLocked(page, state, pfn);
    const isWritable = state === HVA_PRESENT && (nptBefore & NPT_WRITABLE) !== 0;
    if ((nptBefore & NPT_PRESENT) !== 0) this.parts.npt.mapLocked(gfn, pfn, isWritable);
  }

  /** Has vCPUs forget the code of pages whose contents are other ones now, if an NPT entry says that there is any. */
  forgetCodeOf(nptEntries: number): void {
    if ((nptEntries & NPT_CODE) !== 0) this.vcpuFlush.code();
  }

  /** Wakes who met a BUSY page. */
  wakeBusyWaiters(): void {
    atomicAdd(this.parts.words, WORD_BUSY_DONE, 1);
    notifyWaiters(this.parts.words, WORD_BUSY_DONE);
  }

  /** Frees references and wakes who waits for frames. */
  releaseFrames(frames: readonly Pfn[]): void {
    if (frames.length === 0) return;
    this.parts.pool.release(frames);
    this.wakeMemoryWaiters();
  }

  /** Wakes who waits for frames or for room in the swap file. */
  wakeMemoryWaiters(): void {
    atomicAdd(this.parts.words, WORD_MEMORY_FREED, 1);
    notifyWaiters(this.parts.words, WORD_MEMORY_FREED);
  }

  /** The page behind `gfn`; undefined = no memslot holds it. */
  nameOf(gfn: Gfn): PageName | undefined {
    const page = this.parts.memslots.findHvaPage(gfn);
    return page < 0 ? undefined : { gfn, page };
  }

  /**
   * Whether a name still holds. One that was found outside the mutation lock may not: the page's memslot may have moved or gone since,
   * and then a change would cut the NPT entry of somebody else's page and leave the page's own. Precondition: inside mutate.
   */
  isCurrent({ gfn, page }: PageName): boolean {
    return this.parts.memslots.findHvaPage(gfn) === page;
  }

  /** Calls `visit` for every page of every memslot that is not ABSENT and whose entry `isWanted` picks. */
  forEachPage(visit: (name: PageName, entry: number) => void, isWanted: (entry: number) => boolean = every): void {
    for (const slot of this.parts.memslots.list()) {
      this.parts.addressSpace.forEachEntry(slot.baseHvaPage, slot.pageCount, (page, entry) => {
        if (isWanted(entry)) visit({ gfn: gfnOf(slot.baseGfn + page - slot.baseHvaPage), page }, entry);
      });
    }
  }
}

/** The invalidation range of one page. */
export function rangeOfPage({ gfn, page }: PageName): InvalidationRange {
  return { firstGfn: gfn, firstHvaPage: page, pageCount: 1 };
}

/** The invalidation range of a run of pages in one memslot. */
export function rangeInSlot(slot: Memslot, firstGfn: Gfn, pageCount: number): InvalidationRange {
  return { firstGfn, pageCount, firstHvaPage: hvaPageOf(slot.baseHvaPage + firstGfn - slot.baseGfn) };
}
