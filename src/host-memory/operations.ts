/** What the operations of the host's memory on a running guest tell about their outcome, and what a picture of the memory holds. */
import type { Gfn, Pfn } from "../abi/address.js";

/** What became of the pages of one batch; the numbers add up to the size of the batch. */
export interface MoveOutcome {
  readonly moved: number;
  /** Pages without a frame: never touched, discarded or swapped out. */
  readonly absent: number;
  /** Pages that somebody holds a reference to (page access "pinned", or an access of "map-each-time" in progress). */
  readonly pinned: number;
  /** Frame numbers without memslot. */
  readonly noSlot: number;
  /** Pages for which the host had no free frame. */
  readonly outOfMemory: number;
}

/** What became of pages that were to be swapped out. */
export interface SwapOutcome {
  readonly swapped: number;
  /** Pages that have no frame of their own, share it, or are pinned. */
  readonly skipped: number;
  /** Why the rest stayed: the swap file's error, in one line. */
  readonly failure?: string;
}

/** Result of one pass over all pages in search of equal ones. */
export interface MergeOutcome {
  readonly scanned: number;
  /** Pages that share a frame now and did not before. */
  readonly merged: number;
  readonly framesFreed: number;
}

/** A page that kept a block from going offline. */
export interface PinnedPage {
  readonly pfn: Pfn;
  readonly gfn: Gfn;
  /** Who holds the references, as PAGE_USER_NAMES spells them. */
  readonly users: readonly string[];
}

/** What became of a block that was to go offline. "refused": nothing was changed. */
export type OfflineOutcome =
  | { readonly result: "offline"; readonly framesMoved: number }
  | { readonly result: "refused"; readonly reason: "no-such-block" | "offline-already"; readonly detail: string }
  | { readonly result: "refused"; readonly reason: "no-room"; readonly framesNeeded: number; readonly framesFree: number; readonly detail: string }
  | { readonly result: "refused"; readonly reason: "pinned"; readonly pages: readonly PinnedPage[]; readonly detail: string };

/** What became of a block that was to come online. */
export type OnlineOutcome =
  | { readonly result: "online" }
  | { readonly result: "refused"; readonly reason: "no-such-block" | "online-already"; readonly detail: string };

/** One memory block: 16 MiB of the host's frames. The four counts of frames add up to framesTotal. */
export interface BlockMap {
  /** Number of the block: address / 16 MiB. */
  readonly index: number;
  readonly state: "online" | "offline";
  readonly framesTotal: number;
  /** Frames of one guest page each. */
  readonly present: number;
  /** Frames that several guest pages share. */
  readonly shared: number;
  /** Frames that somebody holds a reference to; counted here only. */
  readonly pinned: number;
  readonly free: number;
}

/** One memslot: a range of guest-physical memory. The four counts of pages add up to pageCount. */
export interface SlotMap {
  readonly id: number;
  readonly baseGfn: Gfn;
  readonly pageCount: number;
  readonly present: number;
  readonly shared: number;
  readonly swapped: number;
  /** Never touched or discarded: reads as zeroes. */
  readonly absent: number;
}

/** A picture of all memory; taken while the guest runs, so parts of it may be a moment apart. */
export interface MemoryMap {
  readonly blocks: readonly BlockMap[];
  readonly slots: readonly SlotMap[];
  /** Most frames of guest pages at a time; undefined = no limit below the blocks. */
  readonly frameLimit: number | undefined;
  readonly swapSlotsTotal: number;
  readonly swapSlotsUsed: number;
  /** Why the guest waits for memory, in one line; undefined = it does not. */
  readonly stall: string | undefined;
}
