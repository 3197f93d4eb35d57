/**
 * Delivery of exceptions and interrupts (Intel SDM vol 3 §6.10 to §6.15; vol 2 "INT n"; AMD APM vol 2 §8.7 to §8.9).
 *
 * Every delivery reads all it needs, checks it, writes the stack frame in one piece and only then changes registers. So it can
 * stop at an absent host page at any point and be started again, with the exception still pending.
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_BIG, ATTRIBUTE_CODE, ATTRIBUTE_CONFORMING, ATTRIBUTE_DPL_SHIFT, ATTRIBUTE_LONG, ATTRIBUTE_PRESENT, ATTRIBUTE_SEGMENT, attributesIn,
  commitSlot, currentPrivilege, descriptor, dplOf, isCanonical, isLong, isNull, isProtected, limitOf, markAccessed, readDescriptor, selectorOf,
  setSlot, setSlotFromDescriptor, stagedCode, stagedStack, tableAddress, TYPE_INTERRUPT_GATE_16, TYPE_INTERRUPT_GATE_32, TYPE_TASK_GATE,
  TYPE_TRAP_GATE_16, TYPE_TRAP_GATE_32,
} from "./descriptors";
import { cancelSingleStep } from "./debug";
import { FLAG_AC, FLAG_IF, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VM, overflowFlag, readRflags } from "./flags";
import { readPointerSystem } from "./memory";
import { BAIL_EXIT, BAIL_FAULT, BAIL_JUMP } from "./op";
import {
  addToFrame, beginFrame, framePointer, innerStackPointer, readStackPointer64, stageInnerStack, writeFrame, writeFrame64,
} from "./privilege-stack";
import { setRealSegment, updateMode } from "./segments";
import { setStackPointer, stackPointer } from "./stack";
import {
  bail, cpu, gpr, immediate, nextRip, raiseError, segmentAddress, setBail, setGpr, VECTOR_BP, VECTOR_DB, VECTOR_DE, VECTOR_DF,
  VECTOR_GP, VECTOR_NMI, VECTOR_NP, VECTOR_OF, VECTOR_PF, VECTOR_TS,
} from "./state";

/** VCPU.exceptionVector when nothing is pending. */
export const NO_EXCEPTION: u32 = 0xffff_ffff;
const VECTOR_MC: u32 = 18;
const RSP: u32 = 4;
const DR7_GD: u64 = 0x2000;

/** What is delivered: the fields that differ between exceptions, external and software interrupts. */
let eventVector: u32 = 0;
let eventErrorCode: u32 = 0;
let eventHasErrorCode: bool = false;
/** EXT bit of error codes that the delivery itself causes: 0 for INT n, INT3, INTO. */
let eventExternal: u32 = 0;
/** INT n, INT3, INTO: the gate's DPL is checked. */
let eventSoftware: bool = false;
let eventRip: u64 = 0;
let eventFlags: u64 = 0;

/** Fields of the gate that was read last. */
let gateSelector: u32 = 0;
let gateOffset: u64 = 0;
let gateType: u32 = 0;
let gateStackIndex: u32 = 0;
/** Privilege level of the handler. */
let handlerPrivilege: u32 = 0;

/** Vectors that saved RIP at the instruction, which is then executed again (faults). */
function isFault(vector: u32): bool {
  return vector != VECTOR_DB && vector != VECTOR_NMI && vector != VECTOR_BP && vector != VECTOR_OF && vector != VECTOR_DF && vector != VECTOR_MC;
}

function isContributory(vector: u32): bool { return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP); }

/** Table 6-5 "Conditions for generating a double fault". */
function makesDoubleFault(first: u32, second: u32): bool {
  if (isContributory(first)) return isContributory(second);
  return first == VECTOR_PF && (isContributory(second) || second == VECTOR_PF);
}

function setPending(vector: u32, errorCode: u32, hasErrorCode: bool): void {
  store<u32>(cpu + L.VCPU_exceptionVector, vector);
  store<u32>(cpu + L.VCPU_exceptionErrorCode, errorCode);
  store<u32>(cpu + L.VCPU_exceptionHasErrorCode, hasErrorCode ? 1 : 0);
}

function exitWithoutInstruction(reason: u32): i32 {
  store<u32>(cpu + L.VCPU_exitReason, reason);
  store<u32>(cpu + L.VCPU_exitSize, 0);
  return setBail(BAIL_EXIT);
}

/**
 * Delivers the pending exception; VCPU.rip is the instruction that faulted (or, for a trap, the one behind it). Faults of the
 * delivery itself are delivered in its place, by way of #DF where the table says so. Returns 0, or BAIL_EXIT when
 * the run loop has to act first; the exception is then still pending and the call is to be repeated.
 */
export function deliverPending(): i32 {
  while (true) {
    const vector = load<u32>(cpu + L.VCPU_exceptionVector);
    if (vector == NO_EXCEPTION) return 0;
    const errorCode = load<u32>(cpu + L.VCPU_exceptionErrorCode);
    const hasErrorCode = load<u32>(cpu + L.VCPU_exceptionHasErrorCode) != 0;
    eventVector = vector;
    eventErrorCode = errorCode;
    eventHasErrorCode = hasErrorCode;
    eventExternal = 1;
    eventSoftware = false;
    eventRip = load<u64>(cpu + L.VCPU_rip);
    eventFlags = isFault(vector) ? readRflags() | FLAG_RF : readRflags();
    store<u32>(cpu + L.VCPU_exceptionVector, NO_EXCEPTION);
    const result = deliver();
    if (result == 0) {
      if (vector == VECTOR_DB) store<u64>(cpu + L.VCPU_dr + 56, load<u64>(cpu + L.VCPU_dr + 56) & ~DR7_GD);
      return 0;
    }
    if (result != BAIL_FAULT) {
      setPending(vector, errorCode, hasErrorCode);
      return result;
    }
    if (vector == VECTOR_DF) {
      store<u32>(cpu + L.VCPU_exceptionVector, NO_EXCEPTION);
      return exitWithoutInstruction(L.EXIT_TRIPLE_FAULT);
    }
    if (makesDoubleFault(vector, load<u32>(cpu + L.VCPU_exceptionVector))) setPending(VECTOR_DF, 0, true);
  }
}

/**
 * Delivers the external interrupt `vector` before the instruction at VCPU.rip. Returns 0, or BAIL_EXIT when the run
 * loop has to act first. VCPU.pendingInterrupt is cleared as soon as the interrupt is taken; when it is still set
 * after BAIL_EXIT the delivery is to be repeated, otherwise an exception of the delivery is pending in its place.
 */
export function deliverInterrupt(vector: u32): i32 {
  eventVector = vector;
  eventHasErrorCode = false;
  eventExternal = 1;
  eventSoftware = false;
  eventRip = load<u64>(cpu + L.VCPU_rip);
  eventFlags = readRflags();
  const result = deliver();
  if (result != 0 && result != BAIL_FAULT) return result;
  store<u32>(cpu + L.VCPU_pendingInterrupt, 0);
  store<u32>(cpu + L.VCPU_interruptShadow, 0);
  return result == 0 ? 0 : deliverPending();
}

/** INT n, INT3, INTO (`external` 0) and INT1 (`external` 1). Returns BAIL_JUMP, or a fault, or an exit, with nothing changed. */
function deliverSoftware(op: u32, vector: u32, external: u32): i32 {
  eventVector = vector;
  eventHasErrorCode = false;
  eventExternal = external;
  eventSoftware = external == 0;
  eventRip = nextRip(op);
  eventFlags = readRflags() & ~FLAG_RF;
  // Delivery leaves VCPU.rip alone unless it succeeds, so a fault finds it where the dispatcher wants it.
  const result = deliver();
  if (result) return result;
  cancelSingleStep();
  return BAIL_JUMP;
}

/** CD ib. */
export function interruptImmediate(op: u32): i32 { return deliverSoftware(op, u32(immediate(op)) & 0xff, 0); }
/** CC. */
export function int3(op: u32): i32 { return deliverSoftware(op, VECTOR_BP, 0); }
/** F1: a trap to vector 1 without the gate's privilege check. */
export function int1(op: u32): i32 { return deliverSoftware(op, VECTOR_DB, 1); }
/** CE, not in 64-bit mode. */
export function into(op: u32): i32 { return overflowFlag(cpu) ? deliverSoftware(op, VECTOR_OF, 0) : 0; }

function deliver(): i32 {
  store<u32>(cpu + L.VCPU_delivering, 1);
  let result: i32;
  if (!isProtected()) result = deliverReal();
  else {
    result = readGate();
    if (result == 0) result = stageHandlerCode();
    if (result == 0) result = isLong() ? deliverLong() : handlerPrivilege < currentPrivilege() ? deliverInner() : deliverSame();
  }
  store<u32>(cpu + L.VCPU_delivering, 0);
  return result;
}

/** Real-address mode: a far pointer in the table at IDTR (SDM vol 3 §20.1.4). */
function deliverReal(): i32 {
  if (eventVector * 4 + 3 > load<u32>(cpu + L.VCPU_idtrLimit)) return raiseError(VECTOR_GP, 0);
  const pointer = readPointerSystem((load<u64>(cpu + L.VCPU_idtrBase) + u64(eventVector) * 4) & 0xffff_ffff, 4);
  if (!pointer) return bail;
  const target = load<u32>(pointer);
  beginFrame();
  addToFrame(eventFlags, 2);
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_CS))), 2);
  addToFrame(eventRip, 2);
  const result = writeFrame(segmentAddress(L.SEGMENT_SS), stackPointer(), 0, 0);
  if (result) return result;
  setStackPointer(framePointer);
  setRealSegment(L.SEGMENT_CS, target >> 16);
  store<u64>(cpu + L.VCPU_rip, u64(target & 0xffff));
  store<u64>(cpu + L.VCPU_rflags, load<u64>(cpu + L.VCPU_rflags) & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
  return 0;
}

function gateFault(vector: u32): i32 { return raiseError(vector, eventVector * 8 + 2 + eventExternal); }

/** Reads and checks the gate of the event. Returns 0, BAIL_FAULT, or BAIL_EXIT for a task gate, which is not offered. */
function readGate(): i32 {
  const long = isLong();
  const size: u32 = long ? 16 : 8;
  const offset = eventVector * size;
  if (offset + size - 1 > load<u32>(cpu + L.VCPU_idtrLimit)) return gateFault(VECTOR_GP);
  const pointer = readPointerSystem(tableAddress(load<u64>(cpu + L.VCPU_idtrBase), offset), size);
  if (!pointer) return bail;
  const gate = load<u64>(pointer);
  gateOffset = (gate & 0xffff) | ((gate >> 32) & 0xffff_0000);
  if (long) gateOffset |= u64(load<u32>(pointer, 8)) << 32;
  gateSelector = u32(gate >> 16) & 0xffff;
  gateStackIndex = long ? u32(gate >> 32) & 7 : 0;
  const attributes = attributesIn(gate);
  gateType = attributes & 0x1f;
  const wide = gateType == TYPE_INTERRUPT_GATE_32 || gateType == TYPE_TRAP_GATE_32;
  const narrow = gateType == TYPE_INTERRUPT_GATE_16 || gateType == TYPE_TRAP_GATE_16;
  if (!wide && (long || (!narrow && gateType != TYPE_TASK_GATE))) return gateFault(VECTOR_GP);
  if (eventSoftware && dplOf(attributes) < currentPrivilege()) return gateFault(VECTOR_GP);
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return gateFault(VECTOR_NP);
  if (narrow) gateOffset &= 0xffff;
  return gateType == TYPE_TASK_GATE ? exitWithoutInstruction(L.EXIT_UNSUPPORTED) : 0;
}

/** Checks the code segment of the gate, stages it and sets `handlerPrivilege`. */
function stageHandlerCode(): i32 {
  if (isNull(gateSelector)) return raiseError(VECTOR_GP, eventExternal);
  const result = readDescriptor(gateSelector, VECTOR_GP, eventExternal);
  if (result) return result;
  const attributes = attributesIn(descriptor);
  const errorCode = (gateSelector & 0xfffc) | eventExternal;
  const code: u32 = ATTRIBUTE_SEGMENT | ATTRIBUTE_CODE;
  if ((attributes & code) != code || dplOf(attributes) > currentPrivilege()) return raiseError(VECTOR_GP, errorCode);
  if (isLong() && (attributes & (ATTRIBUTE_LONG | ATTRIBUTE_BIG)) != ATTRIBUTE_LONG) return raiseError(VECTOR_GP, errorCode);
  if ((attributes & ATTRIBUTE_PRESENT) == 0) return raiseError(VECTOR_NP, errorCode);
  handlerPrivilege = (attributes & ATTRIBUTE_CONFORMING) != 0 ? currentPrivilege() : dplOf(attributes);
  const marked = markAccessed();
  if (marked) return marked;
  setSlotFromDescriptor(stagedCode(), (gateSelector & 0xfffc) | handlerPrivilege, descriptor);
  return 0;
}

function addInterruptedCode(size: u32): void {
  addToFrame(eventFlags, size);
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_CS))), size);
  addToFrame(eventRip, size);
  if (eventHasErrorCode) addToFrame(u64(eventErrorCode), size);
}

/** Long mode: always five words, on a 16-byte boundary; SS becomes null when the privilege changes (SDM vol 3 §6.14). */
function deliverLong(): i32 {
  const outer = currentPrivilege();
  let top = gpr(RSP);
  if (gateStackIndex != 0 || handlerPrivilege < outer) {
    const read = readStackPointer64(handlerPrivilege, gateStackIndex, eventExternal);
    if (read) return read;
    top = innerStackPointer;
  }
  if (!isCanonical(gateOffset)) return raiseError(VECTOR_GP, eventExternal);
  beginFrame();
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_SS))), 8);
  addToFrame(gpr(RSP), 8);
  addInterruptedCode(8);
  const result = writeFrame64(top & ~15, eventExternal);
  if (result) return result;
  setGpr(RSP, framePointer);
  if (handlerPrivilege < outer) setSlot(segmentAddress(L.SEGMENT_SS), handlerPrivilege, handlerPrivilege << ATTRIBUTE_DPL_SHIFT, 0, 0);
  enterHandler();
  return 0;
}

/** Bytes of a stack item by the size of the gate. */
function gateItemSize(): u32 { return gateType == TYPE_INTERRUPT_GATE_16 || gateType == TYPE_TRAP_GATE_16 ? 2 : 4; }

/** Protected mode, to a more privileged handler on the stack that the TSS names. */
function deliverInner(): i32 {
  const staged = stageInnerStack(handlerPrivilege, eventExternal);
  if (staged) return staged;
  if (gateOffset > u64(limitOf(stagedCode()))) return raiseError(VECTOR_GP, eventExternal);
  const size = gateItemSize();
  beginFrame();
  addToFrame(u64(selectorOf(segmentAddress(L.SEGMENT_SS))), size);
  addToFrame(gpr(RSP), size);
  addInterruptedCode(size);
  const result = writeFrame(stagedStack(), innerStackPointer, selectorOf(stagedStack()), eventExternal);
  if (result) return result;
  commitSlot(L.SEGMENT_SS, stagedStack());
  setStackPointer(framePointer);
  enterHandler();
  return 0;
}

/** Protected mode, without a change of privilege. */
function deliverSame(): i32 {
  if (handlerPrivilege != currentPrivilege()) return raiseError(VECTOR_GP, (gateSelector & 0xfffc) | eventExternal);
  if (gateOffset > u64(limitOf(stagedCode()))) return raiseError(VECTOR_GP, eventExternal);
  beginFrame();
  addInterruptedCode(gateItemSize());
  const result = writeFrame(segmentAddress(L.SEGMENT_SS), stackPointer(), 0, eventExternal);
  if (result) return result;
  setStackPointer(framePointer);
  enterHandler();
  return 0;
}

/** The changes of registers that all protected-mode deliveries have in common. Cannot fail. */
function enterHandler(): void {
  commitSlot(L.SEGMENT_CS, stagedCode());
  store<u64>(cpu + L.VCPU_rip, gateOffset);
  let cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
  if (gateType == TYPE_INTERRUPT_GATE_32 || gateType == TYPE_INTERRUPT_GATE_16) cleared |= FLAG_IF;
  store<u64>(cpu + L.VCPU_rflags, load<u64>(cpu + L.VCPU_rflags) & ~cleared);
  updateMode();
}
