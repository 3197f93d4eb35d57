/**
 * The x87 register stack, the checks before and the bookkeeping after an instruction (Intel SDM vol 1 §8.1 and §8.6).
 *
 * An instruction with the usual course is: begin (#NM, #MF, operand in memory), collect exceptions in `exceptionFlags` while the result is
 * computed, `commit` them to the status word, and deliver the result if commit allows it. Nothing architectural changes before the
 * last memory access that can fail. The instruction and data pointers are kept by every instruction but the control ones; the opcode is
 * kept when an unmasked exception is found, as processors without the "fopcode compatibility mode" do.
 */
import * as L from "./generated/layout";
import { readPointer } from "./memory";
import { OP_BITS, OP_BITS_MEMORY, OP_SEGMENT } from "./op";
import {
  EXTENDED_BIAS, FLOAT_DENORMAL, FLOAT_DIVIDE_BY_ZERO, FLOAT_INVALID, INTEGER_BIT, KIND_FINITE, KIND_INFINITE, KIND_QUIET_NAN,
  KIND_SIGNALING_NAN, KIND_UNSUPPORTED, KIND_ZERO, QUIET_BIT, beginX87, exceptionFlags, operandFlags, raiseFloat, roundedUp,
  setA, setANormalised, setOperandFlags, setRoundedUp, unmaskedExceptions,
} from "./softfloat-registers";
import { resultExponent, resultKind, resultSign, resultSignificand, roundResult } from "./softfloat-result";
import { VECTOR_MF, VECTOR_NM, cpu, effectiveAddress, immediate, instructionRip, raise, segmentAddress } from "./state";

export const STATUS_EXCEPTIONS: u32 = 0x3f;
export const STATUS_STACK_FAULT: u32 = 0x40;
export const STATUS_SUMMARY: u32 = 0x80;
export const STATUS_C0: u32 = 0x100;
export const STATUS_C1: u32 = 0x200;
export const STATUS_C2: u32 = 0x400;
export const STATUS_TOP: u32 = 0x3800;
export const STATUS_C3: u32 = 0x4000;
export const STATUS_BUSY: u32 = 0x8000;
const CR0_EM_TS: u64 = 0xc;

/** The status word, TOP in bits 13..11. */
// @ts-ignore: decorator
@inline export function status(): u32 { return load<u32>(cpu + L.VCPU_fpuStatus); }
/** Replaces the status word. */
// @ts-ignore: decorator
@inline export function setStatus(value: u32): void { store<u32>(cpu + L.VCPU_fpuStatus, value); }
/** The control word. */
// @ts-ignore: decorator
@inline export function controlWord(): u32 { return load<u32>(cpu + L.VCPU_fpuControl); }
/** Physical number of ST(0). */
// @ts-ignore: decorator
@inline export function top(): u32 { return (status() >> 11) & 7; }
/** Sets TOP; `value` counts modulo 8. */
export function setTop(value: u32): void { setStatus((status() & ~STATUS_TOP) | ((value & 7) << 11)); }

/** Physical number of ST(i). */
// @ts-ignore: decorator
@inline function physical(i: u32): u32 { return (top() + i) & 7; }
/** Host address of ST(i). */
export function slot(i: u32): u32 { return cpu + L.VCPU_fpuRegisters + (physical(i) << 4); }
/** Whether ST(i) is empty. */
export function isEmpty(i: u32): bool { return ((load<u32>(cpu + L.VCPU_fpuTag) >> physical(i)) & 1) == 0; }
/** Marks ST(i) as in use or empty. */
export function setInUse(i: u32, inUse: bool): void {
  const bit = (<u32>1) << physical(i), tag = load<u32>(cpu + L.VCPU_fpuTag);
  store<u32>(cpu + L.VCPU_fpuTag, inUse ? tag | bit : tag & ~bit);
}

/** The i of an opcode with ST(i). */
// @ts-ignore: decorator
@inline export function stackIndex(op: u32): u32 { return u32(immediate(op)); }

/** Begins any waiting x87 instruction: #NM, #MF, modes from the control word. 0, or the code to return. */
export function enterX87(): i32 {
  if ((load<u64>(cpu + L.VCPU_cr0) & CR0_EM_TS) != 0) return raise(VECTOR_NM);
  if ((status() & STATUS_SUMMARY) != 0) return raise(VECTOR_MF);
  beginX87(controlWord());
  return 0;
}

/** Begins a control instruction that does not wait for exceptions: only #NM. 0, or the code to return. */
export function enterWithoutWait(): i32 {
  return (load<u64>(cpu + L.VCPU_cr0) & CR0_EM_TS) != 0 ? raise(VECTOR_NM) : 0;
}

/** Keeps the addresses of the instruction and of its memory operand. Called when no access can fail any more. */
export function recordPointers(op: u32): void {
  store<u64>(cpu + L.VCPU_fpuInstructionPointer, instructionRip(op) - segmentBase(L.SEGMENT_CS));
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0) {
    store<u64>(cpu + L.VCPU_fpuDataPointer, effectiveAddress(op) - segmentBase(load<u8>(op + OP_SEGMENT)));
  }
}

function segmentBase(segment: u32): u64 {
  if (load<u32>(cpu + L.VCPU_mode) == L.MODE_64 && segment < L.SEGMENT_FS) return 0;
  return load<u64>(segmentAddress(segment) + L.SEGMENT_BASE);
}

/** Begins an instruction without memory operand. 0, or the code to return. */
export function beginRegister(op: u32): i32 {
  const refused = enterX87();
  if (refused == 0) recordPointers(op);
  return refused;
}

/** Begins an instruction that reads `size` bytes. Host address of them, or 0: then `bail` is to be returned. */
export function beginRead(op: u32, size: u32): u32 {
  if (enterX87() != 0) return 0;
  const pointer = readPointer(effectiveAddress(op), size);
  if (pointer != 0) recordPointers(op);
  return pointer;
}

/** The 80-bit result as the last `pack` left it: bits 63..0, and sign and exponent. */
export let packedSignificand: u64 = 0;
export let packedHead: u32 = 0;

/** A := an 80-bit value. A denormal adds FLOAT_DENORMAL to operandFlags. */
export function unpackExtended(significand: u64, head: u32): void {
  const sign = (head >> 15) & 1, exponent = head & 0x7fff;
  if (exponent == 0) {
    if (significand != 0) setOperandFlags(operandFlags | FLOAT_DENORMAL);
    setANormalised(sign, 1, significand);
  } else if (i64(significand) >= 0) setA(sign, KIND_UNSUPPORTED, 0, significand);
  else if (exponent != 0x7fff) setA(sign, KIND_FINITE, i32(exponent), significand);
  else if (significand == INTEGER_BIT) setA(sign, KIND_INFINITE, 0, significand);
  else setA(sign, (significand & QUIET_BIT) != 0 ? KIND_QUIET_NAN : KIND_SIGNALING_NAN, 0, significand);
}

/** A := ST(i). */
export function unpackStack(i: u32): void {
  const address = slot(i);
  unpackExtended(load<u64>(address), load<u16>(address + 8));
}

/** Sets the packed result from its parts. */
// @ts-ignore: decorator
@inline export function setPacked(head: u32, significand: u64): void { packedHead = head; packedSignificand = significand; }

/** Rounds R to `bits` of significand (24, 53, 64) and packs it. */
export function packExtended(bits: u32): void {
  if (resultKind == KIND_FINITE) roundResult(bits, 1, 2 * EXTENDED_BIAS);
  const sign = resultSign << 15;
  switch (resultKind) {
    case KIND_ZERO: setPacked(sign, 0); break;
    case KIND_FINITE: setPacked(i64(resultSignificand) < 0 ? sign | u32(resultExponent) : sign, resultSignificand); break;
    case KIND_INFINITE: setPacked(sign | 0x7fff, INTEGER_BIT); break;
    default: setPacked(sign | 0x7fff, resultSignificand);
  }
}

/** Significand bits of the precision control field. */
export function controlledPrecision(): u32 {
  const field = (controlWord() >> 8) & 3;
  return field == 0 ? 24 : field == 2 ? 53 : 64;
}

/** An empty register was to be read: raises the stack fault and packs the default NaN, its masked answer. */
export function stackUnderflow(): void {
  raiseFloat(FLOAT_INVALID | STATUS_STACK_FAULT);
  setPacked(0xffff, INTEGER_BIT | QUIET_BIT);
}

/** A register in use was to be pushed over: raises the stack fault and packs the default NaN, its masked answer. */
export function stackOverflow(): void {
  stackUnderflow();
  setRoundedUp(1);
}

/** As `commit`, for the instructions that leave C1 alone unless the stack faults: FCMOVcc, FCOMI and its kin. */
export function commitKeepingC1(op: u32): bool {
  if ((exceptionFlags & STATUS_STACK_FAULT) == 0) setRoundedUp((status() & STATUS_C1) >> 9);
  return commitWithC1(op, roundedUp);
}

/**
 * Moves the collected exceptions into the status word, with C1 for the direction of the last rounding. Answers whether the result is to be
 * delivered: not after an unmasked invalid operation, denormal operand or division by zero, which are found before the operation.
 */
export function commit(op: u32): bool { return commitWithC1(op, 0); }

/** As `commit`; `c1OfStop`: C1 when nothing is delivered, but for a stack fault. */
function commitWithC1(op: u32, c1OfStop: u32): bool {
  let flags = exceptionFlags;
  const stops = flags & unmaskedExceptions & (FLOAT_INVALID | FLOAT_DENORMAL | FLOAT_DIVIDE_BY_ZERO);
  let c1 = roundedUp;
  if (stops != 0) {
    flags &= FLOAT_INVALID | FLOAT_DENORMAL | FLOAT_DIVIDE_BY_ZERO | STATUS_STACK_FAULT;
    if ((flags & STATUS_STACK_FAULT) == 0) c1 = c1OfStop;
  }
  let value = (status() & ~STATUS_C1) | flags | (c1 << 9);
  if ((flags & unmaskedExceptions) != 0) {
    value |= STATUS_SUMMARY | STATUS_BUSY;
    recordOpcode(op);
  }
  setStatus(value);
  return stops == 0;
}

/** Keeps the low three bits of the first opcode byte and the second one. Left as it was when the code can no longer be read. */
function recordOpcode(op: u32): void {
  let rip = instructionRip(op);
  for (let i = 0; i < 15; i++, rip++) {
    const pointer = readPointer(rip, 2);
    if (pointer == 0) return;
    if ((load<u8>(pointer) & 0xf8) != 0xd8) continue;
    store<u32>(cpu + L.VCPU_fpuOpcode, (u32(load<u8>(pointer) & 7) << 8) | load<u8>(pointer + 1));
    return;
  }
}

/** ST(i) := the packed result, in use. */
export function storePacked(i: u32): void {
  const address = slot(i);
  store<u64>(address, packedSignificand);
  store<u16>(address + 8, packedHead);
  setInUse(i, true);
}

/** Pushes the packed result. */
export function pushPacked(): void {
  setTop(top() - 1);
  storePacked(0);
}

/** Marks ST(0) empty and increments TOP. */
export function pop(): void {
  setInUse(0, false);
  setTop(top() + 1);
}

/** Brings ES and B of the status word in line with its exceptions and the masks. */
export function updateSummary(): void {
  const value = status() & ~(STATUS_SUMMARY | STATUS_BUSY);
  setStatus((value & ~controlWord() & STATUS_EXCEPTIONS) != 0 ? value | STATUS_SUMMARY | STATUS_BUSY : value);
}
