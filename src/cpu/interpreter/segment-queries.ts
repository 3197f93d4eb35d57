/** Questions about selectors: LAR, LSL, VERR, VERW, ARPL (Intel SDM vol 2; vol 3 §5.10). They fault only on their own operand. */
import {
  ATTRIBUTE_CODE, ATTRIBUTE_CONFORMING, ATTRIBUTE_SEGMENT, ATTRIBUTE_WRITABLE, attributesIn, currentPrivilege, descriptor, dplOf, isLong, isNull,
  isProtected, limitIn, locateDescriptor, readDescriptor, TYPE_CALL_GATE_16, TYPE_CALL_GATE_32, TYPE_LDT, TYPE_TASK_GATE, typeOf,
} from "./descriptors";
import { arithmeticFlags, FLAG_ZF, setArithmeticFlags } from "./flags";
import { modifyCommit, modifyPointer, readPointer } from "./memory";
import { OP_BITS, OP_BITS_MEMORY } from "./op";
import { operandSize, storeRegister } from "./stack";
import { bail, effectiveAddress, raise, regAddress, rmAddress, VECTOR_GP, VECTOR_UD } from "./state";

function setZero(zero: bool): void {
  const others = arithmeticFlags() & ~FLAG_ZF;
  setArithmeticFlags(zero ? others | FLAG_ZF : others);
}

/** Attributes of the descriptor that the operand names; 0 with `queryResult` set when there is none to look at. */
function queryDescriptor(op: u32): u32 {
  queryResult = 0;
  if (!isProtected()) { queryResult = raise(VECTOR_UD); return 0; }
  let pointer = rmAddress(op);
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0) {
    pointer = readPointer(effectiveAddress(op), 2);
    if (!pointer) { queryResult = bail; return 0; }
  }
  querySelector = u32(load<u16>(pointer));
  if (isNull(querySelector) || !locateDescriptor(querySelector, 8)) { setZero(false); return 0; }
  queryResult = readDescriptor(querySelector, VECTOR_GP, 0);
  if (queryResult) return 0;
  const attributes = attributesIn(descriptor);
  // An all-zero type means a reserved descriptor, which none of the instructions accepts.
  if (typeOf(attributes) == 0) { setZero(false); return 0; }
  return attributes;
}
/** What the handler answers when queryDescriptor returned 0. */
let queryResult: i32 = 0;
let querySelector: u32 = 0;

/** Whether the present privilege and the selector's RPL reach the descriptor. */
function isReachable(attributes: u32): bool {
  const conforming: u32 = ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE | ATTRIBUTE_CONFORMING;
  return (attributes & conforming) == conforming || dplOf(attributes) >= max(currentPrivilege(), querySelector & 3);
}

/** System types that LAR (`gates`) and LSL accept: LDT, TSS, and for LAR gates. In long mode only the 64-bit ones. */
function isQueryable(attributes: u32, gates: bool): bool {
  const type = typeOf(attributes);
  if ((attributes & ATTRIBUTE_SEGMENT) != 0 || type == TYPE_LDT || type == 9 || type == 11) return true;
  if (gates && type == TYPE_CALL_GATE_32) return true;
  if (isLong()) return false;
  return type == 1 || type == 3 || (gates && (type == TYPE_CALL_GATE_16 || type == TYPE_TASK_GATE));
}

/** 0F 02. */
export function lar(op: u32): i32 {
  const attributes = queryDescriptor(op);
  if (attributes == 0) return queryResult;
  const accepted = isQueryable(attributes, true) && isReachable(attributes);
  if (accepted) {
    const size = operandSize(op);
    const rights = (descriptor >> 32) & 0x00ff_ff00;
    storeRegister(regAddress(op), size, size == 2 ? rights & 0xff00 : rights);
  }
  setZero(accepted);
  return 0;
}

/** 0F 03. */
export function lsl(op: u32): i32 {
  const attributes = queryDescriptor(op);
  if (attributes == 0) return queryResult;
  const accepted = isQueryable(attributes, false) && isReachable(attributes);
  if (accepted) storeRegister(regAddress(op), operandSize(op), u64(limitIn(descriptor)));
  setZero(accepted);
  return 0;
}

/** 0F 00 /4. */
export function verr(op: u32): i32 {
  const attributes = queryDescriptor(op);
  if (attributes == 0) return queryResult;
  const code = (attributes & ATTRIBUTE_CODE) != 0;
  setZero((attributes & ATTRIBUTE_SEGMENT) != 0 && (!code || (attributes & ATTRIBUTE_WRITABLE) != 0) && isReachable(attributes));
  return 0;
}

/** 0F 00 /5. */
export function verw(op: u32): i32 {
  const attributes = queryDescriptor(op);
  if (attributes == 0) return queryResult;
  const writableData = (attributes & (ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE)) == (ATTRIBUTE_SEGMENT | ATTRIBUTE_WRITABLE);
  setZero(writableData && isReachable(attributes));
  return 0;
}

/** 63, not in 64-bit mode: raises the RPL of the first operand to that of the second. */
export function arpl(op: u32): i32 {
  if (!isProtected()) return raise(VECTOR_UD);
  const memory = (load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0;
  // Memory is written only when the RPL changes.
  let pointer = memory ? readPointer(effectiveAddress(op), 2) : rmAddress(op);
  if (!pointer) return bail;
  const selector = u32(load<u16>(pointer));
  const requested = u32(load<u16>(regAddress(op))) & 3;
  const raised = (selector & 3) < requested;
  if (raised) {
    if (memory) pointer = modifyPointer(effectiveAddress(op), 2);
    if (!pointer) return bail;
    store<u16>(pointer, u16((selector & ~3) | requested));
    const result = memory ? modifyCommit(pointer) : 0;
    if (result) return result;
  }
  setZero(raised);
  return 0;
}
