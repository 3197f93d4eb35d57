/**
 * Guest-linear memory as instructions use it: the slow paths of every access.
 *
 *   gva --page tables of the guest--> gpa --nested page table--> frame (an address in host memory)
 *
 * Nothing here keeps a frame address beyond one instruction, except the TLB, which the host flushes through requests.
 */
import * as L from "./generated/layout";
import { BAIL_EXIT, BAIL_NEXT, OP_SEGMENT } from "./op";
import { bail, codeChanged, count, cpu, raiseError, setBail, setCodeChanged, VECTOR_AC, VECTOR_GP, VECTOR_SS } from "./state";
import { APIC_WRITE, apicExit, apicReadPointer, apicWrite } from "./apic-access";
import { codeWritten } from "./code-sharing";
import { dataBreakpoint } from "./debug";
import { hostWatching, watchForHost } from "./host-debug";
import { cutStretch, IDLE, lockStep } from "./lock-step";
import { keepPage } from "./lock-step-pages";
import {
  ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE, isCanonical, needPage, nptEntryAddress, unanswerable, VIEW_KERNEL, VIEW_OPEN, VIEW_USER, walk, walkGlobal,
} from "./page-walk";
import { currentView, fetchView, fillTlb, lookAtEachAccess, lookAtUserAccess, tlbBase, tlbEntry } from "./tlb";

const PAGE_MASK: u64 = 0xffff_ffff_ffff_f000;

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
 * Translates `va` for one access inside one page and fills the TLB. Returns the host address, 0 on failure, 1 when the access is to be
 * answered from the MMIO latch, or APIC_WRITE for a write to a register of the local APIC.
 */
function resolve(va: u64, size: u32, access: u32, view: u32): u32 {
  if (!isCanonical(va)) return notCanonical();
  count(L.VCPU_counterWalkReads + (access << 3));
  if (access == ACCESS_WRITE && load<u64>(tlbEntry(tlbBase(view), va) + L.TLB_TAG_READ) == (va & PAGE_MASK)) count(L.VCPU_counterWithheldWrites);
  const gpa = walk(va, access, view, false);
  if (gpa == u64(-1)) return 0;
  count(L.VCPU_counterNptLookups);
  resolvedGpa = gpa;
  const entryAddress = nptEntryAddress(gpa >> 12);
  let entry = entryAddress == 0 ? 0 : load<u32>(entryAddress);
  const apicFrame = load<u32>(cpu + L.VCPU_apicAccessFrame);
  if (lockStep != IDLE && ((gpa >> 12) == L.APIC_ACCESS_GFN || ((entry & L.NPT_PRESENT) != 0 && (entry & 0xffff_f000) == apicFrame))) return cut(L.STRETCH_END_apic);
  if ((entry & L.NPT_PRESENT) != 0 && (entry & 0xffff_f000) == apicFrame) return resolveApic(gpa, size, access);
  if ((gpa >> 12) == L.APIC_ACCESS_GFN) {
    if (apicFrame == 0) return isAnswered(gpa, access) ? 1 : apicExit(gpa, size, access == ACCESS_WRITE);
    if ((entry & L.NPT_PRESENT) != 0) store<u64>(cpu + L.VCPU_counterApicMemory, load<u64>(cpu + L.VCPU_counterApicMemory) + 1);
  }
  const wanted: u32 = access == ACCESS_WRITE ? L.NPT_PRESENT | L.NPT_WRITABLE : L.NPT_PRESENT;
  if ((entry & wanted) != wanted) {
    return isAnswered(gpa, access) ? 1 : needPage(gpa, size, access == ACCESS_WRITE);
  }
  const marks: u32 = access == ACCESS_WRITE ? L.NPT_ACCESSED | L.NPT_DIRTY : L.NPT_ACCESSED;
  if ((entry & marks) != marks) {
    entry = atomic.or<u32>(entryAddress, marks) | marks;
    // The host may have taken the page away since the look above; what was read there is no way to a frame any more.
    if ((entry & wanted) != wanted) return needPage(gpa, size, access == ACCESS_WRITE);
  }
  resolvedCode = (entry & L.NPT_CODE) != 0;
  const frame = entry & 0xffff_f000;
  if (lockStep != IDLE && access == ACCESS_WRITE) {
    if (resolvedCode) return cut(L.STRETCH_END_code);
    if (!keepPage(u32(gpa >> 12), frame)) return cut(L.STRETCH_END_pages);
  }
  if (!lookAtEachAccess && !(lookAtUserAccess && view == VIEW_USER)) fillTlb(va, u32(gpa >> 12), frame, entry, view);
  return frame | (u32(gpa) & 0xfff);
}

/** Ends a stretch that is checked in front of this access. Returns 0. */
function cut(reason: u32): u32 {
  cutStretch(reason);
  return 0;
}

/** Whether the run loop has answered this access to a device's register. */
function isAnswered(gpa: u64, access: u32): bool {
  const bit: u32 = access == ACCESS_WRITE ? 2 : 1;
  return (load<u32>(cpu + L.VCPU_mmioState) & bit) != 0 && load<u64>(cpu + L.VCPU_mmioAddress) == gpa;
}

/** As resolve, for the APIC access page. Nothing can be fetched there. */
function resolveApic(gpa: u64, size: u32, access: u32): u32 {
  resolvedCode = false;
  if (access == ACCESS_EXECUTE || isAnswered(gpa, access)) return 1;
  if (access == ACCESS_WRITE) return APIC_WRITE;
  const pointer = apicReadPointer(u32(gpa) & 0xfff, size);
  return pointer != 0 ? pointer : apicExit(gpa, size, false);
}

/** Alignment that a user access of `size` bytes must have when it is checked (SDM vol 3 table 6-7). */
// @ts-ignore: decorator
@inline function checkedAlignment(size: u32): u64 {
  return size == 2 || size == 4 || size == 8 ? u64(size) : size == 6 ? 4 : size == 10 ? 8 : 1;
}

/** Watchpoints of the host, data breakpoints and alignment checks, when active. Returns false with the fault or exit recorded. */
function watchAccess(va: u64, size: u32, write: bool, view: u32): bool {
  if (hostWatching && !watchForHost(va, size, write)) return false;
  dataBreakpoint(va, size, write);
  if (lookAtUserAccess && view == VIEW_USER && (va & (checkedAlignment(size) - 1)) != 0 && isCanonical(va)) {
    raiseError(VECTOR_AC, 0);
    return false;
  }
  return true;
}

/** As watchAccess, for an operand that is read and then written. */
function watchModify(va: u64, size: u32, view: u32): bool {
  return (!hostWatching || watchForHost(va, size, false)) && watchAccess(va, size, true, view);
}

// ---------------------------------------------------------------------------------------------------- reads

function readSlow(va: u64, size: u32, view: u32): u32 {
  if ((lookAtEachAccess || lookAtUserAccess || hostWatching) && !watchAccess(va, size, false, view)) return 0;
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

/** Host address of `va` if the TLB has its page for reading (with `tag` TLB_TAG_WRITE: for writing), up to the page's end and until the next access; 0 = nothing is known. */
// @ts-ignore: decorator
@inline export function knownPointer(va: u64, tag: u32): u32 {
  const entry = tlbEntry(tlbBase(currentView()), va);
  return (va & PAGE_MASK) == load<u64>(entry + tag) ? u32(va) + load<u32>(entry + L.TLB_ADDEND) : 0;
}

// ---------------------------------------------------------------------------------------------------- writes

/** Checks that `size` bytes at `va` can be written, without writing. Returns 0 or the bail code. */
function probeAs(va: u64, size: u32, view: u32): i32 {
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (resolve(va, min(size, first), ACCESS_WRITE, view) == 0) return bail;
  if (size > first && resolve(va + u64(first), size - first, ACCESS_WRITE, view) == 0) return bail;
  return 0;
}
export function probeWrite(va: u64, size: u32): i32 { return probeAs(va, size, currentView()); }

/** Stores to `pointer`, where `resolve` has found `gpa`; `isCode` as it left in resolvedCode. */
function storeResolved(pointer: u32, gpa: u64, isCode: bool, source: u32, size: u32): void {
  memory.copy(pointer, source, size);
  if (isCode && codeWritten(u32(gpa >> 12), u32(gpa) & 0xfff, size)) setCodeChanged(1);
}

function writeSlow(va: u64, source: u32, size: u32, view: u32): i32 {
  if ((lookAtEachAccess || lookAtUserAccess || hostWatching) && !watchAccess(va, size, true, view)) return bail;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, view);
    if (pointer > APIC_WRITE) {
      storeResolved(pointer, resolvedGpa, resolvedCode, source, size);
    } else if (pointer == 1 || (pointer == APIC_WRITE && apicWrite(u32(resolvedGpa) & 0xfff, source, size))) {
      store<u32>(cpu + L.VCPU_mmioState, 0);
    } else {
      if (pointer == APIC_WRITE) apicExit(resolvedGpa, size, true);
      // The run loop gets what would have been written, for a device.
      store<u64>(cpu + L.VCPU_exitData, size >= 8 ? load<u64>(source) : size == 4 ? u64(load<u32>(source)) : size == 2 ? u64(load<u16>(source)) : u64(load<u8>(source)));
      return bail;
    }
    return 0;
  }
  // Both halves must be writable before either is stored; of two that are not, the lower one is told.
  const high = resolvePair(va, first, size, view);
  if (high == 0) return bail;
  // Neither is looked up again: the host may have taken a page's entry away meanwhile. The frame itself is ours until we leave guest mode.
  storeResolved(pairLow, pairLowGpa, pairLowCode, source, first);
  storeResolved(high, resolvedGpa, resolvedCode, source + first, size - first);
  return 0;
}

/** Makes both halves of an access over a page end writable. Returns the host address of the upper one, 0 = failed; `pairLow*` is the other. */
function resolvePair(va: u64, first: u32, size: u32, view: u32): u32 {
  if (!isCanonical(va + u64(size) - 1)) return notCanonical();
  pairLow = resolve(va, first, ACCESS_WRITE, view);
  if (pairLow == 0) return 0;
  pairLowGpa = resolvedGpa;
  pairLowCode = resolvedCode;
  const high = resolve(va + u64(first), size - first, ACCESS_WRITE, view);
  return high == 0 ? 0 : pairLow <= APIC_WRITE || high <= APIC_WRITE ? unanswerable() : high;
}
let pairLow: u32 = 0;
let pairLowGpa: u64 = 0;
let pairLowCode: bool = false;

/** Writes `size` (1..512) bytes from host address `source`, all or nothing. Returns 0 or the bail code. */
export function writeBytes(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, currentView()); }
/** As writeBytes, with the rights of CPL 0. */
export function writeBytesSystem(va: u64, source: u32, size: u32): i32 { return writeAs(va, source, size, VIEW_KERNEL); }

/** Writes those of the bytes at host address `source` to `va` that `mask`, not 0, selects (bit n: byte n); all or nothing. Returns 0 or the bail code. */
export function writeMasked(va: u64, source: u32, mask: u32): i32 {
  const skipped: u32 = ctz<u32>(mask);
  mask >>= skipped;
  va += u64(skipped);
  source += skipped;
  const size: u32 = 32 - clz<u32>(mask);
  if (size == 1) return write8(va, load<u8>(source));
  const view = currentView();
  const entry = tlbEntry(tlbBase(view), va);
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) != load<u64>(entry + L.TLB_TAG_WRITE)) return writeMaskedSlow(va, source, mask, size, view);
  storeMasked(u32(va) + load<u32>(entry + L.TLB_ADDEND), source, mask, size);
  return 0;
}

/** As writeSlow, where all is looked up before anything is stored, and nothing is looked up again. */
function writeMaskedSlow(va: u64, source: u32, mask: u32, size: u32, view: u32): i32 {
  if (lookAtEachAccess || hostWatching) {
    for (let i: u32 = 0; i < size; i++) {
      if (((mask >> i) & 1) == 0) continue;
      dataBreakpoint(va + u64(i), 1, true);
      if (hostWatching && !watchForHost(va + u64(i), 1, true)) return bail;
    }
  }
  const first: u32 = 4096 - (u32(va) & 0xfff);
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, view);
    if (pointer <= APIC_WRITE) {
      if (pointer != 0) unanswerable();
      return bail;
    }
    storeMaskedResolved(pointer, resolvedGpa, resolvedCode, source, mask, size);
    return 0;
  }
  const high = resolvePair(va, first, size, view);
  if (high == 0) return bail;
  const highGpa = resolvedGpa;
  const highCode = resolvedCode;
  storeMaskedResolved(pairLow, pairLowGpa, pairLowCode, source, mask, first);
  storeMaskedResolved(high, highGpa, highCode, source + first, mask >> first, size - first);
  return 0;
}

function storeMasked(pointer: u32, source: u32, mask: u32, size: u32): void {
  for (let i: u32 = 0; i < size; i++) if (((mask >> i) & 1) != 0) store<u8>(pointer + i, load<u8>(source + i));
}

/** As storeResolved. Code between the bytes counts as written. */
function storeMaskedResolved(pointer: u32, gpa: u64, isCode: bool, source: u32, mask: u32, size: u32): void {
  storeMasked(pointer, source, mask, size);
  if (isCode && codeWritten(u32(gpa >> 12), u32(gpa) & 0xfff, size)) setCodeChanged(1);
}

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
/** Where modifySlow's operand is, when it is bounced only because its page holds decoded code; else 0. */
let codeFrame: u32 = 0;
let codeGpa: u64 = 0;

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
  if ((lookAtEachAccess || lookAtUserAccess || hostWatching) && !watchModify(va, size, view)) return 0;
  const first: u32 = 4096 - (u32(va) & 0xfff);
  const bounce = cpu + L.VCPU_AREA_modifyBounce;
  modifyAddress = va;
  modifySize = size;
  codeFrame = 0;
  if (size <= first) {
    const pointer = resolve(va, size, ACCESS_WRITE, view);
    if (pointer > APIC_WRITE && !resolvedCode) return pointer;
    if (pointer > APIC_WRITE) {
      codeFrame = pointer;
      codeGpa = resolvedGpa;
      memory.copy(bounce, pointer, size);
      return bounce;
    }
    // A device register: the read is answered first and kept until the write is.
    const state = load<u32>(cpu + L.VCPU_mmioState);
    if ((state & 1) != 0 && load<u64>(cpu + L.VCPU_mmioAddress) == resolvedGpa) {
      store<u64>(bounce, load<u64>(cpu + L.VCPU_mmioValue));
      return bounce;
    }
    // A register of the local APIC is read by the run loop as well, so that it is read once however the write goes.
    if (pointer == APIC_WRITE) apicExit(resolvedGpa, size, true);
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

/**
 * As modifyPointer, for `size` bytes at an address that is a multiple of it, to be changed by the host's atomics: in a page with code as well
 * the address is that of the memory. Then call `atomicCommit(pointer)`.
 */
export function atomicPointer(va: u64, size: u32): u32 {
  const entry = tlbEntry(tlbBase(currentView()), va);
  codeFrame = 0;
  if (((va + u64(size - 1)) & 0xffff_ffff_ffff_f000) == load<u64>(entry + L.TLB_TAG_WRITE)) return u32(va) + load<u32>(entry + L.TLB_ADDEND);
  const pointer = modifySlow(va, size);
  return pointer != 0 && codeFrame != 0 ? codeFrame : pointer;
}

/** Ends what atomicPointer began. Returns 0 or the bail code. */
export function atomicCommit(pointer: u32): i32 {
  if (pointer != codeFrame) return modifyCommit(pointer);
  codeFrame = 0;
  if (codeWritten(u32(codeGpa >> 12), u32(codeGpa) & 0xfff, modifySize)) setCodeChanged(1);
  return 0;
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
