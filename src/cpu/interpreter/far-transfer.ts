/**
 * JMP, CALL and RET far (Intel SDM vol 2 "JMP", "CALL", "RET"; vol 3 §5.8). Task switches are not offered: EXIT_UNSUPPORTED.
 *
 * The targets of direct far branches are in the immediate: offset in bits 31..0, selector in bits 47..32.
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_BIG, ATTRIBUTE_CODE, ATTRIBUTE_CONFORMING, ATTRIBUTE_DPL_SHIFT, ATTRIBUTE_LONG, ATTRIBUTE_PRESENT, ATTRIBUTE_SEGMENT, attributesIn,
  commitSlot, currentPrivilege, descriptor, descriptorHigh, dplOf, isLong, isNull, isProtected, limitOf, markAccessed,
  readDescriptor, readWideDescriptor, selectorOf, setSlot, setSlotFromDescriptor, stagedCode, stagedStack, TYPE_CALL_GATE_16, TYPE_CALL_GATE_32,
  TYPE_TASK_GATE, TYPE_TSS16_AVAILABLE, TYPE_TSS32_AVAILABLE, typeOf,
} from "./descriptors";
import { checkReturnTarget, loadReturnStack, protectSegments, returnsTo64, stageReturnCode } from "./interrupt-return";
import { readPointer } from "./memory";
import { BAIL_JUMP, OP_BITS, OP_BITS_MEMORY } from "./op";
import {
  addToFrame, beginFrame, frameAddress, frameLength, framePointer, innerStackPointer, readStackPointer64, stageInnerStack, writeFrame, writeFrame64,
} from "./privilege-stack";
import { setRealSegment, stageStackSegment, updateMode } from "./segments";
import { dropStack, loadSized, operandSize, pushBytes, setStackPointer, stackReadPointer } from "./stack";
import {
  bail, cpu, effectiveAddress, exitFor, gpr, immediate, nextRip, raise, raiseError, segmentAddress, setGpr, VECTOR_GP, VECTOR_NP, VECTOR_UD,
} from "./state";

const RSP: u32 = 4;

let targetSelector: u32 = 0;
let targetOffset: u64 = 0;
/** Parameters that a 16 or 32-bit call gate copies. */
let gateParameterCount: u32 = 0;
let gateItemSize: u32 = 0;

/** Reads a far pointer from the memory operand into the target. Returns 0 or BAIL_*. */
function readTarget(op: u32): i32 {
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) == 0) return raise(VECTOR_UD);
  const size = operandSize(op);
  const pointer = readPointer(effectiveAddress(op), size + 2);
  if (!pointer) return bail;
  targetOffset = loadSized(pointer, size);
  targetSelector = u32(load<u16>(pointer + size));
  return 0;
}

function takeImmediateTarget(op: u32): void {
  const value = u64(immediate(op));
  targetOffset = operandSize(op) == 2 ? value & 0xffff : value & 0xffff_ffff;
  targetSelector = u32(value >> 32) & 0xffff;
}

/** EA. */
export function jmpFarImmediate(op: u32): i32 {
  takeImmediateTarget(op);
  return jumpFar(op);
}

/** FF /5. */
export function jmpFarMemory(op: u32): i32 { return readTarget(op) ? bail : jumpFar(op); }

/** 9A. */
export function callFarImmediate(op: u32): i32 {
  takeImmediateTarget(op);
  return callFar(op);
}

/** FF /3. */
export function callFarMemory(op: u32): i32 { return readTarget(op) ? bail : callFar(op); }

function addReturnAddress(op: u32, size: u32): void {
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_CS))), size);
  addToFrame(nextRip(op), size);
}

function enterCode(): i32 {
  commitSlot(L.SEGMENT_CS, stagedCode());
  store<u64>(cpu + L.VCPU_rip, targetOffset);
  updateMode();
  return BAIL_JUMP;
}

function enterRealCode(): i32 {
  setRealSegment(L.SEGMENT_CS, targetSelector);
  store<u64>(cpu + L.VCPU_rip, targetOffset);
  return BAIL_JUMP;
}

/** Whether the staged target is outside the limit that real-address mode keeps in CS. */
function outsideRealCode(): bool { return targetOffset > u64(limitOf(segmentAddress(L.SEGMENT_CS))); }

/** What the target's descriptor is. */
const TARGET_FAILED: i32 = 0;
const TARGET_CODE: i32 = 1;
const TARGET_GATE: i32 = 2;

/**
 * Reads the descriptor of the target. A code segment is checked for a direct transfer and staged; a call gate is
 * checked and its target becomes the target. TARGET_FAILED: return `bail`.
 */
function resolveTarget(op: u32): i32 {
  if (isNull(targetSelector)) { raiseError(VECTOR_GP, 0); return TARGET_FAILED; }
  if (readDescriptor(targetSelector, VECTOR_GP, 0)) return TARGET_FAILED;
  const attributes = attributesIn(descriptor);
  if ((attributes & ATTRIBUTE_SEGMENT) == 0) return resolveSystemTarget(op, attributes);
  const conforming = (attributes & ATTRIBUTE_CONFORMING) != 0;
  const privilege = currentPrivilege();
  const level = conforming ? dplOf(attributes) <= privilege : dplOf(attributes) == privilege && (targetSelector & 3) <= privilege;
  const both = ATTRIBUTE_LONG | ATTRIBUTE_BIG;
  if ((attributes & ATTRIBUTE_CODE) == 0 || !level || (isLong() && (attributes & both) == both)) {
    raiseError(VECTOR_GP, targetSelector & 0xfffc);
    return TARGET_FAILED;
  }
  return stageTarget(attributes, privilege) ? TARGET_FAILED : TARGET_CODE;
}

/** Present and accessed; then the code segment is staged with `privilege` as its RPL. Returns 0 or BAIL_*. */
function stageTarget(attributes: u32, privilege: u32): i32 {
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_NP, targetSelector & 0xfffc);
  if (markAccessed()) return bail;
  setSlotFromDescriptor(stagedCode(), (targetSelector & 0xfffc) | privilege, descriptor);
  return 0;
}

/** Call gates; TSS and task gates leave to the run loop. */
function resolveSystemTarget(op: u32, attributes: u32): i32 {
  const type = typeOf(attributes);
  const errorCode = targetSelector & 0xfffc;
  const long = isLong();
  const task = !long && (type == TYPE_TSS16_AVAILABLE || type == TYPE_TSS32_AVAILABLE || type == TYPE_TASK_GATE);
  const gate = type == TYPE_CALL_GATE_32 || (!long && type == TYPE_CALL_GATE_16);
  if ((!task && !gate) || dplOf(attributes) < max(currentPrivilege(), targetSelector & 3)) {
    raiseError(VECTOR_GP, errorCode);
    return TARGET_FAILED;
  }
  if ((attributes & ATTRIBUTE_PRESENT) == 0) {
    raiseError(VECTOR_NP, errorCode);
    return TARGET_FAILED;
  }
  if (task) {
    exitFor(L.EXIT_UNSUPPORTED, op);
    return TARGET_FAILED;
  }
  if (long && readWideDescriptor(targetSelector, VECTOR_GP)) return TARGET_FAILED;
  if (long && (u32(descriptorHigh >> 40) & 0x1f) != 0) {
    raiseError(VECTOR_GP, errorCode);
    return TARGET_FAILED;
  }
  gateItemSize = long ? 8 : type == TYPE_CALL_GATE_32 ? 4 : 2;
  gateParameterCount = long ? 0 : u32(descriptor >> 32) & 31;
  targetSelector = u32(descriptor >> 16) & 0xffff;
  targetOffset = (descriptor & 0xffff) | ((descriptor >> 32) & 0xffff_0000);
  if (long) targetOffset |= descriptorHigh << 32;
  if (gateItemSize == 2) targetOffset &= 0xffff;
  return TARGET_GATE;
}

/** Reads the code segment behind a call gate. Returns its attributes, 0 on failure. */
function readGateCode(): u32 {
  if (isNull(targetSelector)) { raiseError(VECTOR_GP, 0); return 0; }
  if (readDescriptor(targetSelector, VECTOR_GP, 0)) return 0;
  const attributes = attributesIn(descriptor);
  const code: u32 = ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE;
  const wrongSize = isLong() && (attributes & (ATTRIBUTE_LONG | ATTRIBUTE_BIG)) != ATTRIBUTE_LONG;
  if ((attributes & code) != code || dplOf(attributes) > currentPrivilege() || wrongSize) {
    raiseError(VECTOR_GP, targetSelector & 0xfffc);
    return 0;
  }
  return attributes;
}

function jumpFar(op: u32): i32 {
  if (!isProtected()) return outsideRealCode() ? raiseError(VECTOR_GP, 0) : enterRealCode();
  const kind = resolveTarget(op);
  if (kind == TARGET_FAILED) return bail;
  if (kind == TARGET_GATE) {
    const attributes = readGateCode();
    if (attributes == 0) return bail;
    // A jump never changes the privilege level.
    if ((attributes & ATTRIBUTE_CONFORMING) == 0 && dplOf(attributes) != currentPrivilege()) return raiseError(VECTOR_GP, targetSelector & 0xfffc);
    if (stageTarget(attributes, currentPrivilege())) return bail;
  }
  return checkReturnTarget(targetOffset) ? bail : enterCode();
}

function callFar(op: u32): i32 {
  const size = operandSize(op);
  beginFrame();
  if (!isProtected()) {
    if (outsideRealCode()) return raiseError(VECTOR_GP, 0);
    addReturnAddress(op, size);
    return pushBytes(frameAddress(), frameLength()) ? bail : enterRealCode();
  }
  const kind = resolveTarget(op);
  if (kind == TARGET_FAILED) return bail;
  if (kind == TARGET_GATE) return callGate(op);
  if (checkReturnTarget(targetOffset)) return bail;
  addReturnAddress(op, size);
  return pushBytes(frameAddress(), frameLength()) ? bail : enterCode();
}

function callGate(op: u32): i32 {
  const attributes = readGateCode();
  if (attributes == 0) return bail;
  const inner = (attributes & ATTRIBUTE_CONFORMING) == 0 && dplOf(attributes) < currentPrivilege();
  const privilege = inner ? dplOf(attributes) : currentPrivilege();
  if (stageTarget(attributes, privilege) || checkReturnTarget(targetOffset)) return bail;
  if (inner) return isLong() ? callInnerLong(op, privilege) : callInner(op, privilege);
  addReturnAddress(op, gateItemSize);
  return pushBytes(frameAddress(), frameLength()) ? bail : enterCode();
}

/** Through a 64-bit call gate: RSP from the TSS, SS null, nothing copied. */
function callInnerLong(op: u32, privilege: u32): i32 {
  if (readStackPointer64(privilege, 0, 0)) return bail;
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_SS))), 8);
  addToFrame(gpr(RSP), 8);
  addReturnAddress(op, 8);
  if (writeFrame64(innerStackPointer, 0)) return bail;
  setGpr(RSP, framePointer);
  setSlot(segmentAddress(L.SEGMENT_SS), privilege, privilege << ATTRIBUTE_DPL_SHIFT, 0, 0);
  return enterCode();
}

/** Through a 16 or 32-bit call gate: SS:ESP from the TSS, parameters copied from the caller's stack. */
function callInner(op: u32, privilege: u32): i32 {
  const size = gateItemSize;
  if (stageInnerStack(privilege, 0)) return bail;
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_SS))), size);
  addToFrame(gpr(RSP), size);
  if (gateParameterCount != 0) {
    const parameters = stackReadPointer(0, gateParameterCount * size);
    if (!parameters) return bail;
    for (let i = gateParameterCount; i > 0; i--) addToFrame(loadSized(parameters + (i - 1) * size, size), size);
  }
  addReturnAddress(op, size);
  if (writeFrame(stagedStack(), innerStackPointer, selectorOf(stagedStack()), 0)) return bail;
  commitSlot(L.SEGMENT_SS, stagedStack());
  setStackPointer(framePointer);
  return enterCode();
}

/** CB. */
export function retFar(op: u32): i32 { return returnFar(op, 0); }
/** CA iw. */
export function retFarImmediate(op: u32): i32 { return returnFar(op, u32(immediate(op)) & 0xffff); }

function returnFar(op: u32, released: u32): i32 {
  const size = operandSize(op);
  let pointer = stackReadPointer(0, 2 * size);
  if (!pointer) return bail;
  targetOffset = loadSized(pointer, size);
  targetSelector = u32(load<u16>(pointer + size));
  if (!isProtected()) {
    if (outsideRealCode()) return raiseError(VECTOR_GP, 0);
    dropStack(2 * size + released);
    return enterRealCode();
  }
  if (stageReturnCode(targetSelector)) return bail;
  const privilege = targetSelector & 3;
  if (privilege == currentPrivilege()) {
    if (checkReturnTarget(targetOffset)) return bail;
    dropStack(2 * size + released);
    return enterCode();
  }
  pointer = stackReadPointer(i64(2 * size + released), 2 * size);
  if (!pointer) return bail;
  const stack = loadSized(pointer, size);
  if (stageStackSegment(stagedStack(), u32(load<u16>(pointer + size)), privilege, returnsTo64())) return bail;
  if (checkReturnTarget(targetOffset)) return bail;
  commitSlot(L.SEGMENT_SS, stagedStack());
  loadReturnStack(stack + u64(released), size);
  protectSegments(privilege);
  return enterCode();
}
