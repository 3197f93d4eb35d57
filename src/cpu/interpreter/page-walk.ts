/**
 * The guest's page tables and the nested page table: guest-linear to guest-physical address, and where its frame is.
 * Intel SDM vol 3 §4.3 to §4.5 (paging), §4.6 (access rights), §4.7 (page faults), §4.8 (accessed and dirty).
 */
import * as L from "./generated/layout";
import { cutStretch, IDLE, lockStep } from "./lock-step";
import { isKept } from "./lock-step-pages";
import { BAIL_EXIT } from "./op";
import { bail, count, cpu, raiseError, setBail, VECTOR_PF } from "./state";

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
const CR0_PG: u64 = 0x8000_0000;
const CR4_PSE: u64 = 0x10;
const CR4_PAE: u64 = 0x20;
const CR4_PGE: u64 = 0x80;
const CR4_SMEP: u64 = 0x10_0000;
const EFER_LMA: u64 = 0x400;
const EFER_NXE: u64 = 0x800;

/**
 * Whose rights an access has, and which TLB answers it. The rights of the supervisor come in two: with SMAP on, user pages
 * are open to it only while RFLAGS.AC is set, and never to the processor's own accesses (descriptor tables, stacks of a delivery).
 */
export const VIEW_KERNEL: u32 = 0;
export const VIEW_USER: u32 = 1;
export const VIEW_OPEN: u32 = 2;
/** CR4.SMAP. */
export let supervisorProtected: bool = false;
export function setSupervisorProtected(value: bool): void { supervisorProtected = value; }

/** What the last walk found. */
export let walkReadable: bool = false;
export let walkWritable: bool = false;
export let walkExecutable: bool = false;
export let walkGlobal: bool = false;
export let walkDirty: bool = false;
/** log2 of the page's bytes. */
export let walkShift: u64 = 12;

// ---------------------------------------------------------------------------------------------------- nested page table

/** Address of the NPT leaf entry of `gfn`, 0 when there is none yet. */
export function nptEntryAddress(gfn: u64): u32 {
  if (gfn >= u64(L.NPT_ROOT_ENTRIES) * u64(L.NPT_LEAF_ENTRIES)) return 0;
  const leaf = load<u32>(L.NPT_ROOT_BASE + (u32(gfn >> 10) << 2));
  return leaf == 0 ? 0 : leaf + ((u32(gfn) & 1023) << 2);
}

/** Records the exit that asks the host for the guest page at `gpa`. Returns 0, as the pointer that could not be had. */
export function needPage(gpa: u64, size: u32, write: bool): u32 {
  count(L.VCPU_counterNptMisses);
  return leaveAccess(gpa, size, write);
}

/** Records an access to `gpa` that the run loop is to deal with, as EXIT_NPT. Returns 0. */
export function leaveAccess(gpa: u64, size: u32, write: bool): u32 {
  store<u32>(cpu + L.VCPU_exitReason, L.EXIT_NPT);
  store<u64>(cpu + L.VCPU_exitAddress, gpa);
  store<u32>(cpu + L.VCPU_exitSize, size);
  store<u32>(cpu + L.VCPU_exitWrite, write ? 1 : 0);
  setBail(BAIL_EXIT);
  return 0;
}

/** Ends the run: an access that no device can answer (over a page end, or a fetch). Returns 0. */
export function unanswerable(): u32 {
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
  count(L.VCPU_counterNptLookups);
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
  count(L.VCPU_counterPageFaults);
  return u64(-1);
}

/** Ends a stretch that is checked in front of the access: marks in a page that it stored to would be undone with what it stored. Returns -1. */
function cutWalk(): u64 {
  cutStretch(L.STRETCH_END_pageTable);
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
export function walk(va: u64, access: u32, view: u32, quiet: bool): u64 {
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
      if ((entry & PTE_ACCESSED) == 0 && !quiet) {
        if (lockStep != IDLE && isKept(pointer)) return cutWalk();
        if (!setEntryBits(pointer, entry, PTE_ACCESSED)) { shift += 9; continue; }
      }
      table = entry & ADDRESS_MASK;
      continue;
    }
    if (!permitted(access, view, userAllowed, writable, executable)) return pageFault(va, access, user, true, false);
    let bits: u64 = PTE_ACCESSED;
    if (access == ACCESS_WRITE) bits |= PTE_DIRTY;
    if ((entry & bits) != bits && !quiet) {
      if (lockStep != IDLE && isKept(pointer)) return cutWalk();
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

/** Whether `va` is canonical in the present mode (48 bits in long mode, 32 otherwise by construction). */
// @ts-ignore: decorator
@inline export function isCanonical(va: u64): bool { return u64((i64(va) << 16) >> 16) == va; }
