/**
 * Pages get other frames while their users go on: single pages, and all of a memory block that is to go offline.
 *
 * A frame that several pages share is moved for all of them at once. A frame with more references than pages is pinned: it stays, and
 * its pages are as they were. Linux calls that -EAGAIN and tries up to ten times (mm/migrate.c); so does an offline here.
 */
import { atomicLoad, waitWhile } from "#sync";
import { gfnOf, hvaPageOf } from "../abi/address.js";
import type { Gfn, Pfn } from "../abi/address.js";
import { HVA_BUSY, HVA_PRESENT, HVA_SHARED, hasFrame, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { assert } from "./errors.js";
import { blockOf } from "./frame-pool.js";
import { FRAMES_PER_BLOCK, WORD_BUSY_DONE } from "./layout.js";
import type { MoveOutcome, OfflineOutcome, OnlineOutcome, PinnedPage } from "./operations.js";
import type { InvalidationRange } from "./mmu-notifier.js";
import type { PageChanges, PageName } from "./page-changes.js";

/**
 * Frames of one invalidation when a block is emptied: each costs a flush that a running guest has to answer, and the guest's users of these
 * pages wait for its end, some 200 us.
 */
const OFFLINE_BATCH_FRAMES = 256;
const OFFLINE_PASSES_MAX = 10;
/** How long an offline waits for pages that are being swapped in. */
const OFFLINE_WAIT_NS_MAX = 10e9;
const OFFLINE_WAIT_MS = 50;

/** Frames, each with all pages that have it, found while the memslots had this generation. */
interface Found {
  readonly generation: number;
  readonly frames: readonly (readonly [Pfn, readonly PageName[]])[];
}

/** A frame on its way: where it is, where it goes, and all pages that have it. */
interface Journey {
  readonly source: Pfn;
  readonly target: Pfn;
  readonly state: typeof HVA_PRESENT | typeof HVA_SHARED;
  readonly pages: readonly PageName[];
  nptBefore: number[];
  isMoved: boolean;
}

type Count = { -readonly [Key in keyof MoveOutcome]: number };

/** One thread's moves. */
export class Migration {
  readonly #changes: PageChanges;
  /** Pages of shared frames as a scan of all pages has found them, while the memslots had this generation; `#areAllSharersLocked` says whether they still are. */
  #sharers = new Map<Pfn, readonly PageName[]>();
  #sharersGeneration = -1;

  constructor(changes: PageChanges) {
    this.#changes = changes;
  }

  /** As HostMemory.moveFrames. */
  moveFrames(gfns: readonly Gfn[]): MoveOutcome {
    return this.#changes.mutate(() => {
      const count: Count = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };
      const { generation } = this.#changes.parts.memslots;
      this.#moveLocked({ generation, frames: [...this.#framesOfLocked(gfns, count)] }, count);
      return count;
    });
  }

  /** As HostMemory.offlineBlock. */
  offlineBlock(block: number, shouldStop: () => boolean): OfflineOutcome {
    const { pool } = this.#changes.parts;
    const refusal = this.#refusalOf(block);
    if (refusal !== undefined) return refusal;
    const deadlineNs = this.#changes.nowNs() + OFFLINE_WAIT_NS_MAX;
    let framesMoved = 0;
    for (let pass = 0; (pass < OFFLINE_PASSES_MAX || this.#waitForSwapIn(block, deadlineNs)) && !shouldStop(); pass++) {
      framesMoved += this.#emptyBlock(block, shouldStop);
      if (pool.offlineBlock(block) === "offline") {
        this.#changes.parts.counters.add("blocksOfflined");
        return { result: "offline", framesMoved };
      }
    }
    const pages = this.#pinnedPagesOf(block);
    pool.cancelIsolation(block);
    return { result: "refused", reason: "pinned", pages, detail: pinnedDetail(block, pages) };
  }

  /** As HostMemory.onlineBlock. */
  onlineBlock(block: number): OnlineOutcome {
    const { pool } = this.#changes.parts;
    if (!pool.hasBlock(block)) return { result: "refused", reason: "no-such-block", detail: this.#noSuchBlock(block) };
    if (!pool.onlineBlock(block)) return { result: "refused", reason: "online-already", detail: `block ${block} is online already` };
    this.#changes.wakeMemoryWaiters();
    return { result: "online" };
  }

  /** Why a block cannot go offline; undefined = it can, and is isolated now. */
  #refusalOf(block: number): OfflineOutcome | undefined {
    const { pool } = this.#changes.parts;
    if (!pool.hasBlock(block)) return { result: "refused", reason: "no-such-block", detail: this.#noSuchBlock(block) };
    const blocks = pool.blocks();
    const others = blocks.filter(({ index, state }) => index !== block && state === "online");
    const framesNeeded = blocks.find(({ index }) => index === block)!.framesInUse;
    const framesFree = others.reduce((sum, { framesTotal, framesInUse }) => sum + framesTotal - framesInUse, 0);
    if (!this.#isolate(block)) {
      return { result: "refused", reason: "offline-already", detail: `block ${block} is offline already, or on its way` };
    }
    if (framesNeeded <= framesFree) return undefined;
    pool.cancelIsolation(block);
    const detail = `block ${block} has ${framesNeeded} frames in use, and the other blocks have only ${framesFree} free ones: swap something out or bring a block online first`;
    return { result: "refused", reason: "no-room", framesNeeded, framesFree, detail };
  }

  /**
   * Has the block give no more frames. Behind both locks, so that whoever took one before has brought it to its page: pages get theirs
   * under one of them. False = the block was offline or isolated.
   */
  #isolate(block: number): boolean {
    return this.#changes.mutate(() => this.#changes.withMmuLock(() => this.#changes.parts.pool.isolateBlock(block)));
  }

  #noSuchBlock(block: number): string {
    const [first] = this.#changes.parts.pool.blocks();
    return `there is no block ${block}: blocks are ${first!.index} to ${first!.index + this.#changes.parts.pool.blockCount - 1}`;
  }

  /**
   * Whether another pass can help: a page that is being swapped in has its frame as long as the swap file takes to answer, and is waited
   * for. What else holds a frame may do so for ever.
   */
  #waitForSwapIn(block: number, deadlineNs: number): boolean {
    const { words } = this.#changes.parts;
    const busyDone = atomicLoad(words, WORD_BUSY_DONE);
    let isBusy = false;
    this.#changes.forEachPage(() => (isBusy = true), (entry) => stateOfEntry(entry) === HVA_BUSY && blockOf(pfnOfEntry(entry)) === block);
    if (!isBusy || this.#changes.nowNs() > deadlineNs) return false;
    waitWhile(words, WORD_BUSY_DONE, busyDone, OFFLINE_WAIT_MS);
    return true;
  }

  /** One pass over the frames of a block. Returns how many were moved. */
  #emptyBlock(block: number, shouldStop: () => boolean): number {
    const { generation } = this.#changes.parts.memslots;
    const frames = [...this.#sharersBy((entry) => hasFrame(entry) && blockOf(pfnOfEntry(entry)) === block)];
    const count: Count = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };
    for (let from = 0; from < frames.length && !shouldStop(); from += OFFLINE_BATCH_FRAMES) {
      this.#changes.mutate(() => this.#moveLocked({ generation, frames: frames.slice(from, from + OFFLINE_BATCH_FRAMES) }, count));
    }
    return count.moved;
  }

  #pinnedPagesOf(block: number): PinnedPage[] {
    const users = this.#changes.parts.pins.usersByFrame();
    return [...this.#sharersBy((entry) => hasFrame(entry) && blockOf(pfnOfEntry(entry)) === block)].map(([pfn, pages]) =>
      ({ pfn, gfn: pages[0]!.gfn, users: users.get(pfn) ?? [] }));
  }

  /** All pages whose entry `isWanted` picks, by frame. Precondition: what it picks has a frame. */
  #sharersBy(isWanted: (entry: number) => boolean): Map<Pfn, PageName[]> {
    const sharers = new Map<Pfn, PageName[]>();
    const add = (name: PageName, entry: number): void => {
      const pages = sharers.get(pfnOfEntry(entry));
      if (pages === undefined) sharers.set(pfnOfEntry(entry), [name]);
      else pages.push(name);
    };
    this.#changes.forEachPage(add, isWanted);
    return sharers;
  }

  /** All pages of each of these shared frames. A scan of all memory finds those of all shared frames, so that the next moves need none. */
  #sharersOfLocked(shared: Iterable<Pfn>): Map<Pfn, readonly PageName[]> {
    const found = new Map<Pfn, readonly PageName[]>();
    let isScanned = false;
    for (const pfn of shared) {
      if (!isScanned && !this.#areAllSharersLocked(pfn)) {
        this.#sharersGeneration = this.#changes.parts.memslots.generation;
        this.#sharers = this.#sharersBy((entry) => stateOfEntry(entry) === HVA_SHARED);
        isScanned = true;
      }
      const pages = this.#sharers.get(pfn);
      if (pages !== undefined) found.set(pfn, pages);
    }
    return found;
  }

  /** Whether the remembered pages of a shared frame are all that have it: each has it still, and there are no more references than pages. */
  #areAllSharersLocked(pfn: Pfn): boolean {
    const { addressSpace, memslots, pool } = this.#changes.parts;
    const pages = this.#sharers.get(pfn);
    if (pages === undefined || this.#sharersGeneration !== memslots.generation || pool.references(pfn) !== pages.length) return false;
    for (const { page } of pages) {
      const entry = addressSpace.entry(page);
      if (stateOfEntry(entry) !== HVA_SHARED || pfnOfEntry(entry) !== pfn) return false;
    }
    return true;
  }

  /** Remembers where the pages of shared frames are now. */
  #noteMovedSharers(moved: readonly Journey[]): void {
    for (const { source, target, state, pages } of moved) {
      this.#sharers.delete(source);
      if (state === HVA_SHARED) this.#sharers.set(target, pages);
    }
  }

  /** The frames of pages, each with all pages that have it. */
  #framesOfLocked(gfns: readonly Gfn[], count: Count): Map<Pfn, readonly PageName[]> {
    const frames = new Map<Pfn, readonly PageName[]>();
    const shared = new Set<Pfn>();
    for (const gfn of new Set(gfns)) {
      const name = this.#changes.nameOf(gfn);
      const entry = name === undefined ? 0 : this.#changes.parts.addressSpace.entry(name.page);
      if (name === undefined) count.noSlot++;
      else if (!hasFrame(entry)) count.absent++;
      else if (stateOfEntry(entry) === HVA_SHARED) shared.add(pfnOfEntry(entry));
      else frames.set(pfnOfEntry(entry), [name]);
    }
    for (const [pfn, pages] of this.#sharersOfLocked(shared)) frames.set(pfn, pages);
    return frames;
  }

  /** Moves frames that have not changed hands since they were found; one invalidation for all. Inside mutate. */
  #moveLocked(found: Found, count: Count): void {
    const journeys = this.#planLocked(found, count);
    if (journeys.length === 0) return;
    this.#changes.invalidate(rangesOf(journeys), () => this.#replaceFrames(journeys));
    const moved = journeys.filter((journey) => journey.isMoved);
    this.#noteMovedSharers(moved);
    count.moved += moved.length;
    count.pinned += journeys.length - moved.length;
    this.#changes.parts.counters.add("framesMoved", moved.length);
    this.#changes.releaseFrames(leftBy(journeys));
  }

  /** A target for each frame that can be moved. */
  #planLocked({ generation, frames }: Found, count: Count): Journey[] {
    const { addressSpace, pool, memslots } = this.#changes.parts;
    // Memslots change under the mutation lock only: with the same generation, every name still holds.
    const areNamesCurrent = memslots.generation === generation;
    const sources = frames.filter(([source, pages]) => this.#isUnchangedLocked(source, pages, areNamesCurrent));
    count.absent += frames.length - sources.length;
    const targets = pool.allocateBatch(sources.map(([, pages]) => pages[0]!.page));
    count.outOfMemory += sources.length - targets.length;
    return targets.map((target, index) => {
      const [source, pages] = sources[index]!;
      for (let more = 1; more < pages.length; more++) pool.addReference(target);
      const state = stateOfEntry(addressSpace.entry(pages[0]!.page)) === HVA_SHARED ? HVA_SHARED : HVA_PRESENT;
      return { source, target, state, pages, nptBefore: [], isMoved: false };
    });
  }

  /** Whether pages that were found outside the mutation lock still are the pages of a frame. */
  #isUnchangedLocked(source: Pfn, pages: readonly PageName[], areNamesCurrent: boolean): boolean {
    const { addressSpace } = this.#changes.parts;
    const entry = addressSpace.entry(pages[0]!.page);
    if (!hasFrame(entry) || pfnOfEntry(entry) !== source) return false;
    for (let n = 1; n < pages.length; n++) if (addressSpace.entry(pages[n]!.page) !== entry) return false;
    return areNamesCurrent || pages.every((name) => this.#changes.isCurrent(name));
  }

  /**
   * The middle of a move; an invalidation of the pages is active. The order matters: no new way to the old frames (BUSY, NPT entry
   * gone), then no old way (TLBs flushed; guest pages were waited for by begin), then the copy.
   */
  #replaceFrames(journeys: readonly Journey[]): void {
    const changes = this.#changes;
    const { pool, views, addressSpace } = changes.parts;
    changes.withMmuLock(() => {
      for (const journey of journeys) journey.nptBefore = journey.pages.map((name) => changes.cutLocked(name, journey.source));
    });
    changes.flushVcpuTlbs();
    for (const journey of journeys) {
      // More references than pages: somebody pinned it, and may write to it at any time.
      journey.isMoved = pool.references(journey.source) === journey.pages.length;
      if (journey.isMoved) views.copyFrame(journey.target, journey.source);
    }
    changes.withMmuLock(() => {
      for (const { pages, state, isMoved, source, target, nptBefore } of journeys) {
        pages.forEach((name, index) => {
          assert(stateOfEntry(addressSpace.entry(name.page)) === HVA_BUSY, "expected a page to stay BUSY during its move, got", name.gfn);
          changes.settleLocked(name, state, isMoved ? target : source, nptBefore[index]!);
        });
      }
    });
    changes.wakeBusyWaiters();
  }
}

/** The pages of all journeys, neighbours in one range. */
function rangesOf(journeys: readonly Journey[]): InvalidationRange[] {
  const ranges: InvalidationRange[] = [];
  let firstGfn = 0;
  let firstHvaPage = 0;
  let pageCount = 0;
  const end = (): void => void (pageCount > 0 && ranges.push({ firstGfn: gfnOf(firstGfn), firstHvaPage: hvaPageOf(firstHvaPage), pageCount }));
  for (const { pages } of journeys) {
    for (const { gfn, page } of pages) {
      if (gfn === firstGfn + pageCount && page === firstHvaPage + pageCount) {
        pageCount++;
        continue;
      }
      end();
      [firstGfn, firstHvaPage, pageCount] = [gfn, page, 1];
    }
  }
  end();
  return ranges;
}

/** The frames that nobody has any more behind the journeys, once for each page. */
function leftBy(journeys: readonly Journey[]): Pfn[] {
  const frames: Pfn[] = [];
  for (const { isMoved, source, target, pages } of journeys) {
    for (let page = 0; page < pages.length; page++) frames.push(isMoved ? source : target);
  }
  return frames;
}

function pinnedDetail(block: number, pages: readonly PinnedPage[]): string {
  const named = pages.map(({ gfn, users }) => `gfn 0x${gfn.toString(16)} by ${users.length === 0 ? "a page in use" : users.join(" and ")}`);
  const shown = named.slice(0, 8).join(", ") + (named.length > 8 ? `, and ${named.length - 8} more` : "");
  return `block ${block} stays online: of its ${FRAMES_PER_BLOCK} frames ${pages.length} are held: ${shown}`;
}
