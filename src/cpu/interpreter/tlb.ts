/**
 * The TLBs of one vCPU: user mode's, the supervisor's, and the supervisor's with user pages open (SMAP). An entry holds a tag
 * only for what may be done without looking: the write tag is withheld while the guest's dirty bit is clear, while the page holds
 * decoded code, and while the host forbids writing. Intel SDM vol 3 §4.10.
 */
import { forgetKernelCode, forgetUserCode } from "./code-epochs";
import * as L from "./generated/layout";
import { count, cpu } from "./state";
import { forgetPcCachePage } from "./code-cache";
import { FLAG_AC } from "./flags";
import { isPageWatched } from "./host-debug";
import { checkEvery, IDLE, lockStep } from "./lock-step";
import { isKept, noteWriteTag } from "./lock-step-pages";
import {
  setSupervisorProtected, supervisorProtected, VIEW_KERNEL, VIEW_OPEN, VIEW_USER, walkDirty, walkExecutable, walkGlobal, walkReadable, walkShift, walkWritable,
} from "./page-walk";

const CR0_AM: u64 = 0x4_0000;
const CR4_SMAP: u64 = 0x20_0000;
const TLB_SIZE: u32 = L.TLB_ENTRIES * L.TLB_ENTRY_SIZE;
/** Those of the supervisor stand in one piece. */
const SUPERVISOR_TLBS_SIZE: u32 = 2 * TLB_SIZE;

/** True while tags may not be installed, because every access must be looked at (data breakpoints). */
export let lookAtEachAccess: bool = false;
/** The same for accesses of user mode (alignment checks); kept while the supervisor runs. */
export let lookAtUserAccess: bool = false;
let userListLength: u32 = 0;
let kernelListLength: u32 = 0;
/** 1 when the kernel's PC cache holds entries of non-global pages. */
export let kernelPcNonGlobal: bool = false;
export function noteKernelPcNonGlobal(): void { kernelPcNonGlobal = true; }

/** VIEW_* of the instruction that is executed. */
// @ts-ignore: decorator
@inline export function currentView(): u32 {
  if (load<u32>(cpu + L.VCPU_cpl) == 3) return VIEW_USER;
  return supervisorProtected && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0 ? VIEW_OPEN : VIEW_KERNEL;
}
/** As currentView, for fetches: RFLAGS.AC opens nothing to them. */
// @ts-ignore: decorator
@inline export function fetchView(): u32 { return load<u32>(cpu + L.VCPU_cpl) == 3 ? VIEW_USER : VIEW_KERNEL; }

// @ts-ignore: decorator
@inline export function tlbBase(view: u32): u32 {
  return cpu + (view == VIEW_USER ? L.VCPU_AREA_userTlb : view == VIEW_KERNEL ? L.VCPU_AREA_kernelTlb : L.VCPU_AREA_openTlb);
}

/** The TLB for data accesses of the instruction that is executed. */
export function currentTlb(): u32 { return tlbBase(currentView()); }

/**
 * TLB entry in which the page of `va` would be. The hash spreads pages 16 MiB apart, as a program's heap, its own data and its stack often are: without it gzip
 * of 32 MiB misses 11.8 million times, with it 20 thousand times.
 */
// @ts-ignore: decorator
@inline export function tlbEntry(tlb: u32, va: u64): u32 {
  return tlb + ((u32(va >> 12) ^ u32(va >> 24)) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE;
}

/** Clears all TLBs, whatever they hold: what is in memory when a vCPU begins is no empty entry. */
export function resetTlb(): void {
  memory.fill(cpu + L.VCPU_AREA_tlbChunks, 1, L.VCPU_AREA_tlbChunksEnd - L.VCPU_AREA_tlbChunks);
  flushTlb();
}

/** The byte of tlbChunks for what is at `entry`. */
// @ts-ignore: decorator
@inline function chunkOf(entry: u32): u32 { return cpu + L.VCPU_AREA_tlbChunks + (entry - cpu - L.VCPU_AREA_userTlb) / L.TLB_CHUNK_SIZE; }

/** Clears what has been filled of the `size` bytes of TLBs at `tlb`, in chunks: mostly that is little, and a storm of moves clears them thousands of times a second. */
function clear(tlb: u32, size: u32): void {
  for (let chunk = tlb; chunk < tlb + size; chunk += L.TLB_CHUNK_SIZE) {
    if (load<u8>(chunkOf(chunk)) == 0) continue;
    memory.fill(chunk, 0xff, L.TLB_CHUNK_SIZE);
    store<u8>(chunkOf(chunk), 0);
  }
}

/** Drops every translation, global ones too. */
export function flushTlb(): void {
  count(L.VCPU_counterFlushesAll);
  memory.fill(cpu + L.VCPU_AREA_largePages, 0, L.VCPU_AREA_largePagesEnd - L.VCPU_AREA_largePages);
  memory.fill(cpu + L.VCPU_AREA_hugePages, 0, 128);
  clear(cpu + L.VCPU_AREA_userTlb, TLB_SIZE + SUPERVISOR_TLBS_SIZE);
  userListLength = 0;
  kernelListLength = 0;
  forgetUserCode();
  forgetKernelCode();
  kernelPcNonGlobal = false;
}

/**
 * Drops every translation because guest pages have other frames now. The guest's own tables have not changed, so the PC caches stay: they
 * lead to traces, which belong to guest pages; where a page's contents changed too, the host has its code forgotten. The marks of
 * large pages stay with them, for INVLPG.
 */
export function flushFrames(): void {
  count(L.VCPU_counterFlushesFrames);
  clear(cpu + L.VCPU_AREA_userTlb, TLB_SIZE + SUPERVISOR_TLBS_SIZE);
  userListLength = 0;
  kernelListLength = 0;
}

/** Drops translations that are not global (MOV to CR3). */
export function flushTlbNonGlobal(): void {
  count(L.VCPU_counterFlushesNonGlobal);
  flushUserTlb();
  flushList(cpu + L.VCPU_AREA_kernelTlb, SUPERVISOR_TLBS_SIZE, cpu + L.VCPU_AREA_kernelTlbList, kernelListLength);
  kernelListLength = 0;
  forgetUserCode();
  if (kernelPcNonGlobal) {
    forgetKernelCode();
    kernelPcNonGlobal = false;
  }
}

function flushUserTlb(): void {
  flushList(cpu + L.VCPU_AREA_userTlb, TLB_SIZE, cpu + L.VCPU_AREA_userTlbList, userListLength);
  userListLength = 0;
}

/** Clears the listed entries of the `size` bytes of TLB at `tlb`; all of them when the list overflowed. */
function flushList(tlb: u32, size: u32, list: u32, length: u32): void {
  if (length > L.TLB_LIST_MAX) {
    clear(tlb, size);
    return;
  }
  for (let i: u32 = 0; i < length; i++) memory.fill(tlb + load<u32>(list + (i << 2)), 0xff, 24);
}

/** Drops the translation of the page of `va` (INVLPG). */
export function flushTlbPage(va: u64): void {
  count(L.VCPU_counterFlushesPage);
  // One INVLPG ends the whole of a large page, which the TLB holds in parts of 4 KiB (SDM vol 3 §4.10.4.1).
  if (isMarked(cpu + L.VCPU_AREA_largePages, largePage(va)) || isMarked(cpu + L.VCPU_AREA_hugePages, hugePage(va))) {
    flushTlb();
    return;
  }
  for (let view = VIEW_KERNEL; view <= VIEW_OPEN; view++) memory.fill(tlbEntry(tlbBase(view), va), 0xff, 24);
  forgetPcCachePage(va);
}

// @ts-ignore: decorator
@inline function largePage(va: u64): u32 { return (u32(va >> 21) ^ u32(va >> 37)) & 0xffff; }
// @ts-ignore: decorator
@inline function hugePage(va: u64): u32 { return u32(va >> 30) & 0x3ff; }
// @ts-ignore: decorator
@inline function isMarked(map: u32, bit: u32): bool { return (load<u8>(map + (bit >> 3)) & (1 << (bit & 7))) != 0; }
// @ts-ignore: decorator
@inline function mark(map: u32, bit: u32): void { store<u8>(map + (bit >> 3), u8(u32(load<u8>(map + (bit >> 3))) | (1 << (bit & 7)))); }

/** Remembers that the TLB holds a part of a page of 2^`shift` bytes. */
function noteLargePage(va: u64, shift: u64): void {
  if (shift == 21) mark(cpu + L.VCPU_AREA_largePages, largePage(va));
  else if (shift > 21) mark(cpu + L.VCPU_AREA_hugePages, hugePage(va));
}

/** Drops write tags of guest page `gfn` in all TLBs: it has got decoded code. */
export function withholdWriteTags(gfn: u32): void {
  const end = cpu + L.VCPU_AREA_userTlb + TLB_SIZE + SUPERVISOR_TLBS_SIZE;
  for (let chunk = cpu + L.VCPU_AREA_userTlb; chunk < end; chunk += L.TLB_CHUNK_SIZE) {
    if (load<u8>(chunkOf(chunk)) == 0) continue;
    for (let entry = chunk; entry < chunk + L.TLB_CHUNK_SIZE; entry += L.TLB_ENTRY_SIZE) {
      if ((load<u32>(entry + L.TLB_GFN) & ~L.TLB_GLOBAL) == gfn) store<u64>(entry + L.TLB_TAG_WRITE, u64(-1));
    }
  }
}

/** Recomputes how accesses are to be looked at. Call after DR7, CR0.AM, CR4.SMAP, RFLAGS.AC or CPL changed. */
export function updateAccessWatch(): void {
  setSupervisorProtected((load<u64>(cpu + L.VCPU_cr4) & CR4_SMAP) != 0);
  const breakpoints = (load<u64>(cpu + L.VCPU_dr + 56) & 0xff) != 0;
  if (breakpoints && !lookAtEachAccess) flushTlb();
  lookAtEachAccess = breakpoints;
  if (load<u32>(cpu + L.VCPU_cpl) != 3) return;
  const alignment = (load<u64>(cpu + L.VCPU_cr0) & CR0_AM) != 0 && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0;
  if (alignment && !lookAtUserAccess) flushUserTlb();
  lookAtUserAccess = alignment;
}

/** Enters what the last walk found for `va`: guest page `gfn` in `frame`, with its NPT entry. */
export function fillTlb(va: u64, gfn: u32, frame: u32, entry: u32, view: u32): void {
  const page = va & 0xffff_ffff_ffff_f000;
  // An access over the end of the page below could take this entry for its own if both had the same index.
  if ((page & 0x7_ffff_ffff) == 0) return;
  if (walkShift != 12) noteLargePage(va, walkShift);
  const slot = tlbEntry(tlbBase(view), va);
  store<u8>(chunkOf(slot), 1);
  if (view == VIEW_USER) {
    if (userListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_userTlbList + (userListLength << 2), slot - tlbBase(VIEW_USER));
    userListLength++;
  } else if (!walkGlobal) {
    if (kernelListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_kernelTlbList + (kernelListLength << 2), slot - tlbBase(VIEW_KERNEL));
    kernelListLength++;
  }
  // Every access to a page with a watchpoint of the host takes the slow way; it may be fetched from as ever.
  const watched = isPageWatched(page);
  let writes = !watched && walkWritable && walkDirty && (entry & (L.NPT_WRITABLE | L.NPT_DIRTY | L.NPT_CODE)) == (L.NPT_WRITABLE | L.NPT_DIRTY);
  if (writes && checkEvery != 0) {
    if (lockStep != IDLE && !isKept(frame)) writes = false;
    else noteWriteTag(slot);
  }
  store<u64>(slot + L.TLB_TAG_READ, walkReadable && !watched ? page : u64(-1));
  store<u64>(slot + L.TLB_TAG_WRITE, writes ? page : u64(-1));
  store<u64>(slot + L.TLB_TAG_EXECUTE, walkExecutable ? page : u64(-1));
  store<u32>(slot + L.TLB_ADDEND, frame - u32(page));
  store<u32>(slot + L.TLB_GFN, walkGlobal ? gfn | L.TLB_GLOBAL : gfn);
  count(L.VCPU_counterTlbFills);
}
