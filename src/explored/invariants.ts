/**
 * What must hold in every scenario over the shipped source, of the invariants that a checker of page lifetimes wants (I1 to I16).
 *
 *     I1   an access is in a frame that is allocated                                   stepFault
 *     I2   ... and that is the page's, unless the page is being changed                stepFault
 *     I5   a mapping is not used once an invalidation's start has returned: the entry
 *          is changed behind the start only, so a use behind it is a use by I2         stepFault
 *     I6   when all have ended, a frame has as many references as pages               endFault
 *     I7   a page can be moved, nobody holds it for good                               the movers' claim (actors.ts)
 *     I8   an access begins at the offset it was opened for                            PageView.open
 *     I9   an event that was raised is seen                                            vcpu.ts: who waits for one that is lost waits for ever
 *     I10  what was read between two equal signs belongs together                      the readers' claims (runstate-scenarios.ts)
 *     I11  run state times add up to the entry time                                    the same
 *     I12  nobody sleeps where he must not                                             the engine, by "no-sleep"
 *     I13  no deadlock                                                                 the engine
 *     I14  look-ups end when changes do, I16: changes of memslots end                  the engine: every schedule came to an end, none was cut
 *     I15  counts of active changes are never below 0, and 0 in the end                both
 *
 * I3 and I4 (active if and only if listed, valid only if active) are about a list that an invalidation goes through. There is none here: what
 * a GuestPage knows is its own thread's, and an invalidation tells by a sequence.
 */
import type { ModelView } from "../explore/index.js";
import { FRAME_ENTRY_SIZE } from "../abi/layout.js";
import { HVA_BUSY, HVA_PRESENT, hasFrame, pfnOfEntry, stateOfEntry } from "../host-memory/address-space.js";
import { INVALIDATION_BUCKET_COUNT, WORD_FRAMES_IN_USE, WORD_FRAME_TABLE, WORD_INVALIDATION_BUCKETS } from "../host-memory/layout.js";
import { openPlaceOf } from "./world.js";
import type { CellMap } from "./world.js";

/** What the invariants look at. */
export interface Watched {
  readonly map: CellMap;
  /** Cells of the address space's entries, by guest frame. */
  readonly entries: readonly number[];
}

const FRAME_WORDS = FRAME_ENTRY_SIZE >>> 2;

/** Asked after each step. */
export function stepFault(watched: Watched, view: ModelView): string | undefined {
  for (const cell of watched.map.openCells) {
    const place = openPlaceOf(view.value(cell));
    const fault = place && accessFault(watched, view, place.pfn, place.gfn);
    if (fault !== undefined) return fault;
  }
  for (const cell of watched.map.activeCells(WORD_INVALIDATION_BUCKETS, INVALIDATION_BUCKET_COUNT)) {
    if (view.value(cell) < 0) return `I15: an active count is ${view.value(cell)}`;
  }
  return undefined;
}

function accessFault({ map, entries }: Watched, view: ModelView, pfn: number, gfn: number | undefined): string | undefined {
  const references = map.known(WORD_FRAME_TABLE + pfn * FRAME_WORDS);
  if (references === undefined || view.value(references) <= 0) return `I1: an access is in frame 0x${pfn.toString(16)}, which is free`;
  const isPlace = (entry: number): boolean => stateOfEntry(entry) === HVA_PRESENT && pfnOfEntry(entry) === pfn;
  if (gfn === undefined) return entries.some((cell) => isPlace(view.value(cell))) ? undefined : `I2: an access is in frame 0x${pfn.toString(16)}, which no page has`;
  const entry = view.value(entries[gfn]!);
  return isPlace(entry) ? undefined : `I2: an access is in frame 0x${pfn.toString(16)} while the entry of page ${gfn} is 0x${(entry >>> 0).toString(16)}`;
}

/** Asked when all threads have ended. */
export function endFault({ map, entries }: Watched, view: ModelView): string | undefined {
  for (const cell of map.activeCells(WORD_INVALIDATION_BUCKETS, INVALIDATION_BUCKET_COUNT)) {
    if (view.value(cell) !== 0) return `I15: an active count is ${view.value(cell)} at the end`;
  }
  const pages = new Map<number, number>();
  for (const cell of entries) {
    const entry = view.value(cell);
    if (stateOfEntry(entry) === HVA_BUSY) return "I16: a page is BUSY at the end";
    if (hasFrame(entry)) pages.set(pfnOfEntry(entry), (pages.get(pfnOfEntry(entry)) ?? 0) + 1);
  }
  for (const [pfn, count] of pages) {
    const references = view.value(map.cellOf(WORD_FRAME_TABLE + pfn * FRAME_WORDS));
    if (references !== count) return `I6: frame 0x${pfn.toString(16)} has ${references} references at the end, and ${count} pages`;
  }
  const inUse = view.value(map.cellOf(WORD_FRAMES_IN_USE));
  return inUse === pages.size ? undefined : `I6: ${inUse} frames are in use at the end, and pages have ${pages.size}`;
}
