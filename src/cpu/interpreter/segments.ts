/**
 * Loading of segment registers, and the mode and privilege that follow from them
 * (Intel SDM vol 2 "MOV", "POP", "LDS/LES/LFS/LGS/LSS"; vol 3 §3.4.2 to §3.4.4).
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_ACCESSED, ATTRIBUTE_BIG, ATTRIBUTE_CODE, ATTRIBUTE_CONFORMING, ATTRIBUTE_DPL_SHIFT, ATTRIBUTE_LONG, ATTRIBUTE_PRESENT,
  ATTRIBUTE_SEGMENT, ATTRIBUTE_WRITABLE, attributesIn, attributesOf, baseOf, commitSlot, currentPrivilege, descriptor, dplOf, is64, isLong,
  isNull, isProtected, markAccessed, readDescriptor, selectorOf, setSlot, setSlotFromDescriptor, stagedData, withinLimit,
} from "./descriptors";
import { holdTraps } from "./debug";
import { holdInterrupts } from "./interrupt-window";
import { readPointer, write16 } from "./memory";
import { BAIL_NEXT, OP_BITS, OP_BITS_MEMORY } from "./op";
import { dropStack, loadSized, operandSize, peekStack, popped, pushValue, storeRegister } from "./stack";
import {
  bail, cpu, effectiveAddress, nextRip, raise, raiseError, regAddress, rmAddress, segmentAddress, VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_UD,
} from "./state";

/** Result of segmentedAddress. */
export let segmentLinear: u64 = 0;

/** Recomputes VCPU.mode and VCPU.cpl; to be called after each change of CS, SS, CR0.PE or EFER.LMA. */
export function updateMode(): void {
  const code = attributesOf(segmentAddress(L.SEGMENT_CS));
  let mode: u32 = (code & ATTRIBUTE_BIG) != 0 ? L.MODE_32 : L.MODE_16;
  if (isLong() && (code & ATTRIBUTE_LONG) != 0) mode = L.MODE_64;
  store<u32>(cpu + L.VCPU_mode, mode);
  store<u32>(cpu + L.VCPU_cpl, isProtected() ? dplOf(attributesOf(segmentAddress(L.SEGMENT_SS))) : 0);
}

/**
 * Checks an implicit access of `size` bytes at `offset` of a segment and leaves its linear address in `segmentLinear`.
 * Returns 0, or BAIL_FAULT with #GP(0) or, for SS, #SS(0). In 64-bit mode only the base of FS and GS counts.
 */
export function segmentedAddress(segment: u32, offset: u64, size: u32, write: bool): i32 {
  const slot = segmentAddress(segment);
  if (is64()) {
    segmentLinear = segment >= L.SEGMENT_FS ? baseOf(slot) + offset : offset;
    return 0;
  }
  const attributes = attributesOf(slot);
  let allowed = withinLimit(slot, offset, size);
  if (isProtected()) {
    const code = (attributes & ATTRIBUTE_CODE) != 0;
    const capable = (attributes & ATTRIBUTE_WRITABLE) != 0;
    allowed = allowed && (attributes & ATTRIBUTE_PRESENT) != 0 && (write ? capable && !code : capable || !code);
  }
  if (!allowed) return raiseError(segment == L.SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
  segmentLinear = (baseOf(slot) + offset) & 0xffff_ffff;
  return 0;
}

/** Real-address mode: base is the selector times 16; limit and size bit stay (SDM vol 3 §20.1.1). */
export function setRealSegment(segment: u32, selector: u32): void {
  const slot = segmentAddress(segment);
  const kept = attributesOf(slot) & ~0x7f;
  store<u16>(slot + L.SEGMENT_SELECTOR, u16(selector));
  store<u64>(slot + L.SEGMENT_BASE, u64(selector & 0xffff) << 4);
  const type = ATTRIBUTE_SEGMENT | ATTRIBUTE_WRITABLE | ATTRIBUTE_ACCESSED | ATTRIBUTE_PRESENT;
  store<u32>(slot + L.SEGMENT_ATTRIBUTES, kept | type | (segment == L.SEGMENT_CS ? ATTRIBUTE_CODE : 0));
}

/** Checks of a stack segment for privilege level `privilege`; leaves it in `staged`. Errors are those of MOV SS and IRET. */
export function stageStackSegment(staged: u32, selector: u32, privilege: u32, to64: bool): i32 {
  if (isNull(selector)) {
    if (!to64 || privilege == 3 || (selector & 3) != privilege) return raiseError(VECTOR_GP, 0);
    setSlot(staged, selector, privilege << ATTRIBUTE_DPL_SHIFT, 0, 0);
    return 0;
  }
  const result = readDescriptor(selector, VECTOR_GP, 0);
  if (result) return result;
  const attributes = attributesIn(descriptor);
  const kind = attributes & (ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE);
  if ((selector & 3) != privilege || kind != (ATTRIBUTE_SEGMENT | ATTRIBUTE_WRITABLE) || dplOf(attributes) != privilege) {
    return raiseError(VECTOR_GP, selector & 0xfffc);
  }
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_SS, selector & 0xfffc);
  const marked = markAccessed();
  if (marked) return marked;
  setSlotFromDescriptor(staged, selector, descriptor);
  return 0;
}

/** Checks of DS, ES, FS and GS; leaves the segment in `staged`. */
function stageDataSegment(staged: u32, selector: u32): i32 {
  if (isNull(selector)) {
    setSlot(staged, selector, 0, 0, 0);
    return 0;
  }
  const result = readDescriptor(selector, VECTOR_GP, 0);
  if (result) return result;
  const attributes = attributesIn(descriptor);
  const code = (attributes & ATTRIBUTE_CODE) != 0;
  const readable = (attributes & ATTRIBUTE_SEGMENT) != 0 && (!code || (attributes & ATTRIBUTE_WRITABLE) != 0);
  const conforming = code && (attributes & ATTRIBUTE_CONFORMING) != 0;
  const privilege = max(currentPrivilege(), selector & 3);
  if (!readable || (!conforming && dplOf(attributes) < privilege)) return raiseError(VECTOR_GP, selector & 0xfffc);
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_NP, selector & 0xfffc);
  const marked = markAccessed();
  if (marked) return marked;
  setSlotFromDescriptor(staged, selector, descriptor);
  return 0;
}

/** Loads ES, SS, DS, FS or GS with all checks of the mode. Returns 0 or BAIL_*; on failure nothing has changed. */
export function loadSegment(segment: u32, selector: u32): i32 {
  if (!isProtected()) {
    setRealSegment(segment, selector);
    return 0;
  }
  const staged = stagedData();
  const result = segment == L.SEGMENT_SS ? stageStackSegment(staged, selector, currentPrivilege(), is64()) : stageDataSegment(staged, selector);
  if (result) return result;
  commitSlot(segment, staged);
  return 0;
}

/** Answer of a handler that has loaded `segment`: SS holds back interrupts, and outside 64-bit mode decoded addresses may change. */
function afterLoad(segment: u32, op: u32): i32 {
  if (segment == L.SEGMENT_SS) {
    holdTraps();
    return holdInterrupts(nextRip(op));
  }
  return is64() ? 0 : BAIL_NEXT;
}

/** Number of the segment register whose slot the decoder put in OP_REG. */
// @ts-ignore: decorator
@inline function segmentOperand(op: u32): u32 { return (regAddress(op) - segmentAddress(0)) / L.SEGMENT_SIZE; }

/** 8C: the selector to a register (zero extended to the operand size) or to 16 bits of memory. */
export function movFromSegment(op: u32): i32 {
  const segment = segmentOperand(op);
  if (segment > L.SEGMENT_GS) return raise(VECTOR_UD);
  const selector = u64(selectorOf(segmentAddress(segment)));
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0) return write16(effectiveAddress(op), selector);
  storeRegister(rmAddress(op), operandSize(op), selector);
  return 0;
}

/** 8E: MOV to a segment register. */
export function movToSegment(op: u32): i32 {
  const segment = segmentOperand(op);
  if (segment > L.SEGMENT_GS || segment == L.SEGMENT_CS) return raise(VECTOR_UD);
  let pointer = rmAddress(op);
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0) {
    pointer = readPointer(effectiveAddress(op), 2);
    if (!pointer) return bail;
  }
  const result = loadSegment(segment, u32(load<u16>(pointer)));
  return result ? result : afterLoad(segment, op);
}

function pushSegment(segment: u32, op: u32): i32 {
  const size = operandSize(op);
  return pushValue(u64(selectorOf(segmentAddress(segment))), size);
}

function popSegment(segment: u32, op: u32): i32 {
  const size = operandSize(op);
  const read = peekStack(0, size);
  if (read) return read;
  const result = loadSegment(segment, u32(popped) & 0xffff);
  if (result) return result;
  dropStack(size);
  return afterLoad(segment, op);
}

/** PUSH ES. */
export function pushEs(op: u32): i32 { return pushSegment(L.SEGMENT_ES, op); }
/** PUSH CS. */
export function pushCs(op: u32): i32 { return pushSegment(L.SEGMENT_CS, op); }
/** PUSH SS. */
export function pushSs(op: u32): i32 { return pushSegment(L.SEGMENT_SS, op); }
/** PUSH DS. */
export function pushDs(op: u32): i32 { return pushSegment(L.SEGMENT_DS, op); }
/** PUSH FS. */
export function pushFs(op: u32): i32 { return pushSegment(L.SEGMENT_FS, op); }
/** PUSH GS. */
export function pushGs(op: u32): i32 { return pushSegment(L.SEGMENT_GS, op); }
/** POP ES. */
export function popEs(op: u32): i32 { return popSegment(L.SEGMENT_ES, op); }
/** POP SS. */
export function popSs(op: u32): i32 { return popSegment(L.SEGMENT_SS, op); }
/** POP DS. */
export function popDs(op: u32): i32 { return popSegment(L.SEGMENT_DS, op); }
/** POP FS. */
export function popFs(op: u32): i32 { return popSegment(L.SEGMENT_FS, op); }
/** POP GS. */
export function popGs(op: u32): i32 { return popSegment(L.SEGMENT_GS, op); }

/** LDS, LES, LFS, LGS, LSS: offset and selector from memory to a general register and `segment`. */
function loadFarPointer(segment: u32, op: u32): i32 {
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) == 0) return raise(VECTOR_UD);
  const size = operandSize(op);
  const pointer = readPointer(effectiveAddress(op), size + 2);
  if (!pointer) return bail;
  const offset = loadSized(pointer, size);
  const result = loadSegment(segment, u32(load<u16>(pointer + size)));
  if (result) return result;
  storeRegister(regAddress(op), size, offset);
  return afterLoad(segment, op);
}

/** C4 LES. */
export function les(op: u32): i32 { return loadFarPointer(L.SEGMENT_ES, op); }
/** C5 LDS. */
export function lds(op: u32): i32 { return loadFarPointer(L.SEGMENT_DS, op); }
/** 0F B2 LSS. */
export function lss(op: u32): i32 { return loadFarPointer(L.SEGMENT_SS, op); }
/** 0F B4 LFS. */
export function lfs(op: u32): i32 { return loadFarPointer(L.SEGMENT_FS, op); }
/** 0F B5 LGS. */
export function lgs(op: u32): i32 { return loadFarPointer(L.SEGMENT_GS, op); }
