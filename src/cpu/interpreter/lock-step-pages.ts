/** The guest pages that a checked stretch stores to (lock-step.ts): their contents before, and behind one of the runs; and who has write tags. */
import * as L from "./generated/layout";
import { cpu } from "./state";

const PAGE: u32 = 4096;
const PAGE_MASK: u32 = 0xffff_f000;
/** A page's place in LOCK_STEP.pages. */
const RECORD_SHIFT: u32 = 3;
const WORD_RECORD: u32 = 24;

let pageCount: u32 = 0;
/** Pages whose contents have been kept; those that came later are as they were at the start. */
let keptCount: u32 = 0;
let tagCount: u32 = 0;

// @ts-ignore: decorator
@inline function area(): u32 { return cpu + L.VCPU_AREA_lockStep; }
// @ts-ignore: decorator
@inline function frameOf(page: u32): u32 { return load<u32>(area() + L.LOCK_STEP_pages + (page << RECORD_SHIFT)); }
// @ts-ignore: decorator
@inline function gfnOf(page: u32): u32 { return load<u32>(area() + L.LOCK_STEP_pages + (page << RECORD_SHIFT) + 4); }
// @ts-ignore: decorator
@inline function oldPage(page: u32): u32 { return area() + L.LOCK_STEP_oldPages + page * PAGE; }
// @ts-ignore: decorator
@inline function newPage(page: u32): u32 { return page < keptCount ? area() + L.LOCK_STEP_newPages + page * PAGE : oldPage(page); }

/** Notes that the TLB entry `slot` has got a write tag. */
export function noteWriteTag(slot: u32): void {
  if (tagCount < L.LOCK_STEP_TAGS_MAX) store<u32>(area() + L.LOCK_STEP_writeTags + (tagCount << 2), slot);
  tagCount++;
}

function takeWriteTags(): void {
  if (tagCount <= L.LOCK_STEP_TAGS_MAX) {
    const tags = area() + L.LOCK_STEP_writeTags;
    for (let tag: u32 = 0; tag < tagCount; tag++) store<u64>(load<u32>(tags + (tag << 2)) + L.TLB_TAG_WRITE, u64(-1));
  } else {
    const end = cpu + L.VCPU_AREA_kernelTlb + 2 * L.TLB_ENTRIES * L.TLB_ENTRY_SIZE;
    for (let slot = cpu + L.VCPU_AREA_userTlb; slot < end; slot += L.TLB_ENTRY_SIZE) store<u64>(slot + L.TLB_TAG_WRITE, u64(-1));
  }
  tagCount = 0;
}

/** Begins a stretch: nothing can be stored before `keepPage` was asked. */
export function startPages(): void {
  takeWriteTags();
  pageCount = 0;
  keptCount = 0;
}

/** Whether the page of host address `pointer` may be stored to: its contents are kept. */
export function isKept(pointer: u32): bool {
  const frame = pointer & PAGE_MASK;
  for (let page: u32 = 0; page < pageCount; page++) if (frameOf(page) == frame) return true;
  return false;
}

/** Keeps the contents of guest page `gfn` in `frame`, which is about to be stored to. Returns false when there are too many. */
export function keepPage(gfn: u32, frame: u32): bool {
  if (isKept(frame)) return true;
  if (pageCount == L.LOCK_STEP_PAGES_MAX) return false;
  const page = pageCount++;
  const record = area() + L.LOCK_STEP_pages + (page << RECORD_SHIFT);
  store<u32>(record, frame);
  store<u32>(record + 4, gfn);
  memory.copy(oldPage(page), frame, PAGE);
  return true;
}

/** Puts the contents of the start back. */
export function undoPages(): void {
  for (let page: u32 = 0; page < pageCount; page++) memory.copy(frameOf(page), oldPage(page), PAGE);
}

/** Keeps what the pages hold now, to be compared. */
export function keepPages(): void {
  keptCount = pageCount;
  for (let page: u32 = 0; page < pageCount; page++) memory.copy(newPage(page), frameOf(page), PAGE);
}

/** Whether a page holds something else than what was kept. */
export function pagesDiffer(): bool {
  for (let page: u32 = 0; page < pageCount; page++) {
    const now = frameOf(page), kept = newPage(page);
    for (let at: u32 = 0; at < PAGE; at += 16) {
      if (v128.any_true(v128.xor(v128.load(now + at), v128.load(kept + at)))) return true;
    }
  }
  return false;
}

/** Lists the words of memory that differ, as many as there is room for. */
export function noteWords(): void {
  let words: u32 = 0;
  for (let page: u32 = 0; page < pageCount; page++) {
    const now = frameOf(page), kept = newPage(page);
    for (let at: u32 = 0; at < PAGE && words < L.LOCK_STEP_WORDS_MAX; at += 8) {
      if (load<u64>(now + at) == load<u64>(kept + at)) continue;
      const record = area() + L.LOCK_STEP_words + words++ * WORD_RECORD;
      store<u64>(record, (u64(gfnOf(page)) << 12) | u64(at));
      store<u64>(record + 8, load<u64>(kept + at));
      store<u64>(record + 16, load<u64>(now + at));
    }
  }
  store<u32>(area() + L.LOCK_STEP_wordCount, words);
}
