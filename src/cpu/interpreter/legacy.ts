/**
 * The corners of the base set: decimal arithmetic, PUSHA, ENTER, BOUND, XLAT, LOOP (Intel SDM vol 2, one section each).
 */
import * as L from "./generated/layout";
import { is64 } from "./descriptors";
import { arithmeticFlags, FLAG_AF, FLAG_CF, FLAG_PF, FLAG_SF, FLAG_ZF, setArithmeticFlags, carryFlag, zeroFlag } from "./flags";
import { probeWrite, readPointer } from "./memory";
import { BAIL_FAULT, BAIL_NEXT, OP_BITS, OP_BITS_ADDRESS_SHIFT, OP_BITS_MEMORY, OP_SEGMENT } from "./op";
import { addToFrame, beginFrame, frameAddress, frameLength } from "./privilege-stack";
import { segmentedAddress, segmentLinear } from "./segments";
import {
  dropStack, jumpNear, loadSized, operandSize, peekStack, popped, pushBytes, setStackPointer, stackMask, stackPointer, stackReadPointer, storeRegister,
} from "./stack";
import { bail, cpu, effectiveAddress, gpr, gprAddress, immediate, nextRip, raise, regAddress, setGpr, VECTOR_BR, VECTOR_DE, VECTOR_UD } from "./state";

const RAX: u32 = 0;
const RCX: u32 = 1;
const RBX: u32 = 3;
const RSP: u32 = 4;
const RBP: u32 = 5;

// ---------------------------------------------------------------------------------------------------- decimal arithmetic

// @ts-ignore: decorator
@inline function lowByte(): u32 { return u32(load<u8>(gprAddress(RAX))); }
// @ts-ignore: decorator
@inline function highByte(): u32 { return u32(load<u8>(gprAddress(RAX) + 1)); }
function setLowByte(value: u32): void { store<u8>(gprAddress(RAX), u8(value)); }

/** SF, ZF and PF of AL together with `others`. */
function setByteFlags(others: u64): void {
  const value = lowByte();
  let flags = others;
  if ((value & 0x80) != 0) flags |= FLAG_SF;
  if (value == 0) flags |= FLAG_ZF;
  if ((popcnt<u32>(value) & 1) == 0) flags |= FLAG_PF;
  setArithmeticFlags(flags);
}

/** 27 DAA (`sign` 1) and 2F DAS (`sign` -1). */
function decimalAdjust(sign: i32): i32 {
  const before = arithmeticFlags();
  const original = lowByte();
  let flags: u64 = 0;
  let value = original;
  if ((original & 15) > 9 || (before & FLAG_AF) != 0) {
    value += u32(6 * sign);
    flags |= FLAG_AF;
    // A borrow or carry of this step reaches CF as well.
    if (value > 0xff) flags |= FLAG_CF;
  }
  if (original > 0x99 || (before & FLAG_CF) != 0) {
    value += u32(0x60 * sign);
    flags |= FLAG_CF;
  } else if (sign > 0) flags &= ~FLAG_CF;
  setLowByte(value);
  setByteFlags(flags);
  return 0;
}
/** 27. */
export function daa(op: u32): i32 { return decimalAdjust(1); }
/** 2F. */
export function das(op: u32): i32 { return decimalAdjust(-1); }

/** 37 AAA (`sign` 1) and 3F AAS (`sign` -1). */
function asciiAdjust(sign: i32): i32 {
  const before = arithmeticFlags();
  let flags: u64 = 0;
  if ((lowByte() & 15) > 9 || (before & FLAG_AF) != 0) {
    store<u16>(gprAddress(RAX), u16(i32(load<u16>(gprAddress(RAX))) + 0x106 * sign));
    flags = FLAG_AF | FLAG_CF;
  }
  setLowByte(lowByte() & 15);
  setByteFlags(flags);
  return 0;
}
/** 37. */
export function aaa(op: u32): i32 { return asciiAdjust(1); }
/** 3F. */
export function aas(op: u32): i32 { return asciiAdjust(-1); }

/** D4 ib. */
export function aam(op: u32): i32 {
  const base = u32(immediate(op)) & 0xff;
  if (base == 0) return raise(VECTOR_DE);
  const value = lowByte();
  store<u8>(gprAddress(RAX) + 1, u8(value / base));
  setLowByte(value % base);
  setByteFlags(0);
  return 0;
}

/** D5 ib. */
export function aad(op: u32): i32 {
  const value = lowByte() + highByte() * (u32(immediate(op)) & 0xff);
  store<u16>(gprAddress(RAX), u16(value & 0xff));
  setByteFlags(0);
  return 0;
}

/** D6 SALC: AL from CF; not in Intel's manual, but in every processor (AMD APM vol 3 appendix A marks the byte invalid in 64-bit mode only). */
export function salc(op: u32): i32 {
  setLowByte(carryFlag(cpu) != 0 ? 0xff : 0);
  return 0;
}

// ---------------------------------------------------------------------------------------------------- table look-up, bounds

function addressMask(op: u32): u64 {
  const size = (u32(load<u8>(op + OP_BITS)) >> OP_BITS_ADDRESS_SHIFT) & 3;
  return size == 2 ? ~(<u64>0) : size == 1 ? 0xffff_ffff : 0xffff;
}

/** D7. */
export function xlat(op: u32): i32 {
  const offset = (gpr(RBX) + u64(lowByte())) & addressMask(op);
  if (segmentedAddress(u32(load<u8>(op + OP_SEGMENT)), offset, 1, false)) return bail;
  const pointer = readPointer(segmentLinear, 1);
  if (!pointer) return bail;
  setLowByte(u32(load<u8>(pointer)));
  return 0;
}

/** 62, not in 64-bit mode. */
export function bound(op: u32): i32 {
  if ((load<u8>(op + OP_BITS) & OP_BITS_MEMORY) == 0) return raise(VECTOR_UD);
  const size = operandSize(op);
  const pointer = readPointer(effectiveAddress(op), 2 * size);
  if (!pointer) return bail;
  let index: i32, lower: i32, upper: i32;
  if (size == 2) {
    index = load<i16>(regAddress(op));
    lower = load<i16>(pointer);
    upper = load<i16>(pointer + 2);
  } else {
    index = load<i32>(regAddress(op));
    lower = load<i32>(pointer);
    upper = load<i32>(pointer + 4);
  }
  return index < lower || index > upper ? raise(VECTOR_BR) : 0;
}

// ---------------------------------------------------------------------------------------------------- stack

/** 60, not in 64-bit mode. */
export function pusha(op: u32): i32 {
  const size = operandSize(op);
  beginFrame();
  for (let n: u32 = 0; n < 8; n++) addToFrame(gpr(n), size);
  return pushBytes(frameAddress(), frameLength());
}

/** 61, not in 64-bit mode: the stored stack pointer is skipped. */
export function popa(op: u32): i32 {
  const size = operandSize(op);
  const pointer = stackReadPointer(0, 8 * size);
  if (!pointer) return bail;
  for (let n: u32 = 0; n < 8; n++) {
    if (n != RSP) storeRegister(gprAddress(n), size, loadSized(pointer + (7 - n) * size, size));
  }
  dropStack(8 * size);
  return 0;
}

/**
 * Frame pointer at `at` bytes of the outer frames, which begin at stack offset `offset` and were read to `pointer`. What the instruction has
 * pushed already counts where both lie over each other.
 */
function outerFramePointer(pointer: u32, offset: u64, at: u32, size: u32): u64 {
  const top = stackPointer();
  const end = frameAddress() + frameLength();
  let value: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const below = top - (offset + u64(at + i));
    const byte = below != 0 && below <= u64(frameLength()) ? load<u8>(end - u32(below)) : load<u8>(pointer + at + i);
    value |= u64(byte) << u64(i << 3);
  }
  return value;
}

/**
 * C8 iw, ib: the immediate holds the size in bits 15..0 and the nesting level in bits 23..16. Frame pointers of outer levels
 * are copied; at the end the new stack pointer must be writable.
 */
export function enter(op: u32): i32 {
  const size = operandSize(op);
  const allocated = u32(immediate(op)) & 0xffff;
  const level = u32(immediate(op) >> 16) & 31;
  const framePointer = stackPointer() - u64(size);
  beginFrame();
  addToFrame(gpr(RBP), size);
  if (level > 1) {
    const mask = stackMask();
    const count = (level - 1) * size;
    const offset = (gpr(RBP) - u64(count)) & mask;
    if (segmentedAddress(L.SEGMENT_SS, offset, count, false)) return bail;
    const pointer = readPointer(segmentLinear, count);
    if (!pointer) return bail;
    for (let n = level - 1; n > 0; n--) addToFrame(outerFramePointer(pointer, offset, (n - 1) * size, size), size);
  }
  if (level > 0) addToFrame(framePointer, size);
  const end = (stackPointer() - u64(frameLength()) - u64(allocated)) & stackMask();
  const frame = (stackPointer() - u64(frameLength())) & stackMask();
  if (segmentedAddress(L.SEGMENT_SS, frame, frameLength(), true)) return bail;
  let probed = probeWrite(segmentLinear, frameLength());
  if (probed) return probed;
  if (segmentedAddress(L.SEGMENT_SS, end, size, true)) return bail;
  probed = probeWrite(segmentLinear, size);
  if (probed) return probed;
  const result = pushBytes(frameAddress(), frameLength());
  if (result) return result;
  setStackPointer(end);
  storeRegister(gprAddress(RBP), size, framePointer);
  return 0;
}

/** C9. */
export function leave(op: u32): i32 {
  const size = operandSize(op);
  // The pop is relative to RBP, which becomes the stack pointer first.
  if (peekStack(i64(gpr(RBP) - stackPointer()), size)) return bail;
  setStackPointer(gpr(RBP));
  dropStack(size);
  storeRegister(gprAddress(RBP), size, popped);
  return 0;
}

// ---------------------------------------------------------------------------------------------------- loops

/** Decrements the counter at the address size and jumps while `wanted` holds. The counter changes only when the jump is good. */
function loopWhile(op: u32, wanted: bool): i32 {
  const mask = addressMask(op);
  const kept = gpr(RCX);
  const count = (kept - 1) & mask;
  setGpr(RCX, mask == 0xffff ? (kept & ~mask) | count : count);
  if (count == 0 || !wanted) return BAIL_NEXT;
  const result = jumpNear(nextRip(op) + u64(immediate(op)), branchSize(op));
  if (result == BAIL_FAULT) setGpr(RCX, kept);
  return result;
}

/** Operand size of a near branch: always 64 bits in 64-bit mode. */
function branchSize(op: u32): u32 { return is64() ? 8 : operandSize(op); }

/** E2. */
export function loop(op: u32): i32 { return loopWhile(op, true); }
/** E1: while ZF is set. */
export function loope(op: u32): i32 { return loopWhile(op, zeroFlag(cpu)); }
/** E0: while ZF is clear. */
export function loopne(op: u32): i32 { return loopWhile(op, !zeroFlag(cpu)); }

/** E3. */
export function jcxz(op: u32): i32 {
  if ((gpr(RCX) & addressMask(op)) != 0) return BAIL_NEXT;
  return jumpNear(nextRip(op) + u64(immediate(op)), branchSize(op));
}
