/**
 * Stack operations in every mode (Intel SDM vol 1 §6.2; vol 2 "PUSH", "POP", "CALL", "RET", "JMP", "Jcc").
 *
 * The dispatch loop has fast handlers for the 64-bit forms; the handlers of this file are for 16 and 32-bit code and
 * for 16-bit operands. Stack addresses are 64 bits in 64-bit mode, else 32 or 16 by SS.B. VCPU.rip is the offset in CS.
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_BIG, attributesOf, is64, isCanonical, limitOf,
} from "./descriptors";
import { conditionHolds } from "./flags";
import { readPointer, write16, write32, write64, writeBytes } from "./memory";
import { BAIL_JUMP, BAIL_NEXT, OP_BITS, OP_BITS_MEMORY, OP_BITS_SIZE_MASK, OP_SCALE, OP_SIZE } from "./op";
import { segmentedAddress, segmentLinear } from "./segments";
import {
  bail, cpu, effectiveAddress, immediate, nextRip, raiseError, regAddress, rmAddress, segmentAddress, VECTOR_GP, VECTOR_SS,
} from "./state";

const RSP: u32 = L.VCPU_gpr + 4 * 8;

/** Value that peekStack read, zero extended. */
export let popped: u64 = 0;

/** Operand size of `op` in bytes: 1, 2, 4 or 8. */
// @ts-ignore: decorator
@inline export function operandSize(op: u32): u32 { return <u32>1 << (load<u8>(op + OP_BITS) & OP_BITS_SIZE_MASK); }

/** Bits of RSP that address the stack. */
export function stackMask(): u64 {
  if (is64()) return ~(<u64>0);
  return (attributesOf(segmentAddress(L.SEGMENT_SS)) & ATTRIBUTE_BIG) != 0 ? 0xffff_ffff : 0xffff;
}

/** The part of RSP that addresses the stack. */
// @ts-ignore: decorator
@inline export function stackPointer(): u64 { return load<u64>(cpu + RSP) & stackMask(); }

/** Sets the part of RSP that addresses the stack; a 16-bit stack keeps bits 63..16. */
export function setStackPointer(value: u64): void {
  const mask = stackMask();
  const kept = mask == 0xffff ? load<u64>(cpu + RSP) & ~mask : 0;
  store<u64>(cpu + RSP, kept | (value & mask));
}

/** Leaves the linear address of `size` bytes at stack offset `offset` in `segmentLinear`. Returns 0 or BAIL_FAULT with #SS(0). */
function stackAddress(offset: u64, size: u32, write: bool): i32 {
  if (!is64()) return segmentedAddress(L.SEGMENT_SS, offset & stackMask(), size, write);
  if (!isCanonical(offset) || !isCanonical(offset + u64(size) - 1)) return raiseError(VECTOR_SS, 0);
  return segmentedAddress(L.SEGMENT_SS, offset, size, write);
}

/** Host address of `size` (1..512) bytes that begin `displacement` bytes above the top of the stack; 0 = return `bail`. */
export function stackReadPointer(displacement: i64, size: u32): u32 {
  if (stackAddress(stackPointer() + u64(displacement), size, false)) return 0;
  return readPointer(segmentLinear, size);
}

/** Reads `size` (2, 4, 8) bytes at `displacement` from the top of the stack into `popped`. Returns 0 or BAIL_*. */
export function peekStack(displacement: i64, size: u32): i32 {
  const pointer = stackReadPointer(displacement, size);
  if (!pointer) return bail;
  popped = loadSized(pointer, size);
  return 0;
}

/** Loads 2, 4 or 8 bytes, zero extended. */
export function loadSized(pointer: u32, size: u32): u64 {
  if (size == 8) return load<u64>(pointer);
  return size == 4 ? u64(load<u32>(pointer)) : u64(load<u16>(pointer));
}

/** Moves the stack pointer up by `bytes`. */
export function dropStack(bytes: u32): void { setStackPointer(stackPointer() + u64(bytes)); }

/** Pushes 2, 4 or 8 bytes. Returns 0 or BAIL_*; nothing has changed on failure. */
export function pushValue(value: u64, size: u32): i32 {
  const offset = stackPointer() - u64(size);
  if (stackAddress(offset, size, true)) return bail;
  const result = size == 8 ? write64(segmentLinear, value) : size == 4 ? write32(segmentLinear, value) : write16(segmentLinear, value);
  if (result) return result;
  setStackPointer(offset);
  return 0;
}

/** Pushes `size` (1..512) bytes from host address `source` in one piece. Returns 0 or BAIL_*. */
export function pushBytes(source: u32, size: u32): i32 {
  const offset = stackPointer() - u64(size);
  if (stackAddress(offset, size, true)) return bail;
  const result = writeBytes(segmentLinear, source, size);
  if (result) return result;
  setStackPointer(offset);
  return 0;
}

/** Writes 2, 4 or 8 bytes to a general register: 16 bits keep the rest, 32 clear the upper half. */
export function storeRegister(register: u32, size: u32, value: u64): void {
  if (size == 2) store<u16>(register, u16(value));
  else store<u64>(register, size == 4 ? u64(u32(value)) : value);
}

/** Host address of the r/m operand of `size` bytes, for reading; 0 = return `bail`. */
function operandPointer(op: u32, size: u32): u32 {
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) == 0) return rmAddress(op);
  return readPointer(effectiveAddress(op), size);
}

/** 50+r. */
export function pushReg(op: u32): i32 { return pushValue(load<u64>(regAddress(op)), operandSize(op)); }

/** 68, 6A: the immediate is sign extended. */
export function pushImm(op: u32): i32 { return pushValue(u64(immediate(op)), operandSize(op)); }

/** FF /6. */
export function pushRm(op: u32): i32 {
  const size = operandSize(op);
  const pointer = operandPointer(op, size);
  return pointer ? pushValue(loadSized(pointer, size), size) : bail;
}

/** 58+r. */
export function popReg(op: u32): i32 {
  const size = operandSize(op);
  if (peekStack(0, size)) return bail;
  dropStack(size);
  storeRegister(regAddress(op), size, popped);
  return 0;
}

/** 8F /0. An address that uses RSP is computed with RSP behind the pop (SDM vol 2 "POP"). */
export function popRm(op: u32): i32 {
  const size = operandSize(op);
  if (peekStack(0, size)) return bail;
  const before = load<u64>(cpu + RSP);
  const value = popped;
  dropStack(size);
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) == 0) {
    storeRegister(rmAddress(op), size, value);
    return 0;
  }
  const address = poppedAddress(op, size);
  const result = size == 8 ? write64(address, value) : size == 4 ? write32(address, value) : write16(address, value);
  if (result) store<u64>(cpu + RSP, before);
  return result;
}

/** Address of POP's memory operand. A micro-operation in front has used RSP as it was before the pop. */
function poppedAddress(op: u32, size: u32): u64 {
  const address = effectiveAddress(op);
  const early = rmAddress(op) == cpu + L.VCPU_temporaryAddress && rmAddress(op - OP_SIZE) == cpu + RSP;
  return early ? address + u64(size) : address;
}

/** Checks a near branch target of operand size `size`; returns 0 with `branchTarget` set, or BAIL_FAULT with #GP(0). */
function checkTarget(target: u64, size: u32): i32 {
  branchTarget = target;
  if (is64()) {
    if (size == 2) branchTarget = target & 0xffff;
    return isCanonical(branchTarget) ? 0 : raiseError(VECTOR_GP, 0);
  }
  branchTarget = target & (size == 2 ? 0xffff : 0xffff_ffff);
  return branchTarget > u64(limitOf(segmentAddress(L.SEGMENT_CS))) ? raiseError(VECTOR_GP, 0) : 0;
}
let branchTarget: u64 = 0;

/** Goes to `target`. Returns BAIL_JUMP or BAIL_FAULT. */
export function jumpNear(target: u64, size: u32): i32 {
  if (checkTarget(target, size)) return bail;
  store<u64>(cpu + L.VCPU_rip, branchTarget);
  return BAIL_JUMP;
}

function callNear(target: u64, op: u32): i32 {
  const size = operandSize(op);
  if (checkTarget(target, size)) return bail;
  if (pushValue(nextRip(op), size)) return bail;
  store<u64>(cpu + L.VCPU_rip, branchTarget);
  return BAIL_JUMP;
}

/** E9, EB. */
export function jmpRel(op: u32): i32 { return jumpNear(nextRip(op) + u64(immediate(op)), operandSize(op)); }

/** FF /4. */
export function jmpRm(op: u32): i32 {
  const size = operandSize(op);
  const pointer = operandPointer(op, size);
  return pointer ? jumpNear(loadSized(pointer, size), size) : bail;
}

/** E8. */
export function callRel(op: u32): i32 { return callNear(nextRip(op) + u64(immediate(op)), op); }

/** FF /2. */
export function callRm(op: u32): i32 {
  const size = operandSize(op);
  const pointer = operandPointer(op, size);
  return pointer ? callNear(loadSized(pointer, size), op) : bail;
}

function returnNear(op: u32, released: u32): i32 {
  const size = operandSize(op);
  if (peekStack(0, size)) return bail;
  if (checkTarget(popped, size)) return bail;
  dropStack(size + released);
  store<u64>(cpu + L.VCPU_rip, branchTarget);
  return BAIL_JUMP;
}

/** C3. */
export function retNear(op: u32): i32 { return returnNear(op, 0); }
/** C2, in every mode. */
export function retNearImm(op: u32): i32 { return returnNear(op, u32(immediate(op)) & 0xffff); }

/** 70..7F, 0F 80..8F: the condition code is in OP_SCALE. */
export function jccLegacy(op: u32): i32 {
  if (!conditionHolds(u32(load<u8>(op + OP_SCALE)) & 15)) return BAIL_NEXT;
  return jumpNear(nextRip(op) + u64(immediate(op)), operandSize(op));
}
