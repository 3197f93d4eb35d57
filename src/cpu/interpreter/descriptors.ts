/**
 * Segment descriptors and the tables they stand in (Intel SDM vol 3 §3.4, §3.5; AMD APM vol 2 §4.7, §4.8).
 *
 * A descriptor that was read is kept in the globals `descriptor`, `descriptorHigh` and `descriptorAddress` until the
 * next one is read. Descriptors that passed their checks are put together in two *staged* segment slots, in the form of
 * VCPU.segments, and copied to the architectural slot when nothing can fail any more.
 *
 *   cpu + SCRATCH_BASE   512 bytes: a stack frame that is put together (stack-frame.ts), a fill pattern (strings.ts)
 *                + 0x200  staged code segment      + 0x220  staged stack segment      + 0x240  staged data segment
 */
import * as L from "./generated/layout";
import { readPointerSystem, write8System } from "./memory";
import { bail, cpu, raiseError, segmentAddress } from "./state";

/** Offset in the vCPU area of this unit's working memory, behind the last field of VCPU. */
const SCRATCH_BASE: u32 = L.VCPU_AREA_systemScratch;
/** Bytes of the scratch buffer. */
export const SCRATCH_SIZE: u32 = 512;

/** Bits of a slot's attributes. */
export const ATTRIBUTE_ACCESSED: u32 = 1;
/** Of data: writable. Of code: readable. */
export const ATTRIBUTE_WRITABLE: u32 = 2;
/** Of data: expand-down. Of code: conforming. */
export const ATTRIBUTE_CONFORMING: u32 = 4;
/** A code segment, where S is set. */
export const ATTRIBUTE_CODE: u32 = 8;
/** The S bit: a code or data segment, not a system segment. */
export const ATTRIBUTE_SEGMENT: u32 = 0x10;
/** Place of the two-bit descriptor privilege level. */
export const ATTRIBUTE_DPL_SHIFT: u32 = 5;
/** Absent in slots that hold a null selector. */
export const ATTRIBUTE_PRESENT: u32 = 0x80;
/** 64-bit code. */
export const ATTRIBUTE_LONG: u32 = 0x2000;
/** D/B: 32-bit code, stack pointer or upper bound. */
export const ATTRIBUTE_BIG: u32 = 0x4000;
/** The limit counts pages. */
export const ATTRIBUTE_GRANULARITY: u32 = 0x8000;

/** A 16-bit TSS that is not busy (types of system descriptors have S clear). */
export const TYPE_TSS16_AVAILABLE: u32 = 1;
/** A local descriptor table. */
export const TYPE_LDT: u32 = 2;
/** A 16-bit call gate. */
export const TYPE_CALL_GATE_16: u32 = 4;
/** A task gate. */
export const TYPE_TASK_GATE: u32 = 5;
/** A 16-bit interrupt gate. */
export const TYPE_INTERRUPT_GATE_16: u32 = 6;
/** A 16-bit trap gate. */
export const TYPE_TRAP_GATE_16: u32 = 7;
/** A 32-bit TSS that is not busy; in long mode the 64-bit one. */
export const TYPE_TSS32_AVAILABLE: u32 = 9;
/** A 32-bit call gate; in long mode the 64-bit one. */
export const TYPE_CALL_GATE_32: u32 = 12;
/** A 32-bit interrupt gate; in long mode the 64-bit one. */
export const TYPE_INTERRUPT_GATE_32: u32 = 14;
/** A 32-bit trap gate; in long mode the 64-bit one. */
export const TYPE_TRAP_GATE_32: u32 = 15;

/** Protected mode is on. */
export const CR0_PE: u64 = 1;
/** Long mode is active. */
export const EFER_LMA: u64 = 0x400;

/** The descriptor that was read last: its first eight bytes. */
export let descriptor: u64 = 0;
/** Its second eight bytes, after readWideDescriptor. */
export let descriptorHigh: u64 = 0;
/** Linear address of that descriptor. */
export let descriptorAddress: u64 = 0;

/** Address of the scratch buffer. */
// @ts-ignore: decorator
@inline export function scratch(): u32 { return cpu + SCRATCH_BASE; }
/** Address of the slot in which a code segment is staged. */
// @ts-ignore: decorator
@inline export function stagedCode(): u32 { return cpu + SCRATCH_BASE + 0x200; }
/** Address of the slot in which a stack segment is staged. */
// @ts-ignore: decorator
@inline export function stagedStack(): u32 { return cpu + SCRATCH_BASE + 0x220; }
/** Address of the slot in which a data segment is staged. */
// @ts-ignore: decorator
@inline export function stagedData(): u32 { return cpu + SCRATCH_BASE + 0x240; }

/** CR0.PE. */
// @ts-ignore: decorator
@inline export function isProtected(): bool { return (load<u64>(cpu + L.VCPU_cr0) & CR0_PE) != 0; }
/** EFER.LMA. */
// @ts-ignore: decorator
@inline export function isLong(): bool { return (load<u64>(cpu + L.VCPU_efer) & EFER_LMA) != 0; }
/** Whether 64-bit code is executed. */
// @ts-ignore: decorator
@inline export function is64(): bool { return load<u32>(cpu + L.VCPU_mode) == L.MODE_64; }
/** The CPL. */
// @ts-ignore: decorator
@inline export function currentPrivilege(): u32 { return load<u32>(cpu + L.VCPU_cpl); }
/** Whether bits 63..47 are equal (48-bit linear addresses). */
// @ts-ignore: decorator
@inline export function isCanonical(address: u64): bool { const top = i64(address) >> 47; return top == 0 || top == -1; }
/** Whether `selector` is null, whatever its RPL. */
// @ts-ignore: decorator
@inline export function isNull(selector: u32): bool { return (selector & 0xfffc) == 0; }

/** Selector in a slot. */
// @ts-ignore: decorator
@inline export function selectorOf(slot: u32): u32 { return u32(load<u16>(slot + L.SEGMENT_SELECTOR)); }
/** Attributes in a slot (ATTRIBUTE_*). */
// @ts-ignore: decorator
@inline export function attributesOf(slot: u32): u32 { return load<u32>(slot + L.SEGMENT_ATTRIBUTES); }
/** Base in a slot. */
// @ts-ignore: decorator
@inline export function baseOf(slot: u32): u64 { return load<u64>(slot + L.SEGMENT_BASE); }
/** Limit in a slot, in bytes. */
// @ts-ignore: decorator
@inline export function limitOf(slot: u32): u32 { return load<u32>(slot + L.SEGMENT_LIMIT); }
/** Descriptor privilege level in `attributes`. */
// @ts-ignore: decorator
@inline export function dplOf(attributes: u32): u32 { return (attributes >> ATTRIBUTE_DPL_SHIFT) & 3; }
/** Type and S bit of `attributes`. */
// @ts-ignore: decorator
@inline export function typeOf(attributes: u32): u32 { return attributes & 0x1f; }
/** Attributes of a descriptor, as they stand in a slot. */
// @ts-ignore: decorator
@inline export function attributesIn(value: u64): u32 { return u32(value >> 40) & 0xf0ff; }

/** Byte-granular limit of a descriptor. */
export function limitIn(value: u64): u32 {
  const limit = u32(value & 0xffff) | (u32(value >> 32) & 0xf0000);
  return (attributesIn(value) & ATTRIBUTE_GRANULARITY) != 0 ? (limit << 12) | 0xfff : limit;
}

/** Base of a descriptor; its upper half is in the second eight bytes of a wide one. */
// @ts-ignore: decorator
@inline export function baseIn(value: u64): u64 { return ((value >> 16) & 0xff_ffff) | ((value >> 32) & 0xff00_0000); }

/** Writes all fields of a slot. */
export function setSlot(slot: u32, selector: u32, attributes: u32, base: u64, limit: u32): void {
  store<u16>(slot + L.SEGMENT_SELECTOR, u16(selector));
  store<u32>(slot + L.SEGMENT_ATTRIBUTES, attributes);
  store<u64>(slot + L.SEGMENT_BASE, base);
  store<u32>(slot + L.SEGMENT_LIMIT, limit);
}

/** Fills a slot from `selector` and the 8-byte descriptor `value`, with the accessed bit set. */
export function setSlotFromDescriptor(slot: u32, selector: u32, value: u64): void {
  const attributes = attributesIn(value) | ((attributesIn(value) & ATTRIBUTE_SEGMENT) != 0 ? ATTRIBUTE_ACCESSED : 0);
  setSlot(slot, selector, attributes, baseIn(value), limitIn(value));
}

/** Copies a staged slot to segment register `segment` (SEGMENT_*). */
export function commitSlot(segment: u32, staged: u32): void {
  memory.copy(segmentAddress(segment), staged, L.SEGMENT_SIZE);
}

/** Linear address of byte `offset` of a descriptor table or TSS: wraps at 4 GiB outside long mode. */
export function tableAddress(base: u64, offset: u32): u64 {
  const address = base + u64(offset);
  return isLong() ? address : address & 0xffff_ffff;
}

/** Finds the descriptor's address and checks `size` bytes of it against the table's limit. False: outside the table. */
export function locateDescriptor(selector: u32, size: u32): bool {
  const offset = selector & 0xfff8;
  let base: u64, limit: u32;
  if ((selector & 4) != 0) {
    const table = segmentAddress(L.SEGMENT_LDTR);
    if ((attributesOf(table) & ATTRIBUTE_PRESENT) == 0) return false;
    base = baseOf(table);
    limit = limitOf(table);
  } else {
    base = load<u64>(cpu + L.VCPU_gdtrBase);
    limit = load<u32>(cpu + L.VCPU_gdtrLimit);
  }
  if (offset + size - 1 > limit) return false;
  descriptorAddress = tableAddress(base, offset);
  return true;
}

/**
 * Reads the 8-byte descriptor of a selector that is not null. Outside the table: fault `vector` with the selector and
 * `external` (0 or 1, the EXT bit) as error code. Returns 0 or BAIL_*.
 */
export function readDescriptor(selector: u32, vector: u32, external: u32): i32 {
  if (!locateDescriptor(selector, 8)) return raiseError(vector, (selector & 0xfffc) | external);
  const pointer = readPointerSystem(descriptorAddress, 8);
  if (!pointer) return bail;
  descriptor = load<u64>(pointer);
  return 0;
}

/** Reads the 16-byte system descriptor of long mode, as readDescriptor. */
export function readWideDescriptor(selector: u32, vector: u32): i32 {
  if (!locateDescriptor(selector, 16)) return raiseError(vector, selector & 0xfffc);
  const pointer = readPointerSystem(descriptorAddress, 16);
  if (!pointer) return bail;
  descriptor = load<u64>(pointer);
  descriptorHigh = load<u64>(pointer, 8);
  return 0;
}

/** Sets the accessed bit in memory of the code or data descriptor that was read last. Returns 0 or BAIL_*. */
export function markAccessed(): i32 {
  const attributes = attributesIn(descriptor);
  if ((attributes & ATTRIBUTE_ACCESSED) != 0) return 0;
  return write8System(descriptorAddress + 5, u64(attributes | ATTRIBUTE_ACCESSED) & 0xff);
}

/** Whether bytes offset .. offset + size - 1 lie in the segment, by its limit and direction (SDM vol 3 §5.3). */
export function withinLimit(slot: u32, offset: u64, size: u32): bool {
  const attributes = attributesOf(slot);
  const last = offset + u64(size) - 1;
  const limit = u64(limitOf(slot));
  if ((attributes & (ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE | ATTRIBUTE_CONFORMING)) == (ATTRIBUTE_SEGMENT | ATTRIBUTE_CONFORMING)) {
    return offset > limit && last <= ((attributes & ATTRIBUTE_BIG) != 0 ? 0xffff_ffff : 0xffff);
  }
  return last <= limit;
}
