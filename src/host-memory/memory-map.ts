/** A picture of the memory for people: what the frames of each block are used for, and where the pages of each memslot are. */
import { atomicLoad } from "#sync";
import type { Pfn } from "../abi/address.js";
import { HVA_SHARED, HVA_SWAPPED, pfnOfEntry, stateOfEntry } from "./address-space.js";
import { blockOf } from "./frame-pool.js";
import { WORD_FRAME_LIMIT } from "./layout.js";
import type { Memslot } from "./memslots.js";
import type { BlockMap, MemoryMap, SlotMap } from "./operations.js";
import type { HostParts } from "./page-changes.js";

/** Makes the picture. `stall` = why the guest waits for memory, undefined = it does not. Never sleeps for long. */
export function memoryMap(parts: HostParts, stall: string | undefined): MemoryMap {
  const sharedFrames = new Set<Pfn>();
  const slots = parts.memslots.list().map((slot) => slotMap(parts, slot, sharedFrames));
  const limit = atomicLoad(parts.words, WORD_FRAME_LIMIT);
  return {
    blocks: blockMaps(parts, sharedFrames), slots,
    frameLimit: limit === 0 ? undefined : limit,
    swapSlotsTotal: parts.swapMap.slotCount, swapSlotsUsed: parts.swapMap.usedCount,
    stall,
  };
}

function slotMap({ addressSpace }: HostParts, slot: Memslot, sharedFrames: Set<Pfn>): SlotMap {
  const counts = { present: 0, shared: 0, swapped: 0 };
  addressSpace.forEachEntry(slot.baseHvaPage, slot.pageCount, (_, entry) => {
    const state = stateOfEntry(entry);
    if (state === HVA_SHARED) sharedFrames.add(pfnOfEntry(entry));
    if (state === HVA_SHARED) counts.shared++;
    else if (state === HVA_SWAPPED) counts.swapped++;
    // A BUSY page is between two places; it has a frame in each case.
    else counts.present++;
  });
  const { id, baseGfn, pageCount } = slot;
  return { id, baseGfn, pageCount, ...counts, absent: pageCount - counts.present - counts.shared - counts.swapped };
}

function blockMaps({ pool, pins }: HostParts, sharedFrames: ReadonlySet<Pfn>): BlockMap[] {
  const pinnedFrames = pins.usersByFrame();
  const countIn = (frames: Iterable<Pfn>, block: number): number => [...frames].filter((pfn) => blockOf(pfn) === block).length;
  return pool.blocks().map(({ index, state, framesTotal, framesInUse }) => {
    const pinned = countIn(pinnedFrames.keys(), index);
    const shared = Math.min(countIn([...sharedFrames].filter((pfn) => !pinnedFrames.has(pfn)), index), framesInUse - pinned);
    return { index, state, framesTotal, present: framesInUse - pinned - shared, shared, pinned, free: framesTotal - framesInUse };
  });
}
