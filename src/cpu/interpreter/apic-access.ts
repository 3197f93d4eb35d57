/**
 * The local APIC's registers without an exit: accesses to the APIC access page, and the delivery of a vector. What a processor with APIC
 * virtualisation does by its virtual-APIC page (Intel SDM vol 3 §30.1, §30.4; numbers of older editions: §29).
 *
 * An access whose frame by the nested page table is VCPU.apicAccessFrame is one to the registers in the vCPU's own virtual-APIC page; the frame
 * itself is never touched. Were the word out of date, it would be: it is the memory of whoever has the frame then. The page gets no
 * TLB entry, because every access has to be looked at: what is computed (PPR, current count) or has an effect is for the run loop.
 */
import * as L from "./generated/layout";
import { cpu } from "./state";
import { leaveAccess } from "./page-walk";

/** What `resolve` answers for a write to a register. */
export const APIC_WRITE: u32 = 2;

const FLAT_MODEL_ONES: u32 = 0x0fff_ffff;
const LOGICAL_ID: u32 = 0xff00_0000;

/** Registers that may be read from the page, a bit each by offset / 16: all but computed ones, and those whose read is an error. */
// @ts-ignore: decorator
@inline function readableRegisters(): u64 {
  return one(L.APIC_PAGE_id) | one(L.APIC_PAGE_version) | one(L.APIC_PAGE_taskPriority) | one(L.APIC_PAGE_endOfInterrupt)
    | one(L.APIC_PAGE_logicalDestination) | one(L.APIC_PAGE_destinationFormat) | one(L.APIC_PAGE_spurious)
    | (u64(0xff) << (L.APIC_PAGE_isr >> 4)) | (u64(0xff) << (L.APIC_PAGE_tmr >> 4)) | (u64(0xff) << (L.APIC_PAGE_irr >> 4))
    | one(L.APIC_PAGE_errorStatus) | one(L.APIC_PAGE_icrLow) | one(L.APIC_PAGE_icrHigh) | (u64(0x3f) << (L.APIC_PAGE_lvt >> 4))
    | one(L.APIC_PAGE_timerInitial) | one(L.APIC_PAGE_timerDivide);
}
// @ts-ignore: decorator
@inline function one(offset: u32): u64 { return u64(1) << u64(offset >> 4); }

// @ts-ignore: decorator
@inline function register(offset: u32): u32 { return cpu + L.VCPU_AREA_virtualApic + offset; }

/** Where `size` bytes at `offset` of the page can be read; 0 = by the run loop only. */
export function apicReadPointer(offset: u32, size: u32): u32 {
  if ((offset & 15) + size > 16 || offset >= 0x400 || (readableRegisters() & one(offset)) == 0) return 0;
  return register(offset);
}

/** Leaves to the run loop, with the access recorded. Returns 0. */
export function apicExit(gpa: u64, size: u32, write: bool): u32 {
  leaveAccess(gpa, size, write);
  store<u32>(cpu + L.VCPU_exitReason, L.EXIT_APIC_ACCESS);
  return 0;
}

/** Some vector is requested: who lowers a priority must have the run loop look. Others set bits at any time, but then ask the vCPU to leave. */
function isRequested(): bool {
  let bits: u32 = 0;
  for (let word: u32 = 0; word < 8; word++) bits |= atomic.load<u32>(register(L.APIC_PAGE_irr + (word << 4)));
  return bits != 0;
}

/** Writes 4 bytes from `source` to the register at `offset` of the page; false = by the run loop only, nothing was written. */
export function apicWrite(offset: u32, source: u32, size: u32): bool {
  if (size != 4) return false;
  const value = load<u32>(source);
  switch (offset) {
    case L.APIC_PAGE_taskPriority: {
      // An interrupt that was offered may be one that the new priority holds back.
      if (load<u32>(cpu + L.VCPU_pendingInterrupt) != 0) return false;
      if ((value & 0xf0) < (load<u32>(register(offset)) & 0xf0) && isRequested()) return false;
      atomic.store<u32>(register(offset), value & 0xff);
      return true;
    }
    case L.APIC_PAGE_endOfInterrupt: {
      if (load<u32>(cpu + L.VCPU_pendingInterrupt) != 0 || isRequested()) return false;
      return endInterrupt();
    }
    case L.APIC_PAGE_logicalDestination: atomic.store<u32>(register(offset), value & LOGICAL_ID); return true;
    case L.APIC_PAGE_destinationFormat: atomic.store<u32>(register(offset), value | FLAT_MODEL_ONES); return true;
    case L.APIC_PAGE_icrHigh: atomic.store<u32>(register(offset), value); return true;
    default: return false;
  }
}

/** The highest vector in service is no more; false = it came as a level, and its end is told by the run loop. */
function endInterrupt(): bool {
  for (let word: i32 = 7; word >= 0; word--) {
    const place = register(L.APIC_PAGE_isr + (u32(word) << 4));
    const bits = atomic.load<u32>(place);
    if (bits == 0) continue;
    const bit: u32 = u32(0x8000_0000) >> clz(bits);
    if ((atomic.load<u32>(register(L.APIC_PAGE_tmr + (u32(word) << 4))) & bit) != 0) return false;
    atomic.store<u32>(place, bits & ~bit);
    return true;
  }
  return true;
}

/** A requested vector is in service: the vCPU has taken it. */
export function apicAccept(vector: u32): void {
  const bit: u32 = 1 << (vector & 31);
  const place = (vector >> 5) << 4;
  atomic.and<u32>(register(L.APIC_PAGE_irr + place), ~bit);
  atomic.or<u32>(register(L.APIC_PAGE_isr + place), bit);
}
