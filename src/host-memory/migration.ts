/**
 * Pages get other frames while their users go on: single pages, and all of a memory block that is to go offline.
 *
 * A frame that several pages share is moved for all of them at once. A frame with more references than pages is pinned: it stays, and
 * its pages are as they were. Linux calls that -EAGAIN and tries up to ten times (mm/migrate.c); so does an offline here.
 */
import { atomicLoad, waitWhile } from "#sync";
import type { Gfn, Pfn } from "../abi/address.js";
import { HVA_BUSY, HVA_PRESENT, HVA_SHARED, hasFrame, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { assert } from "./errors.js";
import { blockOf } from "./frame-pool.js";
import { FRAMES_PER_BLOCK, WORD_BUSY_DONE } from "./layout.js";
import type { MoveOutcome, OfflineOutcome, OnlineOutcome, PinnedPage } from "./operations.js";
import { rangeOfPage } from "./page-changes.js";
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
    const frames = [...this.#sharersBy((pfn) => blockOf(pfn) === block)];
    const count: Count = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };
    for (let from = 0; from < frames.length && !shouldStop(); from += OFFLINE_BATCH_FRAMES) {
      this.#changes.mutate(() => this.#moveLocked({ generation, frames: frames.slice(from, from + OFFLINE_BATCH_FRAMES) }, count));
    }
    return count.moved;
  }

  #pinnedPagesOf(block: number): PinnedPage[] {
    const users = this.#changes.parts.pins.usersByFrame();
    return [...this.#sharersBy((pfn) => blockOf(pfn) === block)].map(([pfn, pages]) =>
      ({ pfn, gfn: pages[0]!.gfn, users: users.get(pfn) ?? [] }));
  }

  /** All pages with a frame that `isWanted` picks, by frame. */
  #sharersBy(isWanted: (pfn: Pfn) => boolean): Map<Pfn, PageName[]> {
    const sharers = new Map<Pfn, PageName[]>();
    const add = (name: PageName, entry: number): void => {
      const pages = sharers.get(pfnOfEntry(entry));
      if (pages === undefined) sharers.set(pfnOfEntry(entry), [name]);
      else pages.push(name);
    };
    this.#changes.forEachPage(add, (entry) => hasFrame(entry) && isWanted(pfnOfEntry(entry)));
    return sharers;
  }

  /** The frames of pages, each with all pages that have it. */
  #framesOfLocked(gfns: readonly Gfn[], count: Count): Map<Pfn, PageName[]> {
    const frames = new Map<Pfn, PageName[]>();
    const shared = new Set<Pfn>();
    for (const gfn of new Set(gfns)) {
      const name = this.#changes.nameOf(gfn);
      const entry = name === undefined ? 0 : this.#changes.parts.addressSpace.entry(name.page);
      if (name === undefined) count.noSlot++;
      else if (!hasFrame(entry)) count.absent++;
      else if (stateOfEntry(entry) === HVA_SHARED) shared.add(pfnOfEntry(entry));
      else frames.set(pfnOfEntry(entry), [name]);
    }
    if (shared.size > 0) for (const [pfn, pages] of this.#sharersBy((pfn) => shared.has(pfn))) frames.set(pfn, pages);
    return frames;
  }

  /** Moves frames that have not changed hands since they were found; one invalidation for all. Inside mutate. */
  #moveLocked(found: Found, count: Count): void {
    const journeys = this.#planLocked(found, count);
    if (journeys.length === 0) return;
    const ranges = journeys.flatMap(({ pages }) => pages.map(rangeOfPage));
    this.#changes.invalidate(ranges, () => this.#replaceFrames(journeys));
    const moved = journeys.filter((journey) => journey.isMoved);
    count.moved += moved.length;
    count.pinned += journeys.length - moved.length;
    this.#changes.parts.counters.add("framesMoved", moved.length);
    this.#changes.releaseFrames(journeys.flatMap(({ isMoved, source, target, pages }) => pages.map(() => (isMoved ? source : target))));
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
    return hasFrame(entry) && pfnOfEntry(entry) === source
      && pages.every((name) => (areNamesCurrent || this.#changes.isCurrent(name)) && addressSpace.entry(name.page) === entry);
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

function pinnedDetail(block: number, pages: readonly PinnedPage[]): string {
  const named = pages.map(({ gfn, users }) => `gfn 0x${gfn.toString(16)} by ${users.length === 0 ? "a page in use" : users.join(" and ")}`);
  const shown = named.slice(0, 8).join(", ") + (named.length > 8 ? `, and ${named.length - 8} more` : "");
  return `block ${block} stays online: of its ${FRAMES_PER_BLOCK} frames ${pages.length} are held: ${shown}`;
}
