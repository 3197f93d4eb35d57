/**
 * The host's memory and the one VM's place in it: memslots, address space, nested page table, frames, swap.
 *
 * Everything is in shared memory; each thread has its own HostMemory object over it. Lock order:
 * WORD_MUTATION_LOCK, then WORD_MMU_LOCK, then the leaves WORD_POOL_LOCK and WORD_SWAP_LOCK. A read section of invalidation.ts may
 * hold none of them and is waited for with WORD_MUTATION_LOCK held only.
 */
import { atomicLoad, atomicStore, waitWhile } from "#sync";
import type { SharedLongs, SharedWords } from "#sync";
import type { Gfn, HvaPage, Pfn } from "../abi/address.js";
import { MEMORY_BLOCK_SIZE, PAGE_SIZE, VCPU_COUNT_MAX, VCPU_COUNT_ADDRESS } from "../abi/layout.js";
import { AddressSpace, HVA_PRESENT, hasFrame, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { PageCounters } from "./counters.js";
import type { PageStatistics } from "./counters.js";
import { Discarding } from "./discarding.js";
import { HostMemoryError } from "./errors.js";
import { FramePool } from "./frame-pool.js";
import type { BlockStatistics } from "./frame-pool.js";
import { GatedInvalidations } from "./gated-invalidations.js";
import { HostViews, reserveMemory } from "./host-views.raw.js";
import type { SharedMemory } from "./host-views.raw.js";
import { Invalidations } from "./invalidation.js";
import { ADDRESS_SPACE_PAGES, BLOCK_INDEX_END, FIRST_BLOCK, FRAMES_PER_BLOCK, HOST_LAYOUT_VERSION, HOST_MAGIC, WORD_FRAME_LIMIT, WORD_LOCK_STEP_EVERY,
  WORD_GUEST_PAGES_MAX, WORD_GUEST_PAGES_PRESENT, WORD_LAYOUT_VERSION, WORD_MAGIC, WORD_MEMORY_WORK, WORD_TABLE_FRAMES,
  WORD_VCPU_COUNT } from "./layout.js";
import { MappedPages } from "./mapped-pages.js";
import type { MappedPage } from "./mapped-pages.js";
import { memoryMap } from "./memory-map.js";
import { Memslots } from "./memslots.js";
import type { Memslot, MemslotRequest } from "./memslots.js";
import { Merging } from "./merging.js";
import { Migration } from "./migration.js";
import type { MmuNotifier } from "./mmu-notifier.js";
import { NestedPageTable } from "./nested-page-table.js";
import type { MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, SwapOutcome } from "./operations.js";
import { PageChanges } from "./page-changes.js";
import type { ChangeForm, HostParts, PageName, VcpuFlush } from "./page-changes.js";
import { PageFaults } from "./page-faults.js";
import type { FaultResult } from "./page-faults.js";
import { PinTable } from "./pin-table.js";
import { MemoryStall } from "./stall.js";
import { SwapMap } from "./swap-map.js";
import type { SwapStore } from "./swap-map.js";
import { Swapping } from "./swapping.js";

/** Size of a new host. */
export interface HostMemoryOptions {
  /** Guest RAM that must fit, a multiple of 4096. */
  readonly guestMemoryBytes: number;
  /** 1..VCPU_COUNT_MAX. */
  readonly vcpuCount: number;
  /** Every how manyth entry into translated code is checked in lock step; absent or 0 = none. */
  readonly lockStep?: number | undefined;
}

/** A picture of the host's memory; the parts are read one after the other. */
export interface HostMemoryStatistics {
  readonly framesTotal: number;
  /** Frames of guest pages, in all blocks. */
  readonly framesInUse: number;
  /** Guest pages with a frame, alone or shared. */
  readonly guestPagesPresent: number;
  /** Leaf tables of address space and nested page table, outside the blocks. */
  readonly tableFrames: number;
  readonly blocks: readonly BlockStatistics[];
}

/** Frames beyond guest RAM: special pages, targets of moves, and one block more, so that each block can be taken offline. */
const SPARE_FRAMES = 512 + FRAMES_PER_BLOCK;

const never = (): boolean => false;

/** One thread's handle on the host memory. */
export class HostMemory {
  readonly views: HostViews;
  readonly pool: FramePool;
  readonly invalidations: Invalidations;
  readonly counters: PageCounters;
  readonly #words: SharedWords;
  readonly #parts: HostParts;
  readonly #changes: PageChanges;
  readonly #stall: MemoryStall;
  readonly #swapping: Swapping;
  readonly #faults: PageFaults;
  readonly #migration: Migration;
  readonly #merging: Merging;
  readonly #discarding: Discarding;
  readonly #mapped: MappedPages;

  private constructor(views: HostViews) {
    const { words, longs } = views;
    this.views = views;
    this.#words = words;
    this.pool = new FramePool(views);
    const isChecked = atomicLoad(words, WORD_LOCK_STEP_EVERY) !== 0;
    this.invalidations = isChecked ? new GatedInvalidations(words, views.sectionSteps) : new Invalidations(words, views.sectionSteps);
    this.counters = new PageCounters(words, longs);
    this.#parts = {
      views, words, pool: this.pool, invalidations: this.invalidations, counters: this.counters,
      memslots: new Memslots(words), addressSpace: new AddressSpace(words), npt: new NestedPageTable(words),
      swapMap: new SwapMap(words), pins: new PinTable(words),
    };
    this.#changes = new PageChanges(this.#parts);
    this.#stall = new MemoryStall(views);
    this.#swapping = new Swapping(this.#changes);
    this.#faults = new PageFaults(this.#changes, this.#swapping, this.#stall);
    this.#migration = new Migration(this.#changes);
    this.#merging = new Merging(this.#changes);
    this.#discarding = new Discarding(this.#changes);
    this.#mapped = new MappedPages(words);
  }

  /** Reserves and lays out a new host memory without memslots. Throws HostMemoryError. */
  static create(options: HostMemoryOptions): HostMemory {
    const blockCount = blocksFor(options);
    const views = new HostViews(reserveMemory((FIRST_BLOCK + blockCount) * MEMORY_BLOCK_SIZE));
    new FramePool(views).initialise(blockCount);
    atomicStore(views.words, WORD_LAYOUT_VERSION, HOST_LAYOUT_VERSION);
    atomicStore(views.words, WORD_VCPU_COUNT, options.vcpuCount);
    atomicStore(views.words, VCPU_COUNT_ADDRESS >> 2, options.vcpuCount);
    atomicStore(views.words, WORD_LOCK_STEP_EVERY, options.lockStep ?? 0);
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

  /** Tells how this thread reaches the vCPUs. */
  setVcpuFlush(vcpuFlush: VcpuFlush): void {
    this.#changes.vcpuFlush = vcpuFlush;
  }

  /** Gives this thread's counters a clock: nanoseconds, monotonic. Without one, times are not counted. */
  setClock(nowNs: () => number): void {
    this.#changes.nowNs = nowNs;
  }

  /** Nanoseconds by the clock of `setClock`, 0 without one. */
  nowNs(): number {
    return this.#changes.nowNs();
  }

  /** Adds a notifier for the changes this thread makes; the result takes it off again. */
  registerNotifier(notifier: MmuNotifier): () => void {
    return this.#changes.notifiers.register(notifier);
  }

  /** Adds a range of guest-physical memory; it reads as zeroes and has no frames yet. Throws HostMemoryError. May sleep. */
  addMemslot(request: MemslotRequest): Memslot {
    return this.#changes.mutate(() => this.#parts.memslots.addLocked(request));
  }

  /** Removes a memslot and frees its frames; nobody can reach them afterwards. Throws HostMemoryError. May sleep. */
  removeMemslot(id: number): void {
    this.#changes.mutate(() => {
      const slot = this.#slotWithId(id);
      this.#discarding.removeLocked(slot, () => this.#parts.memslots.removeLocked(slot));
    });
  }

  /** Lets a memslot's pages, contents and all, appear from `baseGfn` on. Throws HostMemoryError. May sleep. */
  moveMemslot(id: number, baseGfn: Gfn): Memslot {
    return this.#changes.mutate(() => {
      const slot = this.#slotWithId(id);
      this.#parts.memslots.checkMove(slot, baseGfn);
      let moved = slot;
      this.#discarding.moveLocked(slot, () => (moved = this.#parts.memslots.moveLocked(slot, baseGfn)));
      return moved;
    });
  }

  #slotWithId(id: number): Memslot {
    const slot = this.#parts.memslots.list().find((other) => other.id === id);
    if (slot === undefined) throw new HostMemoryError("memslot-unknown", `there is no memslot ${id}`);
    return slot;
  }

  /** The memslot that holds `gfn`. Never sleeps. */
  findMemslot(gfn: Gfn): Memslot | undefined {
    return this.#parts.memslots.find(gfn);
  }

  /** Every memslot, sorted by base gfn. Never sleeps. */
  memslots(): readonly Memslot[] {
    return this.#parts.memslots.list();
  }

  /** The host-virtual page behind `gfn`, negative if there is none. Never sleeps. */
  findHvaPage(gfn: Gfn): HvaPage {
    return this.#parts.memslots.findHvaPage(gfn);
  }

  /** Changes whenever the memslots change. */
  get memslotGeneration(): number {
    return this.#parts.memslots.generation;
  }

  /** The frame of a page that is present and may be written; valid under the rules of invalidation.ts. Never sleeps. */
  presentPfn(page: HvaPage): Pfn | undefined {
    const entry = this.#parts.addressSpace.entry(page);
    return stateOfEntry(entry) === HVA_PRESENT ? pfnOfEntry(entry) : undefined;
  }

  /** Whether the page of `gfn` has a frame at this moment, alone or shared. Never sleeps. */
  isPresent(gfn: Gfn): boolean {
    const name = this.#changes.nameOf(gfn);
    return name !== undefined && hasFrame(this.#parts.addressSpace.entry(name.page));
  }

  /** The NPT entry of a guest frame (NPT_*), 0 if it has none. Never sleeps. */
  nptEntry(gfn: Gfn): number {
    return gfn < ADDRESS_SPACE_PAGES ? this.#parts.npt.entry(gfn) : 0;
  }

  /** For guest-page: where the NPT entry of `gfn` is, for `markWritten`; negative = it has none yet. Never sleeps. */
  nptEntryIndex(gfn: Gfn): number {
    return this.#parts.npt.entryIndex(gfn);
  }

  /** For guest-page: marks a page written and returns the NPT flags. Precondition: after the end of the access that wrote it. */
  markWritten(nptEntryIndex: number): number {
    return this.#parts.npt.markWritten(nptEntryIndex);
  }

  /** For guest-page: ends a section in which a page was written, then does as `markWritten`. */
  leaveWritten(nptEntryIndex: number): number {
    if (nptEntryIndex >= 0) return this.#parts.npt.noteWritten(nptEntryIndex, this.invalidations.leaveAndLook(nptEntryIndex));
    this.invalidations.leave();
    return 0;
  }

  /**
   * Makes a guest page reachable for the processor: gives it a zeroed frame at its first touch, reads it back if it was swapped out,
   * copies it if it shares a frame and `write` is set; and fills its NPT entry. Any thread; may sleep, "stalled" after a while without
   * memory. "no-slot" = no memory there (a device access). Precondition: outside guest page accesses.
   */
  faultIn(gfn: Gfn, write: boolean): FaultResult {
    return this.#faults.faultIn(gfn, write);
  }

  /**
   * Gives guest pages other frames with the same contents, while vCPUs run and guest pages are open; one invalidation for all. Any
   * thread; may sleep. Precondition: outside guest page accesses.
   */
  moveFrames(gfns: readonly Gfn[]): MoveOutcome {
    return this.#migration.moveFrames(gfns);
  }

  /**
   * Takes the frames of a range away; its pages read as zeroes from then on. Returns the number of frames given back. Any thread; may
   * sleep. With `mustNotSleep`, "would-block" = another change is going on, and nothing was done; pages that are being swapped in stay.
   * Preconditions: the range lies within one memslot; outside guest page accesses.
   */
  discardPages(baseGfn: Gfn, pageCount: number): number;
  discardPages(baseGfn: Gfn, pageCount: number, form: ChangeForm): number | "would-block";
  discardPages(baseGfn: Gfn, pageCount: number, form: ChangeForm = {}): number | "would-block" {
    return this.#discarding.discard(baseGfn, pageCount, form);
  }

  /**
   * Maps something else over pages, as mmap with MAP_FIXED over the range would: the old contents are gone, the new ones are `contents`,
   * 4096 bytes each. False = not enough frames, nothing was done. Any thread; may sleep. Preconditions as for discardPages.
   */
  remapPages(baseGfn: Gfn, contents: readonly Uint8Array[]): boolean {
    return this.#discarding.remap(baseGfn, contents);
  }

  /** Has equal pages share a frame until one is written. Any thread; may sleep; long, ends early when `shouldStop` says so. */
  mergeEqualPages(shouldStop: () => boolean = never): MergeOutcome {
    return this.#merging.mergeEqualPages(shouldStop);
  }

  /** Gives this thread the swap file. Every thread that faults pages in needs one over the same file. */
  setSwapStore(store: SwapStore): void {
    this.#swapping.store = store;
    this.#parts.swapMap.setSlotCount(store.slotCount);
  }

  /** Swaps pages out. Any thread; may sleep. Precondition: outside guest page accesses. */
  swapOut(gfns: readonly Gfn[]): SwapOutcome {
    const names = gfns.map((gfn) => this.#changes.nameOf(gfn)).filter((name): name is PageName => name !== undefined);
    const outcome = this.#swapping.swapOut(names);
    return { ...outcome, skipped: outcome.skipped + gfns.length - names.length };
  }

  /** Swaps out about `pageCount` pages that were not used lately. As swapOut. */
  reclaim(pageCount: number): SwapOutcome {
    return this.#swapping.reclaim(pageCount);
  }

  /** Sets the most frames of guest pages at a time; undefined = all there are. Pages above it are swapped out as the need arises. */
  setFrameLimit(frames: number | undefined): void {
    atomicStore(this.#words, WORD_FRAME_LIMIT, frames ?? 0);
    this.#swapping.wakeReclaimer();
    this.#changes.wakeMemoryWaiters();
  }

  /** Frames that a background reclaimer should free now, 0 = none. Never sleeps. */
  needsReclaim(): number {
    return this.#swapping.needsReclaim();
  }

  /** Sleeps until there may be work for the thread that looks after the memory: frames run short, or `wakeMemoryThread`. */
  waitForReclaimWork(seen: number, timeoutMs: number): void {
    if (this.#stall.isStopping) return;
    waitWhile(this.#words, WORD_MEMORY_WORK, seen, timeoutMs);
  }

  /** What `waitForReclaimWork` compares: read before the work is looked for. */
  get reclaimWorkSeen(): number {
    return atomicLoad(this.#words, WORD_MEMORY_WORK);
  }

  /** Wakes the thread that looks after the memory. */
  wakeMemoryThread(): void {
    this.#swapping.wakeReclaimer();
  }

  /** Takes a memory block out of use: moves all that is in it elsewhere. Any thread; may sleep; long. */
  offlineBlock(block: number, shouldStop: () => boolean = never): OfflineOutcome {
    return this.#migration.offlineBlock(block, shouldStop);
  }

  /** Puts a memory block into use again. Any thread. */
  onlineBlock(block: number): OnlineOutcome {
    return this.#migration.onlineBlock(block);
  }

  /** What all frames and pages are used for. */
  memoryMap(): MemoryMap {
    return memoryMap(this.#parts, this.#stall.text);
  }

  /** Why the guest waits for memory, in one line; undefined = it does not. Never sleeps. */
  get stall(): string | undefined {
    return this.#stall.text;
  }

  /** The VM ends: whoever waits for memory gives up. */
  stop(): void {
    this.#stall.stop();
    this.#swapping.wakeReclaimer();
  }

  /** Whether `stop` was called by any thread. */
  get isStopping(): boolean {
    return this.#stall.isStopping;
  }

  /** Counts of what happened to pages. */
  pageStatistics(): PageStatistics {
    return this.counters.statistics();
  }

  /** Guest pages that the hypervisor itself has mapped, by user. */
  mappedPages(): readonly MappedPage[] {
    return this.#mapped.list();
  }

  /** For guest-page: notes that `user` (pageUserNumber) has a page mapped; the result is for `forgetMapped`. Never sleeps. */
  noteMapped(gfn: Gfn, user: number): number {
    return this.#mapped.note(gfn, user);
  }

  /** For guest-page: takes a note of `noteMapped` back. */
  forgetMapped(noted: number): void {
    this.#mapped.forget(noted);
  }

  /**
   * For guest-page's page accesses that hold references: adds one to the frame of `gfn` for `user`, if the page is present and may be
   * written now. Never sleeps for long. Owes `unpinFrame`.
   */
  tryPinFrame(gfn: Gfn, user: number): Pfn | undefined {
    return this.#changes.withMmuLock(() => {
      const name = this.#changes.nameOf(gfn);
      const pfn = name === undefined ? undefined : this.presentPfn(name.page);
      if (pfn === undefined) return undefined;
      this.pool.addReference(pfn);
      this.#parts.pins.addLocked(pfn, user);
      return pfn;
    });
  }

  /** Gives a reference of `tryPinFrame` back. */
  unpinFrame(pfn: Pfn, user: number): void {
    this.#changes.withMmuLock(() => {
      this.#parts.pins.removeLocked(pfn, user);
      this.#changes.releaseFrames([pfn]);
    });
  }

  /** Counts, for people and tests. */
  statistics(): HostMemoryStatistics {
    const blocks = this.pool.blocks();
    return {
      framesTotal: blocks.reduce((sum, block) => sum + block.framesTotal, 0),
      framesInUse: this.pool.framesInUse,
      guestPagesPresent: atomicLoad(this.#words, WORD_GUEST_PAGES_PRESENT),
      tableFrames: atomicLoad(this.#words, WORD_TABLE_FRAMES),
      blocks,
    };
  }

  /** Ends this thread's use of the memory and frees its reader slot. The object is not used afterwards. */
  detach(): void {
    this.invalidations.detach();
  }
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
  const blockCount = Math.ceil((pages + SPARE_FRAMES) / FRAMES_PER_BLOCK);
  const blockCountMax = BLOCK_INDEX_END - FIRST_BLOCK;
  if (blockCount > blockCountMax) {
    const maxMiB = (blockCountMax - 1) * (MEMORY_BLOCK_SIZE / 0x10_0000);
    throw new HostMemoryError("guest-memory-too-large", `guest memory of ${guestMemoryBytes / 0x10_0000} MiB is too large, at most ${maxMiB} MiB fit`);
  }
  return blockCount;
}
