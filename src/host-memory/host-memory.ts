/**
 * The host's memory and the one VM's place in it: memslots, address space, nested page table, frames.
 *
 * Everything is in shared memory; each thread has its own HostMemory object over it. Lock order:
 * WORD_MUTATION_LOCK, then WORD_MMU_LOCK, then WORD_POOL_LOCK. A read section of invalidation.ts may hold none of them
 * and is waited for with WORD_MUTATION_LOCK held only.
 */
import { atomicAdd, atomicLoad, atomicStore, notifyWaiters, waitWhile, withLock } from "#sync";
import type { SharedLongs, SharedWords } from "#sync";
import { gfnOf, hvaPageOf } from "../abi/address.js";
import type { Gfn, HvaPage, Pfn } from "../abi/address.js";
import { MEMORY_BLOCK_SIZE, NPT_LEAF_ENTRIES, PAGE_SIZE, VCPU_COUNT_MAX, VCPU_COUNT_ADDRESS } from "../abi/layout.js";
import { AddressSpace, HVA_ABSENT, HVA_MIGRATING, HVA_PRESENT, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { HostMemoryError, assert } from "./errors.js";
import { FRAME_GUEST, FramePool } from "./frame-pool.js";
import type { BlockStatistics } from "./frame-pool.js";
import { HostViews, reserveMemory } from "./host-views.raw.js";
import type { SharedMemory } from "./host-views.raw.js";
import { Invalidations } from "./invalidation.js";
import { ADDRESS_SPACE_PAGES, BLOCK_INDEX_END, FIRST_BLOCK, FRAMES_PER_BLOCK, HOST_LAYOUT_VERSION, HOST_MAGIC, WORD_FRAMES_MOVED,
  WORD_GUEST_PAGES_MAX, WORD_GUEST_PAGES_PRESENT, WORD_INVALIDATIONS, WORD_LAYOUT_VERSION, WORD_MAGIC, WORD_MIGRATION_DONE,
  WORD_MMU_LOCK, WORD_MUTATION_LOCK, WORD_TABLE_FRAMES, WORD_VCPU_COUNT } from "./layout.js";
import { Memslots } from "./memslots.js";
import type { Memslot, MemslotRequest } from "./memslots.js";
import { MmuNotifierList } from "./mmu-notifier.js";
import type { InvalidationRange, MmuNotifier } from "./mmu-notifier.js";
import { NestedPageTable } from "./nested-page-table.js";

/** Size of a new host. */
export interface HostMemoryOptions {
  /** Guest RAM that must fit, a multiple of 4096. */
  readonly guestMemoryBytes: number;
  /** 1..VCPU_COUNT_MAX. */
  readonly vcpuCount: number;
}

/** What became of a page somebody wanted to reach. */
export type FaultResult = "mapped" | "no-slot" | "out-of-memory";
/** What became of a frame that was to be moved; "absent" = the page has no frame yet. */
export type MoveResult = "moved" | "absent" | "no-slot" | "out-of-memory";

/** A picture of the host's memory; the parts are read one after the other. */
export interface HostMemoryStatistics {
  readonly framesTotal: number;
  /** Frames of guest pages and of tables. */
  readonly framesInUse: number;
  readonly guestPagesPresent: number;
  readonly tableFrames: number;
  readonly invalidations: number;
  readonly framesMoved: number;
  readonly blocks: readonly BlockStatistics[];
}

/** Frames beyond guest RAM and its tables: tables of sparse memslots, special pages, the target of a move. */
const SPARE_FRAMES = 512;

/** One thread's handle on the host memory. */
export class HostMemory {
  readonly views: HostViews;
  readonly pool: FramePool;
  readonly invalidations: Invalidations;
  readonly #words: SharedWords;
  readonly #memslots: Memslots;
  readonly #addressSpace: AddressSpace;
  readonly #npt: NestedPageTable;
  readonly #notifiers = new MmuNotifierList();
  #flushVcpuTlbs: () => void = () => {};

  private constructor(views: HostViews) {
    this.views = views;
    this.#words = views.words;
    this.pool = new FramePool(views);
    this.invalidations = new Invalidations(views.words);
    this.#memslots = new Memslots(views.words);
    this.#addressSpace = new AddressSpace(views.words, this.pool);
    this.#npt = new NestedPageTable(views.words, this.pool);
  }

  /** Reserves and lays out a new host memory without memslots. Throws HostMemoryError. */
  static create(options: HostMemoryOptions): HostMemory {
    const blockCount = blocksFor(options);
    const views = new HostViews(reserveMemory((FIRST_BLOCK + blockCount) * MEMORY_BLOCK_SIZE));
    new FramePool(views).initialise(blockCount);
    atomicStore(views.words, WORD_LAYOUT_VERSION, HOST_LAYOUT_VERSION);
    atomicStore(views.words, WORD_VCPU_COUNT, options.vcpuCount);
    atomicStore(views.words, VCPU_COUNT_ADDRESS >> 2, options.vcpuCount);
    atomicStore(views.words, WORD_GUEST_PAGES_MAX, options.guestMemoryBytes / PAGE_SIZE);
    atomicStore(views.words, WORD_MAGIC, HOST_MAGIC);
    return new HostMemory(views);
  }

  /** Opens, in this thread, a host memory that `create` made in another. Throws HostMemoryError. */
  static attach(memory: SharedMemory): HostMemory {
    const views = new HostViews(memory);
    const isOurs = views.words.length > WORD_MAGIC && atomicLoad(views.words, WORD_MAGIC) === HOST_MAGIC
      && atomicLoad(views.words, WORD_LAYOUT_VERSION) === HOST_LAYOUT_VERSION;
    if (!isOurs) throw new HostMemoryError("not-a-host-memory", "the memory was not laid out by this release");
    return new HostMemory(views);
  }

  /** The memory to hand to other threads and to the processor core. */
  get memory(): SharedMemory {
    return this.views.memory;
  }

  /** All of it as 32-bit words, for `#sync`. */
  get words(): SharedWords {
    return this.views.words;
  }

  /** All of it as 64-bit words, for `#sync`. */
  get longs(): SharedLongs {
    return this.views.longs;
  }

  /** vCPUs this host was made for. */
  get vcpuCount(): number {
    return atomicLoad(this.#words, WORD_VCPU_COUNT);
  }

  /**
   * Tells how this thread makes every vCPU drop its TLB. The function returns only when no vCPU can reach a guest page
   * through a translation from before the call. It may sleep; a vCPU outside guest mode must not be waited for.
   */
  setVcpuTlbFlush(flushVcpuTlbs: () => void): void {
    this.#flushVcpuTlbs = flushVcpuTlbs;
  }

  /** Adds a notifier for the changes this thread makes; the result takes it off again. */
  registerNotifier(notifier: MmuNotifier): () => void {
    return this.#notifiers.register(notifier);
  }

  /** Adds a range of guest-physical memory; it reads as zeroes and has no frames yet. Throws HostMemoryError. May sleep. */
  addMemslot(request: MemslotRequest): Memslot {
    return this.#mutate(() => this.#memslots.addLocked(request));
  }

  /** Removes a memslot and frees its frames; nobody can reach them afterwards. Throws HostMemoryError. May sleep. */
  removeMemslot(id: number): void {
    this.#mutate(() => {
      const slot = this.#memslots.list().find((other) => other.id === id);
      if (slot === undefined) throw new HostMemoryError("memslot-unknown", `there is no memslot ${id}`);
      this.#invalidate(rangeOf(slot, slot.baseGfn, slot.pageCount), (range) => {
        this.#memslots.removeLocked(slot);
        this.#freeFrames(range);
      });
    });
  }

  /** The memslot that holds `gfn`. Never sleeps. */
  findMemslot(gfn: Gfn): Memslot | undefined {
    return this.#memslots.find(gfn);
  }

  /** Every memslot, sorted by base gfn. Never sleeps. */
  memslots(): readonly Memslot[] {
    return this.#memslots.list();
  }

  /** The host-virtual page behind `gfn`, negative if there is none. Never sleeps. */
  findHvaPage(gfn: Gfn): HvaPage {
    return this.#memslots.findHvaPage(gfn);
  }

  /** Changes whenever the memslots change. */
  get memslotGeneration(): number {
    return this.#memslots.generation;
  }

  /** The frame of a page that is present and may be written; valid under the rules of invalidation.ts. Never sleeps. */
  presentPfn(page: HvaPage): Pfn | undefined {
    const entry = this.#addressSpace.entry(page);
    return stateOfEntry(entry) === HVA_PRESENT ? pfnOfEntry(entry) : undefined;
  }

  /** The NPT entry of a guest frame (NPT_*), 0 if it has none. Never sleeps. */
  nptEntry(gfn: Gfn): number {
    return gfn < ADDRESS_SPACE_PAGES ? this.#npt.entry(gfn) : 0;
  }

  /** For guest-page: marks a page written and returns the NPT flags. Precondition: inside the section that wrote it. */
  markWritten(gfn: Gfn): number {
    return this.#npt.markWritten(gfn);
  }

  /**
   * Makes a guest page reachable for the processor: gives it a zeroed frame at its first touch and fills its NPT entry.
   * Any thread; may sleep. "no-slot" = no memory there (a device access). Precondition: outside guest page accesses.
   */
  faultIn(gfn: Gfn, write: boolean): FaultResult {
    this.invalidations.assertOutside();
    if (!(gfn >= 0 && gfn < ADDRESS_SPACE_PAGES)) return "no-slot";
    if (this.#npt.allows(gfn, write)) return "mapped";
    for (;;) {
      const migrations = atomicLoad(this.#words, WORD_MIGRATION_DONE);
      const result = withLock(this.#words, WORD_MMU_LOCK, () => this.#faultInLocked(gfn));
      if (result !== "migrating") return result;
      waitWhile(this.#words, WORD_MIGRATION_DONE, migrations);
    }
  }

  /**
   * Gives a guest page another frame with the same contents, while vCPUs run and guest pages are open. Any thread; may
   * sleep. Precondition: outside guest page accesses.
   */
  moveFrame(gfn: Gfn): MoveResult {
    return this.#mutate(() => {
      const slot = this.#memslots.find(gfn);
      if (slot === undefined) return "no-slot";
      const range = rangeOf(slot, gfn, 1);
      const source = this.presentPfn(range.firstHvaPage);
      if (source === undefined) return "absent";
      const target = this.pool.allocateUncleared(FRAME_GUEST, range.firstHvaPage);
      if (target === undefined) return "out-of-memory";
      this.#invalidate(range, () => this.#replaceFrame(range, source, target));
      this.pool.release(source);
      atomicAdd(this.#words, WORD_FRAMES_MOVED, 1);
      return "moved";
    });
  }

  /**
   * Takes the frames of a range away; its pages read as zeroes from then on. Returns the number of frames given back.
   * Any thread; may sleep. Preconditions: the range lies within one memslot; outside guest page accesses.
   */
  discardPages(baseGfn: Gfn, pageCount: number): number {
    return this.#mutate(() => {
      const slot = this.#memslots.find(baseGfn);
      assert(slot !== undefined && pageCount > 0 && baseGfn + pageCount <= slot.baseGfn + slot.pageCount,
        "expected a range within one memslot, got", baseGfn, pageCount);
      return this.#invalidate(rangeOf(slot, baseGfn, pageCount), (range) => this.#freeFrames(range));
    });
  }

  /** Counts, for people and tests. */
  statistics(): HostMemoryStatistics {
    const blocks = this.pool.blocks();
    return {
      framesTotal: blocks.reduce((sum, block) => sum + block.framesTotal, 0),
      framesInUse: blocks.reduce((sum, block) => sum + block.framesInUse, 0),
      guestPagesPresent: atomicLoad(this.#words, WORD_GUEST_PAGES_PRESENT),
      tableFrames: atomicLoad(this.#words, WORD_TABLE_FRAMES),
      invalidations: atomicLoad(this.#words, WORD_INVALIDATIONS),
      framesMoved: atomicLoad(this.#words, WORD_FRAMES_MOVED),
      blocks,
    };
  }

  /** Ends this thread's use of the memory and frees its reader slot. The object is not used afterwards. */
  detach(): void {
    this.invalidations.detach();
  }

  #mutate<T>(change: () => T): T {
    this.invalidations.assertOutside();
    return withLock(this.#words, WORD_MUTATION_LOCK, change);
  }

  /** Runs a change of page tables between the start and the end of its invalidation. */
  #invalidate<T>(range: InvalidationRange, change: (range: InvalidationRange) => T): T {
    this.invalidations.begin(range);
    this.#notifiers.start(range);
    const result = change(range);
    this.#notifiers.end(range);
    this.invalidations.end(range);
    return result;
  }

  #faultInLocked(gfn: Gfn): FaultResult | "migrating" {
    const page = this.#memslots.findHvaPage(gfn);
    if (page < 0) return "no-slot";
    if (!this.#addressSpace.ensureEntryLocked(page) || !this.#npt.ensureEntryLocked(gfn)) return "out-of-memory";
    const entry = this.#addressSpace.entry(page);
    const state = stateOfEntry(entry);
    if (state === HVA_MIGRATING) return "migrating";
    assert(state === HVA_ABSENT || state === HVA_PRESENT, "expected an address-space state of this release, got", state);
    const pfn = state === HVA_PRESENT ? pfnOfEntry(entry) : this.#firstTouchLocked(page);
    if (pfn === undefined) return "out-of-memory";
    this.#npt.mapLocked(gfn, pfn);
    return "mapped";
  }

  #firstTouchLocked(page: HvaPage): Pfn | undefined {
    const pfn = this.pool.allocateZeroed(FRAME_GUEST, page);
    if (pfn === undefined) return undefined;
    this.#addressSpace.setEntryLocked(page, HVA_PRESENT, pfn);
    atomicAdd(this.#words, WORD_GUEST_PAGES_PRESENT, 1);
    return pfn;
  }

  /**
   * The middle of a move; an invalidation of the page is active. The order matters: no new way to the old frame (migration
   * entry, NPT entry gone), then no old way (TLBs flushed; guest pages were waited for by begin), then the copy.
   */
  #replaceFrame(range: InvalidationRange, source: Pfn, target: Pfn): void {
    const { firstHvaPage: page, firstGfn: gfn } = range;
    withLock(this.#words, WORD_MMU_LOCK, () => {
      this.#addressSpace.setEntryLocked(page, HVA_MIGRATING, source);
      this.#npt.unmapLocked(gfn);
    });
    this.#flushVcpuTlbs();
    this.views.copyFrame(target, source);
    withLock(this.#words, WORD_MMU_LOCK, () => {
      this.#addressSpace.setEntryLocked(page, HVA_PRESENT, target);
      atomicAdd(this.#words, WORD_MIGRATION_DONE, 1);
    });
    notifyWaiters(this.#words, WORD_MIGRATION_DONE);
  }

  /** Unmaps a range, waits until no vCPU reaches it and frees the frames. An invalidation of the range is active. */
  #freeFrames(range: InvalidationRange): number {
    const frames: Pfn[] = [];
    for (let first = 0; first < range.pageCount; first += NPT_LEAF_ENTRIES) {
      const last = Math.min(first + NPT_LEAF_ENTRIES, range.pageCount);
      withLock(this.#words, WORD_MMU_LOCK, () => {
        for (let page = first; page < last; page++) this.#unmapPageLocked(range, page, frames);
      });
    }
    this.#flushVcpuTlbs();
    for (const pfn of frames) this.pool.release(pfn);
    return frames.length;
  }

  #unmapPageLocked(range: InvalidationRange, offset: number, frames: Pfn[]): void {
    const page = hvaPageOf(range.firstHvaPage + offset);
    const pfn = this.presentPfn(page);
    if (pfn === undefined) return;
    this.#addressSpace.setEntryLocked(page, HVA_ABSENT, 0);
    this.#npt.unmapLocked(gfnOf(range.firstGfn + offset));
    atomicAdd(this.#words, WORD_GUEST_PAGES_PRESENT, -1);
    frames.push(pfn);
  }
}

function rangeOf(slot: Memslot, firstGfn: Gfn, pageCount: number): InvalidationRange {
  return { firstGfn, pageCount, firstHvaPage: hvaPageOf(slot.baseHvaPage + firstGfn - slot.baseGfn) };
}

/** Memory blocks that hold the guest's RAM, its tables and some spare frames. */
function blocksFor({ guestMemoryBytes, vcpuCount }: HostMemoryOptions): number {
  if (!Number.isSafeInteger(guestMemoryBytes) || guestMemoryBytes <= 0 || guestMemoryBytes % PAGE_SIZE !== 0) {
    throw new HostMemoryError("guest-memory-invalid", `guest memory must be a multiple of ${PAGE_SIZE} bytes, got ${guestMemoryBytes}`);
  }
  if (!Number.isInteger(vcpuCount) || vcpuCount < 1 || vcpuCount > VCPU_COUNT_MAX) {
    throw new HostMemoryError("guest-memory-invalid", `a host has 1 to ${VCPU_COUNT_MAX} vCPUs, got ${vcpuCount}`);
  }
  const pages = guestMemoryBytes / PAGE_SIZE;
  const frames = pages + 2 * Math.ceil(pages / NPT_LEAF_ENTRIES) + SPARE_FRAMES;
  const blockCount = Math.ceil(frames / FRAMES_PER_BLOCK);
  const blockCountMax = BLOCK_INDEX_END - FIRST_BLOCK;
  if (blockCount > blockCountMax) {
    const maxMiB = (blockCountMax - 1) * (MEMORY_BLOCK_SIZE / 0x10_0000);
    throw new HostMemoryError("guest-memory-too-large", `guest memory of ${guestMemoryBytes / 0x10_0000} MiB is too large, at most ${maxMiB} MiB fit`);
  }
  return blockCount;
}
