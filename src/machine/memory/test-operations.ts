/** A model of the host's memory for the tests of the memory thread: a set of pages, no frames. */
import { type Gfn, gfnOf } from "../../abi/address.js";
import type { MemoryMap, MoveOutcome, SwapOutcome } from "../../host-memory/index.js";
import type { FrameRange, MemoryOperations } from "./memory-operations.js";

/** Two memslots, every page with a frame at first, and what was done to them. */
export class ModelOperations implements MemoryOperations {
  readonly slots: readonly FrameRange[] = [{ baseGfn: gfnOf(0), pageCount: 160 }, { baseGfn: gfnOf(0x1000), pageCount: 1000 }];
  readonly swapped = new Set<Gfn>();
  readonly pinned = new Set<Gfn>();
  readonly mapped: Gfn[] = [];
  /** Sizes of all batches of moves, and how often each page was moved. */
  readonly moveBatches: number[] = [];
  readonly moveCounts = new Map<Gfn, number>();
  readonly sleeps: number[] = [];
  wanted = 0;
  swapRoom = Infinity;
  stall: string | undefined;
  isStopping = false;
  readonly reclaimWorkSeen = 0;

  get pageCount(): number {
    return this.slots.reduce((sum, slot) => sum + slot.pageCount, 0);
  }

  isPresent(gfn: Gfn): boolean {
    return this.#isInSlot(gfn) && !this.swapped.has(gfn);
  }

  memslots(): readonly FrameRange[] {
    return this.slots;
  }

  mappedPages(): readonly { readonly gfn: Gfn }[] {
    return this.mapped.map((gfn) => ({ gfn }));
  }

  moveFrames(gfns: readonly Gfn[]): MoveOutcome {
    if (new Set(gfns).size !== gfns.length || gfns.length > 64) throw new Error(`expected up to 64 different pages, got ${gfns.join(" ")}`);
    const outcome = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };
    for (const gfn of gfns) {
      const what = !this.#isInSlot(gfn) ? "noSlot" : this.pinned.has(gfn) ? "pinned" : this.swapped.has(gfn) ? "absent" : "moved";
      outcome[what]++;
      if (what === "moved") this.moveCounts.set(gfn, (this.moveCounts.get(gfn) ?? 0) + 1);
    }
    this.moveBatches.push(gfns.length);
    return outcome;
  }

  swapOut(gfns: readonly Gfn[]): SwapOutcome {
    let swapped = 0;
    for (const gfn of gfns) {
      if (this.swapped.size >= this.swapRoom) return { swapped, skipped: 0, failure: "swap file /x is full (no space left on device)" };
      this.swapped.add(gfn);
      swapped++;
    }
    return { swapped, skipped: 0 };
  }

  reclaim(pageCount: number): SwapOutcome {
    const victims = [...Array(this.slots[1]!.pageCount).keys()].map((n) => gfnOf(0x1000 + n)).filter((gfn) => this.isPresent(gfn));
    const outcome = this.swapOut(victims.slice(0, pageCount));
    this.wanted = Math.max(0, this.wanted - outcome.swapped);
    return outcome;
  }

  needsReclaim(): number {
    return this.wanted;
  }

  waitForReclaimWork(_seen: number, timeoutMs: number): void {
    this.sleeps.push(timeoutMs);
  }

  mergeEqualPages(shouldStop: () => boolean): { scanned: number; merged: number; framesFreed: number } {
    for (let batch = 0; batch < 10; batch++) shouldStop();
    return { scanned: this.pageCount, merged: 2, framesFreed: 1 };
  }

  offlineBlock(): { result: "offline"; framesMoved: number } {
    return { result: "offline", framesMoved: 3 };
  }

  onlineBlock(block: number): { result: "refused"; reason: "online-already"; detail: string } {
    return { result: "refused", reason: "online-already", detail: `block ${block} is online` };
  }

  memoryMap(): MemoryMap {
    const slots = this.slots.map(({ baseGfn, pageCount }, id) => {
      const swapped = [...this.swapped].filter((gfn) => gfn >= baseGfn && gfn < baseGfn + pageCount).length;
      return { id, baseGfn, pageCount, present: pageCount - swapped, shared: 0, swapped, absent: 0 };
    });
    return { blocks: [], slots, frameLimit: undefined, swapSlotsTotal: 0, swapSlotsUsed: 0, stall: this.stall };
  }

  #isInSlot(gfn: Gfn): boolean {
    return this.slots.some(({ baseGfn, pageCount }) => gfn >= baseGfn && gfn < baseGfn + pageCount);
  }
}
