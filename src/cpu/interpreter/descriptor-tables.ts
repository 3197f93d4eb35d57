/**
 * GDTR, IDTR, LDTR, TR and the machine status word (Intel SDM vol 2 "LGDT/LIDT", "SGDT", "LLDT", "LTR", "SMSW", "LMSW"; vol 3 §7.2.3 for
 * the 16-byte descriptors of long mode).
 */
import * as L from "./generated/layout";
import { loadMachineStatus } from "./control";
import {
  ATTRIBUTE_PRESENT, attributesIn, baseIn, currentPrivilege, descriptor, descriptorAddress, descriptorHigh, is64, isCanonical, isLong, isNull,
  isProtected, limitIn, readDescriptor, readWideDescriptor, scratch, selectorOf, setSlot, TYPE_LDT, TYPE_TSS16_AVAILABLE, TYPE_TSS32_AVAILABLE,
  typeOf,
} from "./descriptors";
import { readPointer, write16, write8System, writeBytes } from "./memory";
import { OP_BITS, OP_BITS_MEMORY } from "./op";
import { operandSize, storeRegister } from "./stack";
import { bail, cpu, effectiveAddress, raise, raiseError, rmAddress, segmentAddress, VECTOR_GP, VECTOR_NP, VECTOR_UD } from "./state";

/** The busy bit of a TSS descriptor's type. */
const TYPE_BUSY: u32 = 2;
const CR4_UMIP: u64 = 0x800;

/** User-mode instruction prevention: whether SGDT and its kin fault at this privilege level. */
function isPrevented(): bool { return (load<u64>(cpu + L.VCPU_cr4) & CR4_UMIP) != 0 && currentPrivilege() != 0; }

/** Stores a pseudo-descriptor: limit, then base in 8 bytes (64-bit mode) or 4. */
function storeTable(op: u32, base: u32, limit: u32): i32 {
  if (isPrevented()) return raiseError(VECTOR_GP, 0);
  const image = scratch();
  store<u16>(image, u16(load<u32>(cpu + limit)));
  store<u64>(image + 2, load<u64>(cpu + base));
  return writeBytes(effectiveAddress(op), image, is64() ? 10 : 6);
}

/** Loads a pseudo-descriptor. A 16-bit operand takes only 24 bits of the base. */
function loadTable(op: u32, base: u32, limit: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const pointer = readPointer(effectiveAddress(op), is64() ? 10 : 6);
  if (!pointer) return bail;
  const bytes = u32(load<u16>(pointer));
  let address = is64() ? load<u64>(pointer + 2) : u64(load<u32>(pointer + 2));
  if (!is64() && operandSize(op) == 2) address &= 0xff_ffff;
  if (is64() && !isCanonical(address)) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + base, address);
  store<u32>(cpu + limit, bytes);
  return 0;
}

/** 0F 01 /0. */
export function sgdt(op: u32): i32 { return storeTable(op, L.VCPU_gdtrBase, L.VCPU_gdtrLimit); }
/** 0F 01 /1. */
export function sidt(op: u32): i32 { return storeTable(op, L.VCPU_idtrBase, L.VCPU_idtrLimit); }
/** 0F 01 /2. */
export function lgdt(op: u32): i32 { return loadTable(op, L.VCPU_gdtrBase, L.VCPU_gdtrLimit); }
/** 0F 01 /3. */
export function lidt(op: u32): i32 { return loadTable(op, L.VCPU_idtrBase, L.VCPU_idtrLimit); }

/** To a register zero extended to the operand size, to memory always 16 bits. */
function storeWord(op: u32, value: u64): i32 {
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0) return write16(effectiveAddress(op), value);
  storeRegister(rmAddress(op), operandSize(op), value);
  return 0;
}

/** 0F 00 /0. */
export function sldt(op: u32): i32 { return storeSelector(op, L.SEGMENT_LDTR); }
/** 0F 00 /1. */
export function str(op: u32): i32 { return storeSelector(op, L.SEGMENT_TR); }

function storeSelector(op: u32, segment: u32): i32 {
  if (!isProtected()) return raise(VECTOR_UD);
  if (isPrevented()) return raiseError(VECTOR_GP, 0);
  return storeWord(op, u64(selectorOf(segmentAddress(segment))));
}

/** 0F 01 /4 SMSW: a register gets as much of CR0 as it is wide. */
export function smsw(op: u32): i32 {
  return isPrevented() ? raiseError(VECTOR_GP, 0) : storeWord(op, load<u64>(cpu + L.VCPU_cr0));
}

/** Host address of a 16-bit r/m operand, 0 = return `bail`. */
function wordOperand(op: u32): u32 {
  return (load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0 ? readPointer(effectiveAddress(op), 2) : rmAddress(op);
}

/** 0F 01 /6. */
export function lmsw(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const pointer = wordOperand(op);
  return pointer ? loadMachineStatus(u64(load<u16>(pointer))) : bail;
}

/** Reads the selector operand of LLDT and LTR into `operandSelector`. Returns 0 or BAIL_*. */
function readSelector(op: u32): i32 {
  if (!isProtected()) return raise(VECTOR_UD);
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const pointer = wordOperand(op);
  if (!pointer) return bail;
  operandSelector = u32(load<u16>(pointer));
  return 0;
}
let operandSelector: u32 = 0;

/** Reads the LDT or TSS descriptor of `operandSelector`, which must be in the GDT. */
function readSystemDescriptor(): i32 {
  if ((operandSelector & 4) != 0) return raiseError(VECTOR_GP, operandSelector & 0xfffc);
  return isLong() ? readWideDescriptor(operandSelector, VECTOR_GP) : readDescriptor(operandSelector, VECTOR_GP, 0);
}

/** 0F 00 /2. */
export function lldt(op: u32): i32 {
  if (readSelector(op)) return bail;
  const slot = segmentAddress(L.SEGMENT_LDTR);
  if (isNull(operandSelector)) {
    setSlot(slot, operandSelector, 0, 0, 0);
    return 0;
  }
  if (readSystemDescriptor()) return bail;
  const attributes = attributesIn(descriptor);
  if (typeOf(attributes) != TYPE_LDT) return raiseError(VECTOR_GP, operandSelector & 0xfffc);
  return loadSystemSegment(slot, attributes);
}

/** 0F 00 /3: marks the TSS busy. */
export function ltr(op: u32): i32 {
  if (readSelector(op)) return bail;
  if (isNull(operandSelector)) return raiseError(VECTOR_GP, 0);
  if (readSystemDescriptor()) return bail;
  const attributes = attributesIn(descriptor);
  const type = typeOf(attributes);
  if (type != TYPE_TSS32_AVAILABLE && (isLong() || type != TYPE_TSS16_AVAILABLE)) return raiseError(VECTOR_GP, operandSelector & 0xfffc);
  return loadSystemSegment(segmentAddress(L.SEGMENT_TR), attributes | TYPE_BUSY);
}

/** Loads `slot` from the descriptor that was read; a TSS's busy bit is written back. */
function loadSystemSegment(slot: u32, attributes: u32): i32 {
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_NP, operandSelector & 0xfffc);
  const base = baseIn(descriptor) | (isLong() ? descriptorHigh << 32 : 0);
  if (isLong() && (!isCanonical(base) || (u32(descriptorHigh >> 40) & 0x1f) != 0)) return raiseError(VECTOR_GP, operandSelector & 0xfffc);
  const limit = limitIn(descriptor);
  if (typeOf(attributes) != TYPE_LDT) {
    const result = write8System(descriptorAddress + 5, u64(attributes) & 0xff);
    if (result) return result;
  }
  setSlot(slot, operandSelector, attributes, base, limit);
  return 0;
}
