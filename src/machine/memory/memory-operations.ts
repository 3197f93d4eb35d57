/** What the memory thread needs of the host's memory; HostMemory fits. */
import type { Gfn } from "../../abi/address.js";
import type { MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, SwapOutcome } from "../../host-memory/index.js";

/** A range of guest frames. */
export interface FrameRange {
  readonly baseGfn: Gfn;
  readonly pageCount: number;
}

/** The operations on a running guest's memory; those with an outcome may sleep. */
export interface MemoryOperations {
  /** Gives each page another frame: one batch, 1 to 64 pages, each named once. */
  moveFrames(gfns: readonly Gfn[]): MoveOutcome;
  swapOut(gfns: readonly Gfn[]): SwapOutcome;
  /** Swaps out up to `pageCount` pages that have not been used lately. */
  reclaim(pageCount: number): SwapOutcome;
  /** Long; calls `shouldStop` between its batches, with no lock held. */
  mergeEqualPages(shouldStop: () => boolean): MergeOutcome;
  /** As mergeEqualPages. */
  offlineBlock(block: number, shouldStop: () => boolean): OfflineOutcome;
  onlineBlock(block: number): OnlineOutcome;
  memoryMap(): MemoryMap;
  memslots(): readonly FrameRange[];
  /** Whether the page has a frame now; a hint, and cheap. */
  isPresent(gfn: Gfn): boolean;
  /** Pages that the hypervisor itself has mapped now. */
  mappedPages(): readonly { readonly gfn: Gfn }[];
  /** Pages that should be swapped out now so that the guest finds free frames; 0 = none. */
  needsReclaim(): number;
  /** Why the guest waits for memory; undefined = it does not. */
  readonly stall: string | undefined;
  /** Whether the VM ends. */
  readonly isStopping: boolean;
  /** What waitForReclaimWork compares: read before the work is looked for. */
  readonly reclaimWorkSeen: number;
  /** Sleeps until needsReclaim may have changed, wakeMemoryThread of any thread, or the time-out (may be Infinity). */
  waitForReclaimWork(seen: number, timeoutMs: number): void;
}
