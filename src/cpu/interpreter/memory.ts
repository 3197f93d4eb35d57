/**
 * Guest-linear memory: page walk, nested page table, TLB fill, and the slow paths of every access.
 *
 *   gva --page tables of the guest--> gpa --nested page table--> frame (an address in host memory)
 *
 * A TLB entry holds a tag only for what may be done without looking: the write tag is withheld while the guest's dirty bit
 * is clear, while the page holds decoded code, and while the host forbids writing. Nothing here keeps a frame address
 * beyond one instruction, except the TLB, which the host flushes through requests.
 * Intel SDM vol 3 §4.5 (4-level paging), §4.6 (access rights), §4.8 (accessed and dirty), §4.10 (TLBs).
 */
import * as L from "./generated/layout";
import { BAIL_EXIT, BAIL_NEXT, OP_SEGMENT } from "./op";
import { bail, codeChanged, cpu, raiseError, setBail, setCodeChanged, VECTOR_AC, VECTOR_GP, VECTOR_PF, VECTOR_SS } from "./state";
import { forgetPcCachePage } from "./code-cache";
import { codeWritten } from "./code-sharing";
import { dataBreakpoint } from "./debug";
import { FLAG_AC } from "./flags";

export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 1;
export const ACCESS_EXECUTE: u32 = 2;

const PTE_PRESENT: u64 = 1;
const PTE_WRITE: u64 = 2;
const PTE_USER: u64 = 4;
const PTE_ACCESSED: u64 = 0x20;
const PTE_DIRTY: u64 = 0x40;
const PTE_LARGE: u64 = 0x80;
const PTE_GLOBAL: u64 = 0x100;
const PTE_NX: u64 = 1 << 63;
const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;
/** Bits 51..40 of an entry must be 0: the guest has 40 physical address bits. */
const RESERVED_HIGH: u64 = 0x000f_ff00_0000_0000;

const CR0_WP: u64 = 0x1_0000;
const CR0_AM: u64 = 0x4_0000;
const CR0_PG: u64 = 0x8000_0000;
const CR4_PSE: u64 = 0x10;
const CR4_PAE: u64 = 0x20;
const CR4_PGE: u64 = 0x80;
const CR4_SMEP: u64 = 0x10_0000;
const CR4_SMAP: u64 = 0x20_0000;
const EFER_LMA: u64 = 0x400;
const EFER_NXE: u64 = 0x800;

/**
 * Whose rights an access has, and which TLB answers it. The rights of the supervisor come in two: with SMAP on, user pages
 * are open to it only while RFLAGS.AC is set, and never to the processor's own accesses (descriptor tables, stacks of a delivery).
 */
const VIEW_KERNEL: u32 = 0;
const VIEW_USER: u32 = 1;
const VIEW_OPEN: u32 = 2;
/** The TLB of VIEW_OPEN stands behind that of VIEW_KERNEL. */
const OPEN_TLB: u32 = L.VCPU_AREA_kernelTlb + L.TLB_ENTRIES * L.TLB_ENTRY_SIZE;
const OPEN_TLB_END: u32 = OPEN_TLB + L.TLB_ENTRIES * L.TLB_ENTRY_SIZE;

/** True while tags may not be installed, because every access must be looked at (data breakpoints). */
let lookAtEachAccess: bool = false;
/** The same for accesses of user mode (alignment checks); kept while the supervisor runs. */
let lookAtUserAccess: bool = false;
/** CR4.SMAP. */
let supervisorProtected: bool = false;
let userListLength: u32 = 0;
let kernelListLength: u32 = 0;
/** 1 when the kernel's PC cache holds entries of non-global pages. */
export let kernelPcNonGlobal: bool = false;
export function noteKernelPcNonGlobal(): void { kernelPcNonGlobal = true; }

/** What the last walk found. */
let walkReadable: bool = false;
let walkWritable: bool = false;
let walkExecutable: bool = false;
let walkGlobal: bool = false;
let walkDirty: bool = false;
/** log2 of the page's bytes. */
let walkShift: u64 = 12;

/** VIEW_* of the instruction that is executed. */
// @ts-ignore: decorator
@inline function currentView(): u32 {
  if (load<u32>(cpu + L.VCPU_cpl) == 3) return VIEW_USER;
  return supervisorProtected && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0 ? VIEW_OPEN : VIEW_KERNEL;
}
/** As currentView, for fetches: RFLAGS.AC opens nothing to them. */
// @ts-ignore: decorator
@inline function fetchView(): u32 { return load<u32>(cpu + L.VCPU_cpl) == 3 ? VIEW_USER : VIEW_KERNEL; }

// @ts-ignore: decorator
@inline function tlbBase(view: u32): u32 {
  return cpu + (view == VIEW_USER ? L.VCPU_AREA_userTlb : view == VIEW_KERNEL ? L.VCPU_AREA_kernelTlb : OPEN_TLB);
}

/** The TLB for data accesses of the instruction that is executed. */
export function currentTlb(): u32 { return tlbBase(currentView()); }

/** TLB entry in which the page of `va` would be. The hash spreads pages 16 MiB apart. */
// @ts-ignore: decorator
@inline export function tlbEntry(tlb: u32, va: u64): u32 {
  return tlb + ((u32(va >> 12) ^ u32(va >> 24)) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE;
}

// ---------------------------------------------------------------------------------------------------- flushes

/** Drops every translation, global ones too. */
export function flushTlb(): void {
  memory.fill(cpu + L.VCPU_AREA_largePages, 0, L.VCPU_AREA_largePagesEnd - L.VCPU_AREA_largePages);
  memory.fill(cpu + L.VCPU_AREA_hugePages, 0, 128);
  memory.fill(cpu + L.VCPU_AREA_userTlb, 0xff, L.TLB_ENTRIES * L.TLB_ENTRY_SIZE);
  memory.fill(cpu + L.VCPU_AREA_kernelTlb, 0xff, OPEN_TLB_END - L.VCPU_AREA_kernelTlb);
  userListLength = 0;
  kernelListLength = 0;
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
  kernelPcNonGlobal = false;
}

/** Drops translations that are not global (MOV to CR3). */
export function flushTlbNonGlobal(): void {
  flushUserTlb();
  flushList(cpu + L.VCPU_AREA_kernelTlb, OPEN_TLB_END - L.VCPU_AREA_kernelTlb, cpu + L.VCPU_AREA_kernelTlbList, kernelListLength);
  kernelListLength = 0;
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  if (kernelPcNonGlobal) {
    store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
    kernelPcNonGlobal = false;
  }
}

function flushUserTlb(): void {
  flushList(cpu + L.VCPU_AREA_userTlb, L.TLB_ENTRIES * L.TLB_ENTRY_SIZE, cpu + L.VCPU_AREA_userTlbList, userListLength);
  userListLength = 0;
}

/** Clears the listed entries of the `size` bytes of TLB at `tlb`; all of them when the list overflowed. */
function flushList(tlb: u32, size: u32, list: u32, length: u32): void {
  if (length > L.TLB_LIST_MAX) {
    memory.fill(tlb, 0xff, size);
    return;
  }
  for (let i: u32 = 0; i < length; i++) memory.fill(tlb + load<u32>(list + (i << 2)), 0xff, 24);
}

/** Drops the translation of the page of `va` (INVLPG). */
export function flushTlbPage(va: u64): void {
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
  let entry = cpu + L.VCPU_AREA_userTlb;
  const end = cpu + OPEN_TLB_END;
  for (; entry < end; entry += L.TLB_ENTRY_SIZE) {
    if ((load<u32>(entry + L.TLB_GFN) & ~L.TLB_GLOBAL) == gfn) store<u64>(entry + L.TLB_TAG_WRITE, u64(-1));
  }
}

/** Recomputes how accesses are to be looked at. Call after DR7, CR0.AM, CR4.SMAP, RFLAGS.AC or CPL changed. */
export function updateAccessWatch(): void {
  supervisorProtected = (load<u64>(cpu + L.VCPU_cr4) & CR4_SMAP) != 0;
  const breakpoints = (load<u64>(cpu + L.VCPU_dr + 56) & 0xff) != 0;
  if (breakpoints && !lookAtEachAccess) flushTlb();
  lookAtEachAccess = breakpoints;
  if (load<u32>(cpu + L.VCPU_cpl) != 3) return;
  const alignment = (load<u64>(cpu + L.VCPU_cr0) & CR0_AM) != 0 && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0;
  if (alignment && !lookAtUserAccess) flushUserTlb();
  lookAtUserAccess = alignment;
}

// ---------------------------------------------------------------------------------------------------- nested page table

/** Address of the NPT leaf entry of `gfn`, 0 when there is none yet. */
export function nptEntryAddress(gfn: u64): u32 {
  if (gfn >= u64(L.NPT_ROOT_ENTRIES) * u64(L.NPT_LEAF_ENTRIES)) return 0;
  const leaf = load<u32>(L.NPT_ROOT_BASE + (u32(gfn >> 10) << 2));
  return leaf == 0 ? 0 : leaf + ((u32(gfn) & 1023) << 2);
}

/** Records the exit that asks the host for the guest page at `gpa`. Returns 0, as the pointer that could not be had. */
function needPage(gpa: u64, size: u32, write: bool): u32 {
  store<u32>(cpu + L.VCPU_exitReason, L.EXIT_NPT);
  store<u64>(cpu + L.VCPU_exitAddress, gpa);
  store<u32>(cpu + L.VCPU_exitSize, size);
  store<u32>(cpu + L.VCPU_exitWrite, write ? 1 : 0);
  setBail(BAIL_EXIT);
  return 0;
}

/** Ends the run: an access that no device can answer (over a page end, or a fetch). Returns 0. */
function unanswerable(): u32 {
  store<u32>(cpu + L.VCPU_exitReason, L.EXIT_UNSUPPORTED);
  store<u32>(cpu + L.VCPU_exitSize, 0);
  setBail(BAIL_EXIT);
  return 0;
}

/**
 * Address in host memory of the page-table entry at guest-physical `gpa`; 0 with EXIT_NPT recorded when the host must act first, NO_MEMORY
 * when it has answered that there is no memory.
 */
function tableEntryAddress(gpa: u64): u32 {
  const entryAddress = nptEntryAddress(gpa >> 12);
  const entry = entryAddress == 0 ? 0 : load<u32>(entryAddress);
  const wanted: u32 = L.NPT_PRESENT | L.NPT_WRITABLE;
  if ((entry & wanted) != wanted) {
    if (load<u32>(cpu + L.VCPU_mmioState) == 0 || load<u64>(cpu + L.VCPU_mmioAddress) != gpa) return needPage(gpa, 1, true);
    store<u32>(cpu + L.VCPU_mmioState, 0);
    return NO_MEMORY;
  }
  return (entry & 0xffff_f000) | (u32(gpa) & 0xfff);
}

// ---------------------------------------------------------------------------------------------------- page walk

/** What tableEntryAddress answers for an address without memory, which reads as all ones. */
const NO_MEMORY: u32 = 1;

/** Records #PF for `va`. Returns -1, as the gpa that could not be had. */
function pageFault(va: u64, access: u32, user: bool, present: bool, reserved: bool): u64 {
  store<u64>(cpu + L.VCPU_cr2, va);
  let code: u32 = present ? 1 : 0;
  if (access == ACCESS_WRITE) code |= 2;
  if (user) code |= 4;
  if (reserved) code |= 8;
  if (access == ACCESS_EXECUTE && ((load<u64>(cpu + L.VCPU_efer) & EFER_NXE) != 0 || (load<u64>(cpu + L.VCPU_cr4) & CR4_SMEP) != 0)) code |= 16;
  raiseError(VECTOR_PF, code);
  store<u64>(cpu + L.VCPU_counterPageFaults, load<u64>(cpu + L.VCPU_counterPageFaults) + 1);
  return u64(-1);
}

/** Sets `bits` in the page-table entry at `pointer`, unless another thread changed it. Returns false to walk again. */
// @ts-ignore: decorator
@inline function setEntryBits(pointer: u32, entry: u64, bits: u64): bool {
  return atomic.cmpxchg<u64>(pointer, entry, entry | bits) == entry;
}

/**
 * Walks the guest's page tables. Returns the gpa of `va`, or -1 with the fault or the exit recorded in `bail`.
 * `quiet` walks (for the host) set no accessed or dirty bits.
 */
function walk(va: u64, access: u32, view: u32, quiet: bool): u64 {
  walkGlobal = false;
  walkShift = 12;
  if ((load<u64>(cpu + L.VCPU_cr0) & CR0_PG) == 0) {
    walkReadable = true;
    walkWritable = true;
    walkExecutable = true;
    walkDirty = true;
    return va & 0xffff_ffff;
  }
  const efer = load<u64>(cpu + L.VCPU_efer);
  if ((efer & EFER_LMA) == 0) return walkLegacy(va, access, view, quiet);
  const user = view == VIEW_USER;
  let table = load<u64>(cpu + L.VCPU_cr3) & ADDRESS_MASK;
  let writable = true;
  let executable = true;
  let userAllowed = true;
  const nxReserved: u64 = (efer & EFER_NXE) == 0 ? PTE_NX : 0;
  for (let shift: u64 = 39; ; shift -= 9) {
    const pointer = tableEntryAddress(table | (((va >> shift) & 511) << 3));
    if (pointer == 0) return u64(-1);
    if (pointer == NO_MEMORY) return pageFault(va, access, user, true, true);
    let entry = atomic.load<u64>(pointer);
    if ((entry & PTE_PRESENT) == 0) return pageFault(va, access, user, false, false);
    const leaf = shift == 12 || ((entry & PTE_LARGE) != 0 && shift <= 30);
    let reserved = RESERVED_HIGH | nxReserved;
    if (shift == 39) reserved |= PTE_LARGE;
    // Bits between the page size and PAT (bit 12) must be 0 in a large leaf.
    if (leaf && shift != 12) reserved |= ((u64(1) << shift) - 1) & 0xffff_ffff_ffff_e000;
    if ((entry & reserved) != 0) return pageFault(va, access, user, true, true);
    writable = writable && (entry & PTE_WRITE) != 0;
    userAllowed = userAllowed && (entry & PTE_USER) != 0;
    executable = executable && (entry & PTE_NX) == 0;
    if (!leaf) {
      if ((entry & PTE_ACCESSED) == 0 && !quiet && !setEntryBits(pointer, entry, PTE_ACCESSED)) { shift += 9; continue; }
      table = entry & ADDRESS_MASK;
      continue;
    }
    if (!permitted(access, view, userAllowed, writable, executable)) return pageFault(va, access, user, true, false);
    let bits: u64 = PTE_ACCESSED;
    if (access == ACCESS_WRITE) bits |= PTE_DIRTY;
    if ((entry & bits) != bits && !quiet) {
      if (!setEntryBits(pointer, entry, bits)) { shift += 9; continue; }
      entry |= bits;
    }
    walkReadable = permitted(ACCESS_READ, view, userAllowed, writable, executable);
    walkWritable = permitted(ACCESS_WRITE, view, userAllowed, writable, executable);
    walkExecutable = permitted(ACCESS_EXECUTE, view, userAllowed, writable, executable);
    walkDirty = (entry & PTE_DIRTY) != 0;
    walkGlobal = (entry & PTE_GLOBAL) != 0 && (load<u64>(cpu + L.VCPU_cr4) & CR4_PGE) != 0;
    walkShift = shift;
    const offsetMask: u64 = (u64(1) << shift) - 1;
    return (entry & ADDRESS_MASK & ~offsetMask) | (va & offsetMask);
  }
}

/** Whether the rights along the walk allow the access (SDM vol 3 §4.6.1). */
function permitted(access: u32, view: u32, userAllowed: bool, writable: bool, executable: bool): bool {
  if (view == VIEW_USER && !userAllowed) return false;
  if (access == ACCESS_EXECUTE) return executable && (view == VIEW_USER || !userAllowed || (load<u64>(cpu + L.VCPU_cr4) & CR4_SMEP) == 0);
  if (view == VIEW_KERNEL && userAllowed && supervisorProtected) return false;
  return access != ACCESS_WRITE || writable || (view != VIEW_USER && (load<u64>(cpu + L.VCPU_cr0) & CR0_WP) == 0);
}

/** 32-bit and PAE paging (SDM vol 3 §4.3, §4.4). PDPTE registers are read from memory each time. */
function walkLegacy(va: u64, access: u32, view: u32, quiet: bool): u64 {
  const user = view == VIEW_USER;
  const cr4 = load<u64>(cpu + L.VCPU_cr4);
  const pae = (cr4 & CR4_PAE) != 0;
  const nxe = (load<u64>(cpu + L.VCPU_efer) & EFER_NXE) != 0;
  const bitsPerLevel: u64 = pae ? 9 : 10;
  let table = load<u64>(cpu + L.VCPU_cr3) & (pae ? 0xffff_ffe0 : 0xffff_f000);
  let writable = true;
  let executable = true;
  let userAllowed = true;
  va &= 0xffff_ffff;
  for (let shift: u64 = pae ? 30 : 22; ; shift -= bitsPerLevel) {
    const index = (va >> shift) & ((u64(1) << bitsPerLevel) - 1);
    const pointer = tableEntryAddress(table + (pae ? index << 3 : index << 2));
    if (pointer == 0) return u64(-1);
    if (pointer == NO_MEMORY) return pageFault(va, access, user, true, true);
    const entry = pae ? load<u64>(pointer) : u64(load<u32>(pointer));
    if ((entry & PTE_PRESENT) == 0) return pageFault(va, access, user, false, false);
    const top = pae && shift == 30;
    const leaf = shift == 12 || (!top && (entry & PTE_LARGE) != 0 && (pae || (cr4 & CR4_PSE) != 0));
    let reserved: u64 = pae ? RESERVED_HIGH | (nxe && !top ? 0 : PTE_NX) : 0;
    if (leaf && shift != 12) reserved |= ((u64(1) << shift) - 1) & 0xffff_ffff_ffff_e000;
    if ((entry & reserved) != 0) return pageFault(va, access, user, true, true);
    if (!top) {
      writable = writable && (entry & PTE_WRITE) != 0;
      userAllowed = userAllowed && (entry & PTE_USER) != 0;
      executable = executable && (!pae || (entry & PTE_NX) == 0);
    }
    if (!leaf) {
      if (!top && !quiet && (entry & PTE_ACCESSED) == 0) store<u8>(pointer, u8(entry | PTE_ACCESSED));
      table = entry & (pae ? ADDRESS_MASK : 0xffff_f000);
      continue;
    }
    if (!permitted(access, view, userAllowed, writable, executable)) return pageFault(va, access, user, true, false);
    const bits: u64 = access == ACCESS_WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
    if (!quiet && (entry & bits) != bits) store<u8>(pointer, u8(entry | bits));
    walkReadable = permitted(ACCESS_READ, view, userAllowed, writable, executable);
    walkWritable = permitted(ACCESS_WRITE, view, userAllowed, writable, executable);
    walkExecutable = permitted(ACCESS_EXECUTE, view, userAllowed, writable, executable);
    walkDirty = ((entry | bits) & PTE_DIRTY) != 0;
    walkGlobal = (entry & PTE_GLOBAL) != 0 && (cr4 & CR4_PGE) != 0;
    walkShift = shift;
    const offsetMask: u64 = (u64(1) << shift) - 1;
    return (entry & (pae ? ADDRESS_MASK : 0xffff_f000) & ~offsetMask) | (va & offsetMask);
  }
}

// ---------------------------------------------------------------------------------------------------- TLB fill

/** Whether `va` is canonical in the present mode (48 bits in long mode, 32 otherwise by construction). */
// @ts-ignore: decorator
@inline export function isCanonical(va: u64): bool { return u64((i64(va) << 16) >> 16) == va; }

/** Records #GP(0), or #SS(0) for an operand in the stack segment, for a non-canonical address. Returns 0. */
function notCanonical(): u32 {
  const op = load<u32>(cpu + L.VCPU_currentOp);
  raiseError(op != 0 && load<u8>(op + OP_SEGMENT) == L.SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
  return 0;
}

/** Set by `resolve`: the page holds decoded code, so a store must go through `codeWritten`. */
let resolvedCode: bool = false;
/** Set by `resolve`: the gpa. */
let resolvedGpa: u64 = 0;

/**
 * Translates `va` for one access inside one page and fills the TLB. Returns the host address, 0 on failure, or 1
 * when the access is to be answered from the MMIO latch.
 */
function resolve(va: u64, size: u32, access: u32, view: u32): u32 {
  if (!isCanonical(va)) return notCanonical();
  const gpa = walk(va, access, view, false);
  if (gpa == u64(-1)) return 0;
  resolvedGpa = gpa;
  const entryAddress = nptEntryAddress(gpa >> 12);
  let entry = entryAddress == 0 ? 0 : load<u32>(entryAddress);
  const wanted: u32 = access == ACCESS_WRITE ? L.NPT_PRESENT | L.NPT_WRITABLE : L.NPT_PRESENT;
  if ((entry & wanted) != wanted) {
    const state = load<u32>(cpu + L.VCPU_mmioState);
    const bit: u32 = access == ACCESS_WRITE ? 2 : 1;
    if ((state & bit) != 0 && load<u64>(cpu + L.VCPU_mmioAddress) == gpa) return 1;
    return needPage(gpa, size, access == ACCESS_WRITE);
  }
  const marks: u32 = access == ACCESS_WRITE ? L.NPT_ACCESSED | L.NPT_DIRTY : L.NPT_ACCESSED;
  if ((entry & marks) != marks) entry = atomic.or<u32>(entryAddress, marks) | marks;
  resolvedCode = (entry & L.NPT_CODE) != 0;
  const frame = entry & 0xffff_f000;
  if (!lookAtEachAccess && !(lookAtUserAccess && view == VIEW_USER)) fill(va, u32(gpa >> 12), frame, entry, view);
  return frame | (u32(gpa) & 0xfff);
}

function fill(va: u64, gfn: u32, frame: u32, entry: u32, view: u32): void {
  const page = va & 0xffff_ffff_ffff_f000;
  // An access over the end of the page below could take this entry for its own if both had the same index.
  if ((page & 0x7_ffff_ffff) == 0) return;
  if (walkShift != 12) noteLargePage(va, walkShift);
  const slot = tlbEntry(tlbBase(view), va);
  if (view == VIEW_USER) {
    if (userListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_userTlbList + (userListLength << 2), slot - tlbBase(VIEW_USER));
    userListLength++;
  } else if (!walkGlobal) {
    if (kernelListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_kernelTlbList + (kernelListLength << 2), slot - tlbBase(VIEW_KERNEL));
    kernelListLength++;
  }
  const writes = walkWritable && walkDirty && (entry & (L.NPT_WRITABLE | L.NPT_DIRTY | L.NPT_CODE)) == (L.NPT_WRITABLE | L.NPT_DIRTY);
  store<u64>(slot + L.TLB_TAG_READ, walkReadable ? page : u64(-1));
  store<u64>(slot + L.TLB_TAG_WRITE, writes ? page : u64(-1));
  store<u64>(slot + L.TLB_TAG_EXECUTE, walkExecutable ? page : u64(-1));
  store<u32>(slot + L.TLB_ADDEND, frame - u32(page));
  store<u32>(slot + L.TLB_GFN, walkGlobal ? gfn | L.TLB_GLOBAL : gfn);
  store<u64>(cpu + L.VCPU_counterTlbMiss, load<u64>(cpu + L.VCPU_counterTlbMiss) + 1);
}

/** Alignment that a user access of `size` bytes must have when it is checked (SDM vol 3 table 6-7). */
// @ts-ignore: decorator
@inline function checkedAlignment(size: u32): u64 {
  return size == 2 || size == 4 || size == 8 ? u64(size) : size == 6 ? 4 : size == 10 ? 8 : 1;
}

/** Data breakpoints and alignment checks, when active. Returns false with the fault recorded. */
function watchAccess(va: u64, size: u32, write: bool, view: u32): bool {
  dataBreakpoint(va, size, write);
  if (lookAtUserAccess && view == VIEW_USER && (va & (checkedAlignment(size) - 1)) != 0 && isCanonical(va)) {
    raiseError(VECTOR_AC, 0);
    return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------- reads

function readSlow(va: u64, size: u32, view: u32): u32 {
  if ((lookAtEachAccess || lookAtUserAccess) && !watchAccess(va, size, false, view)) return 0;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_READ, view);
    if (pointer != 1) return pointer;
    store<u64>(cpu + L.VCPU_AREA_bounce, load<u64>(cpu + L.VCPU_mmioValue));
    store<u64>(cpu + L.VCPU_AREA_bounce + 8, 0);
    store<u32>(cpu + L.VCPU_mmioState, load<u32>(cpu + L.VCPU_mmioState) & ~1);
    return cpu + L.VCPU_AREA_bounce;
  }
  if (!isCanonical(va + u64(size) - 1)) return notCanonical();
  const low = resolve(va, first, ACCESS_READ, view);
  if (low <= 1) return low == 0 ? 0 : unanswerable();
  const high = resolve(va + u64(first), size - first, ACCESS_READ, view);
  if (high <= 1) return high == 0 ? 0 : unanswerable();
  memory.copy(cpu + L.VCPU_AREA_bounce, low, first);
  memory.copy(cpu + L.VCPU_AREA_bounce + first, high, size - first);
  return cpu + L.VCPU_AREA_bounce;
}

// @ts-ignore: decorator
@inline function readAs(va: u64, size: u32, view: u32): u32 {
  const entry = tlbEntry(tlbBase(view), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_READ)) return u32(va) + load<u32>(entry + L.TLB_ADDEND);
  return readSlow(va, size, view);
}

/** Host address where `size` (1..512) bytes at `va` can be read in one piece, until the next access; 0 = return `bail`. */
export function readPointer(va: u64, size: u32): u32 { return readAs(va, size, currentView()); }
/** As readPointer, with the rights of CPL 0. */
export function readPointerSystem(va: u64, size: u32): u32 { return readAs(va, size, VIEW_KERNEL); }

// ---------------------------------------------------------------------------------------------------- writes

/** Checks that `size` bytes at `va` can be written, without writing. Returns 0 or the bail code. */
function probeAs(va: u64, size: u32, view: u32): i32 {
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (resolve(va, min(size, first), ACCESS_WRITE, view) == 0) return bail;
  if (size > first && resolve(va + u64(first), size - first, ACCESS_WRITE, view) == 0) return bail;
  return 0;
}
export function probeWrite(va: u64, size: u32): i32 { return probeAs(va, size, currentView()); }

/** Stores into the page of the last `resolve`, which answered `pointer`. */
function storeResolved(pointer: u32, source: u32, size: u32): void {
  memory.copy(pointer, source, size);
  if (resolvedCode && codeWritten(u32(resolvedGpa >> 12), u32(resolvedGpa) & 0xfff, size)) setCodeChanged(1);
}

function writeSlow(va: u64, source: u32, size: u32, view: u32): i32 {
  if ((lookAtEachAccess || lookAtUserAccess) && !watchAccess(va, size, true, view)) return bail;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, view);
    if (pointer > 1) {
      storeResolved(pointer, source, size);
    } else if (pointer == 1) {
      store<u32>(cpu + L.VCPU_mmioState, 0);
    } else {
      // The run loop gets what would have been written, for a device.
      store<u64>(cpu + L.VCPU_exitData, size >= 8 ? load<u64>(source) : size == 4 ? u64(load<u32>(source)) : size == 2 ? u64(load<u16>(source)) : u64(load<u8>(source)));
      return bail;
    }
    return 0;
  }
  // Both halves must be writable before either is stored; of two that are not, the lower one is told.
  if (resolvePair(va, first, size, view) == 0) return bail;
  const low = resolve(va, first, ACCESS_WRITE, view);
  storeResolved(low, source, first);
  const high = resolve(va + u64(first), size - first, ACCESS_WRITE, view);
  storeResolved(high, source + first, size - first);
  return 0;
}

/** Makes both halves of an access over a page end writable. Returns the host address of the upper one, 0 = failed; `pairLow` is the other. */
function resolvePair(va: u64, first: u32, size: u32, view: u32): u32 {
  if (!isCanonical(va + u64(size) - 1)) return notCanonical();
  pairLow = resolve(va, first, ACCESS_WRITE, view);
  if (pairLow == 0) return 0;
  const high = resolve(va + u64(first), size - first, ACCESS_WRITE, view);
  return high == 0 ? 0 : pairLow == 1 || high == 1 ? unanswerable() : high;
}
let pairLow: u32 = 0;

/** Writes `size` (1..512) bytes from host address `source`, all or nothing. Returns 0 or the bail code. */
export function writeBytes(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, currentView()); }
/** As writeBytes, with the rights of CPL 0. */
export function writeBytesSystem(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, VIEW_KERNEL); }

// @ts-ignore: decorator
@inline function writeAs(va: u64, source: u32, size: u32, view: u32): i32 {
  const entry = tlbEntry(tlbBase(view), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) {
    memory.copy(u32(va) + load<u32>(entry + L.TLB_ADDEND), source, size);
    return 0;
  }
  return writeSlow(va, source, size, view);
}

// @ts-ignore: decorator
@inline function writeValue<T>(va: u64, value: u64, view: u32): i32 {
  const entry = tlbEntry(tlbBase(view), va);
  if (((va + u64(sizeof<T>() - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) {
    store<T>(u32(va) + load<u32>(entry + L.TLB_ADDEND), <T>value);
    return 0;
  }
  store<u64>(cpu + L.VCPU_AREA_scratch, value);
  return writeSlow(va, cpu + L.VCPU_AREA_scratch, u32(sizeof<T>()), view);
}

export function write8(va: u64, value: u64): i32 { return writeValue<u8>(va, value, currentView()); }
export function write16(va: u64, value: u64): i32 { return writeValue<u16>(va, value, currentView()); }
export function write32(va: u64, value: u64): i32 { return writeValue<u32>(va, value, currentView()); }
export function write64(va: u64, value: u64): i32 { return writeValue<u64>(va, value, currentView()); }
export function write8System(va: u64, value: u64): i32 { return writeValue<u8>(va, value, VIEW_KERNEL); }
export function write16System(va: u64, value: u64): i32 { return writeValue<u16>(va, value, VIEW_KERNEL); }
export function write32System(va: u64, value: u64): i32 { return writeValue<u32>(va, value, VIEW_KERNEL); }
export function write64System(va: u64, value: u64): i32 { return writeValue<u64>(va, value, VIEW_KERNEL); }

/**
 * Slow store of the hot handlers. Returns 0 when done, BAIL_NEXT when done but decoded code changed, else the bail
 * code of a failed access.
 */
export function hotStore(va: u64, value: u64, size: u32): i32 {
  store<u64>(cpu + L.VCPU_AREA_scratch, value);
  const result = writeSlow(va, cpu + L.VCPU_AREA_scratch, size, currentView());
  return result != 0 ? result : afterStore();
}

/** Whether 8 bytes of stack at `va` have canonical addresses; if not, #SS(0) is recorded. */
function isStackCanonical(va: u64): bool {
  if (isCanonical(va) && isCanonical(va + 7)) return true;
  raiseError(VECTOR_SS, 0);
  return false;
}

/** As hotStore, for pushes of 64-bit code. */
export function hotPush(va: u64, value: u64): i32 { return isStackCanonical(va) ? hotStore(va, value, 8) : bail; }

/** As hotLoad, for pops of 64-bit code. */
export function hotPop(va: u64): u32 { return isStackCanonical(va) ? hotLoad(va, 8) : 0; }

/** Fault of a 64-bit CALL to an address that is not canonical: that of its push, if there is one, comes first. */
export function badCallTarget(va: u64): void {
  if (isStackCanonical(va) && probeWrite(va, 8) == 0) raiseError(VECTOR_GP, 0);
}

/** Slow load of the hot handlers: host address of `size` bytes, 0 = leave the trace with `bail`. */
export function hotLoad(va: u64, size: u32): u32 { return readSlow(va, size, currentView()); }

/** BAIL_NEXT when stores of this instruction changed decoded code (asked once, then forgotten), else 0. */
export function afterStore(): i32 {
  if (codeChanged == 0) return 0;
  setCodeChanged(0);
  return setBail(BAIL_NEXT);
}

// ---------------------------------------------------------------------------------------------------- read-modify-write

let modifyAddress: u64 = 0;
let modifySize: u32 = 0;

/**
 * Host address to read and then write `size` (1..16) bytes through; 0 = return `bail`. Store through it, then call
 * `modifyCommit(pointer)`: over a page end, in a page with code or on MMIO the address is a bounce buffer.
 */
export function modifyPointer(va: u64, size: u32): u32 {
  const view = currentView();
  const entry = tlbEntry(tlbBase(view), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) return u32(va) + load<u32>(entry + L.TLB_ADDEND);
  return modifySlow(va, size);
}

function modifySlow(va: u64, size: u32): u32 {
  const view = currentView();
  if ((lookAtEachAccess || lookAtUserAccess) && !watchAccess(va, size, true, view)) return 0;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  const bounce = cpu + L.VCPU_AREA_modifyBounce;
  modifyAddress = va;
  modifySize = size;
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, view);
    if (pointer > 1 && !resolvedCode) return pointer;
    if (pointer > 1) { memory.copy(bounce, pointer, size); return bounce; }
    // A device register: the read is answered first and kept until the write is.
    const state = load<u32>(cpu + L.VCPU_mmioState);
    if ((state & 1) != 0 && load<u64>(cpu + L.VCPU_mmioAddress) == resolvedGpa) {
      store<u64>(bounce, load<u64>(cpu + L.VCPU_mmioValue));
      return bounce;
    }
    // Not a device, or not read yet: a page that the host can give is given for writing; the run loop tells by the memslot.
    if (bail == BAIL_EXIT) store<u32>(cpu + L.VCPU_exitWrite, 2);
    return 0;
  }
  const high = resolvePair(va, first, size, view);
  if (high == 0) return 0;
  memory.copy(bounce, pairLow, first);
  memory.copy(bounce + first, high, size - first);
  return bounce;
}

/** Ends what modifyPointer began. Returns 0 or the bail code. */
export function modifyCommit(pointer: u32): i32 {
  if (pointer != cpu + L.VCPU_AREA_modifyBounce) return 0;
  return writeSlow(modifyAddress, pointer, modifySize, currentView());
}

/** As modifyPointer, for the hot handlers' slow path (the write tag has been tried). */
export function hotModify(va: u64, size: u32): u32 { return modifySlow(va, size); }

/** As modifyCommit, for the hot handlers: BAIL_NEXT when decoded code changed. */
export function hotCommit(): i32 {
  const result = writeSlow(modifyAddress, cpu + L.VCPU_AREA_modifyBounce, modifySize, currentView());
  return result != 0 ? result : afterStore();
}

// ---------------------------------------------------------------------------------------------------- code and host

/** Host address of the code byte at `va`, 0 with fault or exit recorded. `fetchGfn` says which guest page it is. */
export function fetchPointer(va: u64): u32 {
  const view = fetchView();
  const slot = tlbEntry(tlbBase(view), va);
  if ((va & 0xffff_ffff_ffff_f000) == load<u64>(slot + L.TLB_TAG_EXECUTE)) {
    fetchGfn = load<u32>(slot + L.TLB_GFN);
    return u32(va) + load<u32>(slot + L.TLB_ADDEND);
  }
  store<u32>(cpu + L.VCPU_currentOp, 0);
  const pointer = resolve(va, 1, ACCESS_EXECUTE, view);
  if (pointer == 0) return 0;
  if (pointer == 1) return unanswerable();
  fetchGfn = u32(resolvedGpa >> 12) | (walkGlobal ? L.TLB_GLOBAL : 0);
  return pointer;
}
/** Guest page (with TLB_GLOBAL in bit 31) of the last fetchPointer. */
export let fetchGfn: u32 = 0;

/**
 * Translates `va` for the host with the rights of CPL 0, without side effects in the guest. Returns the gpa, -1 when the guest
 * has no such mapping, -2 when the page of exitAddress must be faulted in first.
 */
export function translateForHost(va: u64, access: u32): i64 {
  const kept2 = load<u64>(cpu + L.VCPU_cr2);
  const vector = load<u32>(cpu + L.VCPU_exceptionVector);
  const gpa = isCanonical(va) ? walk(va, access, VIEW_OPEN, true) : u64(-1);
  if (gpa != u64(-1)) return i64(gpa);
  const exit = isCanonical(va) && bail == BAIL_EXIT;
  store<u64>(cpu + L.VCPU_cr2, kept2);
  store<u32>(cpu + L.VCPU_exceptionVector, vector);
  return exit ? -2 : -1;
}
