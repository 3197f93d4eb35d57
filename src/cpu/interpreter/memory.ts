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
const EFER_LMA: u64 = 0x400;
const EFER_NXE: u64 = 0x800;

/** 1 while tags may not be installed, because every access must be looked at (data breakpoints, alignment checks). */
let lookAtEachAccess: bool = false;
let userListLength: u32 = 0;
let kernelListLength: u32 = 0;
/** 1 when the kernel's PC cache holds entries of non-global pages. */
export let kernelPcNonGlobal: bool = false;
export function noteKernelPcNonGlobal(): void { kernelPcNonGlobal = true; }

/** What the last walk found. */
let walkWritable: bool = false;
let walkExecutable: bool = false;
let walkUser: bool = false;
let walkGlobal: bool = false;
let walkDirty: bool = false;

/** Whether accesses of this moment are those of user mode. */
// @ts-ignore: decorator
@inline function userMode(): bool { return load<u32>(cpu + L.VCPU_cpl) == 3; }

// @ts-ignore: decorator
@inline export function tlbBase(user: bool): u32 { return cpu + (user ? L.VCPU_AREA_userTlb : L.VCPU_AREA_kernelTlb); }

/** TLB entry in which the page of `va` would be. The hash spreads pages 16 MiB apart. */
// @ts-ignore: decorator
@inline export function tlbEntry(tlb: u32, va: u64): u32 {
  return tlb + ((u32(va >> 12) ^ u32(va >> 24)) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE;
}

// ---------------------------------------------------------------------------------------------------- flushes

/** Drops every translation, global ones too. */
export function flushTlb(): void {
  memory.fill(cpu + L.VCPU_AREA_userTlb, 0xff, L.TLB_ENTRIES * L.TLB_ENTRY_SIZE);
  memory.fill(cpu + L.VCPU_AREA_kernelTlb, 0xff, L.TLB_ENTRIES * L.TLB_ENTRY_SIZE);
  userListLength = 0;
  kernelListLength = 0;
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
  kernelPcNonGlobal = false;
}

/** Drops translations that are not global (MOV to CR3). */
export function flushTlbNonGlobal(): void {
  flushList(cpu + L.VCPU_AREA_userTlb, cpu + L.VCPU_AREA_userTlbList, userListLength);
  flushList(cpu + L.VCPU_AREA_kernelTlb, cpu + L.VCPU_AREA_kernelTlbList, kernelListLength);
  userListLength = 0;
  kernelListLength = 0;
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  if (kernelPcNonGlobal) {
    store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
    kernelPcNonGlobal = false;
  }
}

function flushList(tlb: u32, list: u32, length: u32): void {
  if (length > L.TLB_LIST_MAX) {
    memory.fill(tlb, 0xff, L.TLB_ENTRIES * L.TLB_ENTRY_SIZE);
    return;
  }
  for (let i: u32 = 0; i < length; i++) memory.fill(tlb + load<u32>(list + (i << 2)), 0xff, 24);
}

/** Drops the translation of the page of `va` (INVLPG). */
export function flushTlbPage(va: u64): void {
  const user = tlbEntry(tlbBase(true), va);
  memory.fill(user, 0xff, 24);
  const kernel = tlbEntry(tlbBase(false), va);
  memory.fill(kernel, 0xff, 24);
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
}

/** Drops write tags of guest page `gfn` in both TLBs: it has got decoded code. */
export function withholdWriteTags(gfn: u32): void {
  let entry = cpu + L.VCPU_AREA_userTlb;
  const end = cpu + L.VCPU_AREA_kernelTlb + L.TLB_ENTRIES * L.TLB_ENTRY_SIZE;
  for (; entry < end; entry += L.TLB_ENTRY_SIZE) {
    if ((load<u32>(entry + L.TLB_GFN) & ~L.TLB_GLOBAL) == gfn) store<u64>(entry + L.TLB_TAG_WRITE, u64(-1));
  }
}

/** Recomputes whether accesses must be looked at one by one. Call after DR7, CR0.AM, RFLAGS.AC or CPL changed. */
export function updateAccessWatch(): void {
  const breakpoints = (load<u64>(cpu + L.VCPU_dr + 56) & 0xff) != 0;
  const alignment = (load<u64>(cpu + L.VCPU_cr0) & CR0_AM) != 0 && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0;
  const wanted = breakpoints || alignment;
  if (wanted && !lookAtEachAccess) flushTlb();
  lookAtEachAccess = wanted;
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

/** Address in host memory of guest-physical `gpa`; 0 with EXIT_NPT recorded when the host must act first. */
function hostAddress(gpa: u64, write: bool): u32 {
  const entryAddress = nptEntryAddress(gpa >> 12);
  const entry = entryAddress == 0 ? 0 : load<u32>(entryAddress);
  const wanted: u32 = write ? L.NPT_PRESENT | L.NPT_WRITABLE : L.NPT_PRESENT;
  if ((entry & wanted) != wanted) return needPage(gpa, 1, write);
  return (entry & 0xffff_f000) | (u32(gpa) & 0xfff);
}

// ---------------------------------------------------------------------------------------------------- page walk

/** Records #PF for `va`. Returns -1, as the gpa that could not be had. */
function pageFault(va: u64, access: u32, user: bool, present: bool, reserved: bool): u64 {
  store<u64>(cpu + L.VCPU_cr2, va);
  let code: u32 = present ? 1 : 0;
  if (access == ACCESS_WRITE) code |= 2;
  if (user) code |= 4;
  if (reserved) code |= 8;
  if (access == ACCESS_EXECUTE && (load<u64>(cpu + L.VCPU_efer) & EFER_NXE) != 0) code |= 16;
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
function walk(va: u64, access: u32, user: bool, quiet: bool): u64 {
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
  walkGlobal = false;
  if ((cr0 & CR0_PG) == 0) {
    walkWritable = true;
    walkExecutable = true;
    walkUser = true;
    walkDirty = true;
    return va & 0xffff_ffff;
  }
  const efer = load<u64>(cpu + L.VCPU_efer);
  if ((efer & EFER_LMA) == 0) return walkLegacy(va, access, user, quiet);
  let table = load<u64>(cpu + L.VCPU_cr3) & ADDRESS_MASK;
  let writable = true;
  let executable = true;
  let userAllowed = true;
  const nxReserved: u64 = (efer & EFER_NXE) == 0 ? PTE_NX : 0;
  for (let shift: u64 = 39; ; shift -= 9) {
    const pointer = hostAddress(table | (((va >> shift) & 511) << 3), true);
    if (pointer == 0) return u64(-1);
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
    if (!permitted(access, user, userAllowed, writable, executable, cr0)) return pageFault(va, access, user, true, false);
    let bits: u64 = PTE_ACCESSED;
    if (access == ACCESS_WRITE) bits |= PTE_DIRTY;
    if ((entry & bits) != bits && !quiet) {
      if (!setEntryBits(pointer, entry, bits)) { shift += 9; continue; }
      entry |= bits;
    }
    walkWritable = writable || (!user && (cr0 & CR0_WP) == 0);
    walkExecutable = executable && (!user || userAllowed);
    walkUser = userAllowed;
    walkDirty = (entry & PTE_DIRTY) != 0;
    walkGlobal = (entry & PTE_GLOBAL) != 0 && (load<u64>(cpu + L.VCPU_cr4) & CR4_PGE) != 0;
    const offsetMask: u64 = (u64(1) << shift) - 1;
    return (entry & ADDRESS_MASK & ~offsetMask) | (va & offsetMask);
  }
}

function permitted(access: u32, user: bool, userAllowed: bool, writable: bool, executable: bool, cr0: u64): bool {
  if (user && !userAllowed) return false;
  if (access == ACCESS_WRITE) return writable || (!user && (cr0 & CR0_WP) == 0);
  if (access == ACCESS_EXECUTE) return executable;
  return true;
}

/** 32-bit and PAE paging (SDM vol 3 §4.3, §4.4). PDPTE registers are read from memory each time. */
function walkLegacy(va: u64, access: u32, user: bool, quiet: bool): u64 {
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
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
    const pointer = hostAddress(table + (pae ? index << 3 : index << 2), true);
    if (pointer == 0) return u64(-1);
    const entry = pae ? load<u64>(pointer) : u64(load<u32>(pointer));
    if ((entry & PTE_PRESENT) == 0) return pageFault(va, access, user, false, false);
    const top = pae && shift == 30;
    const leaf = shift == 12 || (!top && (entry & PTE_LARGE) != 0 && (pae || (cr4 & CR4_PSE) != 0));
    if (pae && (entry & (RESERVED_HIGH | (nxe ? 0 : PTE_NX))) != 0) return pageFault(va, access, user, true, true);
    if (!top) {
      writable = writable && (entry & PTE_WRITE) != 0;
      userAllowed = userAllowed && (entry & PTE_USER) != 0;
      executable = executable && (!pae || (entry & PTE_NX) == 0);
    }
    if (!leaf) {
      if (!top && !quiet) store<u8>(pointer, u8(entry | PTE_ACCESSED));
      table = entry & (pae ? ADDRESS_MASK : 0xffff_f000);
      continue;
    }
    if (!permitted(access, user, userAllowed, writable, executable, cr0)) return pageFault(va, access, user, true, false);
    const bits: u64 = access == ACCESS_WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
    if (!quiet) store<u8>(pointer, u8(entry | bits));
    walkWritable = writable || (!user && (cr0 & CR0_WP) == 0);
    walkExecutable = executable;
    walkUser = userAllowed;
    walkDirty = ((entry | bits) & PTE_DIRTY) != 0;
    walkGlobal = (entry & PTE_GLOBAL) != 0 && (cr4 & CR4_PGE) != 0;
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
function resolve(va: u64, size: u32, access: u32, user: bool): u32 {
  if (!isCanonical(va)) return notCanonical();
  const gpa = walk(va, access, user, false);
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
  if (!lookAtEachAccess) fill(va, u32(gpa >> 12), frame, entry, user);
  return frame | (u32(gpa) & 0xfff);
}

function fill(va: u64, gfn: u32, frame: u32, entry: u32, user: bool): void {
  const page = va & 0xffff_ffff_ffff_f000;
  // An access over the end of the page below could take this entry for its own if both had the same index.
  if ((page & 0xf_ffff_ffff) == 0) return;
  const slot = tlbEntry(tlbBase(user), va);
  const index = slot - tlbBase(user);
  if (user) {
    if (userListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_userTlbList + (userListLength << 2), index);
    userListLength++;
  } else if (!walkGlobal) {
    if (kernelListLength < L.TLB_LIST_MAX) store<u32>(cpu + L.VCPU_AREA_kernelTlbList + (kernelListLength << 2), index);
    kernelListLength++;
  }
  const writes = walkWritable && walkDirty && (entry & (L.NPT_WRITABLE | L.NPT_DIRTY | L.NPT_CODE)) == (L.NPT_WRITABLE | L.NPT_DIRTY);
  store<u64>(slot + L.TLB_TAG_READ, page);
  store<u64>(slot + L.TLB_TAG_WRITE, writes ? page : u64(-1));
  store<u64>(slot + L.TLB_TAG_EXECUTE, walkExecutable ? page : u64(-1));
  store<u32>(slot + L.TLB_ADDEND, frame - u32(page));
  store<u32>(slot + L.TLB_GFN, walkGlobal ? gfn | L.TLB_GLOBAL : gfn);
  store<u64>(cpu + L.VCPU_counterTlbMiss, load<u64>(cpu + L.VCPU_counterTlbMiss) + 1);
}

/** Data breakpoints and alignment checks, when active. Returns false with the fault recorded. */
function watchAccess(va: u64, size: u32, write: bool, user: bool): bool {
  dataBreakpoint(va, size, write);
  if (user && size <= 8 && (va & u64(size - 1)) != 0 && (load<u64>(cpu + L.VCPU_rflags) & FLAG_AC) != 0
    && (load<u64>(cpu + L.VCPU_cr0) & CR0_AM) != 0 && userMode()) {
    raiseError(VECTOR_AC, 0);
    return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------- reads

function readSlow(va: u64, size: u32, user: bool): u32 {
  if (lookAtEachAccess && !watchAccess(va, size, false, user)) return 0;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_READ, user);
    if (pointer != 1) return pointer;
    store<u64>(cpu + L.VCPU_AREA_bounce, load<u64>(cpu + L.VCPU_mmioValue));
    store<u64>(cpu + L.VCPU_AREA_bounce + 8, 0);
    store<u32>(cpu + L.VCPU_mmioState, load<u32>(cpu + L.VCPU_mmioState) & ~1);
    return cpu + L.VCPU_AREA_bounce;
  }
  const low = resolve(va, first, ACCESS_READ, user);
  if (low <= 1) return low == 0 ? 0 : needPage(resolvedGpa, first, false);
  const high = resolve(va + u64(first), size - first, ACCESS_READ, user);
  if (high <= 1) return high == 0 ? 0 : needPage(resolvedGpa, size - first, false);
  memory.copy(cpu + L.VCPU_AREA_bounce, low, first);
  memory.copy(cpu + L.VCPU_AREA_bounce + first, high, size - first);
  return cpu + L.VCPU_AREA_bounce;
}

// @ts-ignore: decorator
@inline function readAs(va: u64, size: u32, user: bool): u32 {
  const entry = tlbEntry(tlbBase(user), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_READ)) return u32(va) + load<u32>(entry + L.TLB_ADDEND);
  return readSlow(va, size, user);
}

/** Host address where `size` (1..512) bytes at `va` can be read in one piece, until the next access; 0 = return `bail`. */
export function readPointer(va: u64, size: u32): u32 { return readAs(va, size, userMode()); }
/** As readPointer, with the rights of CPL 0. */
export function readPointerSystem(va: u64, size: u32): u32 { return readAs(va, size, false); }

// ---------------------------------------------------------------------------------------------------- writes

/** Checks that `size` bytes at `va` can be written, without writing. Returns 0 or the bail code. */
function probeAs(va: u64, size: u32, user: bool): i32 {
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (resolve(va, min(size, first), ACCESS_WRITE, user) == 0) return bail;
  if (size > first && resolve(va + u64(first), size - first, ACCESS_WRITE, user) == 0) return bail;
  return 0;
}
export function probeWrite(va: u64, size: u32): i32 { return probeAs(va, size, userMode()); }

/** Stores into the page of the last `resolve`, which answered `pointer`. */
function storeResolved(pointer: u32, source: u32, size: u32): void {
  memory.copy(pointer, source, size);
  if (resolvedCode && codeWritten(u32(resolvedGpa >> 12), u32(resolvedGpa) & 0xfff, size)) setCodeChanged(1);
}

function writeSlow(va: u64, source: u32, size: u32, user: bool): i32 {
  if (lookAtEachAccess && !watchAccess(va, size, true, user)) return bail;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, user);
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
  // Both halves must be writable before either is stored.
  if (resolve(va + u64(first), size - first, ACCESS_WRITE, user) == 0) return bail;
  const low = resolve(va, first, ACCESS_WRITE, user);
  if (low == 0) return bail;
  if (low > 1) storeResolved(low, source, first);
  const high = resolve(va + u64(first), size - first, ACCESS_WRITE, user);
  if (high > 1) storeResolved(high, source + first, size - first);
  return 0;
}

/** Writes `size` (1..512) bytes from host address `source`, all or nothing. Returns 0 or the bail code. */
export function writeBytes(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, userMode()); }
/** As writeBytes, with the rights of CPL 0. */
export function writeBytesSystem(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, false); }

// @ts-ignore: decorator
@inline function writeAs(va: u64, source: u32, size: u32, user: bool): i32 {
  const entry = tlbEntry(tlbBase(user), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) {
    memory.copy(u32(va) + load<u32>(entry + L.TLB_ADDEND), source, size);
    return 0;
  }
  return writeSlow(va, source, size, user);
}

// @ts-ignore: decorator
@inline function writeValue<T>(va: u64, value: u64, user: bool): i32 {
  const entry = tlbEntry(tlbBase(user), va);
  if (((va + u64(sizeof<T>() - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) {
    store<T>(u32(va) + load<u32>(entry + L.TLB_ADDEND), <T>value);
    return 0;
  }
  store<u64>(cpu + L.VCPU_AREA_scratch, value);
  return writeSlow(va, cpu + L.VCPU_AREA_scratch, u32(sizeof<T>()), user);
}

export function write8(va: u64, value: u64): i32 { return writeValue<u8>(va, value, userMode()); }
export function write16(va: u64, value: u64): i32 { return writeValue<u16>(va, value, userMode()); }
export function write32(va: u64, value: u64): i32 { return writeValue<u32>(va, value, userMode()); }
export function write64(va: u64, value: u64): i32 { return writeValue<u64>(va, value, userMode()); }
export function write8System(va: u64, value: u64): i32 { return writeValue<u8>(va, value, false); }
export function write16System(va: u64, value: u64): i32 { return writeValue<u16>(va, value, false); }
export function write32System(va: u64, value: u64): i32 { return writeValue<u32>(va, value, false); }
export function write64System(va: u64, value: u64): i32 { return writeValue<u64>(va, value, false); }

/**
 * Slow store of the hot handlers. Returns 0 when done, BAIL_NEXT when done but decoded code changed, else the bail
 * code of a failed access.
 */
export function hotStore(va: u64, value: u64, size: u32): i32 {
  store<u64>(cpu + L.VCPU_AREA_scratch, value);
  const result = writeSlow(va, cpu + L.VCPU_AREA_scratch, size, userMode());
  return result != 0 ? result : afterStore();
}

/** Slow load of the hot handlers: host address of `size` bytes, 0 = leave the trace with `bail`. */
export function hotLoad(va: u64, size: u32): u32 { return readSlow(va, size, userMode()); }

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
  const user = userMode();
  const entry = tlbEntry(tlbBase(user), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) return u32(va) + load<u32>(entry + L.TLB_ADDEND);
  return modifySlow(va, size);
}

function modifySlow(va: u64, size: u32): u32 {
  const user = userMode();
  if (lookAtEachAccess && !watchAccess(va, size, true, user)) return 0;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  const bounce = cpu + L.VCPU_AREA_modifyBounce;
  modifyAddress = va;
  modifySize = size;
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, user);
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
  const high = resolve(va + u64(first), size - first, ACCESS_WRITE, user);
  if (high == 0) return 0;
  const low = resolve(va, first, ACCESS_WRITE, user);
  if (low == 0) return 0;
  memory.copy(bounce, low, first);
  memory.copy(bounce + first, high, size - first);
  return bounce;
}

/** Ends what modifyPointer began. Returns 0 or the bail code. */
export function modifyCommit(pointer: u32): i32 {
  if (pointer != cpu + L.VCPU_AREA_modifyBounce) return 0;
  return writeSlow(modifyAddress, pointer, modifySize, userMode());
}

/** As modifyPointer, for the hot handlers' slow path (the write tag has been tried). */
export function hotModify(va: u64, size: u32): u32 { return modifySlow(va, size); }

/** As modifyCommit, for the hot handlers: BAIL_NEXT when decoded code changed. */
export function hotCommit(): i32 {
  const result = writeSlow(modifyAddress, cpu + L.VCPU_AREA_modifyBounce, modifySize, userMode());
  return result != 0 ? result : afterStore();
}

// ---------------------------------------------------------------------------------------------------- code and host

/** Host address of the code byte at `va`, 0 with fault or exit recorded. `fetchGfn` says which guest page it is. */
export function fetchPointer(va: u64): u32 {
  const user = userMode();
  const slot = tlbEntry(tlbBase(user), va);
  if ((va & 0xffff_ffff_ffff_f000) == load<u64>(slot + L.TLB_TAG_EXECUTE)) {
    fetchGfn = load<u32>(slot + L.TLB_GFN);
    return u32(va) + load<u32>(slot + L.TLB_ADDEND);
  }
  store<u32>(cpu + L.VCPU_currentOp, 0);
  const pointer = resolve(va, 1, ACCESS_EXECUTE, user);
  if (pointer == 0) return 0;
  if (pointer == 1) return needPage(resolvedGpa, 1, false);
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
  const gpa = isCanonical(va) ? walk(va, access, false, true) : u64(-1);
  if (gpa != u64(-1)) return i64(gpa);
  const exit = isCanonical(va) && bail == BAIL_EXIT;
  store<u64>(cpu + L.VCPU_cr2, kept2);
  store<u32>(cpu + L.VCPU_exceptionVector, vector);
  return exit ? -2 : -1;
}
