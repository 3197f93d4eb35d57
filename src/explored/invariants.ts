/**
 * What must hold in every scenario over the shipped source, of the invariants that a checker of page lifetimes wants (I1 to I16).
 *
 *     I1   an access is in a frame that is allocated, and so is a translation's        stepFault
 *     I2   ... and that of the page at its address, as memslots and address space have
 *          it; in the end the nested page table has no other frames either             both
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
import { FRAME_ENTRY_SIZE, NPT_PRESENT, NPT_WRITABLE } from "../abi/layout.js";
import type { ModelView } from "../explore/index.js";
import { HVA_BUSY, HVA_PRESENT, hasFrame, pfnOfEntry, stateOfEntry } from "../host-memory/address-space.js";
import { INVALIDATION_BUCKET_COUNT, MEMSLOT_ENTRY_WORDS, MEMSLOT_HEADER_WORDS, MEMSLOT_SET_STRIDE_WORDS, WORD_FRAMES_IN_USE, WORD_FRAME_TABLE, WORD_HVA_ROOT,
  WORD_INVALIDATION_BUCKETS, WORD_MEMSLOT_GENERATION, WORD_MEMSLOT_SETS, WORD_NPT_ROOT } from "../host-memory/layout.js";
import { openPlaceOf } from "./world.js";
import type { CellMap } from "./world.js";

const FRAME_WORDS = FRAME_ENTRY_SIZE >>> 2;

/** Asked after each step. */
export function stepFault(map: CellMap, view: ModelView): string | undefined {
  const memory = new MemoryWords(map, view);
  for (const cell of map.openCells) {
    const place = openPlaceOf(view.value(cell));
    const fault = place && accessFault(memory, place.pfn, place.gfn);
    if (fault !== undefined) return fault;
  }
  for (const cell of map.translationCells) {
    const pfn = view.value(cell);
    if (pfn !== 0 && memory.references(pfn) <= 0) return `I1: a vCPU reaches frame 0x${pfn.toString(16)} by a translation, and it is free`;
  }
  const negative = activeCells(map).map((cell) => view.value(cell)).find((count) => count < 0);
  return negative === undefined ? undefined : `I15: an active count is ${negative}`;
}

function accessFault(memory: MemoryWords, pfn: number, gfn: number | undefined): string | undefined {
  const frame = `0x${pfn.toString(16)}`;
  if (memory.references(pfn) <= 0) return `I1: an access is in frame ${frame}, which is free`;
  if (gfn === undefined) return memory.pages().some(({ entry }) => isFrameOf(entry, pfn)) ? undefined : `I2: an access is in frame ${frame}, which no page has`;
  const entry = memory.entryAt(gfn);
  // Who holds a reference may be in the frame while a change looks whether anybody does.
  const isHeld = entry !== undefined && stateOfEntry(entry) === HVA_BUSY && pfnOfEntry(entry) === pfn && memory.references(pfn) > 1;
  return isHeld || isFrameOf(entry, pfn) ? undefined : `I2: an access is in frame ${frame} while page ${gfn} is ${entry === undefined ? "none" : `0x${(entry >>> 0).toString(16)}`}`;
}

function isFrameOf(entry: number | undefined, pfn: number): boolean {
  return entry !== undefined && stateOfEntry(entry) === HVA_PRESENT && pfnOfEntry(entry) === pfn;
}

/** Asked when all threads have ended. */
export function endFault(map: CellMap, view: ModelView, gfns: readonly number[]): string | undefined {
  const memory = new MemoryWords(map, view);
  return activeAtEnd(map, view) ?? referencesFault(memory) ?? gfns.map((gfn) => nestedFault(memory, gfn)).find((fault) => fault !== undefined);
}

function activeAtEnd(map: CellMap, view: ModelView): string | undefined {
  const left = activeCells(map).map((cell) => view.value(cell)).find((count) => count !== 0);
  return left === undefined ? undefined : `I15: an active count is ${left} at the end`;
}

function referencesFault(memory: MemoryWords): string | undefined {
  const owners = new Map<number, number>();
  for (const { gfn, entry } of memory.pages()) {
    if (stateOfEntry(entry) === HVA_BUSY) return `I16: page ${gfn} is BUSY at the end`;
    if (hasFrame(entry)) owners.set(pfnOfEntry(entry), (owners.get(pfnOfEntry(entry)) ?? 0) + 1);
  }
  for (const [pfn, count] of owners) {
    const references = memory.references(pfn);
    if (references !== count) return `I6: frame 0x${pfn.toString(16)} has ${references} references at the end, and ${count} pages`;
  }
  const inUse = memory.word(WORD_FRAMES_IN_USE);
  return inUse === owners.size ? undefined : `I6: ${inUse} frames are in use at the end, and pages have ${owners.size}`;
}

/** The nested page table holds no frame that the address space does not hold, and lets nobody write to one that is shared. */
function nestedFault(memory: MemoryWords, gfn: number): string | undefined {
  const nested = memory.tableEntry(WORD_NPT_ROOT, gfn);
  if ((nested & NPT_PRESENT) === 0) return undefined;
  const entry = memory.entryAt(gfn) ?? 0;
  const isRight = hasFrame(entry) && pfnOfEntry(entry) === nested >>> 12 && (stateOfEntry(entry) === HVA_PRESENT || (nested & NPT_WRITABLE) === 0);
  return isRight ? undefined : `I2: the nested page table has 0x${(nested >>> 0).toString(16)} for page ${gfn} at the end, the address space 0x${(entry >>> 0).toString(16)}`;
}

function activeCells(map: CellMap): readonly number[] {
  return map.activeCells(WORD_INVALIDATION_BUCKETS, INVALIDATION_BUCKET_COUNT);
}

/** What invariants read of memory, by the words of the shipped layout. */
export class MemoryWords {
  readonly #map: CellMap;
  readonly #words: ModelView;

  constructor(map: CellMap, words: ModelView) {
    this.#map = map;
    this.#words = words;
  }

  /** A word; one that nobody has touched is 0. */
  word(index: number): number {
    const cell = this.#map.known(index);
    return cell === undefined ? 0 : this.#words.value(cell);
  }

  /** References of a frame, 0 = free. */
  references(pfn: number): number {
    return this.word(WORD_FRAME_TABLE + pfn * FRAME_WORDS);
  }

  /** An entry of a two-level table. */
  tableEntry(root: number, page: number): number {
    const leaf = this.word(root + (page >>> 10));
    return leaf === 0 ? 0 : this.word((leaf >>> 2) + (page & 1023));
  }

  /** The address space's entry of the page at a guest frame; undefined = no memslot has it. */
  entryAt(gfn: number): number | undefined {
    const slot = this.#slots().find(({ baseGfn, pageCount }) => gfn >= baseGfn && gfn < baseGfn + pageCount);
    return slot && this.tableEntry(WORD_HVA_ROOT, slot.basePage + gfn - slot.baseGfn);
  }

  /** All pages of all memslots. */
  pages(): { readonly gfn: number; readonly entry: number }[] {
    return this.#slots().flatMap(({ baseGfn, pageCount, basePage }) =>
      Array.from({ length: pageCount }, (_, at) => ({ gfn: baseGfn + at, entry: this.tableEntry(WORD_HVA_ROOT, basePage + at) })));
  }

  #slots(): { readonly baseGfn: number; readonly pageCount: number; readonly basePage: number }[] {
    const set = WORD_MEMSLOT_SETS + (this.word(WORD_MEMSLOT_GENERATION) & 1) * MEMSLOT_SET_STRIDE_WORDS;
    return Array.from({ length: this.word(set) }, (_, slot) => {
      const entry = set + MEMSLOT_HEADER_WORDS + slot * MEMSLOT_ENTRY_WORDS;
      return { baseGfn: this.word(entry), pageCount: this.word(entry + 1), basePage: this.word(entry + 2) };
    });
  }
}
